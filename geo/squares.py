"""The squares of a grid that a shape covers, and those its border crosses: most places then need no look at a border.

A square that no border touches lies wholly in the shape or wholly outside, so one place of it speaks for all.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import shapely
from numpy.typing import NDArray
from shapely.geometry.base import BaseGeometry

Squares = NDArray[np.intp]
"""Numbers of squares: row × side + column, shape (n,)."""

PIECE: Final = 0.5
"""Borders are cut into pieces this long, in squares: one touches at most two columns and two rows."""
HAIR: Final = 1e-6
"""A border this near to a square, in squares, crosses it: no rounding can put a place on its wrong side."""


class Share(NamedTuple):
    """The squares that a shape covers wholly, and those its border crosses."""

    inside: Squares
    crossed: Squares


class Grid:
    """`side` × `side` squares over a box (west, south, east, north)."""

    def __init__(self, bounds: tuple[float, float, float, float], side: int) -> None:
        west, south, east, north = bounds
        self.side = side
        self._corner = np.array([west, south])
        self._step = np.array([max(east - west, 1e-9), max(north - south, 1e-9)]) / side
        self._bounds = bounds

    def squares(self, lons: NDArray[np.float64], lats: NDArray[np.float64]) -> tuple[NDArray[np.intp], Squares]:
        """Which of the places (degrees, shape (n,)) lie in the box, and the square of each of these."""
        west, south, east, north = self._bounds
        within = ((lons >= west) & (lons <= east) & (lats >= south) & (lats <= north)).nonzero()[0]
        columns = ((lons[within] - west) / self._step[0]).astype(np.intp)
        rows = ((lats[within] - south) / self._step[1]).astype(np.intp)
        last = self.side - 1
        return within, np.minimum(rows, last) * self.side + np.minimum(columns, last)

    def share(self, area: BaseGeometry) -> Share:
        """The squares of a prepared area that lies in the box."""
        crossed = self._crossed(area)
        if not len(crossed):
            return Share(crossed, crossed)
        rows, columns = np.divmod(crossed, self.side)
        top, left = rows.min(), columns.min()
        marks = np.zeros((int(rows.max() - top) + 1, int(columns.max() - left) + 1), dtype=bool)
        marks[rows - top, columns - left] = True
        # Along a row, squares between two crossed ones are all inside or all outside: the first one is asked.
        free = ~marks
        begins = free.copy()
        begins[:, 1:] &= marks[:, :-1]
        run_rows, run_columns = begins.nonzero()
        east = self._corner[0] + (run_columns + left + 0.5) * self._step[0]
        north = self._corner[1] + (run_rows + top + 0.5) * self._step[1]
        held = shapely.intersects_xy(area, east, north)
        runs = np.cumsum(begins.ravel()).reshape(begins.shape) - 1
        inside = free & held[np.maximum(runs, 0)] if len(held) else np.zeros_like(free)
        inside_rows, inside_columns = inside.nonzero()
        return Share((inside_rows + top) * self.side + inside_columns + left, crossed)

    def _crossed(self, area: BaseGeometry) -> Squares:
        """The squares that the border touches, or nearly so."""
        corners, ring = shapely.get_coordinates(shapely.get_rings(shapely.get_parts(area)), return_index=True)
        placed = (corners - self._corner) / self._step
        joined = ring[1:] == ring[:-1]
        begin, end = placed[:-1][joined], placed[1:][joined]
        count = np.maximum(1, np.ceil(np.abs(end - begin).max(axis=1, initial=0) / PIECE)).astype(np.intp)
        number = np.arange(count.sum()) - np.repeat(np.cumsum(count) - count, count)
        step = np.repeat((end - begin) / count[:, None], count, axis=0)
        first = np.repeat(begin, count, axis=0) + step * number[:, None]
        second = first + step
        low = np.floor(np.minimum(first, second) - HAIR).astype(np.intp)
        high = np.floor(np.maximum(first, second) + HAIR).astype(np.intp)
        touched = [
            np.clip(row, 0, self.side - 1) * self.side + np.clip(column, 0, self.side - 1)
            for row in (low[:, 1], high[:, 1])
            for column in (low[:, 0], high[:, 0])
        ]
        return np.unique(np.concatenate(touched))
