import pytest

from qsegment_model.train import one_cycle, warm_restarts


def test_one_cycle_rises_over_a_tenth_and_falls_to_nothing():
    shares = [one_cycle(step, 200) for step in range(1, 201)]
    assert shares[:20] == pytest.approx([step / 20 for step in range(1, 21)])
    # Half of the cosine's way is half of its height.
    assert shares[110 - 1] == pytest.approx(0.5)
    assert shares[-1] == pytest.approx(0.0)


def test_warm_restarts_come_every_twenty_epochs_of_three_steps():
    shares = [warm_restarts(step, 12_000) for step in range(1, 122)]
    assert shares[0] == shares[60] == shares[120] == 1.0
    assert shares[30] == pytest.approx(0.5)
    assert 0 < shares[59] < 0.001
