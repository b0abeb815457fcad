"""The loops over pixels and voxels, compiled by Numba when they are first called.

A voxel table is (slots, keys, cells): `slots` (2^k,) int32 is a hash table with linear probing
whose entries are rows of the other two, -1 for none; `keys` (n,) int64 names a voxel of the grid;
`cells` (n, 7) float32 holds the sums of x, y, z [m] and r, g, b, and the number of points.

A grid is (shape, lower, size): voxels along y and z, corner (3,) [m] and edge [m]. `shape` counts
one voxel more on each side, which stays empty, so that a neighbour's key is always a fixed
difference away.
"""

from __future__ import annotations

import numpy as np
from numba import njit

# A division by zero gives infinity, as in NumPy, and no exception.
_compiled = njit(nogil=True, cache=True, error_model="numpy")


@_compiled
def place_of(slots: np.ndarray, keys: np.ndarray, key: int) -> int:
    """Where in `slots` a key is, or the empty place where it belongs."""
    mask = slots.size - 1
    place = ((key * -7046029254386353131) >> 32) & mask  # 2^64 / golden ratio, as int64
    while slots[place] >= 0 and keys[slots[place]] != key:
        place = (place + 1) & mask
    return place


@_compiled
def is_joined(
    depth: np.ndarray,
    pixel: tuple[int, int],
    side: tuple[int, int],
    step: float,
    slope: float,
) -> bool:
    """Whether the surface at a pixel goes on to one side.

    Args:
        depth: (height, width) [m], NaN = none.
        pixel, side: row and column, and the difference to the next pixel on that side.
        step: largest difference of depth on one surface, as a share of the depth.
        slope: that between two pixels of a plane at the flattest angle believed.
    """
    height, width = depth.shape
    here = depth[pixel[0], pixel[1]]
    row, column = pixel[0] + side[0], pixel[1] + side[1]
    if not (0 <= row < height and 0 <= column < width):
        return False
    near = depth[row, column]
    if abs(near - here) <= step * here:
        return True
    row, column = row + side[0], column + side[1]
    if not (abs(near - here) <= slope * here and 0 <= row < height and 0 <= column < width):
        return False
    # Along a line of pixels, 1 / depth of a plane changes evenly.
    far = depth[row, column]
    return abs(near * far / (2.0 * far - near) - here) <= step * here


@_compiled
def add_frame(
    depth: np.ndarray,
    color: np.ndarray,
    rays: np.ndarray,
    pose: np.ndarray,
    depth_range: np.ndarray,
    step: float,
    slope: float,
    crop: np.ndarray,
    size: float,
    shape: tuple[int, int],
    slots: np.ndarray,
    keys: np.ndarray,
    cells: np.ndarray,
) -> int:
    """Sorts the pixels of one frame into an empty voxel table; how many voxels it fills.

    -1 if they are more than the table has room for; it is then to be emptied.

    Args:
        depth, color: (height, width) float32 [m] and (height, width, 3) uint8.
        rays: (height, 2, width) x / z and y / z of each pixel in the optical frame.
        pose: (4, 4) of the optical frame in the cloud's frame.
        depth_range: (2,) nearest and farthest reading to be believed [m].
        step, slope: see `is_joined`.
        crop: (2, 3) lower and upper corner [m].
        size, shape: of the grid; see the module.
        slots, keys, cells: the table, filled.
    """
    height, width = depth.shape
    x0, y0, z0 = crop[0]
    x, y, z = np.empty(width), np.empty(width), np.empty(width)
    inside, joined = np.empty(width, np.bool_), np.zeros(width, np.bool_)
    voxels = np.empty(width, np.int64)
    count = 0
    last_key, row = -1, -1
    # Of the last voxel, what is not in its cell yet.
    sum_x, sum_y, sum_z, red, green, blue, pixels = 0.0, 0.0, 0.0, 0, 0, 0, 0
    for v in range(height):
        place_row(depth[v], rays[v], pose, depth_range, crop, x, y, z, inside)
        for u in range(width):  # of pixels that are not inside it is any number
            voxels[u] = voxel_key(x[u] - x0, y[u] - y0, z[u] - z0, size, shape)
        if 0 < v < height - 1:
            join_row(depth[v - 1], depth[v], depth[v + 1], step, joined)
        else:
            joined[:] = False
        for u in range(width):
            if not inside[u]:
                continue
            if not joined[u] and (
                not (
                    is_joined(depth, (v, u), (0, -1), step, slope)
                    or is_joined(depth, (v, u), (0, 1), step, slope)
                )
                or not (
                    is_joined(depth, (v, u), (-1, 0), step, slope)
                    or is_joined(depth, (v, u), (1, 0), step, slope)
                )
            ):
                continue
            key = voxels[u]
            if key != last_key:  # mostly it is the same
                if row >= 0:
                    add_to(cells, row, (sum_x, sum_y, sum_z), (red, green, blue), pixels)
                    sum_x, sum_y, sum_z, red, green, blue, pixels = 0.0, 0.0, 0.0, 0, 0, 0, 0
                place = place_of(slots, keys, key)
                row = slots[place]
                if row < 0:
                    if count == keys.size:
                        return -1
                    row = count
                    slots[place], keys[row] = row, key
                    cells[row] = 0.0
                    count += 1
                last_key = key
            sum_x += x[u]
            sum_y += y[u]
            sum_z += z[u]
            red += color[v, u, 0]
            green += color[v, u, 1]
            blue += color[v, u, 2]
            pixels += 1
    if row >= 0:
        add_to(cells, row, (sum_x, sum_y, sum_z), (red, green, blue), pixels)
    return count


