"""What the small bags of tests/data/bags tell the nodes: made here, with a fixed seed."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from brs_interfaces.msg import (
    CloudState,
    SafetyState,
    TeleopState,
    WholeBodyCommand,
    WholeBodyState,
)
from brs_interfaces.srv import Arm
from geometry_msgs.msg import TwistStamped
from learned_scenarios import MONITOR, POLICY
from lockstep import CALL, Scenario, Step
from sensor_msgs.msg import JointState, Joy, PointCloud2
from std_msgs.msg import Bool, String

from brs_hardware import types
from brs_hardware.cameras import Intrinsics
from brs_hardware.embodiment import load_embodiment
from brs_hardware.kinematics import optical_frame
from brs_hardware.types import JointGroupState, JoyConSample, LeaderSample
from brs_nodes import conversions
from brs_nodes.camera_topics import camera_topics

ROBOT = load_embodiment("r1")
START_S = 1_000.0
PERIOD_S = 0.01
ARMS = ("left_arm", "right_arm")


def swing(time_s: float, pose: np.ndarray, amplitude_rad: float) -> np.ndarray:
    """Joints that move to and fro around a pose, each at a pace of its own; 0.1 mrad steps."""
    paces = 2.0 + 0.3 * np.arange(len(pose))
    return np.round(pose + amplitude_rad * np.sin(paces * time_s), 4)


def at(number: int, period_s: float = PERIOD_S) -> tuple[int, float, float]:
    """Nanoseconds and seconds of a step on the clock, and seconds since the first."""
    time_ns = round((START_S + number * period_s) * 1e9)
    return time_ns, time_ns * 1e-9, number * period_s


# -- teleop: engage, drive with sticks, close a gripper, clutch, let go --------------------------


def _held(time_s: float) -> dict[str, set[str]]:
    spans = {
        "left": {"l": (0.2, 2.6), "zl": (1.5, 1.7), "up": (1.7, 1.9), "minus": (2.0, 2.3)},
        "right": {"zr": (1.6, 1.8)},
    }
    return {
        side: {name for name, (begin, end) in buttons.items() if begin <= time_s < end}
        for side, buttons in spans.items()
    }


def _teleop_steps() -> Iterator[Step]:
    pose = ROBOT.poses["ready"]
    joints = tuple(joint for arm in ARMS for joint in ROBOT.group(arm).joints)
    still = {
        name: JointGroupState(np.array(pose[name]), *(np.zeros(len(pose[name])),) * 2)
        for name in ROBOT.GROUPS
    }
    for number in range(280):
        time_ns, stamp_s, time_s = at(number)
        inputs: list[tuple[str, Any]] = []
        for side, buttons in _held(time_s).items():
            driving = 1.4 <= time_s < 2.4
            stick = np.array([0.5, 0.75] if driving else [0.0, 0.0])
            sample = JoyConSample(stamp_s, stick, frozenset(buttons))
            inputs.append((f"joylo/joy_{side}", conversions.joycon_to_message(side, sample)))
        state = types.WholeBodyState(
            stamp_s, np.zeros(3), np.zeros(3), left_gripper=0.0, right_gripper=0.0, **still
        )
        inputs.append(("robot/state", conversions.state_to_message(state)))
        arms = [swing(time_s, np.array(pose[arm]), 0.2) for arm in ARMS]
        # Last: it is what the node acts on.
        leader = conversions.leader_to_message(LeaderSample(stamp_s, *arms), joints)
        inputs.append(("joylo/joint_states", leader))
        yield Step(time_ns, inputs)


TELEOP = Scenario(
    node="teleop",
    inputs={
        "joylo/joy_left": Joy,
        "joylo/joy_right": Joy,
        "robot/state": WholeBodyState,
        "joylo/joint_states": JointState,
    },
    outputs={"teleop/command": WholeBodyCommand, "teleop/state": TeleopState},
    steps=_teleop_steps,
)


# -- robot: arm, follow, a jump, nonsense, silence, beyond a limit, disarm -----------------------


def _feedback(stamp_s: float, time_s: float) -> list[tuple[str, Any]]:
    sent = []
    for name in ROBOT.GROUPS:
        group = ROBOT.group(name)
        position = swing(time_s, np.array(ROBOT.poses["ready"][name]), 0.05)
        message = conversions.joint_state(
            stamp_s, group.joints, position, np.zeros(len(position)), np.zeros(len(position))
        )
        sent.append((group.feedback_topic, message))
    for name in ROBOT.GRIPPERS:
        gripper = ROBOT.gripper(name)
        stroke = np.array([gripper.to_stroke_mm(0.0)])
        sent.append((gripper.feedback_topic, conversions.joint_state(stamp_s, (name,), stroke)))
    chassis = conversions.joint_state(stamp_s, ("chassis",), np.zeros(3), np.zeros(6))
    return [*sent, (ROBOT.base.feedback_topic, chassis)]


def _robot_steps() -> Iterator[Step]:
    pose = ROBOT.poses["ready"]
    for number in range(240):
        time_ns, stamp_s, time_s = at(number)
        inputs = _feedback(stamp_s, time_s)
        if number in (30, 220):
            inputs.append((CALL, String(data="arm" if number == 30 else "disarm")))
        # Nobody commands at first, and for a while in the middle.
        if 0.4 <= time_s < 1.5 or time_s >= 1.75:
            joints = {name: swing(time_s, np.array(pose[name]), 0.05) for name in ROBOT.GROUPS}
            if 0.9 <= time_s < 1.0:
                joints["left_arm"][0] += 0.8
            if number == 130:
                joints["right_arm"][2] = np.nan
            if 2.0 <= time_s < 2.1:
                joints["torso"][1] += 5.0
            base = np.array([0.2, 0.0, 0.1]) * (0.6 <= time_s < 1.4)
            command = types.WholeBodyCommand(
                stamp_s, base, left_gripper=0.5, right_gripper=0.0, source="teleop", **joints
            )
            inputs.append(("teleop/command", conversions.command_to_message(command)))
        yield Step(time_ns, inputs)


ROBOT_NODE = Scenario(
    node="robot",
    inputs={
        **{topic: type(message) for topic, message in _feedback(0.0, 0.0)},
        "teleop/command": WholeBodyCommand,
    },
    outputs={
        **{ROBOT.group(name).command_topic: JointState for name in ROBOT.GROUPS},
        **{ROBOT.gripper(name).command_topic: JointState for name in ROBOT.GRIPPERS},
        ROBOT.base.command_topic: TwistStamped,
        ROBOT.base.brake_topic: Bool,
        "robot/command": WholeBodyCommand,
        "robot/safety": SafetyState,
    },
    steps=_robot_steps,
    calls={
        "arm": (Arm, "robot/arm", Arm.Request(arm=True)),
        "disarm": (Arm, "robot/arm", Arm.Request(arm=False)),
    },
)


# -- perception: three cameras before a rough wall, the robot moving -----------------------------

LENS = Intrinsics(64, 48, 60.0, 60.0, 31.5, 23.5)
CAMERA_PERIOD_S = 0.1


def _pictures(camera: str, stamp_s: float, random: np.random.Generator) -> list[tuple[str, Any]]:
    rows = np.linspace(0.5, 0.9, LENS.height)[:, None]
    bumps = 0.05 * np.sin(np.arange(LENS.width) / random.uniform(3.0, 9.0))
    depth = np.round(rows + bumps, 3).astype(np.float32)
    color = np.empty((LENS.height, LENS.width, 3), np.uint8)
    color[:] = random.integers(0, 256, 3)
    place = (stamp_s, optical_frame(camera))
    made = {
        "info": conversions.camera_info(*place, LENS),
        "color": conversions.color_image(*place, color),
        "depth": conversions.depth_image(*place, depth),
    }
    topics = camera_topics(camera, "raw")
    return [(topics[part][1], message) for part, message in made.items()]


def _perception_steps() -> Iterator[Step]:
    random = np.random.default_rng(0)
    for number in range(4):
        time_ns, stamp_s, time_s = at(number, CAMERA_PERIOD_S)
        # The joints before and after the pictures, which lie between two samples.
        inputs = [*_feedback(stamp_s - 0.012, time_s - 0.012), *_feedback(stamp_s, time_s)]
        inputs = [entry for entry in inputs if entry[0] != ROBOT.base.feedback_topic]
        for camera in ROBOT.cameras:
            inputs += _pictures(camera, stamp_s - 0.005, random)
        yield Step(time_ns, inputs)


PERCEPTION = Scenario(
    node="perception",
    inputs={topic: type(message) for topic, message in next(_perception_steps()).inputs},
    outputs={"perception/cloud": PointCloud2, "perception/state": CloudState},
    steps=_perception_steps,
    is_over=lambda step, heard: {topic for topic, _ in heard} == set(PERCEPTION.outputs),
)
SCENARIOS = {
    "teleop": TELEOP,
    "robot": ROBOT_NODE,
    "perception": PERCEPTION,
    "policy": POLICY,
    "monitor": MONITOR,
}
