import pytest
import torch

from qsegment_model.augmentation import sampling_grid
from qsegment_model.candidates import CANDIDATES
from qsegment_model.network import Architecture, QSegment


def test_the_papers_parameters_and_work_are_those_counted_by_hand():
    network = QSegment(CANDIDATES["paper-288"])
    assert network.parameter_count() == 104_465
    assert network.macs() == 10_123 * 288 * 288


@pytest.mark.parametrize("name", CANDIDATES)
def test_output_has_the_stated_size(name):
    architecture = CANDIDATES[name]
    side = 2 * architecture.size_multiple
    made = QSegment(architecture)(torch.zeros(1, 3, side, side))
    assert made.shape[2] * architecture.input_size == architecture.output_size * side


def test_fast_networks_stay_under_33_ms():
    # 0.86 ms for 11.8 million multiply-accumulates is the slower of the two published rates.
    fast = [name for name in CANDIDATES if name.startswith("fast")]
    slowest = max(QSegment(CANDIDATES[name]).macs() / 11.8e6 * 0.86 for name in fast)
    assert 30 < slowest <= 33


def test_architecture_survives_its_text():
    for architecture in CANDIDATES.values():
        assert Architecture.from_json(architecture.to_json()) == architecture


def test_probability_is_the_sigmoid_of_the_logit():
    torch.manual_seed(0)
    architecture = Architecture(32)
    logit, probability = QSegment(architecture).eval(), QSegment(architecture, "probability").eval()
    probability.load_state_dict(logit.state_dict())
    x = torch.rand(1, 3, 32, 48)
    assert torch.equal(probability(x), logit(x).sigmoid())


def test_sampling_grid_is_torchs_affine_grid():
    affine = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0))
    want = torch.nn.functional.affine_grid(affine, [3, 1, 20, 20], align_corners=False)
    torch.testing.assert_close(sampling_grid(affine, 20), want)
