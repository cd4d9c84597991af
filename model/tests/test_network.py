import torch

from qsegment_model.data import sampling_grid
from qsegment_model.network import PARAMETERS, QSegment


def test_has_the_stated_number_of_parameters():
    assert sum(p.numel() for p in QSegment().parameters()) == PARAMETERS


def test_probability_is_the_sigmoid_of_the_logit():
    torch.manual_seed(0)
    logit, probability = QSegment("logit").eval(), QSegment("probability").eval()
    probability.load_state_dict(logit.state_dict())
    x = torch.rand(1, 3, 16, 24)
    assert torch.equal(probability(x), logit(x).sigmoid())


def test_sampling_grid_is_torchs_affine_grid():
    affine = torch.randn(3, 2, 3, generator=torch.Generator().manual_seed(0))
    want = torch.nn.functional.affine_grid(affine, [3, 1, 20, 20], align_corners=False)
    torch.testing.assert_close(sampling_grid(affine, 20), want)
