"""Which numbers of a table are not told: one to four, and as few others as keep these from being worked out.

A number of one to four may point at somebody. Where a table's sums are told too, such a number is what is left of the
sum; so others are withheld beside it, the smallest first, until no withheld number follows from what is told, and what
can be worked out (the sum of those withheld in a line) is none of one to four itself. Zeros are always told: whoever
knows that nothing was reported knows nobody.
"""

from __future__ import annotations

from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

LEAST: Final = 5
"""Fewer reports than these are not told to the public, and are too few for a median."""

Numbers: TypeAlias = NDArray[np.int64]
Withheld: TypeAlias = NDArray[np.bool_]


def are_few(numbers: Numbers) -> Withheld:
    """Which are one to four."""
    return (numbers > 0) & (numbers < LEAST)


def of_line(numbers: Numbers, already: Withheld | None = None) -> Withheld:
    """Which of the parts of a sum, shape (n,), are not told where the sum is; `already`: withheld for other reasons."""
    withheld = are_few(numbers) if already is None else are_few(numbers) | already
    _cover(numbers, withheld, has_no_sum=False)
    return withheld


def of_table(numbers: Numbers, already: Withheld | None = None) -> Withheld:
    """Which cells of a table, shape (rows, columns), are not told where the sums of rows, of columns and of all are;
    `already`: withheld for other reasons.

    The sums themselves are told as `of_line` says of them.
    """
    withheld = are_few(numbers) if already is None else are_few(numbers) | already
    sums = (of_line(numbers.sum(axis=1)), of_line(numbers.sum(axis=0)))
    while True:
        before = int(withheld.sum())
        # Transposed views: what is withheld in a row is so in its column.
        for table, kept, has_no_sum in ((numbers, withheld, sums[0]), (numbers.T, withheld.T, sums[1])):
            for at in range(len(table)):
                _cover(table[at], kept[at], has_no_sum=bool(has_no_sum[at]))
        for row, column in np.argwhere(_determined(withheld, *sums)).tolist():
            if (further := _most_fitting(numbers[row], withheld[row])) is not None:
                withheld[row, further] = True
            elif (further := _most_fitting(numbers[:, column], withheld[:, column])) is not None:
                withheld[further, column] = True
            elif (numbers[row] > 0).sum() + (numbers[:, column] > 0).sum() > 2:  # noqa: PLR2004  (not alone in both)
                _cover_elsewhere(numbers, withheld)
        if int(withheld.sum()) == before:
            return withheld


def _cover(numbers: Numbers, withheld: Withheld, *, has_no_sum: bool) -> None:
    """Withhold as many more of a line as it needs; of one without a told sum one at least, else its sum is known."""
    while (not withheld.any()) if has_no_sum else _gives_away(numbers, withheld):
        further = _most_fitting(numbers, withheld)
        if further is None:
            return
        withheld[further] = True


def _cover_elsewhere(numbers: Numbers, withheld: Withheld) -> None:
    """Withhold the smallest number that is told yet, wherever it stands."""
    further = _most_fitting(numbers.ravel(), withheld.ravel())
    if further is not None:
        withheld.flat[further] = True


def _gives_away(numbers: Numbers, withheld: Withheld) -> bool:
    """Whether the sum tells what is withheld: one number alone, or so few that they are a small number together."""
    count = int(withheld.sum())
    return count == 1 or (count > 1 and int(numbers[withheld].sum()) < LEAST)


def _most_fitting(numbers: Numbers, withheld: Withheld) -> int | None:
    """Where the smallest number stands that is told yet and is not zero."""
    told = np.nonzero(~withheld & (numbers > 0))[0]
    return int(told[np.argmin(numbers[told])]) if len(told) else None


def _determined(withheld: Withheld, rows: Withheld, columns: Withheld) -> Withheld:
    """Which withheld cells follow from what is told, by adding and subtracting whole lines.

    Cells and sums that are not told are the unknowns of linear equations, one a line; whoever is the same in all their
    solutions is known.
    """
    height, width = withheld.shape
    cells = np.argwhere(withheld)
    unknown_rows, unknown_columns = np.nonzero(rows)[0], np.nonzero(columns)[0]
    unknowns = len(cells) + len(unknown_rows) + len(unknown_columns)
    found = np.zeros_like(withheld)
    if not len(cells):
        return found
    equations = np.zeros((height + width + 2, unknowns))
    at = np.arange(len(cells))
    equations[cells[:, 0], at] = equations[height + cells[:, 1], at] = 1.0
    at_rows = len(cells) + np.arange(len(unknown_rows))
    at_columns = len(cells) + len(unknown_rows) + np.arange(len(unknown_columns))
    equations[unknown_rows, at_rows] = equations[height + unknown_columns, at_columns] = -1.0
    equations[height + width, at_rows] = equations[height + width + 1, at_columns] = 1.0
    # The projection on the equations' row space: 1 on its diagonal is an unknown that they settle.
    settled = np.einsum("ij,ji->i", np.linalg.pinv(equations), equations)
    known = settled[: len(cells)] > 1 - 1e-6
    found[cells[known, 0], cells[known, 1]] = True
    return found
