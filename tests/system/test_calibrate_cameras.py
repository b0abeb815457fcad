"""`brs calibrate cameras` as a person runs it: beside a running stack, and on a recording."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from brs_interfaces.msg import WholeBodyState
from diagnostic_msgs.msg import DiagnosticArray
from harness import Harness
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import serialize_message
from sensor_msgs.msg import CameraInfo, Image

from brs_hardware.camera_calibration.board import Board
from brs_hardware.camera_calibration.hand_eye import HandEye
from brs_hardware.camera_calibration.mounts import (
    difference,
    link_from_optical,
    load_mounts,
    measured_mount,
    mounts_path,
    save_mount,
)
from brs_hardware.embodiment import load_embodiment
from brs_ml.episode import EpisodeInfo, EpisodeWriter, MessageDefinitions, Topic, share_folders
from brs_ml.episode.folder import make_working_folder, save
from brs_nodes import conversions
from brs_sim.emulators.board_room import BoardRoom

pytestmark = pytest.mark.system
SENSOR = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)
R1 = load_embodiment("r1")
POSTURE = R1.poses["neutral"] | {"torso": np.array([0.6, -1.2, -0.7, 0.0])}
REACH = {"torso": np.array([0.3, 0.3, 0.35, 0.5])}
KINDS = {
    "robot/state": WholeBodyState,
    "camera/head/color/image_raw": Image,
    "camera/head/camera_info": CameraInfo,
}
STATES = 13  # before a picture, and after it
PERIOD_S = 0.01


@pytest.fixture
def room(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[BoardRoom]:
    """The head camera sits 2.4 cm and 3.5 degrees from where it is described to be."""
    monkeypatch.setenv("BRS_DATA", str(tmp_path / "data"))
    head = R1.cameras["head"]
    moved = dataclasses.replace(
        head,
        position=head.position + np.array([0.012, -0.02, 0.006]),
        rpy=head.rpy + np.array([0.03, -0.05, 0.02]),
    )
    robot = dataclasses.replace(R1, cameras={**R1.cameras, "head": moved})
    with BoardRoom(robot, "head", Board(), POSTURE, 0.45, seed=1) as room:
        yield room


def messages(room: BoardRoom) -> Iterator[tuple[str, float, object]]:
    """Topic, stamp and content for ever: the robot stands for a quarter of a second, moves on."""
    now_s = 1000.0
    while True:
        room.move(REACH)
        now_s += 1.0
        for step in range(2 * STATES):
            now_s += PERIOD_S
            yield "robot/state", now_s, conversions.state_to_message(room.state(now_s))
            if step == STATES:
                frame, place = room.look(now_s), (now_s, "head_camera_optical_frame")
                info = conversions.camera_info(*place, frame.intrinsics)
                yield "camera/head/camera_info", now_s, info
                picture = conversions.color_image(*place, frame.color)
                yield "camera/head/color/image_raw", now_s, picture


def assert_found(room: BoardRoom) -> None:
    mount = load_mounts("r1")["head"]
    off_m, off_rad = difference(room.embodiment.cameras["head"], mount)
    assert off_m < 0.001
    assert np.degrees(off_rad) < 0.1


def test_beside_the_running_stack(ros: Harness, room: BoardRoom) -> None:
    publishers = {
        topic: ros.node.create_publisher(kind, topic, SENSOR) for topic, kind in KINDS.items()
    }
    command = [sys.executable, "-m", "brs_cli.main", "calibrate", "cameras", "head"]
    wizard = ros.start("wizard", [*command, "--yes", "--countdown", "0", "--views", "12"])
    ros.wait_for(lambda: publishers["robot/state"].get_subscription_count(), "the wizard")
    coming = messages(room)

    def publish() -> None:
        topic, _, message = next(coming)
        publishers[topic].publish(message)

    ros.wait_for(lambda: not wizard.running, "the mount", 120.0, publish)
    assert wizard.wait() == 0, wizard.output
    assert "12 of 12 views" in wizard.output
    assert re.search(r"12 views; corners are 0\.\d\d px off", wizard.output)
    assert_found(room)


def record(room: BoardRoom, folder: Path, views: int) -> Path:
    """An episode of a robot that shows its board around."""
    definitions = MessageDefinitions(share_folders(os.environ["AMENT_PREFIX_PATH"]))
    topics = []
    for topic, kind in KINDS.items():
        name = f"{kind.__module__.split('.')[0]}/msg/{kind.__name__}"
        topics.append(Topic(f"/{topic}", name, definitions.text(name)))
    writer = EpisodeWriter(make_working_folder(folder, "t", 0.0), EpisodeInfo(), topics)
    pictures = 0
    for topic, stamp_s, message in messages(room):
        pictures += topic.endswith("image_raw")
        if pictures > views:
            break
        stamp_ns = round(1e9 * stamp_s)
        writer.write(f"/{topic}", stamp_ns, stamp_ns, serialize_message(message))
    writer.close()
    return save(writer.folder)


def brs(*arguments: str) -> tuple[int, str]:
    """Exit status and output of `brs calibrate cameras`, one space for any white space."""
    run = subprocess.run(
        [sys.executable, "-m", "brs_cli.main", "calibrate", "cameras", *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        stdin=subprocess.DEVNULL,
        check=False,
        env={**os.environ, "COLUMNS": "100"},
    )
    return run.returncode, " ".join((run.stdout + run.stderr).split())


def test_on_a_recording_and_what_follows(room: BoardRoom, tmp_path: Path) -> None:
    bag = str(record(room, tmp_path / "episodes", 16))
    status, said = brs("head", "--bag", bag, "--yes", "--countdown", "0")
    assert status == 0, said
    assert re.search(r"16 pictures, \d+ views kept", said)
    assert "The camera sits 2" in said
    assert "Stored in" in said
    assert_found(room)

    target = tmp_path / "cameras.yaml"
    assert brs("--write-description", str(target))[0] == 0
    assert "torso_link4" in target.read_text()
    status, said = brs("--write-description", str(target))
    assert status == 1
    assert said.endswith("cannot be written: File exists. Try: name a new file")

    # Squares that are said to be 2 mm larger contradict the joints; nothing is kept.
    before = mounts_path("r1").read_text()
    status, said = brs("head", "--bag", bag, "--yes", "--countdown", "0", "--square-mm", "40")
    assert status == 1
    assert said.endswith("measure the printed squares")
    assert mounts_path("r1").read_text() == before

    assert brs("head", "--forget") == (0, "")
    assert load_mounts("r1") == {}


def test_a_recording_without_the_camera_is_one_line(room: BoardRoom, tmp_path: Path) -> None:
    bag = str(record(room, tmp_path / "episodes", 1))
    status, said = brs("left_wrist", "--bag", bag, "--yes")
    assert status == 1
    assert "no topic 'camera/left_wrist/color/image_raw'" in said
    assert "Traceback" not in said
    status, said = brs("head", "--bag", bag, "--yes")
    assert status == 1
    assert "views of the board are too few. Try: take at least 8" in said


def keep_mount() -> None:
    head = R1.cameras["head"]
    outcome = HandEye(
        link_from_optical=link_from_optical(head),
        reference_from_board=np.eye(4),
        position_std_m=np.zeros(3),
        rotation_std_rad=np.zeros(3),
        view_rms_px=np.zeros(20),
        outliers=(),
        rms_px=0.25,
        p95_px=0.3,
        max_px=0.4,
    )
    save_mount("r1", "head", measured_mount(head, outcome, "2026-01-02T03:04:05+00:00"))


@pytest.mark.parametrize("measured", [True, False])
def test_perception_uses_measured_mounts_only_where_it_is_told_to(
    ros: Harness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, measured: bool
) -> None:
    monkeypatch.setenv("BRS_DATA", str(tmp_path / "data"))
    keep_mount()
    heard = ros.collect(DiagnosticArray, "/diagnostics")
    ros.start_node("perception", {"measured_mounts": measured})

    def mounts() -> list[dict[str, str]]:
        statuses = [status for message in heard for status in message.status]
        told = [{pair.key: pair.value for pair in status.values} for status in statuses]
        return [
            {key: value for key, value in values.items() if key.endswith(" mount")}
            for values in told
        ]

    ros.wait_for(mounts, "diagnostics")
    told = mounts()[-1]
    said = "measured 2026-01-02: 0.0 mm and 0.00° from" if measured else "as described"
    assert told["head mount"].startswith(said)
    assert told["left_wrist mount"] == "as described"


def test_a_torn_mount_file_ends_perception_with_one_line(
    ros: Harness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BRS_DATA", str(tmp_path / "data"))
    keep_mount()
    path = mounts_path("r1")
    path.write_text(path.read_text()[:150])
    node = ros.start_node("perception", {"measured_mounts": True})
    assert node.wait() != 0
    assert "mend or delete it, then run `brs calibrate cameras`" in node.output
    assert "Traceback" not in node.output
