"""What is near each hand, as the hand sees it: the nearest points of a cloud, in its own frame.

One PointNet for a whole scene tells to a few centimetres where things are; how one lies between
the fingers hangs on millimetres. Points in the frame of a hand say it at any place the hand may be
(Frame Mining, Liu et al. 2022). BRS has no such clouds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from brs_ml.dataset.layout import RobotLayout

SIDES = ("left", "right")


@dataclass(frozen=True)
class HandFrame:
    """Where a hand is, by the numbers of proprioception (product of exponentials)."""

    numbers: tuple[int, ...]  # that move it, from the base on
    twists: tuple[tuple[float, ...], ...]  # (n, 6) per number, all at 0: linear, angular velocity
    rotation: tuple[float, ...]  # (9,) row by row, of the hand in base_link, all at 0
    position: tuple[float, float, float]  # [m]

    def __post_init__(self) -> None:
        if len(self.numbers) != len(self.twists) or any(len(t) != 6 for t in self.twists):
            raise ValueError("each of 'numbers' needs 6 numbers in 'twists'")
        if len(self.rotation) != 9:
            raise ValueError("'rotation' must have 9 numbers")


@dataclass(frozen=True)
class Hands:
    """What is taken of a cloud for each hand."""

    frames: tuple[HandFrame, ...]
    points: int  # the nearest ones
    reach_m: float  # becomes 1; what is farther away lies on the cube's sides

    def __post_init__(self) -> None:
        if self.points < 1 or self.reach_m <= 0.0:
            raise ValueError("'points' and 'reach_m' must be positive")


class HandKinematics(Protocol):
    """What `brs_hardware.kinematics.Kinematics` tells of a robot; libraries do not import it."""

    def pose(self, link: str, joints: Mapping[str, np.ndarray]) -> np.ndarray:
        """(4, 4) in base_link; joints that are not named are at zero."""

    def jacobian(self, link: str, joints: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Of each group (6, n): linear, then angular velocity of the link's origin."""


def hand_frames(kinematics: HandKinematics, layout: RobotLayout) -> tuple[HandFrame, ...]:
    """Left and right hand (`left_tcp`, `right_tcp`) of a robot."""
    frames = []
    for side in SIDES:
        home, moves = kinematics.pose(f"{side}_tcp", {}), kinematics.jacobian(f"{side}_tcp", {})
        numbers: list[int] = []
        twists: list[tuple[float, ...]] = []
        for group in ("torso", f"{side}_arm"):
            where = layout.slice_of(group)
            numbers += range(where.start, where.stop)
            for column in moves[group].T:
                # Of what moves with the hand and is at the base's origin now.
                linear = column[:3] - np.cross(column[3:], home[:3, 3])
                twists.append((*map(float, linear), *map(float, column[3:])))
        x, y, z = map(float, home[:3, 3])
        rotation = tuple(float(value) for value in home[:3, :3].ravel())
        frames.append(HandFrame(tuple(numbers), tuple(twists), rotation, (x, y, z)))
    return tuple(frames)


class HandClouds:
    """Takes the clouds of hands out of clouds, on whatever device they are.

    Args:
        hands: what is taken.
    """

    def __init__(self, hands: Hands) -> None:
        self._points, self._reach_m = hands.points, hands.reach_m
        self._numbers = [list(frame.numbers) for frame in hands.frames]
        self._twists = [_matrices(frame.twists) for frame in hands.frames]
        self._homes = [_home(frame) for frame in hands.frames]

    def to(self, device: torch.device | str) -> HandClouds:
        """Itself, on a device."""
        self._twists = [twists.to(device) for twists in self._twists]
        self._homes = [home.to(device) for home in self._homes]
        return self

    def poses(self, proprioception: Tensor) -> Tensor:
        """(..., hands, 4, 4) in base_link of (..., d) in the robot's units."""
        poses = []
        for numbers, twists, home in zip(self._numbers, self._twists, self._homes, strict=True):
            angles = proprioception[..., numbers].float()
            moved = torch.matrix_exp(angles[..., None, None] * twists)
            pose = home.expand(*angles.shape[:-1], 4, 4)
            for i in reversed(range(len(numbers))):
                pose = moved[..., i, :, :] @ pose
            poses.append(pose)
        return torch.stack(poses, dim=-3)

    def __call__(self, proprioception: Tensor, cloud: Tensor) -> Tensor:
        """(..., hands, points, 6): places in the hand's frame within -1 and 1, and colours.

        Args:
            proprioception: (..., d) in the robot's units.
            cloud: (..., n, 6), x, y, z [m] in base_link.

        Raises:
            ValueError: the cloud has fewer points than are taken.
        """
        if cloud.shape[-2] < self._points:
            raise ValueError(f"a cloud of {cloud.shape[-2]} points, {self._points} are taken")
        poses = self.poses(proprioception)
        places = poses[..., :3, 3]
        far = torch.cdist(places, cloud[..., :3].float())
        nearest = far.topk(self._points, largest=False, sorted=False).indices
        taken = cloud[..., None, :, :].expand(*nearest.shape[:-1], *cloud.shape[-2:])
        taken = taken.gather(-2, nearest[..., None].expand(*nearest.shape, cloud.shape[-1]))
        seen = (taken[..., :3] - places[..., None, :]) @ poses[..., :3, :3] / self._reach_m
        return torch.cat([seen.clamp(-1.0, 1.0), taken[..., 3:]], dim=-1)


def _matrices(twists: tuple[tuple[float, ...], ...]) -> Tensor:
    """(n, 4, 4) whose exponentials move points."""
    out = torch.zeros(len(twists), 4, 4)
    for matrix, (vx, vy, vz, wx, wy, wz) in zip(out, twists, strict=True):
        matrix[:3] = torch.tensor(
            [[0.0, -wz, wy, vx], [wz, 0.0, -wx, vy], [-wy, wx, 0.0, vz]], dtype=torch.float32
        )
    return out


def _home(frame: HandFrame) -> Tensor:
    out = torch.eye(4)
    out[:3, :3] = torch.tensor(frame.rotation).view(3, 3)
    out[:3, 3] = torch.tensor(frame.position)
    return out
