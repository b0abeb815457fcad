"""One demonstration as fast as the processor allows, in the folder that a recorder would write.

    scripted operator -> TeleopMapper -> SafetySupervisor -> World -> messages -> MCAP
               policy, until the operator takes over --^

No process talks to another; time is the simulation's. Of what a recorder hears of the live stack
this lacks: status of motors and battery, /tf and robot_description, which follow from the rest,
and joylo/state, as there are no motors in the leader; while a policy drives, the leader is silent.
"""

from __future__ import annotations

import contextlib
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from brs_interfaces import msg as brs_msg
from rclpy.qos import QoSProfile
from sensor_msgs.msg import JointState, Joy
from visualization_msgs.msg import MarkerArray

from brs_cli.eval_config import EvalConfig
from brs_cli.eval_policy import PolicyOnRobot
from brs_cli.tape import Tape
from brs_hardware.config import load_named
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.safety import Mode, SafetyVerdict
from brs_hardware.safety.setup import load_safety
from brs_hardware.teleop import TeleopMapper
from brs_hardware.types import WholeBodyCommand
from brs_ml.episode import EpisodeError, EpisodeInfo, EpisodeWriter
from brs_ml.episode.drivers import Drivers
from brs_ml.episode.folder import make_working_folder, save
from brs_ml.episode.writer import MEGABYTE
from brs_nodes import conversions
from brs_nodes.camera_topics import CameraPublisher, Rates
from brs_nodes.common import COMMAND, LATCHED, NEWEST, SENSOR
from brs_nodes.driver_topics import DriverTopics
from brs_nodes.recorder import TOPICS, distro, versions
from brs_nodes.report_messages import (
    objects_message,
    safety_message,
    task_message,
    teleop_message,
)
from brs_nodes.robot_topics import command_topics, sensor_topics
from brs_nodes.vendor import VendorTopics
from brs_sim.cameras import CameraRenderer
from brs_sim.commanded import CommandedRobot
from brs_sim.emulators.cameras import as_camera_frame
from brs_sim.operator import ScriptedOperator
from brs_sim.operator.rollout import leader_samples
from brs_sim.world import World

OPERATOR = "script"
SOURCE = "teleop"
POLICY = "policy"
NOTE = "simulated without ROS; stamps are simulated time"
# Stamps begin here: zero means "no stamp" in ROS.
FIRST_STAMP_S = 1.0
_TICK_S = 0.01  # of mapping and robot
_STEPS = 2  # of feedback a tick
_AFTER_S = 1.0  # for things to come to rest
# Ticks between messages, as live.
_ODOMETRY_EVERY, _REPORT_EVERY, _TASK_EVERY = 2, 10, 20
# A policy looks again after so many steps of its chunks, about as often as its node does.
_EXECUTE = 2


@dataclass(frozen=True)
class FastOptions:
    """How demonstrations are recorded."""

    robot: str = "r1"
    camera_hz: float = 15.0  # of every camera; 0: no pictures
    limit_s: float = 300.0  # simulated; then the operator has failed
    keep_failures: bool = False  # as episodes without success
    min_free_mb: int = 500  # of the disk that are left alone
    policy: str = ""  # checkpoint that drives until the operator takes over; empty: none does
    takeover_s: tuple[float, float] = (2.0, 45.0)  # earliest and latest, simulated

    def __post_init__(self) -> None:
        if not 0.0 <= self.camera_hz <= 1.0 / _TICK_S:
            raise ConfigError(
                f"{self.camera_hz:g} Hz of cameras", remedy=f"take 0 to {1.0 / _TICK_S:g}"
            )
        if not self.limit_s > 0.0:
            raise ConfigError(f"a limit of {self.limit_s:g} s", remedy="take more than 0")
        low_s, high_s = self.takeover_s
        if self.policy and not 0.0 <= low_s <= high_s < self.limit_s:
            raise ConfigError(
                f"a takeover from {low_s:g} s to {high_s:g} s",
                remedy="take two rising times, both before the limit",
            )


@dataclass(frozen=True)
class Made:
    """What became of a seed."""

    seed: int
    success: bool
    length_s: float  # simulated
    folder: Path | None  # None: not kept


class _Feedback(DriverTopics):
    """The drivers' feedback; commands reach the simulation without topics."""

    def _open_commands(self) -> None:
        pass


