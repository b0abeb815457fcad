"""Where the joints of one arm must be for its tool to be somewhere: inverse kinematics by mink.

Works in the frame of the link that carries the arm's base (`torso_link4` of the R1), so it does
not care how the torso stands.
"""

from __future__ import annotations

import mink
import mujoco
import numpy as np

from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment

_DAMPING = 1e-4
_CLOSE_M = 2e-4  # good enough


class ArmIK:
    """Follows tool poses with the joints of one arm, never faster than told.

    Args:
        embodiment: the robot.
        arm: `left_arm` or `right_arm`.
        tool: link to be placed, e.g. `left_tcp`.
        speed_share: of the embodiment's max_velocity that may be used.
    """

    def __init__(
        self, embodiment: Embodiment, arm: str, tool: str, speed_share: float = 0.6
    ) -> None:
        group = embodiment.group(arm)
        spec = mujoco.MjSpec.from_file(str(embodiment.urdf_path))
        for joint in spec.joints:
            if joint.name not in group.joints:
                spec.delete(joint)
        model = spec.compile()
        self._configuration = mink.Configuration(model)
        self._tool = mink.FrameTask(
            tool, "body", position_cost=1.0, orientation_cost=0.25, lm_damping=1e-6
        )
        self._posture = mink.PostureTask(model, cost=1e-4)
        speeds = dict(zip(group.joints, group.max_velocity * speed_share, strict=True))
        self._limits = [mink.ConfigurationLimit(model), mink.VelocityLimit(model, speeds)]
        self.carrier = describe(embodiment).joint(embodiment.torso.joints[-1]).child
        self._carrier = self._configuration.get_transform_frame_to_world(self.carrier, "body")

    def pose(self, angles: np.ndarray) -> np.ndarray:
        """Pose (4, 4) of the tool in the carrier for joint angles (n,) [rad]."""
        self._configuration.update(np.asarray(angles, dtype=float))
        tool = self._configuration.get_transform_frame_to_world(self._tool.frame_name, "body")
        pose: np.ndarray = (self._carrier.inverse() @ tool).as_matrix()
        return pose

    def follow(self, angles: np.ndarray, pose: np.ndarray, dt_s: float) -> np.ndarray:
        """Joint angles (n,) one step of `dt_s` nearer to the tool pose (4, 4) in the carrier.

        Raises:
            mink.NoSolutionFound: the step has none (the start is far outside the limits).
        """
        self._configuration.update(np.asarray(angles, dtype=float))
        self._posture.set_target(self._configuration.q)
        self._tool.set_target(self._carrier @ mink.SE3.from_matrix(pose))
        # One linearisation leaves an error that the second takes away.
        for _ in range(2):
            velocity = mink.solve_ik(
                self._configuration,
                [self._tool, self._posture],
                dt_s / 2,
                solver="daqp",
                damping=_DAMPING,
                limits=self._limits,
            )
            self._configuration.integrate_inplace(velocity, dt_s / 2)
            if np.linalg.norm(self._tool.compute_error(self._configuration)) < _CLOSE_M:
                break
        result: np.ndarray = self._configuration.q.copy()
        return result

    def solve(self, seed: np.ndarray, pose: np.ndarray, tries: int = 400) -> np.ndarray:
        """Joint angles (n,) whose tool pose is `pose`, found from the angles `seed` (n,).

        Raises:
            ValueError: not reachable from there.
        """
        angles = np.asarray(seed, dtype=float)
        for _ in range(tries):
            angles = self.follow(angles, pose, 0.02)
            self._configuration.update(angles)
            if np.linalg.norm(self._tool.compute_error(self._configuration)) < 1e-3:
                return angles
        raise ValueError("the pose is out of the arm's reach")
