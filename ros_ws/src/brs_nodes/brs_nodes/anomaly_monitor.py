"""Node `anomaly_monitor`: how well each camera shows what should not happen, said in words.

    camera/<name>/... -> [timer at `frame_hz`] -> SegmentQueue -> [worker: Watcher]
                                                                         |
    anomaly/scores, anomaly/<camera>/{key_frame,heat_map}/compressed <---+
    episode/mark, robot/hold_request <- where an alarm begins

Texts come by the service `anomaly/set_queries` or the parameter `queries` and are kept for the
next start. Whatever goes wrong makes scores unknown, which is nan, and the node stays up. Models
are loaded and asked in the worker, and the whole process gives way to everyone else.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any

from brs_interfaces.msg import AnomalyScores
from brs_interfaces.srv import MarkEpisode, SetAnomalyQueries
from rcl_interfaces.msg import SetParametersResult
from rclpy.node import Node
from rclpy.parameter import Parameter
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Bool

from brs_hardware.config import config_folder, load_named
from brs_hardware.user_data import data_folder
from brs_ml.anomaly.backends import BackendConfig, Backends
from brs_ml.anomaly.config import MonitorConfig
from brs_ml.anomaly.errors import AnomalyError
from brs_ml.anomaly.live import CameraScores, SegmentQueue, unknown
from brs_ml.anomaly.privacy import FaceBlur, LibFaceDetection
from brs_ml.anomaly.texts import load_texts, save_texts, tidy_texts
from brs_ml.anomaly.watcher import WatchConfig, Watcher, load_equipment
from brs_nodes.anomaly_feed import CameraFeed
from brs_nodes.anomaly_messages import picture_message, scores_message
from brs_nodes.common import COMMAND, Diagnostics, Priority, declare, now_s, parameter, run

PICTURES = ("key_frame", "heat_map")


@dataclass(frozen=True)
class Parameters:
    cameras: tuple[str, ...] = parameter(("head",), "whose pictures are looked at")
    transport: str = parameter("raw", "of the pictures: raw or compressed")
    queries: tuple[str, ...] = parameter(("",), "what to watch for; empty: that of last time")
    config: str = parameter("default", "how segments are scored, in config/anomaly")
    encoder: str = parameter("small", "small or clip:NAME")
    judge: str = parameter("small", "small, vlm:NAME or server:URL#MODEL")
    device: str = parameter("cpu", "that models run on: cpu or cuda")
    weights: str = parameter("", "of the small models; empty: config/anomaly/household")
    calibration: str = parameter("", "file of a calibration on normal footage, if there is one")
    threshold: float = parameter(0.5, "score above which is alarm, if not calibrated", 0.0, 1.0)
    still_levels: float = parameter(
        3.0, "grey levels that may change where nothing is scored again; 0: all is", 0.0, 50.0
    )
    frame_hz: float = parameter(10.0, "frames of each camera a second", 2.0, 60.0)
    largest_px: int = parameter(640, "width or height that pictures are shrunk to", 64, 4096)
    patience_s: float = parameter(
        6.0, "a camera without scores for so long is told to be unknown [s]", 1.0, 600.0
    )
    show_faces: bool = parameter(False, "leave faces in pictures as they are")
    jpeg_quality: int = parameter(80, "of key frames and heat maps", 1, 100)
    mark: bool = parameter(True, "mark the recording where an alarm begins")
    hold: bool = parameter(False, "ask the robot to hold still where an alarm begins")


_AT_START = {field.name for field in fields(Parameters)} - {"queries"}


class AnomalyMonitorNode(Node):
    """Thin shell around CameraFeed, SegmentQueue and Watcher."""

    def __init__(self) -> None:
        super().__init__("anomaly_monitor")
        chosen = self.parameters = declare(self, Parameters)
        self.config = load_named(MonitorConfig, "anomaly", chosen.config, "monitor")
        self.feed = CameraFeed(self, chosen.cameras, chosen.transport, chosen.largest_px)
        self.segments = SegmentQueue(chosen.cameras, self.config)
        self._no_pictures = ""
        self.watcher = self._make_watcher()
        self._newest: dict[str, CameraScores] = {}
        self._told_s = dict.fromkeys(chosen.cameras, now_s(self))
        self._seen_s: dict[str, float] = {}
        self._alarms = 0
        self._texts: tuple[str, ...] = ()
        self._open()
        self._begin()
        self.watcher.start()

    def _make_watcher(self) -> Watcher:
        chosen = self.parameters
        weights = Path(chosen.weights or config_folder() / "anomaly" / "household.safetensors")
        backends = Backends(BackendConfig(chosen.encoder, chosen.judge, chosen.device), weights)
        calibration = Path(chosen.calibration) if chosen.calibration else None
        hide: Any = None
        try:
            hide = (lambda picture: picture) if chosen.show_faces else FaceBlur(LibFaceDetection())
        except AnomalyError as error:
            self._no_pictures = f"no pictures: {error}"
            self.get_logger().warning(self._no_pictures)
        return Watcher(
            self.config,
            WatchConfig(chosen.threshold, chosen.still_levels),
            self.segments,
            partial(
                load_equipment,
                backends,
                calibration,
                self.config.segment,
                chosen.frame_hz,
                chosen.cameras,
            ),
            hide,
            self._wake,
        )

    def _open(self) -> None:
        chosen = self.parameters
        self._scores = self.create_publisher(AnomalyScores, "anomaly/scores", 10)
        self._pictures = {
            (camera, kind): self.create_publisher(
                CompressedImage, f"anomaly/{camera}/{kind}/compressed", 2
            )
            for camera in chosen.cameras
            for kind in PICTURES
        }
        self._mark: Any = None
        if chosen.mark:
            self._mark = self.create_client(MarkEpisode, "episode/mark")
        self._hold: Any = None
        if chosen.hold:
            self._hold = self.create_publisher(Bool, "robot/hold_request", COMMAND)
        self.create_service(SetAnomalyQueries, "anomaly/set_queries", self._on_set_queries)
        self.diagnostics = Diagnostics(self, self._summary)
        self.create_timer(1.0 / chosen.frame_hz, self._tick)

    # -- texts -----------------------------------------------------------------------------

    def _begin(self) -> None:
        """Watch for what was given, else for what was watched for last time."""
        name = self.get_fully_qualified_name().strip("/").replace("/", ".")
        self._file = data_folder() / "anomaly" / f"{name}.json"
        self.add_on_set_parameters_callback(self._on_parameters)
        given = [text for text in self.parameters.queries if text]
        try:
            if given:
                self._watch(given)
            else:
                self._texts = load_texts(self._file, self.config)
                self.watcher.watch(self._texts)
        except AnomalyError as error:
            self.get_logger().error(str(error))

    def _watch(self, texts: list[str]) -> None:
        """Raises AnomalyError: texts that cannot be watched for, or stored."""
        tidy = tidy_texts(texts, self.config)
        save_texts(self._file, tidy)
        self._texts = tidy
        self.watcher.watch(tidy)
        self.get_logger().info(f"watches for {', '.join(tidy)}")

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        for changed in parameters:
            if changed.name in _AT_START:
                return SetParametersResult(
                    successful=False, reason=f"'{changed.name}' counts only when the node starts"
                )
            if changed.name == "queries":
                try:
                    self._watch(list(changed.value or ()))
                except AnomalyError as error:
                    return SetParametersResult(successful=False, reason=str(error))
        return SetParametersResult(successful=True)

    def _on_set_queries(
        self, request: SetAnomalyQueries.Request, response: SetAnomalyQueries.Response
    ) -> SetAnomalyQueries.Response:
        queries = Parameter("queries", Parameter.Type.STRING_ARRAY, list(request.queries))
        result = self.set_parameters([queries])[0]
        response.success = result.successful
        response.message = result.reason or f"watches for {len(self._texts)} texts"
        return response

    # -- from pictures to scores -----------------------------------------------------------

    def _tick(self) -> None:
        now = now_s(self)
        for camera, frame, stamp_s in self.feed.frames():
            self._seen_s[camera] = now
            self.segments.push(camera, frame, stamp_s)
            self.diagnostics.count(camera)
        self.watcher.looked_at = {
            camera for (camera, _), out in self._pictures.items() if out.get_subscription_count()
        }
        self._take()
        for camera, told_s in self._told_s.items():
            if now < told_s:
                self._told_s[camera] = now  # the clock was set back
            elif now - told_s > self.parameters.patience_s:
                reason, dropped = self._silent(camera, now), self.segments.dropped(camera)
                self._tell(now, unknown(camera, self._texts, now, reason, dropped))

    def _wake(self) -> None:
        """From the worker: an alarm is told at once, not at the next tick."""
        if self.executor is not None:
            self.executor.create_task(self._take)

    def _take(self) -> None:
        now = now_s(self)
        for found in self.watcher.take():
            self._tell(now, found)

    def _silent(self, camera: str, now: float) -> str:
        """Why there are no scores of a camera."""
        seen_s = self._seen_s.get(camera)
        if seen_s is None:
            return "no picture has come yet"
        if now - seen_s > self.config.longest_gap_s:
            return f"no picture for {now - seen_s:.0f} s"
        if not self.watcher.alive:
            return "scoring has stopped; start the node again"
        return self.watcher.problem or "the judge is slow, or frames come too seldom"

    def _tell(self, now: float, found: CameraScores) -> None:
        self._told_s[found.camera] = now
        self._newest[found.camera] = found
        if not found.texts:
            return
        self._scores.publish(scores_message(found, now))
        self.diagnostics.count("segments")
        for kind in PICTURES if found.shown else ():
            picture, topic = getattr(found.shown, kind), self._pictures[found.camera, kind]
            if picture is not None and topic.get_subscription_count():
                topic.publish(picture_message(found, picture, self.parameters.jpeg_quality))
        for text in found.begun:
            self._alarm(f"{found.camera}: {text}")

    def _alarm(self, what: str) -> None:
        self._alarms += 1
        self.get_logger().warning(f"alarm: {what}")
        if self._mark is not None and self._mark.service_is_ready():
            self._mark.call_async(MarkEpisode.Request(name=what))
        if self._hold is not None:
            self._hold.publish(Bool(data=True))

    # -- reports ---------------------------------------------------------------------------

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        values: dict[str, Any] = {
            "texts": len(self._texts),
            "models": self.watcher.described or "not loaded",
            "faces": "shown" if self.parameters.show_faces else "hidden",
            "alarms": self._alarms,
        }
        wrong = [f"{camera}: {line}" for camera, line in self.feed.problems.items()]
        for camera in self.parameters.cameras:
            values[f"{camera} dropped"] = self.segments.dropped(camera)
            if texts := self.watcher.uncalibrated(camera):
                wrong.append(f"{camera}: not calibrated for {', '.join(texts)}")
            found = self._newest.get(camera)
            if found is not None and found.texts and all(r.score is None for r in found.texts):
                wrong.append(f"{camera}: {found.texts[0].reason}")
        if self._no_pictures:
            wrong.append(self._no_pictures)
        if not self._texts:
            wrong.append("nothing to watch for; set queries")
        if not self.watcher.alive or self.watcher.problem:
            return 2, self.watcher.problem or "scoring has stopped", values
        line = f"watches {len(self.parameters.cameras)} cameras for {len(self._texts)} texts"
        return int(bool(wrong)), "; ".join([line, *wrong]), values

    def close(self) -> None:
        """End the worker before its topics go."""
        self.watcher.close()
        self.feed.close()


def main() -> None:
    run(AnomalyMonitorNode, Priority.BACKGROUND)
