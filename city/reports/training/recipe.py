"""What the fit depends on."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Recipe:
    """What the fit depends on, chosen by cross-validation of the seed's training set."""

    penalty: float = 0.1
    """Weight of the squared weights against the sum of the texts' losses."""
    damping: float = 0.06
    """Added to the squared length of a text (at most 1 a word), so that little evidence gives little confidence."""
    rarity: float = 2.0
    """How much more a rare word or run of letters counts than a frequent one."""
    telling: float = 0.5
    """How much more one that is found in few categories counts than one found in all: finds the point of long texts."""
    telling_from: float = 2.0
    """Texts as they come, added to those that hold a word or a run before asking in how few categories it is found."""
    fewest_words: int = 2
    """Runs of letters in fewer different words than this are not kept."""
    balance: float = 1.0
    """How much a text of a small category counts more: the power of the inverse size."""
    doubt: float = 0.05
    """Taken off every confidence: real texts are less like the training set than its folds are like each other."""
    steps: int = 40
    folds: int = 3
    judged_from_words: int = 3
    """Shorter texts, the vocabulary above all, teach every fold and are judged in none."""


RECIPE = Recipe()