def record_episode(
    root: Path, task: str, seed: int, wall_time_s: float, options: FastOptions | None = None
) -> Made:
    """Demonstrate a task and keep the episode; whatever ends it early, no half one is left.

    Args:
        root: where episodes go.
        task: a registered task that the scripted operator knows.
        seed: of scene and person.
        wall_time_s: seconds since 1970, for the name alone.
        options: see FastOptions.

    Raises:
        BrsError: unknown task or robot, physics that diverged, or there is nothing to draw with.
        EpisodeError: the disk is full or refuses, or the policy cannot drive this robot.
    """
    options = options or FastOptions()
    robot = load_embodiment(options.robot)
    world = World(robot, task, seed)
    start_ns = _nanoseconds(0.0)
    info = EpisodeInfo(
        task=task,
        instruction=world.task.instruction,
        operator=OPERATOR,
        seed=seed,
        robot=options.robot,
        start_ns=start_ns,
        versions=versions(robot),
        note=NOTE,
    )
    folder = make_working_folder(root, task, wall_time_s)
    try:
        writer = EpisodeWriter(
            folder,
            info,
            custom_data={"task": task, "instruction": info.instruction},
            distro=distro(),
            min_free_bytes=options.min_free_mb * MEGABYTE,
        )
        try:
            demonstration = _Demonstration(world, writer, options)
            success = demonstration.run()
        except BaseException:
            with contextlib.suppress(EpisodeError):  # what ended it is worth more
                writer.close()
            raise
        stop_ns = _nanoseconds(world.time_s)
        drivers = demonstration.drivers.spans(stop_ns)
        writer.close(status="saved", success=success, stop_ns=stop_ns, drivers=drivers)
        kept = save(folder) if success or options.keep_failures else None
        return Made(seed, success, world.time_s, kept)
    finally:
        # Made again from its seed at any time: nothing is left of what was not kept.
        shutil.rmtree(folder, ignore_errors=True)


