"""Lets the leader hold itself in several poses and reads what that takes, for `identify_gravity`.

Static friction may carry a part of the load. So every pose is come to from below and from above,
and the two currents are averaged: friction helps once and hinders once.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from brs_hardware.joylo import JoyLo

_SPEED_RAD_S = 0.5
_STEP_S = 0.02
_SIDE_RAD = 0.08  # from which a pose is come to
_SETTLE_S = 0.5
_READS = 10


def spread_poses(lower: np.ndarray, upper: np.ndarray, count: int, seed: int = 0) -> np.ndarray:
    """(count, joints) poses spread over the middle 70 % of the joints' ranges [rad]."""
    middle, half = (lower + upper) / 2.0, 0.35 * (upper - lower)
    random = np.random.default_rng(seed)
    return np.array([middle + half * random.uniform(-1.0, 1.0, len(lower)) for _ in range(count)])


def hold_in_poses(
    leader: JoyLo, poses_rad: np.ndarray, wait: Callable[[float], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Go to each pose, hold it, and read; the arms must be free to move.

    Args:
        leader: connected and bound; it is slack afterwards.
        poses_rad: (poses, joints).
        wait: lets so much time pass [s].

    Returns:
        (poses, joints) angles [rad] and currents [A] at rest.

    Raises:
        DeviceError: the bus failed, or a motor is in trouble.
    """
    positions, currents = [], []
    leader.hold()
    try:
        for pose in poses_rad:
            ends = [_read_at(leader, pose + side, wait) for side in (-_SIDE_RAD, _SIDE_RAD)]
            positions.append(np.mean([position for position, _ in ends], axis=0))
            currents.append(np.mean([current for _, current in ends], axis=0))
    finally:
        leader.slacken()
    return np.array(positions), np.array(currents)


def _read_at(
    leader: JoyLo, start_rad: np.ndarray, wait: Callable[[float], None]
) -> tuple[np.ndarray, np.ndarray]:
    """Mean angles and currents where the way to `start_rad` ends."""
    here = leader.measure(0.0).position
    steps = max(1, int(np.ceil(np.abs(start_rad - here).max() / (_SPEED_RAD_S * _STEP_S))))
    for share in np.linspace(0.0, 1.0, steps + 1)[1:]:
        leader.move_to(*np.split(here + share * (start_rad - here), 2))
        wait(_STEP_S)
    wait(_SETTLE_S)
    reads = []
    for _ in range(_READS):
        reads.append(leader.measure(0.0))
        wait(_STEP_S)
    return (
        np.mean([read.position for read in reads], axis=0),
        np.mean([read.current for read in reads], axis=0),
    )
