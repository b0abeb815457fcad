"""Points inside padded shapes, compiled by numba: import it only where it is about to be used."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(nogil=True, cache=True)
def outside_all(
    points: np.ndarray,
    active: np.ndarray,
    centre: np.ndarray,
    turn: np.ndarray,
    half: np.ndarray,
    grow: np.ndarray,
    is_round: np.ndarray,
    lowest: np.ndarray,
    planes: np.ndarray,
    first_plane: np.ndarray,
) -> np.ndarray:
    """(n,) bool, whether each point is outside of every shape.

    A shape is a box, or the cylinder in it, or what half-spaces leave of it, grown by a distance.
    So a box without size is a sphere, and one with a length only a capsule.

    Args:
        points: (n, 3) float32.
        active: (m,) indices of the shapes that count.
        centre: (k, 3) of the shapes.
        turn: (k, 3, 3) from a shape's own axes to those of the points.
        half: (k, 3) half sizes of the boxes.
        grow: (k,) what is within this distance is inside too.
        is_round: (k,) bool, the cylinder about z of radius half[0] in place of the box.
        lowest: (k,) z of the points below which nothing is in a shape.
        planes: (p, 4) outward unit normal and offset, n.x + d <= 0 inside, in a shape's own axes.
        first_plane: (k + 1,) the planes of shape i are first_plane[i] .. first_plane[i + 1] - 1.
    """
    squared_radius = np.empty(len(grow))  # of the sphere round a shape
    low, high = np.full(3, np.inf), np.full(3, -np.inf)  # the upright box round all
    for k in active:
        squared_radius[k] = (np.sqrt((half[k] ** 2).sum()) + grow[k]) ** 2
        for axis in range(3):
            reach = grow[k] + (np.abs(turn[k, axis]) * half[k]).sum()
            low[axis] = min(low[axis], centre[k, axis] - reach)
            high[axis] = max(high[axis], centre[k, axis] + reach)
    outside = np.ones(len(points), np.bool_)
    for i in range(len(points)):
        x, y, z = points[i, 0], points[i, 1], points[i, 2]
        near = low[0] <= x <= high[0] and low[1] <= y <= high[1] and low[2] <= z <= high[2]
        if not near:
            continue
        for k in active:
            dx, dy, dz = x - centre[k, 0], y - centre[k, 1], z - centre[k, 2]
            if dx * dx + dy * dy + dz * dz > squared_radius[k] or z < lowest[k]:
                continue
            own_x = turn[k, 0, 0] * dx + turn[k, 1, 0] * dy + turn[k, 2, 0] * dz
            own_y = turn[k, 0, 1] * dx + turn[k, 1, 1] * dy + turn[k, 2, 1] * dz
            own_z = turn[k, 0, 2] * dx + turn[k, 1, 2] * dy + turn[k, 2, 2] * dz
            off_z = max(abs(own_z) - half[k, 2], 0.0)
            if is_round[k]:
                off = max(np.sqrt(own_x * own_x + own_y * own_y) - half[k, 0], 0.0)
                squared = off * off + off_z * off_z
            else:
                off_x = max(abs(own_x) - half[k, 0], 0.0)
                off_y = max(abs(own_y) - half[k, 1], 0.0)
                squared = off_x * off_x + off_y * off_y + off_z * off_z
            inside = squared <= grow[k] * grow[k]
            for plane in range(first_plane[k], first_plane[k + 1]):
                if not inside:
                    break
                height = planes[plane, 0] * own_x + planes[plane, 1] * own_y
                height += planes[plane, 2] * own_z + planes[plane, 3]
                inside = height <= grow[k]
            if inside:
                outside[i] = False
                break
    return outside