@_compiled
def add_to(
    cells: np.ndarray,
    row: int,
    place: tuple[float, float, float],
    shade: tuple[int, int, int],
    pixels: int,
) -> None:
    """Adds sums over some pixels to a voxel's cell."""
    cells[row, 0] += place[0]
    cells[row, 1] += place[1]
    cells[row, 2] += place[2]
    cells[row, 3] += shade[0]
    cells[row, 4] += shade[1]
    cells[row, 5] += shade[2]
    cells[row, 6] += pixels


@_compiled
def place_row(
    depth: np.ndarray,
    rays: np.ndarray,
    pose: np.ndarray,
    depth_range: np.ndarray,
    crop: np.ndarray,
    x: np.ndarray,
    y: np.ndarray,
    z: np.ndarray,
    inside: np.ndarray,
) -> None:
    """Where the pixels of a row are, and which are to be believed and within the crop.

    Without branches, so that the machine takes many pixels at a time.
    """
    nearest, farthest = depth_range[0], depth_range[1]
    x0, x1, y0, y1, z0, z1 = (
        crop[0, 0], crop[1, 0], crop[0, 1], crop[1, 1], crop[0, 2], crop[1, 2],
    )  # fmt: skip
    for u in range(depth.size):
        d = depth[u]
        a, b = rays[0, u] * d, rays[1, u] * d
        x[u] = pose[0, 0] * a + pose[0, 1] * b + pose[0, 2] * d + pose[0, 3]
        y[u] = pose[1, 0] * a + pose[1, 1] * b + pose[1, 2] * d + pose[1, 3]
        z[u] = pose[2, 0] * a + pose[2, 1] * b + pose[2, 2] * d + pose[2, 3]
    for u in range(depth.size):  # a depth that is NaN is none of it
        inside[u] = (
            (nearest <= depth[u]) & (depth[u] <= farthest)
            & (x0 <= x[u]) & (x[u] < x1)
            & (y0 <= y[u]) & (y[u] < y1)
            & (z0 <= z[u]) & (z[u] < z1)
        )  # fmt: skip


@_compiled
def join_row(
    above: np.ndarray, here: np.ndarray, below: np.ndarray, step: float, joined: np.ndarray
) -> None:
    """Pixels of a row that `is_joined` finds joined by their depth alone, as most of them are."""
    left, middle, right = here[:-2], here[1:-1], here[2:]
    over, under, out = above[1:-1], below[1:-1], joined[1:-1]
    for u in range(out.size):
        most = step * middle[u]
        along = (abs(left[u] - middle[u]) <= most) | (abs(right[u] - middle[u]) <= most)
        across = (abs(over[u] - middle[u]) <= most) | (abs(under[u] - middle[u]) <= most)
        out[u] = along & across


@_compiled
def voxel_key(x: float, y: float, z: float, size: float, shape: tuple[int, int]) -> int:
    """Key of the voxel that a point lies in; x, y, z [m] from the grid's lower corner."""
    per_m = 1.0 / size
    # 32 bits, as machines turn several numbers at a time into these.
    ahead, across = int(np.int32(x * per_m)) + 1, int(np.int32(y * per_m)) + 1
    return (ahead * shape[0] + across) * shape[1] + int(np.int32(z * per_m)) + 1


@_compiled
def merge(
    new_keys: np.ndarray,
    new_cells: np.ndarray,
    keep: np.ndarray,
    slots: np.ndarray,
    keys: np.ndarray,
    cells: np.ndarray,
    count: int,
) -> int:
    """Adds those voxels of one table that are to be kept to another; how many that has then."""
    for i in range(new_keys.size):
        if not keep[i]:
            continue
        place = place_of(slots, keys, new_keys[i])
        row = slots[place]
        if row < 0:
            slots[place], keys[count] = count, new_keys[i]
            cells[count] = new_cells[i]
            count += 1
        else:
            cells[row] += new_cells[i]
    return count


@_compiled
def has_neighbours(
    slots: np.ndarray, keys: np.ndarray, count: int, shape: tuple[int, int], wanted: int
) -> np.ndarray:
    """(count,) bool: whether at least so many of the 26 voxels around are filled."""
    offsets = np.empty(26, np.int64)
    known = 0
    for distance in (1, 2, 3):  # the nearest first, so that mostly few are asked
        for x in range(-1, 2):
            for y in range(-1, 2):
                for z in range(-1, 2):
                    if abs(x) + abs(y) + abs(z) == distance:
                        offsets[known] = (x * shape[0] + y) * shape[1] + z
                        known += 1
    crowded = np.empty(count, np.bool_)
    for row in range(count):
        found = 0
        for offset in offsets:
            if found >= wanted:
                break
            if slots[place_of(slots, keys, keys[row] + offset)] >= 0:
                found += 1
        crowded[row] = found >= wanted
    return crowded


@_compiled
def are_filled(
    points: np.ndarray,
    lower: np.ndarray,
    size: float,
    shape: tuple[int, int],
    slots: np.ndarray,
    keys: np.ndarray,
) -> np.ndarray:
    """(n,) bool: whether the voxels in which points (n, 3) of the grid lie are in the table."""
    filled = np.empty(len(points), np.bool_)
    for i in range(len(points)):
        x, y, z = points[i, 0] - lower[0], points[i, 1] - lower[1], points[i, 2] - lower[2]
        filled[i] = slots[place_of(slots, keys, voxel_key(x, y, z, size, shape))] >= 0
    return filled
