"""Each rule of the bring-up check: a healthy robot passes, and each illness is found by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from brs_hardware.embodiment import Embodiment
from brs_hardware.galaxea.battery import Battery
from brs_hardware.galaxea.bring_up import (
    FAIL,
    OK,
    WARN,
    Endpoint,
    Finding,
    Message,
    Observation,
    check,
    command_topics,
    feedback_topics,
)
from brs_hardware.galaxea.faults import decode

JOINTS = "sensor_msgs/msg/JointState"


def healthy(robot: Embodiment) -> Observation:
    newest = {}
    for part, topic in feedback_topics(robot).items():
        names = robot.group(part).joints if part in robot.GROUPS else (part,)
        position = robot.poses["ready"][part] if part in robot.GROUPS else np.array([50.0])
        newest[topic] = Message(0.002, names, position, np.zeros(6))
    taken = dict(command_topics(robot).values())
    taken[robot.vendor.acceleration_limit_topic] = "geometry_msgs/msg/TwistStamped"
    return Observation(
        duration_s=2.0,
        publishers={topic: (Endpoint("HDAS", JOINTS),) for topic in newest},
        subscribers={topic: (Endpoint("tracker", kind),) for topic, kind in taken.items()},
        counts=dict.fromkeys(newest, 400),
        newest=newest,
        statuses=frozenset(robot.vendor.status_topics),
        battery=Battery(52.0, 1.0, 90.0),
        remote_mode=5,
    )


def bad(findings: list[Finding]) -> dict[str, Finding]:
    return {finding.check: finding for finding in findings if finding.status != OK}


def test_healthy_robot_passes_every_rule(robot: Embodiment) -> None:
    findings = check(robot, healthy(robot))
    assert bad(findings) == {}
    assert {"torso joints", "base command", "battery", "remote control"} <= {
        finding.check for finding in findings
    }


def with_message(robot: Embodiment, part: str, **change: object) -> Observation:
    seen, topic = healthy(robot), feedback_topics(robot)[part]
    return replace(seen, newest={**seen.newest, topic: replace(seen.newest[topic], **change)})


def without(robot: Embodiment, what: str, topic: str) -> Observation:
    seen = healthy(robot)
    kept = {name: value for name, value in getattr(seen, what).items() if name != topic}
    return replace(seen, **{what: kept})


def with_subscriber(robot: Embodiment, part: str, endpoint: Endpoint) -> Observation:
    seen, topic = healthy(robot), command_topics(robot)[part][0]
    return replace(seen, subscribers={**seen.subscribers, topic: (endpoint,)})


ILLNESSES: dict[str, tuple[Callable[[Embodiment], Observation], str, str, str]] = {
    "no driver": (
        lambda r: without(r, "publishers", r.torso.feedback_topic),
        "torso feedback", FAIL, "start the vendor's driver",
    ),
    "other SDK": (
        lambda r: replace(healthy(r), publishers={
            **healthy(r).publishers,
            r.left_gripper.feedback_topic: (Endpoint("x", "std_msgs/msg/Float32"),),
        }),
        "left_gripper feedback", FAIL, "another SDK generation",
    ),
    "silent": (
        lambda r: without(r, "newest", r.base.feedback_topic), "base feedback", FAIL, "driver",
    ),
    "slow": (
        lambda r: replace(
            healthy(r), counts={**healthy(r).counts, r.left_arm.feedback_topic: 40}
        ),
        "left_arm feedback", FAIL, "cable",
    ),
    "clock behind": (
        lambda r: with_message(r, "torso", late_s=1.2), "torso clock", FAIL, "chrony",
    ),
    "clock ahead": (
        lambda r: with_message(r, "torso", late_s=-0.3), "torso clock", FAIL, "chrony",
    ),
    "other robot": (
        lambda r: with_message(r, "left_arm", position=np.zeros(5), names=()),
        "left_arm joints", FAIL, "--robot",
    ),
    "more joints": (
        lambda r: with_message(
            r, "left_arm", position=np.append(r.poses["ready"]["left_arm"], 0.0), names=()
        ),
        "left_arm joints", WARN, "embodiment file",
    ),
    "own names": (
        lambda r: with_message(r, "torso", names=("t1", "t2", "t3", "t4")),
        "torso joints", FAIL, "feedback_names",
    ),
    "beyond limits": (
        lambda r: with_message(r, "left_arm", position=r.left_arm.upper + 0.2),
        "left_arm joints", FAIL, "calibrate its zero",
    ),
    "broken encoder": (
        lambda r: with_message(r, "torso", position=np.full(4, np.nan)),
        "torso joints", FAIL, "encoder",
    ),
    "no tracker": (
        lambda r: without(r, "subscribers", r.torso.command_topic),
        "torso command", FAIL, "joint tracker",
    ),
    "no chassis controller": (
        lambda r: without(r, "subscribers", r.base.command_topic),
        "base command", FAIL, "chassis controller",
    ),
    "plain twist": (
        lambda r: with_subscriber(r, "base", Endpoint("chassis", "geometry_msgs/msg/Twist")),
        "base command", FAIL, "vendor.base_command",
    ),
    "durability": (
        lambda r: with_subscriber(
            r, "torso", Endpoint("tracker", JOINTS, transient_local=True)
        ),
        "torso command", FAIL, "transient_local",
    ),
    "a second commander": (
        lambda r: replace(healthy(r), publishers={
            **healthy(r).publishers, r.torso.command_topic: (Endpoint("vla", JOINTS),),
        }),
        "torso command", WARN, "stop it",
    ),
    "no acceleration limit": (
        lambda r: without(r, "subscribers", r.vendor.acceleration_limit_topic),
        "base acceleration", WARN, "chassis controller",
    ),
    "remote control drives": (
        lambda r: replace(healthy(r), remote_mode=2), "remote control", WARN, "host mode",
    ),
    "remote control off": (
        lambda r: replace(healthy(r), remote_mode=None), "remote control", WARN, "switch",
    ),
    "wheel speeds": (
        lambda r: with_message(
            r, "base",
            position=np.array([0.1, 0.1, 0.1]), velocity=np.array([0.2, 0.2, 0.2, 0, 0, 0]),
        ),
        "base layout", FAIL, "base_feedback: wheels",
    ),
    "no status": (
        lambda r: replace(healthy(r), statuses=frozenset()), "motor status", WARN, "driver",
    ),
    "fault": (
        lambda r: replace(healthy(r), faults=(decode("left_arm", "joint3", 13),)),
        "left_arm motor", FAIL, "cool down",
    ),
    "low battery": (
        lambda r: replace(healthy(r), battery=Battery(46.0, 1.0, 20.0)), "battery", WARN, "charge",
    ),
    "empty battery": (
        lambda r: replace(healthy(r), battery=Battery(44.0, 1.0, 5.0)), "battery", FAIL, "charge",
    ),
    "no battery": (
        lambda r: replace(healthy(r), battery=None), "battery", WARN, "driver",
    ),
    "e-stop": (lambda r: replace(healthy(r), estop=True), "e-stop", FAIL, "brs clear"),
}  # fmt: skip


@pytest.mark.parametrize("illness", ILLNESSES)
def test_each_illness_is_found_with_its_remedy_and_nothing_else(
    robot: Embodiment, illness: str
) -> None:
    make, name, status, remedy = ILLNESSES[illness]
    found = bad(check(robot, make(robot)))
    assert list(found) == [name]
    assert found[name].status == status and remedy in found[name].remedy


def test_body_layout_of_a_moving_base_is_confirmed(robot: Embodiment) -> None:
    seen = with_message(
        robot, "base", position=np.zeros(3), velocity=np.array([0.2, 0, 0.1, 3, 3, 3])
    )
    assert next(f for f in check(robot, seen) if f.check == "base layout").status == OK


def test_names_of_the_embodiment_are_taken(robot: Embodiment) -> None:
    names = ("t1", "t2", "t3", "t4")
    seen = with_message(robot, "torso", names=names)
    for change in ({"feedback_names": {"torso": names}}, {"joint_order": "position"}):
        assert bad(check(replace(robot, vendor=replace(robot.vendor, **change)), seen)) == {}
