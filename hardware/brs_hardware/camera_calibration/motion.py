"""How far a camera was turned between views, and which turns are missing.

A mount shows only in views that are turned against each other about two axes: about a single
one, the position along it could be any.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from scipy.spatial.transform import Rotation

_TURNS = (  # about x, y and z of the optical frame
    "tilt the camera up and down",
    "turn it left and right",
    "roll it about its line of sight",
)


def turns_rad(
    reference_from_link: Sequence[np.ndarray], link_from_optical: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Root mean square turn between two views about three axes of its own, largest first.

    Args:
        reference_from_link: poses (4, 4) of the camera's link.
        link_from_optical: (4, 4) about where the camera sits.

    Returns:
        (3,) turns [rad], and (3, 3) the axes in the optical frame as columns; zero turns for
        fewer than two views.
    """
    pairs = list(itertools.combinations(reference_from_link, 2))
    if not pairs:
        return np.zeros(3), np.eye(3)
    first, second = (np.array(poses)[:, :3, :3] for poses in zip(*pairs, strict=True))
    turned = Rotation.from_matrix(np.swapaxes(first, 1, 2) @ second).as_rotvec()
    turned = turned @ link_from_optical[:3, :3]
    squares, axes = np.linalg.eigh(turned.T @ turned / len(turned))
    return np.sqrt(np.maximum(squares[::-1], 0.0)), axes[:, ::-1]


def describe_lack(turns: np.ndarray, axes: np.ndarray, least_rad: float) -> str:
    """What to do so that the views tell the mount; empty if they do. Takes what `turns_rad` gave.

    Args:
        turns: (3,) [rad].
        axes: (3, 3).
        least_rad: that a second turn must have [rad].
    """
    if turns[1] >= least_rad:
        return ""
    about = np.sqrt(np.square(axes) @ np.square(turns))  # (3,) about the optical axes
    fewest = [_TURNS[i] for i in np.argsort(about, kind="stable")]
    if turns[0] < least_rad:
        return (
            f"{fewest[0]} and {fewest[1]}; so far the views differ by"
            f" {np.degrees(turns[0]):.0f} degrees"
        )
    return (
        f"{fewest[0]}, or {fewest[1]}; so far it was turned about one axis only, by"
        f" {np.degrees(turns[0]):.0f} degrees, and by {np.degrees(turns[1]):.0f} about any other"
    )
