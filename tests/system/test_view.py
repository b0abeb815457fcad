"""`brs view` beside a running robot: shows what is published, and asks nothing of publishers."""

from __future__ import annotations

import sys
from array import array
from pathlib import Path
from typing import Any

import numpy as np
from brs_interfaces.msg import (
    EpisodeState,
    JointGroupState,
    SafetyState,
    TeleopState,
    WholeBodyState,
)
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from harness import LATCHED, ROOT, Harness
from rclpy.qos import ReliabilityPolicy
from sensor_msgs.msg import Image, JointState

from brs_cli import view_scene
from brs_nodes import conversions
from brs_nodes.common import SENSOR

sys.path.insert(0, str(ROOT / "tests" / "cli"))

from view_samples import Shown

NAMESPACE = "kitchen"


class FakeRobot:
    """Publishes a state that counts up, a picture and a mode."""

    def __init__(self, ros: Harness) -> None:
        create = ros.node.create_publisher
        self._state = create(WholeBodyState, f"/{NAMESPACE}/robot/state", SENSOR)
        self._safety = create(SafetyState, f"/{NAMESPACE}/robot/safety", LATCHED)
        self._color = create(Image, f"/{NAMESPACE}/camera/head/color/image_raw", SENSOR)
        self._diagnostics = create(DiagnosticArray, "/diagnostics", 10)
        # Of another type than the stack's, and one that nobody shows.
        self._wrong = create(JointState, f"/{NAMESPACE}/teleop/state", SENSOR)
        self._node = ros.node
        self.sent = 0

    def publish(self) -> None:
        self.sent += 1
        stamp = self._node.get_clock().now().to_msg()
        value = float(self.sent)
        arm = JointGroupState(position=array("d", [value] * 6))
        state = WholeBodyState(left_arm=arm, right_arm=arm)
        state.torso.position = array("d", [value, 0.0, 0.0, float("nan")])
        state.header.stamp = stamp
        self._state.publish(state)
        safety = SafetyState(mode=SafetyState.ARMED, source="teleop")
        safety.header.stamp = stamp
        self._safety.publish(safety)
        seconds = conversions.to_seconds(stamp)
        color = np.full((24, 32, 3), 90, dtype=np.uint8)
        self._color.publish(conversions.color_image(seconds, "head", color))
        status = DiagnosticStatus(
            level=DiagnosticStatus.WARN, name="/kitchen/robot", message="hot"
        )
        self._diagnostics.publish(DiagnosticArray(status=[status]))


def start_view(ros: Harness, file: Path, *options: str) -> Any:
    command = [sys.executable, "-m", "brs_cli.main", "view", "--save", str(file)]
    return ros.start("view", [*command, *options])


def test_a_running_robot_is_shown(ros: Harness, tmp_path: Path) -> None:
    robot = FakeRobot(ros)
    view = start_view(ros, tmp_path / "a.rrd", "--namespace", NAMESPACE, "--image-hz", "2")
    ros.wait_for(lambda: "following 4 topics" in view.output, "the topics", tick=robot.publish)
    followed = ros.node.get_subscriptions_info_by_topic(f"/{NAMESPACE}/robot/safety")
    assert [info.node_name for info in followed] == ["brs_view"]
    assert followed[0].qos_profile.reliability is ReliabilityPolicy.BEST_EFFORT
    end = robot.sent + 400
    ros.wait_for(lambda: robot.sent > end, "some seconds", tick=robot.publish)
    assert view.stop() == 0, view.output
    assert f"/{NAMESPACE}/teleop/state: is a sensor_msgs/msg/JointState" in view.output
    assert "robot: not a number: torso_joint4" in view.output
    shown = Shown(tmp_path / "a.rrd")
    measured = shown.numbers("/joints/torso/measured")
    counted = measured[:, 0]
    assert len(counted) > 10 and np.all(np.diff(counted) > 0) and np.isnan(measured[:, 3]).all()
    assert np.array_equal(shown.numbers("/joints/left_arm/measured")[:, 5], counted)
    times = shown.times["/joints/torso/measured"]["Scalars:scalars"]
    late_s = (np.array(times["log_time"]) - np.array(times["capture"])) * 1e-9
    assert np.all(late_s > -0.01) and np.median(late_s) < 1.0
    pictures = shown.values["/cameras/head/color"]["EncodedImage:blob"]
    assert 1 <= len(pictures) < len(counted) / 2
    assert shown.states("/states/mode") == ["armed"]
    assert shown.states("/states/drives") == ["teleop"]
    assert shown.texts("/log/diagnostics/kitchen_robot") == ["/kitchen/robot: hot"]


def test_silence_is_said(ros: Harness, tmp_path: Path) -> None:
    view = start_view(ros, tmp_path / "a.rrd", "--seconds", "1.5")
    assert view.wait() == 1
    assert "nothing was heard" in view.output and "brs launch" in view.output


def test_names_of_states_are_those_of_the_messages() -> None:
    """A bag holds only their numbers."""
    for kind, names in (
        (SafetyState, tuple(view_scene.MODES)),
        (TeleopState, view_scene.TELEOP),
        (EpisodeState, view_scene.EPISODE),
    ):
        for number, name in enumerate(names):
            assert getattr(kind, name.replace("-", "").upper()) == number
    assert SafetyState.ARMED == view_scene.ARMED
