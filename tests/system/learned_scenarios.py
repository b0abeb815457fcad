"""What the bags of nodes with networks hold. Those learnt nothing, and are the same every time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import tiny_policy
from brs_interfaces.msg import (
    AnomalyScores,
    CloudState,
    PolicyState,
    WholeBodyCommand,
    WholeBodyState,
)
from brs_interfaces.srv import SetAnomalyQueries
from lockstep import CALL, Scenario, Sent, Step
from sensor_msgs.msg import Image, PointCloud2
from std_msgs.msg import Bool, String

from brs_hardware import types
from brs_hardware.embodiment import load_embodiment
from brs_hardware.kinematics import optical_frame
from brs_hardware.perception.cloud import PointCloud
from brs_hardware.perception.config import load_cloud
from brs_hardware.types import JointGroupState
from brs_ml.anomaly.small import SmallConfig, SmallModels
from brs_nodes import conversions
from brs_nodes.cloud_messages import cloud_to_message
from brs_nodes.policy_feed import nanoseconds

START_S = 1_000.0
TOLERANCE = 1e-5  # of what networks compute


# -- policy: clouds come, stop for a second, and come again --------------------------------------

ROBOT = load_embodiment("r1")
CROP = load_cloud("default").crop
TICK_S, TICKS, CLOUD_TICKS, POINTS = 0.01, 240, 10, 40
QUIET = range(80, 180)


def state_at(stamp_s: float) -> WholeBodyState:
    """A robot that moves a little."""
    pose, swing = ROBOT.poses["ready"], 0.05 * np.sin(3.0 * (stamp_s - START_S))
    groups = {
        name: JointGroupState(np.array(pose[name]) + swing, *(np.zeros(len(pose[name])),) * 2)
        for name in ROBOT.GROUPS
    }
    state = types.WholeBodyState(
        stamp_s, np.zeros(3), np.zeros(3), left_gripper=0.0, right_gripper=1.0, **groups
    )
    return conversions.state_to_message(state)


def cloud_at(stamp_s: float, left_out: tuple[str, ...] = ()) -> list[Sent]:
    """A cloud and what it was made of."""
    random = np.random.default_rng(round(stamp_s * 10) % 1000)
    points = random.uniform(CROP.lower, CROP.upper, (POINTS, 3)).astype(np.float32)
    colors = random.integers(0, 256, (POINTS, 3)).astype(np.uint8)
    told = CloudState(cameras=["head"], left_out=list(left_out), reasons=["lost"] * len(left_out))
    cloud = cloud_to_message(stamp_s, PointCloud(points, colors))
    told.header = cloud.header
    return [("perception/cloud", cloud), ("perception/state", told)]


def _policy_steps() -> Iterator[Step]:
    for tick in range(TICKS):
        stamp_s = START_S + tick * TICK_S
        inputs: list[Sent] = [("robot/state", state_at(stamp_s))]
        if tick % CLOUD_TICKS == 0 and tick not in QUIET:
            inputs += cloud_at(stamp_s)
        yield Step(round(stamp_s * 1e9), inputs)


def _chunk_has_come(step: Step, heard: list[Sent]) -> bool:
    """Each cloud brings a chunk, which `policy/state` tells last."""
    told = [nanoseconds(m.observation) for topic, m in heard if topic == "policy/state"]
    return len(step.inputs) == 1 or step.time_ns in told


def _policy_parameters(folder: Path) -> dict[str, Any]:
    checkpoint = tiny_policy.write(folder / "policy.safetensors", observations=1)
    return {"checkpoint": str(checkpoint)}


POLICY = Scenario(
    node="policy",
    inputs={
        "robot/state": WholeBodyState,
        "perception/cloud": PointCloud2,
        "perception/state": CloudState,
    },
    outputs={"policy/command": WholeBodyCommand, "policy/state": PolicyState},
    steps=_policy_steps,
    parameters=_policy_parameters,
    is_over=_chunk_has_come,
    tolerance=TOLERANCE,
)


# -- monitor: a disc goes by, other texts, broken pictures, none; beside it a camera in the dark --

PICTURE_S, SEGMENT = 0.1, 4  # of four pictures
CAMERAS = ("head", "left_wrist")
STEPS = range(76)
SEEN = {"head": (*range(24), *range(60, 72)), "left_wrist": STEPS}  # steps with a picture
# Texts change where no segment is being scored.
OTHER_TEXTS, BROKEN = 14, range(16, 20)
WIDTH, HEIGHT = 64, 48


def _picture(camera: str, number: int, stamp_s: float) -> Image:
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    color = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    if camera == "head":
        color[:] = np.stack([3 * rows, 2 * columns, 90 + 0 * rows], axis=-1)
        color[np.hypot(rows - 24, columns - 2 * number % WIDTH) < 9] = (250, 40, 30)
    message = conversions.color_image(stamp_s, optical_frame(camera), color)
    if camera == "head" and number in BROKEN:
        message.data = message.data[: len(message.data) // 2]
    return message


def _monitor_steps() -> Iterator[Step]:
    for number in STEPS:
        stamp_s = START_S + number * PICTURE_S
        inputs: list[Sent] = []
        if number == OTHER_TEXTS:
            inputs.append((CALL, String(data="other texts")))
        inputs += [
            (f"camera/{camera}/color/image_raw", _picture(camera, number, stamp_s))
            for camera in CAMERAS
            if number in SEEN[camera]
        ]
        yield Step(round(stamp_s * 1e9), inputs)


def _segments_were_scored(step: Step, heard: list[Sent]) -> bool:
    """A picture is taken one step after it was sent, and the last of a segment is scored then."""
    sent_ns = step.time_ns - round(PICTURE_S * 1e9)
    number = round((sent_ns * 1e-9 - START_S) / PICTURE_S)
    scored = {camera for camera in CAMERAS if number in SEEN[camera][SEGMENT - 1 :: SEGMENT]}
    scores = [message for topic, message in heard if topic == "anomaly/scores"]
    return scored <= {m.camera for m in scores if nanoseconds(m.header.stamp) == sent_ns}


def _monitor_parameters(folder: Path) -> dict[str, Any]:
    weights, config = folder / "small.safetensors", folder / "short.yaml"
    SmallModels.fresh(SmallConfig(("spill", "intruder", "person"))).save(weights)
    config.write_text(f"segment: {{frames: {SEGMENT}}}\nsmoothing_frames: 4.0\n")
    return {
        "cameras": list(CAMERAS),
        "weights": str(weights),
        "config": str(config),
        "queries": ["a spill", "an intruder"],
        "threshold": 0.001,
        "frame_hz": 13.0,  # one tick a step; 20 Hz would sometimes have two at one moment
        "patience_s": 2.0,
        "show_faces": True,
        "hold": True,
    }


MONITOR = Scenario(
    node="anomaly_monitor",
    inputs={f"camera/{camera}/color/image_raw": Image for camera in CAMERAS},
    outputs={"anomaly/scores": AnomalyScores, "robot/hold_request": Bool},
    steps=_monitor_steps,
    parameters=_monitor_parameters,
    calls={
        "other texts": (
            SetAnomalyQueries,
            "anomaly/set_queries",
            SetAnomalyQueries.Request(queries=["a person", "a unicorn"]),
        )
    },
    is_over=_segments_were_scored,
    tolerance=TOLERANCE,
)
