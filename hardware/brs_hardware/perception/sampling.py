"""Farthest-point sampling of clouds whose points lie about evenly, compiled by Numba.

Each point chosen is the one farthest from all that are chosen already. That is exact, as plain
loops have it; which of several at one distance comes first is not told, but always the same.

Points are sorted into cells. A tree knows which cell has the farthest point, and a point that is
chosen can bring nearer only those of cells within its own distance: mostly one to four of them.
Four times as fast as fpsample's k-d lines on clouds of voxels.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_compiled = njit(nogil=True, cache=True, error_model="numpy")
_CHOSEN = np.float32(-1.0)  # in place of a distance
_MOST_CELLS = 1 << 20


@_compiled
def farthest(points: np.ndarray, wanted: int, edge: float) -> np.ndarray:
    """(wanted,) rows of the points that are chosen, in the order in which they are.

    Args:
        points: (n, 3) float32, all finite.
        wanted: 1 to n.
        edge: of a cell [m]; decides nothing but the speed, best where a cell holds about 30.
    """
    lower = np.array([points[:, axis].min() for axis in range(3)])
    size = np.array([points[:, axis].max() for axis in range(3)]) - lower
    while np.prod(np.floor(size / edge) + 1.0) > _MOST_CELLS:
        edge *= 2.0
    per_m = np.float32(1.0 / edge)
    shape = (int(size[0] * per_m) + 1, int(size[1] * per_m) + 1, int(size[2] * per_m) + 1)
    grid, cells, first = _sorted_into(points, lower, per_m, shape)
    order = np.empty(len(points), np.int64)
    places = np.empty((3, len(points)), np.float32)
    box = np.empty((2, 3, len(first) - 1), np.float32)  # lower and upper corners of what is in it
    box[0], box[1] = np.inf, -np.inf
    free = first.copy()
    for i in range(len(points)):
        cell = cells[i]
        place = free[cell]
        free[cell] += np.uint64(1)
        order[place] = i
        for axis in range(3):
            value = points[i, axis]
            places[axis, place] = value
            box[0, axis, cell] = min(box[0, axis, cell], value)
            box[1, axis, cell] = max(box[1, axis, cell], value)
    return order[_chosen(places, wanted, lower, per_m, shape, grid, first, box)]


@_compiled
def _sorted_into(
    points: np.ndarray, lower: np.ndarray, per_m: np.float32, shape: tuple[int, int, int]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Numbers of the cells that are filled: in the grid, -1 for none; of each point, (n,).

    And where the points of each begin, (cells + 1,), once they are sorted by their cells.
    """
    grid = np.full(shape, -1, np.int32)
    cells = np.empty(len(points), np.int64)
    counts = np.zeros(len(points), np.int64)
    filled = 0
    for i in range(len(points)):
        x = int((points[i, 0] - lower[0]) * per_m)
        y = int((points[i, 1] - lower[1]) * per_m)
        z = int((points[i, 2] - lower[2]) * per_m)
        if grid[x, y, z] < 0:
            grid[x, y, z] = filled
            filled += 1
        cells[i] = grid[x, y, z]
        counts[cells[i]] += 1
    # Not signed: so the loops over them need not look for indices from the end.
    first = np.zeros(filled + 1, np.uint64)
    first[1:] = np.cumsum(counts[:filled])
    return grid, cells, first


@_compiled
def _chosen(
    places: np.ndarray,
    wanted: int,
    lower: np.ndarray,
    per_m: np.float32,
    shape: tuple[int, int, int],
    grid: np.ndarray,
    first: np.ndarray,
    box: np.ndarray,
) -> np.ndarray:
    """(wanted,) columns of `places` (3, n), which is sorted by cells."""
    xs, ys, zs = places[0], places[1], places[2]
    count = len(first) - 1
    leaves = 1
    while leaves < count:
        leaves *= 2
    tree = np.full(2 * leaves, _CHOSEN)  # squared distance of the farthest point below each node
    tree[leaves : leaves + count] = np.inf
    for node in range(leaves - 1, 0, -1):
        tree[node] = max(tree[2 * node], tree[2 * node + 1])
    near = np.full(len(xs), np.float32(np.inf))  # squared, to the nearest point that is chosen
    chosen = np.empty(wanted, np.int64)
    reached = np.empty(count, np.int64)
    for k in range(wanted):
        node = 1
        while node < leaves:
            node *= 2
            node += tree[node + 1] > tree[node]
        squared = tree[node]
        place = first[node - leaves]
        while near[place] != squared:
            place += np.uint64(1)
        chosen[k], near[place] = place, _CHOSEN
        x, y, z = xs[place], ys[place], zs[place]
        for i in range(_reach((x, y, z), squared, lower, per_m, shape, grid, reached)):
            cell = reached[i]
            off_x = max(box[0, 0, cell] - x, x - box[1, 0, cell], np.float32(0.0))
            off_y = max(box[0, 1, cell] - y, y - box[1, 1, cell], np.float32(0.0))
            off_z = max(box[0, 2, cell] - z, z - box[1, 2, cell], np.float32(0.0))
            node = leaves + cell
            if off_x * off_x + off_y * off_y + off_z * off_z > tree[node]:
                continue
            top = _approach(xs, ys, zs, near, (x, y, z), first[cell], first[cell + 1])
            while node and tree[node] != top:
                tree[node] = top
                top = max(top, tree[node ^ 1])
                node //= 2
    return chosen


@_compiled
def _reach(
    point: tuple[np.float32, np.float32, np.float32],
    squared: np.float32,
    lower: np.ndarray,
    per_m: np.float32,
    shape: tuple[int, int, int],
    grid: np.ndarray,
    reached: np.ndarray,
) -> int:
    """Lists the cells that are within a squared distance of a point; how many there are."""
    # Rounding must lose none.
    cells_wide = np.sqrt(squared) * per_m * np.float32(1.0001) + np.float32(0.001)
    if cells_wide > 2.0:  # all; there are hardly more
        for cell in range(len(reached)):
            reached[cell] = cell
        return len(reached)
    x = (point[0] - lower[0]) * per_m
    y = (point[1] - lower[1]) * per_m
    z = (point[2] - lower[2]) * per_m
    count = 0
    for i in range(max(int(x - cells_wide), 0), min(int(x + cells_wide) + 1, shape[0])):
        for j in range(max(int(y - cells_wide), 0), min(int(y + cells_wide) + 1, shape[1])):
            for k in range(max(int(z - cells_wide), 0), min(int(z + cells_wide) + 1, shape[2])):
                if grid[i, j, k] >= 0:
                    reached[count] = grid[i, j, k]
                    count += 1
    return count


# Distances are numbers, and of 0 and -0 either will do: so the largest is found many at a time.
@njit(nogil=True, cache=True, error_model="numpy", fastmath={"nnan", "nsz"})
def _approach(
    xs: np.ndarray,
    ys: np.ndarray,
    zs: np.ndarray,
    near: np.ndarray,
    point: tuple[np.float32, np.float32, np.float32],
    start: int,
    stop: int,
) -> np.float32:
    """Shortens squared distances to that from one more point; the largest that is left."""
    top = _CHOSEN
    for i in range(start, stop):
        x, y, z = xs[i] - point[0], ys[i] - point[1], zs[i] - point[2]
        near[i] = min(near[i], x * x + y * y + z * z)
        top = max(top, near[i])
    return top
