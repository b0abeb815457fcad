"""Where BRS's HDF5 files have their numbers, and in which units.

    obs/joint_state/<torso, left_arm, right_arm>/joint_position   (T, n) [rad]; may be wider
    obs/gripper_state/<left_gripper, ..>/gripper_position         (T,) stroke [mm]
    obs/odom/base_velocity                                        (T, 3)
    obs/link_poses/<left_eef, right_eef, head>                    (T, 7) x, y, z, quaternion xyzw
    obs/point_cloud/fused/<xyz, rgb, padding_mask>                (T, N, 3), (T, N, 3), (T, N)
    obs/rgb/<camera>/img                                          (T, H, W, 3) uint8
    action/<mobile_base, torso, left_arm, left_gripper, ..>       as above
    brs/...                                                       ours alone: what has no place

One file is one episode, or each of its groups is, as BRS's script merges them. BRS's loader takes
a cloud's points where padding_mask is true, and a stroke up to 50 as closed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from brs_ml.convert.kept import held
from brs_ml.dataset.layout import RobotLayout

OBSERVED = {
    "base": "obs/odom/base_velocity",
    "torso": "obs/joint_state/torso/joint_position",
    "left_arm": "obs/joint_state/left_arm/joint_position",
    "left_gripper": "obs/gripper_state/left_gripper/gripper_position",
    "right_arm": "obs/joint_state/right_arm/joint_position",
    "right_gripper": "obs/gripper_state/right_gripper/gripper_position",
}
ACTED = {
    "base": "action/mobile_base",
    **{part: f"action/{part}" for part in OBSERVED if part != "base"},
}
VECTORS = {"proprioception": OBSERVED, "action": ACTED}
GRIPPERS = ("left_gripper", "right_gripper")
LINKS = ("left_eef", "right_eef", "head")
CLOUD = "obs/point_cloud/fused"
PICTURES = "obs/rgb"
DEPTHS = "obs/depth"
OURS = "brs"

# Joints of torso, left_arm and right_arm, (n,) [rad] each -> x, y, z [m] and quaternion x, y, z, w
# of each of LINKS in base_link.
LinkPoses = Callable[[Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]


@dataclass(frozen=True)
class BrsRobot:
    """What BRS's files do not tell of the robot that they are of."""

    layout: RobotLayout
    stroke_open_mm: float
    stroke_closed_mm: float
    link_poses: LinkPoses | None = None  # needed to write files only

    def to_layout(self, vectors: np.ndarray, paths: Mapping[str, str]) -> dict[str, np.ndarray]:
        """Arrays of a file, as they are at each path.

        Args:
            vectors: (T, size) float32 of ours, NaN where not known.
            paths: part -> path, one of VECTORS.

        Returns:
            (T, n) float32; of grippers (T,) float64, so that no digit is lost.
        """
        filled, arrays = held(vectors), {}
        for part, path in paths.items():
            numbers = filled[:, self.layout.slice_of(part)]
            arrays[path] = self._strokes(numbers[:, 0]) if part in GRIPPERS else numbers
        return arrays

    def from_layout(
        self, arrays: Mapping[str, np.ndarray], paths: Mapping[str, str]
    ) -> np.ndarray:
        """(T, size) float32 of ours, of the arrays at each path."""
        parts = []
        for part, path in paths.items():
            numbers = arrays[path]
            parts.append(self._closings(numbers)[:, None] if part in GRIPPERS else numbers)
        return np.concatenate(parts, axis=1).astype(np.float32)

    def _strokes(self, closed: np.ndarray) -> np.ndarray:
        """Stroke [mm] of a closing from 0 to 1."""
        span = self.stroke_closed_mm - self.stroke_open_mm
        return self.stroke_open_mm + closed.astype(np.float64) * span

    def _closings(self, strokes: np.ndarray) -> np.ndarray:
        """Closing from 0 to 1 of a stroke [mm]."""
        span = self.stroke_closed_mm - self.stroke_open_mm
        return np.clip((strokes - self.stroke_open_mm) / span, 0.0, 1.0)

    def still_said(
        self, kept: np.ndarray, arrays: Mapping[str, np.ndarray], paths: Mapping[str, str]
    ) -> np.ndarray:
        """Numbers of a file, with those kept beside it wherever both say the same.

        A file's stroke is rounded, and holds a number where none was known; but whoever changed
        the file after it was written is believed.

        Args:
            kept: (T, size) float32 as they were when the file was written.
            arrays: what the file holds now.
            paths: part -> path.
        """
        now, then = self.from_layout(arrays, paths), self.to_layout(kept, paths)
        for part, path in paths.items():
            same = np.equal(arrays[path], then[path])
            columns = self.layout.slice_of(part)
            same = same[:, None] if same.ndim == 1 else same
            now[:, columns] = np.where(same, kept[:, columns], now[:, columns])
        return now


# Gives the robot of a name, "" where a file does not tell it.
RobotOf = Callable[[str], BrsRobot]
