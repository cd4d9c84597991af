import pytest
import torch

from qsegment_model.losses import LOSSES, soft_skeleton, structure_weight


def test_skeleton_of_a_wide_line_is_its_middle():
    picture = torch.zeros(1, 1, 15, 15)
    picture[..., 5:10, :] = 1
    skeleton = soft_skeleton(picture)[0, 0]
    assert skeleton[7, 4:11].tolist() == [1.0] * 7
    assert skeleton[:6].sum() == skeleton[9:].sum() == 0


def test_structure_weight_of_a_lone_pixel_by_hand():
    truth = torch.zeros(1, 1, 31, 31)
    truth[..., 15, 15] = 1
    weight = structure_weight(truth)[0, 0]
    assert weight[15, 15].item() == pytest.approx(1 + 5 * (1 - 1 / 961))
    assert weight[15, 14].item() == pytest.approx(1 + 5 / 961)


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_prefers_the_truth(name):
    truth = torch.zeros(2, 1, 40, 40)
    truth[..., 10:14, :] = 1
    right = (truth[..., ::2, ::2] - 0.5) * 12
    assert LOSSES[name](right, truth) < LOSSES[name](-right, truth)
    assert LOSSES[name](right, truth) < LOSSES[name](torch.zeros_like(right), truth)
