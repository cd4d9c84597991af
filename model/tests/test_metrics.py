import numpy as np

from qsegment_model.metrics import Counts, area_under_roc


def test_equal_scores_count_one_half():
    truth = np.array([True, False, True, False])
    assert area_under_roc(np.array([0.5, 0.5, 0.5, 0.5]), truth) == 0.5
    # Of the four pairs two are won, one is tied, one is lost.
    assert area_under_roc(np.array([0.9, 0.5, 0.5, 0.7]), truth) == (2 + 0.5) / 4


def test_pooled_dice_is_not_the_mean_of_dice():
    large = Counts(true_positive=90, false_positive=10, false_negative=10, true_negative=0)
    small = Counts(true_positive=0, false_positive=1, false_negative=1, true_negative=8)
    assert (large.dice(), small.dice()) == (0.9, 0.0)
    assert (large + small).dice() == 180 / 202


def test_an_empty_answer_scores_nothing_but_accuracy():
    truth = np.arange(100) < 7
    counts = Counts.of(np.zeros(100, bool), truth)
    assert (counts.dice(), counts.matthews(), counts.accuracy()) == (0.0, 0.0, 0.93)
