"""What is not told follows from nothing that is told: held against all ways to add and subtract."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from city.records.insight.withholding import LEAST, Numbers, Withheld, are_few, of_line, of_table

NUMBERS = st.one_of(st.just(0), st.integers(1, 4), st.integers(5, 60))
LINES = arrays.arrays(np.int64, st.integers(1, 12), elements=NUMBERS)
TABLES = arrays.arrays(np.int64, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=NUMBERS)


@pytest.mark.parametrize(
    ("numbers", "withheld"),
    [
        ([10, 20, 30], []),
        ([3, 20, 30], [3, 20]),
        ([3, 4, 30], [3, 4]),
        ([1, 2, 7, 30], [1, 2, 7]),
        ([3, 0, 0], [3]),
        ([0, 0], []),
        ([2, 2, 0], [2, 2]),
    ],
)
def test_the_smallest_others_go_with_a_small_number(numbers: list[int], withheld: list[int]) -> None:
    line = np.array(numbers, dtype=np.int64)
    assert line[of_line(line)].tolist() == withheld


@given(LINES)
def test_a_sum_tells_nothing_of_what_is_withheld_from_it(numbers: Numbers) -> None:
    withheld = of_line(numbers)
    assert not (are_few(numbers) & ~withheld).any()
    assert not withheld[numbers == 0].any()
    rest = int(numbers[withheld].sum())
    if int(numbers.sum()) >= LEAST:
        assert withheld.sum() != 1
        assert rest == 0 or rest >= LEAST
    assert withheld.sum() <= are_few(numbers).sum() + 2, "and no more than needed"


@given(LINES, st.integers(0, 11))
def test_what_is_withheld_already_is_covered_too(numbers: Numbers, at: int) -> None:
    already = np.zeros(numbers.shape, dtype=np.bool_)
    already[at % len(numbers)] = True
    withheld = of_line(numbers, already)
    assert (withheld >= already).all()
    if (numbers > 0).sum() > 1:
        assert withheld.sum() != 1


def settled(numbers: Numbers, withheld: Withheld) -> list[tuple[int, int]]:
    """The withheld cells that whoever knows the rest can work out: no other table fits what is told."""
    rows, columns = of_line(numbers.sum(axis=1)), of_line(numbers.sum(axis=0))
    cells = [(int(row), int(column)) for row, column in np.argwhere(withheld)]
    names: list[tuple[str, int, int]] = [("cell", *cell) for cell in cells]
    names += [("row", int(row), 0) for row in np.nonzero(rows)[0]]
    names += [("column", int(column), 0) for column in np.nonzero(columns)[0]]
    equations = []
    for axis, count, sums in (("row", numbers.shape[0], rows), ("column", numbers.shape[1], columns)):
        equations += [
            [
                float((name == "cell" and (one if axis == "row" else two) == line) - (name == axis and one == line))
                for name, one, two in names
            ]
            for line in range(count)
        ]
        if sums.any():
            equations.append([float(name == axis) for name, _, _ in names])
    matrix = np.array(equations).reshape(len(equations), len(names))
    rank = np.linalg.matrix_rank(matrix) if matrix.size else 0
    found = []
    for at, cell in enumerate(cells):
        alone = np.zeros((1, len(names)))
        alone[0, at] = 1
        if np.linalg.matrix_rank(np.vstack([matrix, alone])) == rank:
            found.append(cell)
    return found


@given(TABLES)
def test_no_cell_of_a_table_follows_from_the_others_and_the_sums(numbers: Numbers) -> None:
    withheld = of_table(numbers)
    assert not (are_few(numbers) & ~withheld).any()
    assert not withheld[numbers == 0].any()
    everything = int(numbers.sum())
    for row, column in settled(numbers, withheld):
        # Only where nothing is left that could be withheld: all else in both lines is zero.
        others = (numbers[row] > 0).sum() + (numbers[:, column] > 0).sum() - 2
        assert everything < LEAST or others == 0 or withheld[numbers > 0].all(), (row, column)


def test_two_small_numbers_in_a_corner_take_a_rectangle_with_them() -> None:
    numbers = np.array([[3, 30, 40], [50, 6, 70], [80, 90, 100]], dtype=np.int64)
    withheld = of_table(numbers)
    assert withheld.tolist() == [[True, True, False], [True, True, False], [False, False, False]]
