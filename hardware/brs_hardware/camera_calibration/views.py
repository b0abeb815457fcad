"""Chooses, while a person moves the robot, the pictures that tell where a camera sits."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.spatial.transform import Rotation

from brs_hardware.camera_calibration.board import Board, BoardDetector, Detection
from brs_hardware.camera_calibration.hand_eye import HandEye, HandEyeSettings, View, solve
from brs_hardware.camera_calibration.motion import describe_lack, turns_rad
from brs_hardware.camera_calibration.mounts import link_from_optical
from brs_hardware.cameras.frame import Intrinsics
from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError, DeviceError
from brs_hardware.kinematics import Kinematics, joints_of
from brs_hardware.types import WholeBodyState

_REMEMBERED_S = 2.0  # of states; pictures are late by less
_PARTS = 4  # of the time around a picture, of which the means are compared


@dataclass(frozen=True)
class ViewSettings:
    """Which pictures count."""

    wanted: int = 20  # views; joint errors average out over them
    window_s: float = 0.1  # before and after a picture in which the robot must stand still
    still_m: float = 0.0005  # of the camera's link against the board, in that time
    still_rad: float = 0.001
    base_still_m: float = 0.003  # against the first view
    base_still_rad: float = 0.003
    # A view differs from another by one of these.
    differs_m: float = 0.05
    differs_rad: float = 0.12
    most_blur_px: float = 5.0
    most_board_rms_px: float = 1.5  # of the corners against the board's own pose
    hand_eye: HandEyeSettings = field(default_factory=HandEyeSettings)


@dataclass(frozen=True)
class Remark:
    """What became of a picture."""

    kept: bool
    text: str


@dataclass(frozen=True)
class _Picture:
    stamp_s: float
    color: np.ndarray
    intrinsics: Intrinsics


class ViewCollector:
    """Views of one camera. A picture is judged once the states around it have come.

    Args:
        embodiment: the robot; its mount of the camera is where the search starts.
        camera: name of the camera.
        board: in its view.
        board_link: link that the board is fixed to; `base_link` for one in the room.
        settings: which pictures count.

    Raises:
        ConfigError: unknown camera or link, or a board that cannot be.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        camera: str,
        board: Board,
        board_link: str = "base_link",
        settings: ViewSettings | None = None,
    ) -> None:
        if camera not in embodiment.cameras:
            raise ConfigError(
                f"{embodiment.name} has no camera '{camera}'",
                remedy=did_you_mean(camera, embodiment.cameras),
            )
        self.camera = embodiment.cameras[camera]
        self._kinematics = Kinematics(embodiment)
        if board_link not in self._kinematics.links:
            raise ConfigError(
                f"no link '{board_link}'", remedy=did_you_mean(board_link, self._kinematics.links)
            )
        self.settings = settings or ViewSettings()
        self._in_room = board_link == "base_link"
        self._links = (board_link, self.camera.link)
        self._detector = BoardDetector(board)
        self._board = board
        self._states: deque[WholeBodyState] = deque()
        self._picture: _Picture | None = None
        self._base: np.ndarray | None = None  # pose in odom at the first view
        self.intrinsics: Intrinsics | None = None  # of the first picture
        self.views: list[View] = []

    def add_picture(self, stamp_s: float, color: np.ndarray, intrinsics: Intrinsics) -> None:
        """A picture (H, W, 3) uint8 RGB; ignored while an earlier one waits to be judged.

        Raises:
            DeviceError: it is of another size or lens than those before.
        """
        self.intrinsics = self.intrinsics or intrinsics
        sizes = {color.shape[:2], (intrinsics.height, intrinsics.width)}
        if intrinsics != self.intrinsics or len(sizes) > 1:
            raise DeviceError(
                "pictures and camera_info do not stay of one size and lens",
                remedy="fix the camera's resolution, then begin again",
            )
        if self._picture is None:
            self._picture = _Picture(stamp_s, color, intrinsics)

    def add_state(self, state: WholeBodyState) -> Remark | None:
        """The measured robot; what became of the waiting picture, once that is known."""
        if self._states and state.stamp_s <= self._states[-1].stamp_s:
            self._states.clear()  # a clock that was set back; nothing fits together across it
        self._states.append(state)
        while self._states[0].stamp_s < state.stamp_s - _REMEMBERED_S:
            self._states.popleft()
        picture = self._picture
        if picture is None:
            return None
        ahead_s = picture.stamp_s - state.stamp_s
        if -self.settings.window_s < ahead_s < _REMEMBERED_S:
            return None
        self._picture = None
        if ahead_s >= _REMEMBERED_S:
            return Remark(False, f"pictures are stamped {ahead_s:.1f} s ahead of joints")
        return self._judge(picture)

    @property
    def lack(self) -> str:
        """What to do so that the views suffice; empty when they do."""
        parts = []
        if (missing := self.settings.wanted - len(self.views)) > 0:
            parts.append(f"{missing} more views" if missing > 1 else "one more view")
        if len(self.views) > 2:  # before, nothing can be said of how the camera was turned
            poses = [view.reference_from_link for view in self.views]
            turns, axes = turns_rad(poses, link_from_optical(self.camera))
            parts.append(describe_lack(turns, axes, self.settings.hand_eye.least_turn_rad))
        return "; ".join(part for part in parts if part)

    def solve(self) -> HandEye:
        """The mount by the views so far. Raises DeviceError like `hand_eye.solve`."""
        if self.intrinsics is None:
            raise DeviceError("no picture came", remedy="look whether the camera streams")
        present = link_from_optical(self.camera)
        return solve(self.views, self.intrinsics, present, self.settings.hand_eye)

    def _judge(self, picture: _Picture) -> Remark:
        settings = self.settings
        near = [
            state
            for state in self._states
            if abs(state.stamp_s - picture.stamp_s) <= settings.window_s
        ]
        if len(near) < _PARTS:
            return Remark(False, "no joints were measured when the picture was taken")
        joints = [joints_of(state) for state in near]
        parts = [
            joints[i * len(near) // _PARTS : (i + 1) * len(near) // _PARTS] for i in range(_PARTS)
        ]
        moved_m, turned_rad = _spread(np.array([self._pose(_mean(part)) for part in parts]))
        if moved_m > settings.still_m or turned_rad > settings.still_rad:
            return Remark(False, "the robot moves")
        base = np.mean([state.base_pose for state in near], axis=0)
        if problem := self._base_problem(base):
            return Remark(False, problem)
        pose = self._pose(_mean(joints))
        if self._is_known(pose):
            return Remark(False, "too like a view that is kept")
        found = self._detector.detect(picture.color, picture.intrinsics)
        if found is None:
            return Remark(False, "the board is not seen, or too little of it")
        if problem := self._picture_problem(found):
            return Remark(False, problem)
        points = self._board.corners[found.corners]
        self.views.append(View(pose, points, found.pixels, found.board_pose))
        if self._base is None:
            self._base = base
        return Remark(True, f"view {len(self.views)} kept, {len(points)} corners")

    def _pose(self, joints: dict[str, np.ndarray]) -> np.ndarray:
        """(4, 4) of the camera's link in that of the board."""
        poses = self._kinematics.poses(self._links, joints)
        board, camera = (poses[link] for link in self._links)
        return np.asarray(np.linalg.inv(board) @ camera)

    def _base_problem(self, base: np.ndarray) -> str:
        if self._base is None or not self._in_room:
            return ""
        moved_m = float(np.linalg.norm(base[:2] - self._base[:2]))
        turned_rad = abs((base[2] - self._base[2] + np.pi) % (2 * np.pi) - np.pi)
        if moved_m <= self.settings.base_still_m and turned_rad <= self.settings.base_still_rad:
            return ""
        return (
            f"the base has moved by {1e3 * moved_m:.0f} mm and {np.degrees(turned_rad):.1f}"
            " degrees since the first view: begin again"
        )

    def _picture_problem(self, found: Detection) -> str:
        if found.blur_px > self.settings.most_blur_px:
            return f"the board is blurred, edges are {found.blur_px:.0f} px wide"
        if found.rms_px > self.settings.most_board_rms_px:
            return (
                f"corners are {found.rms_px:.1f} px off a flat board of these squares: is it this"
                " board, is it flat, are the camera's intrinsics right?"
            )
        return ""

    def _is_known(self, pose: np.ndarray) -> bool:
        for view in self.views:
            moved_m, turned_rad = _spread(np.array([view.reference_from_link, pose]))
            if moved_m < self.settings.differs_m and turned_rad < self.settings.differs_rad:
                return True
        return False


def _mean(joints: Sequence[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Joints by group, the noise of encoders averaged."""
    return {name: np.mean([each[name] for each in joints], axis=0) for name in joints[0]}


def _spread(poses: np.ndarray) -> tuple[float, float]:
    """Farthest way [m] and turn [rad] from the first of the poses (n, 4, 4) to another."""
    ways = np.linalg.norm(poses[:, :3, 3] - poses[0, :3, 3], axis=1)
    turns = Rotation.from_matrix(poses[0, :3, :3].T @ poses[:, :3, :3]).magnitude()
    return float(ways.max()), float(turns.max())
