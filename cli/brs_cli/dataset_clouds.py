"""Gives `brs_ml.dataset` what it must not import: clouds fused as a robot fuses them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from brs_hardware.cameras.frame import CameraFrame, Intrinsics
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError
from brs_hardware.perception.config import load_cloud
from brs_hardware.perception.fuser import make_fusion
from brs_hardware.perception.fusion import CloudFusion, View
from brs_hardware.perception.history import Posture
from brs_ml.dataset import DatasetError, Frame
from brs_ml.dataset.robot_layout import layout_of

__all__ = ["CloudFactory", "FusedClouds", "layout_of"]


@dataclass(frozen=True)
class CloudFactory:
    """Makes a cloud maker in whatever process needs one, for one episode after another.

    Args:
        robot: name of the embodiment.
        cloud: name of the cloud's configuration.
    """

    robot: str
    cloud: str

    def __call__(self) -> FusedClouds:
        # What is held of one episode must not come into the next.
        make = _make if load_cloud(self.cloud).hold_s > 0.0 else _made_once
        return FusedClouds(make(self.robot, self.cloud))

    def warm_up(self) -> None:
        """Compile the kernels, or load them compiled."""
        _made_once(self.robot, self.cloud).warm_up()


def _make(robot: str, cloud: str) -> CloudFusion:
    return make_fusion(load_embodiment(robot), load_cloud(cloud))


# It takes longer to make than ten clouds, and tens of MB.
_made_once = cache(_make)


class FusedClouds:
    """Clouds made of recorded frames as a robot makes them live.

    Args:
        fusion: of the robot that carries the cameras.
    """

    def __init__(self, fusion: CloudFusion) -> None:
        self._fusion = fusion

    def __call__(self, frames: list[Frame]) -> tuple[np.ndarray, np.ndarray]:
        """Points (n, 3) float32 [m] in base_link and colours (n, 3) uint8.

        Raises:
            DatasetError: the robot has no such camera.
        """
        try:
            cloud = self._fusion.fuse([_view(frame) for frame in frames]).cloud
        except BrsError as error:
            raise DatasetError(error.what, where=error.where, remedy=error.remedy) from None
        return cloud.points, cloud.colors


def _view(frame: Frame) -> View:
    height, width = frame.color.shape[:2]
    fx, fy, cx, cy = (float(frame.matrix[i]) for i in ((0, 0), (1, 1), (0, 2), (1, 2)))
    distortion = frame.distortion or (0.0,) * 5
    intrinsics = Intrinsics(width, height, fx, fy, cx, cy, distortion)
    stamp_s = frame.stamp_ns * 1e-9
    return View(
        frame.camera,
        CameraFrame(stamp_s, frame.color, frame.depth, intrinsics, number=0),
        Posture(stamp_s, frame.joints, frame.base_pose),
    )
