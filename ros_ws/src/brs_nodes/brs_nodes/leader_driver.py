"""The driven part of node `joylo`: modes of the leader's motors, asked for or taken by themselves.

The control thread calls `read` at the head of every turn and `decide` at its end. In free mode a
turn is a read at the rate of the samples, as without this; in all others it is one turn of the
control loop. Topics are looked at only where a mode or a rule needs them.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from brs_interfaces.msg import LeaderState, SafetyState, WholeBodyState
from brs_interfaces.srv import SetLeaderMode
from rclpy.node import Node

from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import BrsError, DeviceError
from brs_hardware.joycon import JoyCon
from brs_hardware.joylo import JoyLo
from brs_hardware.leader_control import FOLLOWING, load_leader_control
from brs_hardware.leader_loop import LeaderLoop
from brs_hardware.leader_modes import FollowerMotion, LeaderController
from brs_hardware.leader_policy import ContactRumble, LeaderPolicy
from brs_hardware.teleop import DEADMAN
from brs_hardware.types import LeaderSample
from brs_nodes import conversions
from brs_nodes.common import LATCHED, NEWEST, SENSOR, Inbox, now_s

STATE_PERIOD_S = 0.1
RUMBLE_PERIOD_S = 0.05
ROBOT_TIMEOUT_S = 1.0  # for the robot's state to come once it is subscribed
ANSWER_TIMEOUT_S = 2.0


@dataclass(frozen=True)
class DriverOptions:
    """Parameters of the node that matter here."""

    control: str
    person_mode: str
    mirror: bool
    rumble: bool
    rate_hz: float


class _Request:
    """A mode that somebody waits for."""

    def __init__(self, mode: str) -> None:
        self.mode, self.made_s = mode, time.monotonic()
        self.done = threading.Event()
        self.problem = ""


class LeaderDriver:
    """Modes of one leader.

    Args:
        node: whose service and topics they are.
        leader: driven by the thread that calls `read` and `decide`.
        robot: whose limits hold.
        joycons: side -> controller, looked at for the dead-man buttons.
        shake: takes a side and a strength 0..1; must not wait.
        options: the node's.

    Raises:
        ConfigError: gains that are not passive, an unknown mode, malformed YAML.
    """

    def __init__(
        self,
        node: Node,
        leader: JoyLo,
        robot: Embodiment,
        joycons: Mapping[str, JoyCon],
        shake: Callable[[str, float], None],
        options: DriverOptions,
    ) -> None:
        self._node, self._leader, self._joycons = node, leader, joycons
        self._shake, self._options = shake, options
        arms = (robot.left_arm, robot.right_arm)
        controller = LeaderController(
            load_leader_control(options.control),
            leader.config,
            np.concatenate([arm.lower for arm in arms]),
            np.concatenate([arm.upper for arm in arms]),
        )
        self.loop = LeaderLoop(leader, controller)
        self.policy = LeaderPolicy(options.person_mode, options.mirror)
        self._rumble = ContactRumble(np.concatenate([arm.max_effort for arm in arms]))
        self._loop_hz = controller.config.loop_hz
        self._inbox = Inbox(node)
        # Subscribed when first wanted: a topic costs its reader a percent of a core.
        self._newest_state: Callable[[], WholeBodyState | None] | None = None
        self._newest_safety = (
            self._inbox.newest(SafetyState, "robot/safety", LATCHED)
            if self.policy.active
            else None
        )
        self._state: WholeBodyState | None = None
        self._armed = False
        if options.mirror or options.person_mode in FOLLOWING:
            self._follower()
        self._states = node.create_publisher(LeaderState, "joylo/state", SENSOR)
        node.create_service(SetLeaderMode, "joylo/set_mode", self._on_set_mode)
        self._request: _Request | None = None
        self._ready = False
        self._message = ""
        self._turns = self._turns_told = 0
        self._stepped_s = self._told_s = self._felt_s = 0.0

    # -- called by the control thread ------------------------------------------------------

    def start(self) -> None:
        """The leader is connected and bound."""
        self._ready = True

    def lost(self, why: str) -> None:
        """The leader failed; its motors were let go."""
        self._ready = False
        self.loop.controller.abandon()
        self._message = why
        self._tell(time.monotonic())

    @property
    def period_s(self) -> float:
        """Of the turns [s]."""
        return 1.0 / (self._options.rate_hz if self.loop.mode == "free" else self._loop_hz)

    @property
    def beat(self) -> bool:
        """Whether this turn's sample is one to publish."""
        turns = round(self._loop_hz / self._options.rate_hz)
        return self.loop.mode == "free" or self._turns % max(1, turns) == 0

    def read(self, stamp_s: float) -> LeaderSample:
        """The arms now, and currents for them in driven modes.

        Raises:
            DeviceError: as JoyLo; the motors were let go.
        """
        self._turns += 1
        if self.loop.mode == "free":
            return self._leader.read(stamp_s)
        clock_s = time.monotonic()
        follower = self._follower() if self.loop.mode in FOLLOWING else None
        motion = self.loop.step(stamp_s, clock_s - self._stepped_s, follower)
        self._stepped_s = clock_s
        if self.loop.let_go:
            self._warn(f"the leader was let go: {self.loop.let_go}")
            self.policy.failed(clock_s)
        left, right = np.split(motion.position, 2)
        return LeaderSample(stamp_s, left, right)

    def decide(self) -> None:
        """Take up what was asked for, or what the policy wants now."""
        clock_s = time.monotonic()
        request = self._request
        if request and not self._waits_for_robot(request, clock_s):
            self._request = None
            request.problem = self._take(request.mode)
            request.done.set()
        elif self._newest_safety is not None:
            if safety := self._newest_safety():
                self._armed = safety.mode == SafetyState.ARMED
            mode = self.policy.wish(clock_s, self._armed, self._dead_man()) or self.loop.mode
            if problem := "" if mode == self.loop.mode else self._take(mode):
                self.policy.failed(clock_s)
                self._warn(problem)
        if self._options.rumble and clock_s >= self._felt_s + RUMBLE_PERIOD_S:
            self._felt_s = clock_s
            self._feel(clock_s)
        if clock_s >= self._told_s + STATE_PERIOD_S:
            self._tell(clock_s)

    def close(self) -> None:
        """Give up the topics; whoever owns the leader closes it."""
        self._inbox.close()

    # -- inside ----------------------------------------------------------------------------

    def _take(self, mode: str) -> str:
        """Take up a mode; why not, where it is not possible. DeviceError goes on to the caller."""
        try:
            follower = self._follower() if mode in FOLLOWING else None
            self.loop.take(mode, now_s(self._node), follower)
        except DeviceError:
            raise
        except BrsError as error:
            return str(error)
        self._stepped_s = time.monotonic()
        self._message = ""
        self._node.get_logger().info(f"leader mode {mode}")
        return ""

    def _waits_for_robot(self, request: _Request, clock_s: float) -> bool:
        """Whether the robot's state, asked for just now, has still a while to arrive."""
        wanted = request.mode in FOLLOWING and self._follower() is None
        return wanted and clock_s < request.made_s + ROBOT_TIMEOUT_S

    def _follower(self) -> FollowerMotion | None:
        if self._newest_state is None:
            self._newest_state = self._inbox.newest(WholeBodyState, "robot/state", NEWEST)
        if message := self._newest_state():
            self._state = message
        state = self._state
        if state is None:
            return None
        return FollowerMotion(
            conversions.to_seconds(state.header.stamp),
            np.array([*state.left_arm.position, *state.right_arm.position]),
            np.array([*state.left_arm.velocity, *state.right_arm.velocity]),
        )

    def _dead_man(self) -> bool:
        for joycon in self._joycons.values():
            try:
                if joycon.sample().buttons & DEADMAN:
                    return True
            except DeviceError:  # told by the controller's own thread
                continue
        return False

    def _feel(self, clock_s: float) -> None:
        """Contact of the robot into the Joy-Cons, while a person drives it."""
        if not self._dead_man() or self._follower() is None or self._state is None:
            return
        effort = np.array([*self._state.left_arm.effort, *self._state.right_arm.effort])
        strengths = self._rumble.feel(clock_s, effort)
        for side, strength in zip(("left", "right"), strengths, strict=True):
            if strength > 0.0:
                self._shake(side, strength)

    def _warn(self, line: str) -> None:
        if line != self._message:
            self._node.get_logger().warning(line)
        self._message = line

    def _tell(self, clock_s: float) -> None:
        elapsed_s = max(clock_s - self._told_s, 1e-3)
        drive = self.loop.last
        unknown = np.full(len(self.loop.controller.joints), np.nan)
        message = LeaderState(
            mode=self.loop.mode,
            current=conversions.doubles(drive.current if drive else np.zeros(len(unknown))),
            gap=conversions.doubles(drive.gap if drive else unknown),
            loop_hz=(self._turns - self._turns_told) / elapsed_s,
            passive=drive.passive if drive else True,
            message=self._message,
        )
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._states.publish(message)
        self._told_s, self._turns_told = clock_s, self._turns

    def _on_set_mode(
        self, request: SetLeaderMode.Request, response: SetLeaderMode.Response
    ) -> SetLeaderMode.Response:
        """Hand it to the control thread, which alone speaks to the motors."""
        if not self._ready:
            response.message = "the leader is not connected and bound"
            return response
        waiting = self._request = _Request(request.mode)
        if not waiting.done.wait(ANSWER_TIMEOUT_S):
            response.message = "the leader does not answer"
            return response
        response.success = not waiting.problem
        response.message = waiting.problem or f"the leader is in mode {request.mode}"
        return response
