"""Hot spots: where more was reported than chance explains. Getis and Ord's Gi*, on squares that are true in metres.

For every square the reports within a distance are added up (its own included; each counts the same) and held against
what was to be expected there. The statistic is that of Ord and Getis, "Local spatial autocorrelation statistics"
(Geographical Analysis 27, 1995), written so that the expectation may differ from square to square:

    z = (O - E) / sqrt(φ · (E - E²/N)),    φ = 1/(n-1) · Σ (c - e)² / e

where c and e are a square's count and expectation, O and E their sums within the distance, N all reports and n the
number of squares. Where every square expects the same, this is Gi* to the letter; φ, the index of dispersion, is what
Gi* calls S². Where squares expect different numbers (of one kind of trouble, in proportion to all reports), a place
where much is reported of everything is no hot spot of anything.

How unlikely a sum is, is read from the signed root of its binomial deviance over φ as well, and the more careful of the
two counts: the bell curve alone would call three reports where a tenth was expected a certainty. Of many squares some
stand out by chance; `q` is the share of false alarms among all squares with at most this q (Benjamini and Hochberg,
"Controlling the false discovery rate", J. R. Statist. Soc. B 57, 1995; it holds for neighbours that resemble one
another, Benjamini and Yekutieli 2001).

Numpy only; time and memory grow with the squares, not with the reports.
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray
from shapely import Polygon, box

from geo.cells import Bounds
from geo.place import METRES_PER_DEGREE, WGS84, Place

CITY_CELL_METRES: Final = 250.0
PROVINCE_CELL_METRES: Final = 1_000.0
BAND_CELLS: Final = 2.0
"""How far a neighbour may be, in sides of a square: 13 squares with one's own."""
FALSE_DISCOVERY_RATE: Final = 0.05
MOST_CELLS: Final = 4_000_000
SMALLEST_VARIANCE: Final = 1e-9

Whole = NDArray[np.int64]
Real = NDArray[np.float64]


class Grid(NamedTuple):
    """Squares of `cell_metres` a side, counted from a corner to the east and to the north.

    Degrees are made metres at one middle latitude; over a province a side errs by less than 1 %.
    """

    west: float
    south: float
    cell_metres: float
    middle: float
    """The latitude, in degrees, at which a side is true."""

    @classmethod
    def over(cls, bounds: Bounds, cell_metres: float) -> Grid:
        """The squares over a box in WGS84 degrees."""
        return cls(bounds.west, bounds.south, cell_metres, (bounds.south + bounds.north) / 2)

    @property
    def column_degrees(self) -> float:
        """The width of a square in degrees of longitude."""
        return self.row_degrees / max(0.01, math.cos(math.radians(self.middle)))

    @property
    def row_degrees(self) -> float:
        """The height of a square in degrees of latitude."""
        return self.cell_metres / METRES_PER_DEGREE

    def cells(self, lons: Real, lats: Real) -> tuple[Whole, Whole]:
        """Column and row of places; arrays of degrees, shape (n,)."""
        columns = np.floor((lons - self.west) / self.column_degrees)
        rows = np.floor((lats - self.south) / self.row_degrees)
        return columns.astype(np.int64), rows.astype(np.int64)

    def middle_of(self, column: int, row: int) -> Place:
        """The middle of a square."""
        return Place(self.west + (column + 0.5) * self.column_degrees, self.south + (row + 0.5) * self.row_degrees)

    def square(self, column: int, row: int) -> Polygon:
        """A square as a WGS84 polygon; neighbours share their corners to the last digit."""
        wests = [self.west + edge * self.column_degrees for edge in (column, column + 1)]
        souths = [self.south + edge * self.row_degrees for edge in (row, row + 1)]
        return box(wests[0], souths[0], wests[1], souths[1])

    def square_ewkt(self, column: int, row: int) -> str:
        """A square as PostGIS reads it."""
        return f"SRID={WGS84};{self.square(column, row).wkt}"


class Spots(NamedTuple):
    """What was found, square by square; arrays of shape (n,) in the order given."""

    observed: Whole
    """Reports within the distance."""
    expected: Real
    z: Real
    """Gi*: above zero more than expected, below zero fewer."""
    p: Real
    """How likely at least such a difference is by chance alone, either way."""
    q: Real
    """The share of false alarms among all squares whose q is at most this one."""


