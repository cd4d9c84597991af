import pytest
import torch

from qsegment_model.train import Schedule


def test_cycle_is_torchs_one_cycle():
    schedule = Schedule(cycle_steps=200, peak=3e-3, leave_at=None, finish=0)
    optimiser = torch.optim.AdamW([torch.nn.Parameter(torch.zeros(1))])
    torchs = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, total_steps=200, pct_start=0.1)
    for step in range(1, 201):
        group = optimiser.param_groups[0]
        assert schedule.at(step) == pytest.approx((group["lr"], group["betas"][0]))
        if step < 200:
            optimiser.step()
            torchs.step()


def test_a_cycle_that_is_left_ends_near_zero_without_a_jump():
    schedule = Schedule(cycle_steps=200, peak=3e-3, leave_at=80, finish=40)
    rates = [schedule.at(step)[0] for step in range(1, schedule.steps() + 1)]
    assert len(rates) == 120
    assert rates[80] == pytest.approx(rates[79], rel=0.01)
    assert 0 < rates[-1] < 3e-5
