import pytest
import torch

from qsegment_model.train import Schedule


def test_cycle_is_torchs_one_cycle():
    schedule = Schedule(steps=200, peak=3e-3)
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    torchs = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=200, pct_start=0.1)
    for step in range(1, 201):
        group = optimiser.param_groups[0]
        assert schedule.at(step) == pytest.approx((group["lr"], group["betas"][0]))
        if step < 200:
            optimiser.step()
            torchs.step()

