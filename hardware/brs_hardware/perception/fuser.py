"""From a stream of frames and measured joints to clouds: what to wait for, and what to refuse."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from brs_hardware.cameras.frame import CameraFrame
from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.perception.cloud import FusedCloud
from brs_hardware.perception.config import CloudConfig
from brs_hardware.perception.fusion import CloudFusion, View
from brs_hardware.perception.history import NoPosture, RobotHistory
from brs_hardware.perception.self_filter import SelfFilter

_FUTURE_S = 0.1  # a frame from later than that is of another clock
# Refused stamps in a row that are a clock set back; clouds without a camera until it is no longer
# waited for.
_PATIENCE = 3


@dataclass
class _Feed:
    """One camera."""

    pending: CameraFrame | None = None  # came, and is in no cloud yet
    taken_s: float = -math.inf  # stamp of the newest frame that a cloud was tried with
    refused_in_a_row: int = 0
    missed: int = 0  # rounds in a row without a frame of it
    problem: str = ""  # what was wrong with a frame of this round

    @property
    def newest_s(self) -> float:
        return self.taken_s if self.pending is None else self.pending.stamp_s


def make_fusion(embodiment: Embodiment, config: CloudConfig) -> CloudFusion:
    """The fusion of a robot, with its own points left out as `config` says.

    Raises:
        ConfigError: a package is not installed.
    """
    padding_m = config.self_filter_padding_m
    robot_filter = None if padding_m is None else SelfFilter(embodiment, padding_m)
    return CloudFusion(embodiment, config, robot_filter)


class CloudFuser:
    """One cloud a round, and each frame in one cloud at most.

    A round ends as soon as all cameras have a new frame and the joints reach their stamps, or when
    the wait is over; then the cloud is of what is there.

    Args:
        embodiment: the robot.
        config: how clouds are made.
        cameras: whose frames are expected; None means all of the embodiment.

    Attributes:
        dropped: frames so far that got into no cloud.
        left_out: camera -> why it was not in the last round.

    Raises:
        ConfigError: a camera that the embodiment lacks, or a package that is not installed.
    """

    def __init__(
        self,
        embodiment: Embodiment,
        config: CloudConfig,
        cameras: tuple[str, ...] | None = None,
    ) -> None:
        self.config = config
        self.dropped = 0
        self.left_out: dict[str, str] = {}
        self._history = RobotHistory(embodiment, config.max_joint_gap_s)
        self._fusion = make_fusion(embodiment, config)
        for name in cameras or ():
            if name not in embodiment.cameras:
                raise ConfigError(
                    f"the robot has no camera '{name}'",
                    remedy=did_you_mean(name, embodiment.cameras),
                )
        self._feeds = {name: _Feed() for name in cameras or embodiment.cameras}
        self._since_s: float | None = None  # when the first frame of this round was seen

    def warm_up(self) -> None:
        """See CloudFusion."""
        self._fusion.warm_up()

    def add_joints(self, group: str, stamp_s: float, positions: np.ndarray) -> bool:
        """See RobotHistory."""
        return self._history.add_joints(group, stamp_s, positions)

    def add_base(self, stamp_s: float, pose: np.ndarray) -> bool:
        """See RobotHistory."""
        return self._history.add_base(stamp_s, pose)

    def add_frame(self, camera: str, frame: CameraFrame) -> bool:
        """Takes a frame for the next cloud; False if it is refused.

        It takes the place of an earlier one that is in no cloud yet.

        Raises:
            ConfigError: a camera that is not expected.
        """
        if camera not in self._feeds:
            raise ConfigError(
                f"unknown camera '{camera}'", remedy=did_you_mean(camera, self._feeds)
            )
        feed = self._feeds[camera]
        problem = _fault(frame) or self._disorder(feed, frame)
        if problem:
            self._drop(feed, problem)
            return False
        if feed.pending is not None:
            self.dropped += 1
        feed.pending, feed.refused_in_a_row, feed.problem = frame, 0, ""
        return True

    def step(self, now_s: float) -> FusedCloud | None:
        """The cloud of this round if it is time for it.

        To be called often: at each frame, and every few milliseconds in between.

        Args:
            now_s: of the clock that stamps the frames [s].
        """
        for feed in self._feeds.values():
            self._discard(feed, now_s)
        if all(feed.pending is None for feed in self._feeds.values()):
            self._since_s = None
            return None
        if self._since_s is None or now_s < self._since_s:
            self._since_s = now_s
        if now_s - self._since_s < self.config.wait_s and self._is_worth_waiting():
            return None
        self._since_s = None
        return self._close_round(now_s)

    def _discard(self, feed: _Feed, now_s: float) -> None:
        """Drops a frame that waited too long, or came too late or from another clock."""
        if feed.pending is None:
            return
        age_s = now_s - feed.pending.stamp_s
        if age_s < -_FUTURE_S:
            problem = f"stamps {-age_s:.2f} s ahead of the clock"
        elif age_s > self.config.max_age_s:
            problem = f"frame is {age_s:.2f} s old"
        else:
            return
        feed.pending = None
        self._drop(feed, problem)

    def _is_worth_waiting(self) -> bool:
        """Whether a camera that is well still owes a frame, or the joints do not reach a stamp."""
        for feed in self._feeds.values():
            if feed.pending is None:
                if feed.missed < _PATIENCE and not feed.problem:
                    return True
            elif self._history.is_due(feed.pending.stamp_s):
                return True
        return False

    def _close_round(self, now_s: float) -> FusedCloud | None:
        """The cloud of what is there; None if none of it is of use."""
        self.left_out, views = {}, []
        for name, feed in self._feeds.items():
            frame, feed.pending = feed.pending, None
            if frame is None:
                feed.missed += 1
                self.left_out[name] = feed.problem or _silence(feed, now_s)
            else:
                feed.missed, feed.taken_s = 0, frame.stamp_s
                posture = self._history.at(frame.stamp_s)
                if isinstance(posture, NoPosture):
                    self.left_out[name] = posture.reason
                    self.dropped += 1
                else:
                    views.append(View(name, frame, posture))
            feed.problem = ""
        views = self._without_late(views)
        return self._fusion.fuse(views, self.left_out, self.dropped) if views else None

    def _without_late(self, views: list[View]) -> list[View]:
        """Those that are of about the same moment as the newest."""
        newest_s = max((view.frame.stamp_s for view in views), default=0.0)
        kept = []
        for view in views:
            behind_s = newest_s - view.frame.stamp_s
            if behind_s <= self.config.max_skew_s:
                kept.append(view)
                continue
            self.left_out[view.camera] = f"{behind_s:.2f} s behind the newest frame"
            self.dropped += 1
        return kept

    def _drop(self, feed: _Feed, problem: str) -> None:
        feed.problem = problem
        self.dropped += 1

    def _disorder(self, feed: _Feed, frame: CameraFrame) -> str:
        """What is wrong with a stamp, or nothing.

        A clock that was set back is told from frames that come again by how far back they are;
        what is only that old is dropped for its age.
        """
        if frame.stamp_s > feed.newest_s:
            return ""
        feed.refused_in_a_row += 1
        is_far_back = frame.stamp_s < feed.newest_s - self.config.max_age_s
        if is_far_back and feed.refused_in_a_row > _PATIENCE:
            return ""
        return "stamps run backwards"


def _silence(feed: _Feed, now_s: float) -> str:
    """How long a camera has given nothing."""
    if math.isinf(feed.taken_s):
        return "no frame yet"
    return f"no frame for {now_s - feed.taken_s:.2f} s"


def _fault(frame: CameraFrame) -> str:
    """What makes a frame useless, or nothing."""
    lens = frame.intrinsics
    size = (lens.height, lens.width)
    if frame.depth.shape != size or frame.color.shape != (*size, 3):
        return (
            f"depth of shape {frame.depth.shape} and colour of shape {frame.color.shape}, "
            f"not {lens.width}x{lens.height}"
        )
    if frame.depth.dtype != np.float32 or frame.color.dtype != np.uint8:
        return f"depth is {frame.depth.dtype} and colour {frame.color.dtype}"
    if not math.isfinite(frame.stamp_s):
        return "its stamp is not a number"
    if not (0.0 < lens.fx < math.inf and 0.0 < lens.fy < math.inf):
        return "its focal length is not positive"
    if not np.any((frame.depth > 0.0) & (frame.depth < np.inf)):
        return "no depth reading at all"
    return ""
