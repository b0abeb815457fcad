"""Arms that follow a pose of their tool: damped least squares, one step at a time.

Poses are in the trunk: in base_link as it were with all torso joints at zero. So arms keep their
place on the trunk while the torso moves, as those of a person do.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial.transform import Rotation

from brs_hardware import config
from brs_hardware.embodiment import Embodiment
from brs_hardware.kinematics import Kinematics


@dataclass(frozen=True)
class ToolSettings:
    """How fast tools move, and how arms give way near singular postures."""

    speed_m_s: float = 0.6
    turn_rad_s: float = 2.5
    # A turn of 1 rad weighs as much as a way of this [m]: near singular postures, such as hanging
    # arms, a tool rather tilts a little than stay where it is.
    turn_weight_m: float = 0.15
    damping: float = 0.02  # [m/rad]: directions in which joints move the tool less fade out

    def __post_init__(self) -> None:
        config.positive(self, *config.float_fields(self))


class ToolControl:
    """Differential inverse kinematics of both arms.

    Args:
        embodiment: the robot, whose tools are the links `left_tcp` and `right_tcp`.
        settings: speeds and damping.

    Raises:
        ConfigError: MuJoCo is not installed, or the URDF is wrong.
    """

    def __init__(self, embodiment: Embodiment, settings: ToolSettings | None = None) -> None:
        self.settings = settings or ToolSettings()
        self._embodiment = embodiment
        self._kinematics = Kinematics(embodiment)

    def pose(self, side: str, arm: np.ndarray) -> np.ndarray:
        """(4, 4) pose of the tool of `side` for joints (n,) [rad]."""
        return self._kinematics.pose(f"{side}_tcp", {f"{side}_arm": arm})

    def step(self, side: str, arm: np.ndarray, goal: np.ndarray, dt_s: float) -> np.ndarray:
        """Joints (n,) [rad] after moving toward a pose for a while, within limits and speeds.

        Args:
            side: `left` or `right`.
            arm: (n,) joints now [rad].
            goal: (4, 4) wanted pose of the tool.
            dt_s: duration of the step.
        """
        group = self._embodiment.group(f"{side}_arm")
        pose = self.pose(side, arm)
        if dt_s <= 0.0:
            return arm
        weight = np.repeat([1.0, self.settings.turn_weight_m], 3)
        jacobian = self._kinematics.jacobian(f"{side}_tcp", {f"{side}_arm": arm})[f"{side}_arm"]
        jacobian = jacobian * weight[:, None]
        turn = Rotation.from_matrix(goal[:3, :3] @ pose[:3, :3].T).as_rotvec()
        twist = weight * np.concatenate(
            [
                _shortened(goal[:3, 3] - pose[:3, 3], self.settings.speed_m_s * dt_s),
                _shortened(turn, self.settings.turn_rad_s * dt_s),
            ]
        )
        free = np.ones(arm.size, dtype=bool)
        while True:
            change = np.where(free, _damped(jacobian * free, twist, self.settings.damping), 0.0)
            beyond = (arm + change < group.lower) | (arm + change > group.upper)
            if not np.any(beyond & free):
                break
            free &= ~beyond  # the others take over what a joint at its limit cannot do
        fastest = float(np.max(np.abs(change) / (group.max_velocity * dt_s), initial=1.0))
        stepped: np.ndarray = arm + change / fastest
        return stepped


def _damped(jacobian: np.ndarray, twist: np.ndarray, damping: float) -> np.ndarray:
    square = jacobian @ jacobian.T + damping**2 * np.eye(6)
    change: np.ndarray = jacobian.T @ np.linalg.solve(square, twist)
    return change


def _shortened(vector: np.ndarray, longest: float) -> np.ndarray:
    return vector * min(1.0, longest / max(float(np.linalg.norm(vector)), 1e-12))
