"""The robot as a 3-D model that moves with its joints, by rerun's reader of robot descriptions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from brs_cli.view_log import ViewLog, When, import_rerun
from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment

ROBOT = "robot"  # entity of the shapes
MOVING = "robot/moving"  # entity of the transforms that change
WORLD_FRAME = "odom"


class RobotModel:
    """Shapes of the URDF, once, and the transforms of moving joints as they are measured.

    Frames are called like the links, so that whatever knows its link or optical frame has a place.

    Args:
        log: of the recording.
        embodiment: the robot.

    Raises:
        ConfigError: the URDF is wrong.
    """

    def __init__(self, log: ViewLog, embodiment: Embodiment) -> None:
        import pyarrow  # rerun depends on it

        self._arrow: Any = pyarrow
        self._log = log
        rr = import_rerun()
        description = describe(embodiment)
        self._tree = rr.urdf.UrdfTree.from_file_path(
            embodiment.urdf_path,
            ROBOT,
            static_transform_entity_path=f"{ROBOT}/at_zero",
        )
        log.static("/", rr.ViewCoordinates.RIGHT_HAND_Z_UP)
        # With all joints at zero until they are measured.
        self._tree.log_urdf_to_recording(log.stream)
        self.root = description.root

    @property
    def collision_shapes(self) -> str:
        """Entity of the shapes that are only for collisions."""
        return f"{ROBOT}/{self._tree.name}/collision_geometries"

    def place(self, when: When, base_pose: np.ndarray, joints: dict[str, float]) -> list[str]:
        """Move the model.

        Args:
            when: time of the measurement.
            base_pose: x [m], y [m], yaw [rad] in odom.
            joints: name -> [rad] or [m]; a joint left out stays where it was.

        Returns:
            Names of joints, or `base`, that are not numbers; they stay where they were.
        """
        wrong = [name for name, value in joints.items() if not math.isfinite(value)]
        names = [name for name in joints if name not in wrong]
        batch = self._tree.compute_joint_transform_batches(
            self._arrow.array([names], self._arrow.list_(self._arrow.string())),
            self._arrow.array(
                [[joints[name] for name in names]], self._arrow.list_(self._arrow.float64())
            ),
        ).values
        translations = batch.field("translation").flatten().to_numpy().reshape(-1, 3)
        quaternions = batch.field("quaternion").flatten().to_numpy().reshape(-1, 4)
        parents = batch.field("parent_frame").to_pylist()
        children = batch.field("child_frame").to_pylist()
        if np.all(np.isfinite(base_pose)):
            x, y, yaw = map(float, base_pose)
            translations = np.concatenate([translations, [[x, y, 0.0]]])
            turn = [[0.0, 0.0, math.sin(yaw / 2), math.cos(yaw / 2)]]
            quaternions = np.concatenate([quaternions, turn])
            parents, children = [*parents, WORLD_FRAME], [*children, self.root]
        else:
            wrong.append("base")
        self._log.transforms(when, MOVING, translations, quaternions, parents, children)
        return wrong
