"""Rules of the bring-up check: is this robot what its embodiment file says, and fit to be armed?

Pure: what was seen of topics, messages and clocks goes in, findings come out. Topics are those of
the embodiment file, without a namespace.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.feedback import joint_order
from brs_hardware.galaxea.battery import Battery, battery_problem
from brs_hardware.galaxea.faults import Fault, FaultSeverity

OK, WARN, FAIL = "ok", "warn", "fail"
LEAST_RATE_SHARE = 0.5  # of the expected rate; below, the driver or the network is ill
CLOCK_TOLERANCE_S = 0.05  # half of what counts as stale feedback
LIMIT_TOLERANCE_RAD = 0.05  # encoders and limits of the description agree within this
STANDING = 1e-3  # [m/s, rad/s] below which the chassis tells nothing about its layout

_DRIVER = "start the vendor's driver (can0 up, then ros2 launch HDAS), check ROS_DOMAIN_ID"
_NETWORK = "use a cable instead of Wi-Fi; look at the load of both computers"


@dataclass(frozen=True)
class Finding:
    """Result of one rule."""

    check: str
    status: str  # ok, warn or fail
    detail: str
    remedy: str = ""


@dataclass(frozen=True)
class Endpoint:
    """A publisher or subscriber of a topic, as DDS announces it."""

    node: str
    type: str  # e.g. sensor_msgs/msg/JointState
    transient_local: bool = False


@dataclass(frozen=True)
class Message:
    """The newest message of a feedback topic; fields that its type lacks stay empty."""

    late_s: float  # our clock at arrival minus its stamp [s], the least of all that came
    names: tuple[str, ...] = ()
    position: np.ndarray = field(default_factory=lambda: np.zeros(0))
    velocity: np.ndarray = field(default_factory=lambda: np.zeros(0))


@dataclass(frozen=True)
class Observation:
    """All that was seen in `duration_s`; topics as in the embodiment file."""

    duration_s: float
    publishers: dict[str, tuple[Endpoint, ...]]
    subscribers: dict[str, tuple[Endpoint, ...]]
    counts: dict[str, int]
    newest: dict[str, Message]
    faults: tuple[Fault, ...] = ()
    statuses: frozenset[str] = frozenset()  # parts whose status topic was heard
    battery: Battery | None = None
    remote_mode: int | None = None
    estop: bool | None = None  # None: no robot node runs


def feedback_topics(robot: Embodiment) -> dict[str, str]:
    """Part -> its feedback topic."""
    topics = {name: robot.group(name).feedback_topic for name in robot.GROUPS}
    topics |= {name: robot.gripper(name).feedback_topic for name in robot.GRIPPERS}
    return topics | {"base": robot.base.feedback_topic}


def command_topics(robot: Embodiment) -> dict[str, tuple[str, str]]:
    """Part -> its command topic and the type that we publish there."""
    joints, stroke = (
        "sensor_msgs/msg/JointState",
        {
            "joint_state": "sensor_msgs/msg/JointState",
            "float32": "std_msgs/msg/Float32",
        },
    )
    twist = {"twist_stamped": "geometry_msgs/msg/TwistStamped", "twist": "geometry_msgs/msg/Twist"}
    topics = {name: (robot.group(name).command_topic, joints) for name in robot.GROUPS}
    for name in robot.GRIPPERS:
        topics[name] = robot.gripper(name).command_topic, stroke[robot.vendor.gripper_command]
    topics["base"] = robot.base.command_topic, twist[robot.vendor.base_command]
    return topics


def check(robot: Embodiment, seen: Observation) -> list[Finding]:
    """Every rule, in the order in which a person would mend things."""
    findings: list[Finding] = []
    for part, topic in feedback_topics(robot).items():
        findings += _check_feedback(robot, part, topic, seen)
    for part, (topic, kind) in command_topics(robot).items():
        findings.append(_check_command(robot, part, topic, kind, seen))
    findings += _check_chassis(robot, seen)
    findings += _check_health(robot, seen)
    return findings


def _check_feedback(
    robot: Embodiment, part: str, topic: str, seen: Observation
) -> Iterator[Finding]:
    name = f"{part} feedback"
    kinds = {endpoint.type for endpoint in seen.publishers.get(topic, ())}
    rate_hz = seen.counts.get(topic, 0) / seen.duration_s
    message = seen.newest.get(topic)
    if not kinds:
        yield Finding(name, FAIL, f"nobody publishes {topic}", _DRIVER)
        return
    if kinds != {"sensor_msgs/msg/JointState"}:
        remedy = "another SDK generation: bridge it, or correct the embodiment file"
        yield Finding(name, FAIL, f"{topic} is {', '.join(sorted(kinds))}", remedy)
        return
    if message is None:
        yield Finding(name, FAIL, f"{topic} is announced but silent", _DRIVER)
        return
    expected_hz = robot.vendor.feedback_hz
    slow = rate_hz < LEAST_RATE_SHARE * expected_hz
    detail = f"{rate_hz:.0f} Hz" + (f", {expected_hz:.0f} expected" if slow else "")
    yield Finding(name, FAIL if slow else OK, detail, _NETWORK if slow else "")
    yield from _check_stamp(part, message)
    if part in robot.GROUPS:
        yield _check_joints(robot, part, message)
    elif part in robot.GRIPPERS and len(message.position) < 1:
        yield Finding(f"{part} stroke", FAIL, f"{topic} carries no position", _DRIVER)


def _check_stamp(part: str, message: Message) -> Iterator[Finding]:
    late_s = message.late_s
    if abs(late_s) <= CLOCK_TOLERANCE_S:
        return
    # Later than any network makes it, or from the future: then it is the clocks.
    where = "behind" if late_s > 0 else "ahead of"
    yield Finding(
        f"{part} clock",
        FAIL,
        f"stamps are {abs(late_s):.3f} s {where} this computer's clock",
        "synchronise both clocks (chrony); feedback that old counts as stale",
    )


def _check_joints(robot: Embodiment, part: str, message: Message) -> Finding:
    group, name = robot.group(part), f"{part} joints"
    wanted, found = len(group.joints), len(message.position)
    expected = robot.vendor.feedback_counts.get(part, wanted)
    if found < wanted:
        remedy = "this is another robot: choose its embodiment file with --robot"
        return Finding(name, FAIL, f"{found} joints, {wanted} expected", remedy)
    try:
        order = joint_order(robot, part, message.names)
    except ConfigError as error:
        names = ", ".join(message.names)
        remedy = f"name them in vendor.feedback_names or set joint_order: position ({names})"
        return Finding(name, FAIL, error.what, remedy)
    if order.max() >= found:
        return Finding(name, FAIL, f"{len(message.names)} names, {found} positions", _DRIVER)
    position = message.position[order]
    if not np.all(np.isfinite(position)):
        return Finding(name, FAIL, "a position is not a number", "check that joint's encoder")
    below = position < group.lower - LIMIT_TOLERANCE_RAD
    above = position > group.upper + LIMIT_TOLERANCE_RAD
    if np.any(below | above):
        joint = int(np.argmax(below | above))
        detail = (
            f"{group.joints[joint]} stands at {position[joint]:.3f} rad, allowed "
            f"{group.lower[joint]:.3f} to {group.upper[joint]:.3f}"
        )
        remedy = "move it inside by hand or calibrate its zero; check the embodiment file"
        return Finding(name, FAIL, detail, remedy)
    if found != expected:
        detail = f"{found} entries, {expected} expected; the first {wanted} are used"
        return Finding(name, WARN, detail, "check the robot at hand against its embodiment file")
    return Finding(name, OK, f"{wanted} joints within their limits")


def _check_command(
    robot: Embodiment, part: str, topic: str, kind: str, seen: Observation
) -> Finding:
    name = f"{part} command"
    listeners = seen.subscribers.get(topic, ())
    node = robot.vendor.listeners.get(part, "the vendor's node that takes it")
    if not listeners:
        return Finding(name, FAIL, f"nobody listens to {topic}", f"start {node}")
    right = [endpoint for endpoint in listeners if endpoint.type == kind]
    if not right:
        detail = f"{listeners[0].node} takes {listeners[0].type}, we send {kind}"
        setting = "vendor.base_command" if part == "base" else "vendor.gripper_command"
        return Finding(name, FAIL, detail, f"correct {setting} in the embodiment file")
    # A reader that asks for old samples is not matched with a writer that keeps none.
    if robot.vendor.command_durability == "volatile" and all(e.transient_local for e in right):
        detail = f"{right[0].node} asks for transient-local samples, we send volatile ones"
        return Finding(name, FAIL, detail, "set vendor.command_durability: transient_local")
    strangers = _others(seen.publishers.get(topic, ()))
    if strangers:
        # The vendor's tracker was seen to hold such publishers idle, so it is no failure yet.
        detail = f"also published by {', '.join(strangers)}"
        return Finding(name, WARN, detail, "stop it unless it is the vendor's own and idle")
    return Finding(name, OK, f"taken by {', '.join(sorted({e.node for e in right}))}")


def _others(endpoints: Iterable[Endpoint]) -> list[str]:
    return sorted({endpoint.node for endpoint in endpoints if endpoint.node != "robot"})


def _check_chassis(robot: Embodiment, seen: Observation) -> Iterator[Finding]:
    """What keeps the base standing although everything seems to run."""
    vendor = robot.vendor
    limit = vendor.acceleration_limit_topic
    if limit and not seen.subscribers.get(limit):
        remedy = f"start {vendor.listeners.get('base', 'the chassis controller')}"
        yield Finding("base acceleration", WARN, f"nobody listens to {limit}", remedy)
    if vendor.controller_topic and seen.remote_mode is None:
        detail = f"no message on {vendor.controller_topic}"
        yield Finding("remote control", WARN, detail, "switch the remote control on")
    elif seen.remote_mode is not None and seen.remote_mode != vendor.controller_host_mode:
        # One integrator found it so on an R1 Pro; the vendor does not document the modes.
        host = vendor.controller_host_mode
        detail = f"mode {seen.remote_mode}: the base may ignore us outside mode {host}"
        remedy = "switch the remote control to host mode (its switches are in the robot's guide)"
        yield Finding("remote control", WARN, detail, remedy)
    elif seen.remote_mode is not None:
        yield Finding("remote control", OK, "host mode")
    message = seen.newest.get(robot.base.feedback_topic)
    if message is not None and (layout := _layout(message)):
        right = layout == vendor.base_feedback
        remedy = "" if right else f"set vendor.base_feedback: {layout}"
        detail = f"its velocity reads like '{layout}', the file says '{vendor.base_feedback}'"
        yield Finding("base layout", OK if right else FAIL, layout if right else detail, remedy)


def _layout(message: Message) -> str:
    """How a moving chassis reports; empty where that cannot be told."""
    moving = np.abs(message.velocity) > STANDING
    if len(moving) < 6 or not np.any(moving[:3]):
        return ""
    if np.any(moving[3:]):
        return "body"  # the guide's wheel layout has zeros there
    # All wheels roll at a rim speed, and steered wheels stand at an angle.
    return "wheels" if np.any(np.abs(message.position) > STANDING) else ""


def _check_health(robot: Embodiment, seen: Observation) -> Iterator[Finding]:
    vendor = robot.vendor
    silent = sorted(set(vendor.status_topics) - seen.statuses)
    if silent:
        detail = f"no status of {', '.join(silent)}: faults would not be seen"
        yield Finding("motor status", WARN, detail, _DRIVER)
    for fault in seen.faults:
        if fault.severity is not FaultSeverity.INFO:
            status = FAIL if fault.severity is FaultSeverity.ERROR else WARN
            yield Finding(
                f"{fault.part} motor", status, f"{fault.motor}: {fault.text}", fault.remedy
            )
    if not silent and not seen.faults:
        yield Finding("motor status", OK, "no faults")
    if vendor.battery is not None:
        problem = battery_problem(seen.battery, vendor.battery)
        if seen.battery is None:
            yield Finding("battery", WARN, f"no message on {vendor.battery.topic}", _DRIVER)
        elif problem is not None:
            status = WARN if problem[0] == "battery_low" else FAIL
            yield Finding("battery", status, problem[1], "charge it")
        else:
            yield Finding("battery", OK, f"{seen.battery.charge_percent:.0f} %")
    if seen.estop is not None:
        yield Finding(
            "e-stop",
            FAIL if seen.estop else OK,
            "latched" if seen.estop else "clear",
            "see that the robot is safe, then `brs clear`" if seen.estop else "",
        )