class _Demonstration:
    """Operator, mapping, rules and world in one loop, all of it told to a tape."""

    def __init__(self, world: World, writer: EpisodeWriter, options: FastOptions) -> None:
        robot = world.embodiment
        self.drivers = Drivers()
        self._world, self._writer, self._options = world, writer, options
        self._tape = tape = Tape(writer, [*TOPICS, *command_topics(robot), *sensor_topics(robot)])
        node: Any = tape
        taught = bool(options.policy)
        self._policy = make_policy(robot, options.policy) if taught else None
        self._takeover_s = np.random.default_rng([world.seed, 8]).uniform(*options.takeover_s)
        self._operator = ScriptedOperator(robot, world.task_name, world.seed, takes_over=taught)
        self._mapper = TeleopMapper(robot)
        self._sent: WholeBodyCommand | None = None
        self._robot = CommandedRobot(world, POLICY if taught else SOURCE, load_safety())
        self._feedback = _Feedback(node, robot)
        self._targets = VendorTopics(node, robot, node)
        self._joints = robot.left_arm.joints + robot.right_arm.joints
        kinds: dict[str, tuple[Any, QoSProfile | int]] = {
            "joylo/joint_states": (JointState, SENSOR),
            "joylo/joy_left": (Joy, SENSOR),
            "joylo/joy_right": (Joy, SENSOR),
            "teleop/command": (brs_msg.WholeBodyCommand, COMMAND),
            "teleop/state": (brs_msg.TeleopState, LATCHED),
            "policy/command": (brs_msg.WholeBodyCommand, COMMAND),
            "robot/state": (brs_msg.WholeBodyState, SENSOR),
            "robot/command": (brs_msg.WholeBodyCommand, NEWEST),
            "robot/safety": (brs_msg.SafetyState, LATCHED),
            "sim/task": (brs_msg.TaskState, LATCHED),
            "sim/objects": (MarkerArray, 10),
        }
        self._topics = {
            name: tape.create_publisher(kind, name, qos) for name, (kind, qos) in kinds.items()
        }
        self._cameras = {name: CameraPublisher(node, name, Rates()) for name in robot.cameras}
        self._reported: dict[str, tuple[Any, int]] = {}  # what was told last, and at which tick
        self._ticks = self._frames = 0
        self._next_frame_s = 0.0

    def run(self) -> bool:
        """All of it; whether the task is done at the end."""
        self._tape.now_ns = _nanoseconds(0.0)
        self._targets.brake(False)
        with contextlib.ExitStack() as stack:
            renderer = None
            if self._options.camera_hz:
                renderer = CameraRenderer(self._world)
                stack.callback(renderer.close)
            if self._policy is not None:
                stack.callback(self._policy.close)
                self._policy.begin(self._world, self._world.seed)
                while self._world.time_s < self._takeover_s:
                    self._tick(renderer, self._told(self._policy.tick()))
                self._robot.source = SOURCE
            while not self._operator.done and self._world.time_s < self._options.limit_s:
                self._tick(renderer, self._lead())
            for _ in range(round(_AFTER_S / _TICK_S)):
                self._tick(renderer, None)
        return self._world.task_status().success

    def _told(self, command: WholeBodyCommand | None) -> WholeBodyCommand | None:
        """What the policy commands, and has been recorded."""
        if command is not None:
            stamped = replace(command, stamp_s=self._stamp_s())
            self._tell("policy/command", conversions.command_to_message(stamped))
        return command

    def _lead(self) -> WholeBodyCommand | None:
        """What the person at the leader does, and what it means for the robot."""
        now_s, stamp_s = self._world.time_s, self._stamp_s()
        state = self._world.whole_body_state()
        action = self._operator.act(now_s, state, self._world.objects())
        leader, left, right = leader_samples(stamp_s, action)
        self._tell("joylo/joint_states", conversions.leader_to_message(leader, self._joints))
        self._tell("joylo/joy_left", conversions.joycon_to_message("left", left))
        self._tell("joylo/joy_right", conversions.joycon_to_message("right", right))
        output = self._mapper.update(now_s, *leader_samples(now_s, action), state, self._sent)
        if output.command is not None:
            stamped = replace(output.command, stamp_s=stamp_s)
            self._tell("teleop/command", conversions.command_to_message(stamped))
        if self._due("teleop", output.engagement):
            self._tell("teleop/state", teleop_message(stamp_s, output))
        return output.command

    def _tick(self, renderer: CameraRenderer | None, command: WholeBodyCommand | None) -> None:
        """One tick of the robot node, and the physics until the next."""
        world, stamp_s = self._world, self._stamp_s()
        state = replace(world.whole_body_state(), stamp_s=stamp_s)
        self._tell("robot/state", conversions.state_to_message(state))
        verdict = self._robot.apply(command)
        self._sent = verdict.command
        if verdict.command is not None:
            sent = replace(verdict.command, stamp_s=stamp_s)
            self._targets.send(sent)
            self._tell("robot/command", conversions.command_to_message(sent))
        self._report(stamp_s, verdict)
        for _ in range(_STEPS):
            world.step(_TICK_S / _STEPS)
            self._tape.now_ns = _nanoseconds(world.time_s)
            feedback = world.feedback()
            self._feedback.publish(self._stamp_s(), feedback)
        self._ticks += 1
        if self._ticks % _ODOMETRY_EVERY == 0:
            self._feedback.publish_odometry(self._stamp_s(), feedback)
        if self._ticks % _REPORT_EVERY == 0:
            self._tell("sim/objects", objects_message(self._stamp_s(), world.objects()))
        if self._ticks % _TASK_EVERY == 0:
            status = world.task_status()
            self._tell(
                "sim/task", task_message(self._stamp_s(), world.task_name, world.seed, status)
            )
        if renderer is not None and world.time_s >= self._next_frame_s:
            self._film(renderer)
        self._writer.tick(world.time_s)

    def _report(self, stamp_s: float, verdict: SafetyVerdict) -> None:
        supervisor = self._robot.supervisor
        drives = supervisor.mode is Mode.ARMED and not verdict.holding
        self.drivers.drives(supervisor.source if drives else "", self._tape.now_ns)
        if self._due("safety", (supervisor.mode, verdict.holding)):
            command_age_s = supervisor.command_age_s(self._world.time_s)
            feedback_age_s = 0.0  # it is of this moment
            self._tell(
                "robot/safety",
                safety_message(stamp_s, supervisor, verdict, command_age_s, feedback_age_s),
            )

    def _film(self, renderer: CameraRenderer) -> None:
        """Pictures of all cameras at one moment."""
        self._next_frame_s += 1.0 / self._options.camera_hz
        self._frames += 1
        snapshot = self._world.snapshot()
        for name, publisher in self._cameras.items():
            drawn = renderer.render(snapshot, name)
            publisher.publish(as_camera_frame(drawn, self._stamp_s(), self._frames))

    def _due(self, what: str, value: Any) -> bool:
        """Whether a report's turn has come: what it says has changed, or the last one is old."""
        told = self._reported.get(what)
        if told and told[0] == value and self._ticks - told[1] < _REPORT_EVERY:
            return False
        self._reported[what] = (value, self._ticks)
        return True

    def _tell(self, topic: str, message: Any) -> None:
        self._topics[topic].publish(message)

    def _stamp_s(self) -> float:
        return FIRST_STAMP_S + self._world.time_s


def make_policy(robot: Embodiment, checkpoint: str) -> PolicyOnRobot:
    """The policy that drives first.

    Raises:
        PolicyError: the checkpoint cannot be used, or is of another robot.
    """
    config = load_named(EvalConfig, "eval", "default", "evaluation")
    return PolicyOnRobot(robot, checkpoint, replace(config, execute=_EXECUTE))


def _nanoseconds(simulated_s: float) -> int:
    return round((FIRST_STAMP_S + simulated_s) * 1e9)
