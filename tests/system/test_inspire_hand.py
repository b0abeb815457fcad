"""The hand's node: strokes in, strokes out, like the gripper that it replaces."""

from __future__ import annotations

from pathlib import Path

import yaml
from harness import Harness
from sensor_msgs.msg import JointState

from brs_hardware.embodiment import load_embodiment
from brs_nodes.common import COMMAND, SENSOR
from brs_nodes.conversions import doubles
from brs_sim.emulators.inspire_hand import emulated_hand


def robot_with_hand(folder: Path, port: str, gripper: str = "left_gripper") -> Path:
    """The R1 with a hand instead of a gripper."""
    robot = load_embodiment("r1")
    content = yaml.safe_load(Path(robot.path).read_text())
    content["urdf"] = str(robot.urdf_path)
    content[gripper] |= {"end_effector": "inspire_hand", "hand": {"port": port}}
    path = folder / f"r1_with_{gripper}.yaml"
    path.write_text(yaml.safe_dump(content))
    return path


def test_hand_follows_strokes_and_goes_stale_when_it_falls_silent(
    ros: Harness, tmp_path: Path
) -> None:
    gripper = load_embodiment("r1").left_gripper
    strokes = ros.collect(JointState, gripper.feedback_topic, SENSOR)
    publisher = ros.node.create_publisher(JointState, gripper.command_topic, COMMAND)
    with emulated_hand() as (hand, bus):
        node = ros.start_node("inspire_hand", {"robot": str(robot_with_hand(tmp_path, bus.port))})
        ros.wait_for(lambda: strokes and strokes[-1].position[0] > 89.0, "an open hand")
        close = JointState(position=doubles([gripper.stroke_closed_mm]))
        ros.wait_for(
            lambda: strokes[-1].position[0] < 2.0,
            "a closed hand",
            tick=lambda: publisher.publish(close),
        )
        assert hand.angles[0] < 20.0
        hand.faults.silent = True
        ros.wait_for(lambda: "does not answer" in node.output, "the silence to be reported")
        assert node.stop() == 0


def test_gripper_that_is_no_hand_is_refused(ros: Harness) -> None:
    node = ros.start_node("inspire_hand")
    assert node.wait() == 1
    assert "end_effector: inspire_hand" in node.output
