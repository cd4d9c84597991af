"""Agreement of a segmentation with a drawn truth: counts, ratios and the area under the ROC curve."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Counts:
    """Pixels by truth and answer; counts of several images add up to the pooled counts."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int

    @classmethod
    def of(cls, answer: np.ndarray, truth: np.ndarray) -> "Counts":
        """Counts of two bool arrays of one shape."""
        return cls(*(int(n) for n in (
            (answer & truth).sum(), (answer & ~truth).sum(), (~answer & truth).sum(), (~answer & ~truth).sum()
        )))

    def __add__(self, other: "Counts") -> "Counts":
        return Counts(
            self.true_positive + other.true_positive,
            self.false_positive + other.false_positive,
            self.false_negative + other.false_negative,
            self.true_negative + other.true_negative,
        )

    def dice(self) -> float:
        drawn = 2 * self.true_positive + self.false_positive + self.false_negative
        return ratio(2 * self.true_positive, drawn)

    def accuracy(self) -> float:
        right = self.true_positive + self.true_negative
        return ratio(right, right + self.false_positive + self.false_negative)

    def sensitivity(self) -> float:
        return ratio(self.true_positive, self.true_positive + self.false_negative)

    def specificity(self) -> float:
        return ratio(self.true_negative, self.true_negative + self.false_positive)

    def matthews(self) -> float:
        """Matthews' correlation, -1 to 1; unlike accuracy it is 0 for an empty answer."""
        tp, fp, fn, tn = self.true_positive, self.false_positive, self.false_negative, self.true_negative
        sides = float(tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        return ratio(tp * tn - fp * fn, sides**0.5)


def ratio(part: float, whole: float) -> float:
    """``part / whole``, and 0 where there is nothing to divide."""
    return part / whole if whole else 0.0


def area_under_roc(score: np.ndarray, truth: np.ndarray) -> float:
    """Chance that a vessel pixel scores above a background pixel; equal scores count one half.

    The half matters: an 8-bit network has at most 256 different scores before they are resized.
    """
    _, rank = np.unique(score.ravel(), return_inverse=True)
    vessel = np.bincount(rank, truth.ravel())
    background = np.bincount(rank, ~truth.ravel())
    below = np.cumsum(background) - background
    return float((vessel * (below + background / 2)).sum() / (vessel.sum() * background.sum()))


def bootstrap(counts: list[Counts], draws: int = 2000) -> tuple[float, float]:
    """95 % interval of the pooled Dice when the images are drawn again, with replacement."""
    random = np.random.default_rng(0)
    dice = []
    for _ in range(draws):
        drawn = random.integers(0, len(counts), len(counts))
        dice.append(sum((counts[i] for i in drawn[1:]), counts[drawn[0]]).dice())
    low, high = np.percentile(dice, (2.5, 97.5))
    return float(low), float(high)
