"""Drawn pictures as the fusion of clouds takes them: each with the robot's posture."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_hardware.kinematics import joints_of
from brs_hardware.perception.fusion import View
from brs_hardware.perception.history import Posture
from brs_hardware.types import WholeBodyState
from brs_sim.cameras import CameraFrame
from brs_sim.emulators.cameras import as_camera_frame


def views_of(
    robot: Embodiment, state: WholeBodyState, drawn: Mapping[str, CameraFrame]
) -> list[View]:
    """Views of pictures that were all drawn in this state.

    Args:
        robot: that carries the cameras.
        state: as measured at the pictures' stamp.
        drawn: camera -> picture.
    """
    joints = dict(joints_of(state))
    joints |= {name: np.array([getattr(state, name)]) for name in robot.GRIPPERS}
    posture = Posture(state.stamp_s, joints, state.base_pose)
    return [
        View(name, as_camera_frame(frame, frame.stamp_s, 0), posture)
        for name, frame in drawn.items()
    ]