def gi_star(
    columns: Whole,
    rows: Whole,
    counts: Whole,
    exposure: Whole | None = None,
    *,
    band_cells: float = BAND_CELLS,
) -> Spots:
    """Gi* of every square; the four arrays have shape (n,), one square each and none twice.

    `columns` and `rows` say where a square lies; squares that are not given are no part of the area and no neighbours.
    `counts` are the reports in it, zeros included. `exposure` is what the expectation is in proportion to, such as all
    reports of all kinds; without it every square expects the same. `band_cells` is the distance in sides of a square.

    Raises ValueError where shapes differ, a number is negative, or the squares lie further apart than makes sense.
    """
    given = np.ones_like(counts) if exposure is None else exposure
    _check(columns, rows, counts, given)
    total, weight = int(counts.sum()), int(given.sum())
    if len(counts) < 2 or not total or not weight:  # noqa: PLR2004
        nothing = np.zeros(len(counts))
        return Spots(counts.astype(np.int64), nothing, nothing, nothing + 1, nothing + 1)
    spread = _Band(columns, rows, band_cells)
    observed, exposed = spread.sums(counts), spread.sums(given)
    expected = exposed.astype(np.float64) * (total / weight)
    each = given.astype(np.float64) * (total / weight)
    dispersion = _dispersion(counts, each)
    # Where the reports themselves are part of the exposure, chance leaves less play: they cannot exceed it.
    least = 1.0 if exposure is None else 1.0 - total / weight
    variance = expected - expected**2 / total
    z = _ratio(observed - expected, np.sqrt(dispersion * np.maximum(variance, 0.0)))
    rooted = _ratio(_signed_root_deviance(observed, expected, total), math.sqrt(max(dispersion, least)))
    careful = np.minimum(np.abs(_ratio(z * math.sqrt(dispersion), math.sqrt(max(dispersion, least)))), np.abs(rooted))
    p = np.array([math.erfc(value / math.sqrt(2)) for value in careful.tolist()])
    p[exposed == 0] = 1.0
    return Spots(observed, expected, z, p, false_discovery_rates(p))


def false_discovery_rates(p: Real) -> Real:
    """The q of every p (Benjamini and Hochberg): the smallest rate at which it would be among the discoveries."""
    order = np.argsort(p, kind="stable")[::-1]
    count = len(p)
    scaled = p[order] * count / np.arange(count, 0, -1)
    q = np.empty(count)
    q[order] = np.minimum(np.minimum.accumulate(scaled), 1.0)
    return q


def _check(columns: Whole, rows: Whole, counts: Whole, exposure: Whole) -> None:
    if not len(columns) == len(rows) == len(counts) == len(exposure):
        raise ValueError("one column, row, count and exposure for every square")
    if len(counts) and (counts.min() < 0 or exposure.min() < 0):
        raise ValueError("counts and exposures are not negative")


def _dispersion(counts: Whole, expected: Real) -> float:
    """Pearson's χ² over its degrees of freedom; of squares where nothing is expected there is nothing to say."""
    can = expected > 0
    if can.sum() < 2:  # noqa: PLR2004
        return 1.0
    squares = (counts[can] - expected[can]) ** 2 / expected[can]
    return float(squares.sum() / (can.sum() - 1))


def _signed_root_deviance(observed: Whole, expected: Real, total: int) -> Real:
    """±√(2 · log-likelihood ratio) of a binomial sum; nearly normal also where little is expected."""
    deviance = _x_log_ratio(observed, expected) + _x_log_ratio(total - observed, total - expected)
    rooted: Real = np.sign(observed - expected) * np.sqrt(2 * np.maximum(deviance, 0.0))
    return rooted


def _x_log_ratio(some: Real | Whole, expected: Real) -> Real:
    out = np.zeros(len(expected))
    there = (some > 0) & (expected > 0)
    out[there] = some[there] * np.log(some[there] / expected[there])
    return out


def _ratio(above: Real, below: Real | float) -> Real:
    """The quotient above / below, and 0 where there is nothing to divide by: no spread, no surprise."""
    divisor = np.broadcast_to(np.asarray(below, dtype=float), above.shape)
    quotient: Real = np.divide(above, divisor, out=np.zeros(above.shape), where=divisor > SMALLEST_VARIANCE)
    return quotient


class _Band:
    """Sums over all squares within a distance: running sums along each row, one difference for each row of the disc."""

    def __init__(self, columns: Whole, rows: Whole, band_cells: float) -> None:
        reach = math.floor(band_cells)
        self._halves = [math.floor(math.sqrt(band_cells**2 - dy**2)) for dy in range(-reach, reach + 1)]
        self._reach = reach
        # One empty column more on the left: the difference of two running sums then needs no special case.
        self._columns, self._rows = columns - columns.min() + reach + 1, rows - rows.min() + reach
        self._shape = (int(self._rows.max()) + reach + 1, int(self._columns.max()) + reach + 1)
        if self._shape[0] * self._shape[1] > MOST_CELLS:
            raise ValueError("squares too small for the area")

    def sums(self, values: Whole) -> Whole:
        """Whole numbers in, whole numbers out: nothing is lost on the way."""
        field = np.zeros(self._shape, dtype=np.int64)
        field[self._rows, self._columns] = values
        field.cumsum(axis=1, out=field)
        found = np.zeros(len(values), dtype=np.int64)
        for dy, half in enumerate(self._halves, start=-self._reach):
            row = self._rows + dy
            found += field[row, self._columns + half] - field[row, self._columns - half - 1]
        return found
