"""Gives `brs_ml.quality` what it must not import: the robots, and the judge of live cameras."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from brs_cli.dataset_clouds import layout_of
from brs_hardware.cameras.frame import CameraFrame, Intrinsics
from brs_hardware.cameras.quality import FrameQuality
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_ml.episode import EpisodeError
from brs_ml.quality import Picture, RobotFacts


@dataclass(frozen=True)
class KnownRobots:
    """Facts of robots from config/robots.

    Args:
        usual: robot of the episodes that name none.
    """

    usual: str

    def __call__(self, name: str) -> RobotFacts:
        """Of a robot; "" is the usual one.

        Raises:
            EpisodeError: there is no such robot.
        """
        # A name from a foreign file must not be taken for a path.
        if name.endswith(".yaml"):
            raise EpisodeError(f"'{name}' is no robot's name")
        try:
            robot = load_embodiment(name or self.usual)
        except ConfigError as error:
            raise EpisodeError(error.what, where=error.where, remedy=error.remedy) from None
        layout = layout_of(robot)
        speeds = {"base": robot.base.max_velocity}
        speeds |= {group: robot.group(group).max_velocity for group in robot.GROUPS}
        speeds |= {name: np.array([robot.gripper(name).max_speed]) for name in robot.GRIPPERS}
        numbers = np.concatenate([speeds[part.name] for part in layout.parts])
        return RobotFacts(layout, tuple(map(float, numbers)), tuple(robot.cameras))


@dataclass
class CameraJudge:
    """Judges recorded pictures as those of a live camera are judged."""

    quality: FrameQuality = field(default_factory=FrameQuality)

    def __call__(self, picture: Picture) -> Mapping[str, str]:
        """Rule -> one line, as of this picture."""
        height, width = picture.color.shape[:2]
        depth = picture.depth
        if depth is None or depth.shape != (height, width):
            depth = np.ones((height, width), np.float32)  # nothing to complain of
        stamp_s = picture.stamp_ns * 1e-9
        intrinsics = _intrinsics(picture.info, width, height)
        self.quality.look(CameraFrame(stamp_s, picture.color, depth, intrinsics, number=0))
        problems = self.quality.problems()
        if picture.info is None:
            problems.pop("intrinsics", None)
        return problems


def judge_of(camera: str) -> CameraJudge:
    """A new judge for a camera of any name."""
    return CameraJudge()


def _intrinsics(info: Any, width: int, height: int) -> Intrinsics:
    if info is None:
        return Intrinsics(width, height, float(width), float(width), width / 2, height / 2)
    fx, _, cx, _, fy, cy = (float(value) for value in info.k[:6])
    distortion = tuple(float(value) for value in info.d)
    return Intrinsics(int(info.width), int(info.height), fx, fy, cx, cy, distortion)
