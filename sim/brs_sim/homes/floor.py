"""Where a disc can move among rectangles, on a grid."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import ndimage

CELL_M = 0.05


@dataclass(frozen=True, eq=False)
class Rectangle:
    """Sides along x and y."""

    low: np.ndarray  # (2,) [m]
    high: np.ndarray  # (2,) [m]

    @property
    def size(self) -> np.ndarray:
        """(2,) [m]."""
        return self.high - self.low

    @property
    def middle(self) -> np.ndarray:
        """(2,) [m]."""
        return (self.low + self.high) / 2

    def grown(self, by_m: float) -> Rectangle:
        """With every side so much farther out."""
        return Rectangle(self.low - by_m, self.high + by_m)

    def contains(self, point: np.ndarray) -> bool:
        """Whether the point (2,) lies in it or on its edge."""
        return bool(np.all(point >= self.low - 1e-9) and np.all(point <= self.high + 1e-9))

    def overlaps(self, other: Rectangle) -> bool:
        """Whether they share some area."""
        return bool(np.all(self.low < other.high) and np.all(other.low < self.high))


class Floor:
    """Cells in which the middle of a disc touches nothing; a little less than there really are.

    Args:
        area: outside of it is wall.
        obstacles: what stands there.
        radius_m: of the disc.
    """

    def __init__(self, area: Rectangle, obstacles: Sequence[Rectangle], radius_m: float) -> None:
        self._low = area.low
        shape = np.floor(area.size / CELL_M + 1e-9).astype(int)
        taken = np.zeros(shape + 2, dtype=bool)  # a rim of wall
        taken[[0, -1], :] = taken[:, [0, -1]] = True
        for obstacle in obstacles:
            first = np.floor((obstacle.low - area.low) / CELL_M).astype(int) + 1
            last = np.ceil((obstacle.high - area.low) / CELL_M).astype(int) + 1
            (x0, y0), (x1, y1) = np.maximum(first, 0), np.maximum(last, 0)
            taken[x0:x1, y0:y1] = True
        # Distances are between middles of cells; a taken one reaches half a diagonal farther.
        away = ndimage.distance_transform_edt(~taken) * CELL_M - CELL_M / 2
        self._free = away >= radius_m
        self._parts, self.parts = ndimage.label(self._free)

    def joins(self, spots: np.ndarray) -> bool:
        """Whether the disc can go from any of the spots (n, 2) to any other."""
        found = {int(self._parts[self._cell(spot)]) for spot in spots}
        return len(found) < 2 and 0 not in found

    def spots(self) -> np.ndarray:
        """(n, 2) middles of all cells in which the disc can be [m]."""
        return self._middle(np.argwhere(self._free))

    def those_joined_to(self, spots: np.ndarray, others: np.ndarray) -> np.ndarray:
        """Those of `others` (n, 2) that hang together with the first of `spots`, if any."""
        parts = np.array([self._parts[self._cell(other)] for other in others])
        wanted = self._parts[self._cell(spots[0])] if len(spots) else parts
        joined: np.ndarray = others[(parts == wanted) & (parts > 0)]
        return joined

    def path(self, begin: np.ndarray, end: np.ndarray) -> np.ndarray | None:
        """(n, 2) a shortest way by steps along x and y; None where there is none [m]."""
        first, last = self._cell(begin), self._cell(end)
        if not self.joins(np.array([begin, end])):
            return None
        came = {first: first}
        queue = deque([first])
        while last not in came:
            x, y = queue.popleft()
            for cell in ((x + 1, y), (x - 1, y), (x, y + 1), (x, y - 1)):
                if self._free[cell] and cell not in came:
                    came[cell] = (x, y)
                    queue.append(cell)
        cells = [last]
        while cells[-1] != first:
            cells.append(came[cells[-1]])
        return self._middle(np.array(cells[::-1]))

    def _cell(self, spot: np.ndarray) -> tuple[int, int]:
        x, y = np.floor((np.asarray(spot) - self._low) / CELL_M).astype(int) + 1
        return int(np.clip(x, 0, self._free.shape[0] - 1)), int(
            np.clip(y, 0, self._free.shape[1] - 1)
        )

    def _middle(self, cells: np.ndarray) -> np.ndarray:
        middles: np.ndarray = self._low + (cells - 0.5) * CELL_M
        return middles
