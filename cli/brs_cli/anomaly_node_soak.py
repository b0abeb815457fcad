"""The monitor's node in front of made-up cameras for as long as the clock says.

Real processes over the middleware: pictures come, scores and pictures are listened to, texts are
changed, and now and then a camera shows nothing for a while. Memory is the node's own (resident,
without what is shared), sampled at equal distances.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Sequence

import numpy as np
import psutil
from brs_interfaces.msg import AnomalyScores
from brs_interfaces.srv import SetAnomalyQueries
from rclpy.qos import qos_profile_sensor_data as SENSOR
from sensor_msgs.msg import CompressedImage, Image

from brs_cli.anomaly_soak import SAMPLES, Growth, growth
from brs_cli.session import Session, own_domain
from brs_hardware.errors import BrsError
from brs_nodes.common import now_s
from brs_nodes.conversions import color_image

NODE = "anomaly_monitor"
CAMERAS = ("head", "left_wrist")
SIZE = (240, 320)
SWAP_S = 60.0  # after which other texts are watched for
DARK_S, DARK_EVERY_S = 20.0, 300.0  # the last camera shows nothing for so long, so often
SILENCE_S = 120.0  # without a score: something is wrong


def soak_node(hours: float, frame_hz: float, texts: Sequence[str]) -> Growth:
    """Run the node for hours.

    Raises:
        BrsError: it does not start, dies, or tells no scores for two minutes.
    """
    own_domain()
    with tempfile.TemporaryDirectory() as kept:
        os.environ["BRS_DATA"] = kept  # the texts of this are not those of the user
        cameras = f"[{', '.join(CAMERAS)}]"
        with Session("monitor.launch.py", {"cameras": cameras}) as session:
            return _Run(session, frame_hz, texts).run(hours * 3600.0)


class _Run:
    def __init__(self, session: Session, frame_hz: float, texts: Sequence[str]) -> None:
        self._session, self._period_s, self._texts = session, 1.0 / frame_hz, texts
        node = session.node
        self._cameras = {
            name: node.create_publisher(Image, f"camera/{name}/color/image_raw", SENSOR)
            for name in CAMERAS
        }
        self._segments, self._scored_s = 0, time.monotonic()
        node.create_subscription(AnomalyScores, "anomaly/scores", self._take_scores, 10)
        for name in CAMERAS:
            for kind in ("key_frame", "heat_map"):
                topic = f"anomaly/{name}/{kind}/compressed"
                node.create_subscription(CompressedImage, topic, lambda _: None, SENSOR)
        self._room = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        self._shown = 0

    def run(self, seconds: float) -> Growth:
        self._swap(0)
        begun_s = self._scored_s = time.monotonic()
        samples_mb: list[float] = []
        swaps = 1
        while (passed_s := time.monotonic() - begun_s) < seconds:
            self._show(dark=passed_s % DARK_EVERY_S > DARK_EVERY_S - DARK_S)
            if passed_s >= len(samples_mb) * seconds / SAMPLES:
                memory = psutil.Process(self._session.process(NODE)).memory_info()
                samples_mb.append((memory.rss - memory.shared) / 1e6)
            if passed_s >= swaps * SWAP_S:
                self._swap(swaps)
                swaps += 1
            if time.monotonic() - self._scored_s > SILENCE_S:
                raise BrsError(
                    f"tells no scores for {SILENCE_S:.0f} s; last lines:\n  "
                    + "\n  ".join(list(self._session.lines)[-5:]),
                    where=NODE,
                )
            self._session.spin(self._period_s)
        return growth(samples_mb, self._segments, seconds / 3600.0)

    def _take_scores(self, _: AnomalyScores) -> None:
        self._segments += 1
        self._scored_s = time.monotonic()

    def _swap(self, number: int) -> None:
        """Watch for all texts but one, another one each time."""
        without = number % len(self._texts)
        queries = [text for i, text in enumerate(self._texts) if i != without]
        request = SetAnomalyQueries.Request(queries=queries)
        self._session.call(SetAnomalyQueries, "anomaly/set_queries", request, timeout_s=60.0)

    def _show(self, dark: bool) -> None:
        """A picture of each camera: a room in which a box goes around."""
        picture, side = self._room.copy(), SIZE[0] // 4
        left = self._shown * 7 % (SIZE[1] - side)
        picture[side : 2 * side, left : left + side] = self._shown * 31 % 256
        self._shown += 1
        for name, camera in self._cameras.items():
            if not (dark and name == CAMERAS[-1]):
                stamp_s = now_s(self._session.node)
                camera.publish(color_image(stamp_s, f"{name}_camera_optical_frame", picture))
