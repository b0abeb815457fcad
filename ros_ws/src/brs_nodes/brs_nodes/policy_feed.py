"""What a policy sees, from messages: the same from the bus and from a bag."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from brs_interfaces.msg import CloudState, WholeBodyState
from builtin_interfaces.msg import Time
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image, PointCloud2

from brs_hardware.errors import BrsError
from brs_hardware.perception.config import CloudConfig
from brs_ml.dataset.clouds import CloudCodec
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.layout import RobotLayout
from brs_ml.dataset.messages import color_of
from brs_ml.policy.runtime.observation_sync import STATE, ObservationSync
from brs_nodes.camera_topics import camera_topics
from brs_nodes.cloud_messages import cloud_from_message
from brs_nodes.common import SENSOR

# Every state counts, as they are interpolated: half a second of what may wait while one computes.
STATES = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=50, reliability=ReliabilityPolicy.BEST_EFFORT
)
_CLOUD_STATES = QoSProfile(
    history=HistoryPolicy.KEEP_LAST, depth=10, reliability=ReliabilityPolicy.RELIABLE
)
_PENDING = 4  # clouds and states whose other half has not come yet
_CLOUD, _CLOUD_STATE = "perception/cloud", "perception/state"


class PolicyFeed:
    """Hands messages to an ObservationSync, and tells which it had to refuse.

    A cloud counts once its state tells that every camera is in it: a policy that learnt from
    three cameras does not know what two of them mean.

    Args:
        layout: the robot.
        sync: that is fed; its sources decide which topics are wanted.
        clouds: how clouds are made; of a policy that sees any.
        points: of a cloud that the policy sees; None: all of `clouds`.
        part_clouds: take clouds that lack a camera.

    Attributes:
        topics: topic -> message and QoS of all that `accept` takes, but the state.
        problems: source -> what is wrong with its newest message, while it is.
    """

    def __init__(
        self,
        layout: RobotLayout,
        sync: ObservationSync,
        clouds: CloudConfig,
        points: int | None,
        part_clouds: bool = False,
    ) -> None:
        self._layout, self._sync, self._part_clouds = layout, sync, part_clouds
        self._codec = CloudCodec(clouds.crop.lower.tolist(), clouds.crop.upper.tolist())
        self._points = points or clouds.points
        self._clouds: dict[int, PointCloud2] = {}  # by stamp [ns]
        self._whole: deque[int] = deque(maxlen=_PENDING)  # stamps of clouds that may be seen
        self.problems: dict[str, str] = {}
        self.topics: dict[str, tuple[type[Any], QoSProfile]] = {}
        self._takes: dict[str, tuple[str, Callable[[Any], None]]] = {}
        for source in sync.config.sources:
            if source == "cloud":
                self._open(_CLOUD, source, PointCloud2, SENSOR, self._take_cloud)
                self._open(_CLOUD_STATE, source, CloudState, _CLOUD_STATES, self._take_cloud_state)
            else:
                _, topic = camera_topics(source.removeprefix("image."), "raw")["color"]
                self._open(topic, source, Image, SENSOR, partial(self._take_image, source))

    def _open(
        self,
        topic: str,
        source: str,
        kind: type[Any],
        qos: QoSProfile,
        take: Callable[[Any], None],
    ) -> None:
        self.topics[topic], self._takes[topic] = (kind, qos), (source, take)

    def add_state(self, message: WholeBodyState) -> None:
        """Take in a message of `robot/state`."""
        try:
            vector = self._layout.vector(message)
        except ValueError as error:
            self.problems[STATE] = f"robot/state: {error}"
            return
        if not np.isfinite(vector).all():
            self.problems[STATE] = "robot/state: a number is NaN or infinity"
            return
        self.problems.pop(STATE, None)
        self._sync.add(STATE, nanoseconds(message.header.stamp), vector)

    def accept(self, topic: str, message: Any) -> None:
        """Take in a message of one of `topics`; what is no good is refused and told."""
        source, take = self._takes[topic]
        try:
            take(message)
        except (BrsError, DatasetError, ValueError) as error:
            self.problems[source] = f"{source}: {error}"

    def _take_cloud(self, message: PointCloud2) -> None:
        self._clouds[nanoseconds(message.header.stamp)] = message
        while len(self._clouds) > _PENDING:
            self._clouds.pop(next(iter(self._clouds)))
        self._take_whole()

    def _take_cloud_state(self, state: CloudState) -> None:
        if state.left_out and not (state.cameras and self._part_clouds):
            reasons = zip(state.left_out, state.reasons, strict=False)
            lacks = "; ".join(": ".join(pair) for pair in reasons)
            self.problems["cloud"] = f"{'clouds lack' if state.cameras else 'no cloud of'} {lacks}"
            return
        self._whole.append(nanoseconds(state.header.stamp))
        self._take_whole()

    def _take_whole(self) -> None:
        """Clouds whose state has come; either may come first."""
        for stamp_ns in sorted(self._clouds.keys() & set(self._whole)):
            cloud = cloud_from_message(self._clouds.pop(stamp_ns))
            # As it comes out of a data set: in the same order, as many points.
            packed = self._codec.pack(cloud.points, cloud.colors)
            seen = self._codec.points(packed, self._points)
            self._sync.add("cloud", stamp_ns, seen)
            self.problems.pop("cloud", None)

    def _take_image(self, source: str, message: Image) -> None:
        image = color_of(_Picture(message), source)
        self._sync.add(source, nanoseconds(message.header.stamp), image)
        self.problems.pop(source, None)


class _Picture:
    """A picture's fields with its pixels as an array, as the data set's reader has them."""

    def __init__(self, message: Image) -> None:
        data = np.frombuffer(message.data, np.uint8)
        self.encoding, self.width, self.height = message.encoding, message.width, message.height
        self.step, self.data, self.is_bigendian = message.step, data, message.is_bigendian


def nanoseconds(stamp: Time) -> int:
    """A stamp without rounding."""
    return int(stamp.sec) * 1_000_000_000 + int(stamp.nanosec)
