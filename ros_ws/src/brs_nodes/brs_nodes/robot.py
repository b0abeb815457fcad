"""Node `robot`: the only publisher of vendor command topics. A ROS 2 lifecycle node.

Takes commands of the selected source, lets the safety supervisor decide, and sends the result at
once. A tick at 100 Hz holds the robot still when commands stop and publishes `robot/state`.

Lifecycle: unconfigured (nothing open), inactive (disarmed or e-stopped: measures, moves nothing),
active (armed). `robot/arm` and the transitions of ROS 2 are two doors to the same room.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
from brs_interfaces import msg as brs_msg
from brs_interfaces.srv import Arm, SelectSource
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from std_msgs.msg import Bool
from std_srvs.srv import Trigger

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError, ConfigError
from brs_hardware.safety import (
    ROUTINE,
    SOURCES,
    Mode,
    SafetyEvent,
    SafetyVerdict,
    Severity,
)
from brs_hardware.safety.setup import load_safety, make_supervisor
from brs_hardware.types import WholeBodyState
from brs_nodes import conversions
from brs_nodes.common import (
    COMMAND,
    LATCHED,
    NEWEST,
    SENSOR,
    Diagnostics,
    Inbox,
    Priority,
    declare,
    log,
    now_s,
    parameter,
    run,
)
from brs_nodes.report_messages import safety_message
from brs_nodes.vendor import VendorTopics

TICK_HZ = 100.0
SAFETY_HZ = 10.0
# Commands that come faster are kept, but not each is acted on.
SHORTEST_STEP_S = 0.003
# Of VendorTopics.problems(): these hold the robot, the others are told.
HOLDING_PROBLEMS = {"motor_fault", "battery_critical"}


@dataclass(frozen=True)
class Parameters:
    robot: str = parameter("r1", "robot description in config/robots")
    safety: str = parameter("default", "thresholds and keep-out boxes in config/safety")
    source: str = parameter("teleop", "whose commands count: teleop, policy or replay")
    autostart: bool = parameter(True, "configure at start; else wait for a lifecycle manager")


class RobotNode(LifecycleNode):
    """Mux, supervisor and vendor topics. Starts disarmed; a person arms it."""

    def __init__(self) -> None:
        super().__init__("robot")
        self.parameters = declare(self, Parameters)
        self._configured = False
        self._refusal = ""  # why the last transition failed
        if self.parameters.autostart:
            # A user's error ends the process in one line, as in every other node.
            self._configure()
            self.trigger_configure()

    # -- lifecycle -------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Load the robot and open all topics."""
        try:
            self._configure()
        except BrsError as error:
            self.get_logger().error(str(error))
            return TransitionCallbackReturn.FAILURE
        return super().on_configure(state)

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Arm, or fail with the reason in the log."""
        self._look_for_another_robot()
        self._look()
        self._refusal = self.supervisor.arm(now_s(self), self._state)
        if self._refusal and self.vendor.missing():
            self._refusal = f"no feedback on {', '.join(self.vendor.missing())}"
        if self._refusal:
            log(self, True, f"not armed: {self._refusal}")
            return TransitionCallbackReturn.FAILURE
        return super().on_activate(state)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Disarm; a latched e-stop stays latched."""
        self.supervisor.disarm()
        self._step()
        return super().on_deactivate(state)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Close all topics; the robot is left standing."""
        self._close_topics()
        return super().on_cleanup(state)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """As cleaning up, for good."""
        self._close_topics()
        return super().on_shutdown(state)

    def _configure(self) -> None:
        if self._configured:
            return
        parameters = self.parameters
        self.embodiment = load_embodiment(parameters.robot)
        setup = load_safety(parameters.safety)
        self.supervisor = make_supervisor(self.embodiment, setup)
        if problem := self.supervisor.select_source(parameters.source):
            raise ConfigError(problem, where="parameter source")
        self._state: WholeBodyState | None = None
        self._events: dict[str, SafetyEvent] = {}
        self._safety_sent_s = self._stepped_s = self._commanded_s = 0.0
        self._slowest_step_s = 0.0
        self._holding = True
        self._mode_sent: tuple[Mode, str, bool] | None = None
        self._inbox = Inbox(self)
        self.vendor = VendorTopics(self, self.embodiment, self._inbox, setup.needs_pose)
        self._open()
        self._configured = True

    def _open(self) -> None:
        self._state_publisher = self.create_publisher(
            brs_msg.WholeBodyState, "robot/state", SENSOR
        )
        self._sent_publisher = self.create_publisher(
            brs_msg.WholeBodyCommand, "robot/command", NEWEST
        )
        self._safety_publisher = self.create_publisher(
            brs_msg.SafetyState, "robot/safety", LATCHED
        )
        self._subscriptions_open = [
            self.create_subscription(
                brs_msg.WholeBodyCommand,
                f"{source}/command",
                lambda message, source=source: self._on_command(source, message),
                COMMAND,
            )
            for source in SOURCES
        ]
        for topic, callback in (
            ("robot/estop_request", self._on_estop_request),
            ("robot/hand_back_request", self._on_hand_back_request),
            ("robot/hold_request", self._on_hold_request),
        ):
            self._subscriptions_open.append(
                self.create_subscription(Bool, topic, callback, COMMAND)
            )
        self._services_open = [
            self.create_service(Arm, "robot/arm", self._on_arm),
            self.create_service(SelectSource, "robot/select_source", self._on_select_source),
            self.create_service(Trigger, "robot/estop", self._on_estop),
            self.create_service(Trigger, "robot/clear_estop", self._on_clear_estop),
        ]
        self._timers_open = [
            self.create_timer(1.0 / TICK_HZ, self._tick),
            self.create_timer(1.0 / SAFETY_HZ, self._look_at_hardware),
            self.create_timer(1.0, self._look_for_another_robot),
        ]
        self.diagnostics = Diagnostics(self, self._summary)

    def _close_topics(self) -> None:
        """Leave the base standing and give up everything that `_configure` opened."""
        if not self._configured:
            return
        self._configured = False
        self.supervisor.disarm()
        self.vendor.send_base(now_s(self), np.zeros(3))
        for timer in self._timers_open:
            self.destroy_timer(timer)
        for service in self._services_open:
            self.destroy_service(service)
        for subscription in self._subscriptions_open:
            self.destroy_subscription(subscription)
        for publisher in (self._state_publisher, self._sent_publisher, self._safety_publisher):
            self.destroy_publisher(publisher)
        self.diagnostics.close()
        self.vendor.close()
        self._inbox.close()

    def close(self) -> None:
        """Leave the base standing."""
        self._close_topics()

    # -- commands --------------------------------------------------------------------------

    def _on_command(self, source: str, message: brs_msg.WholeBodyCommand) -> None:
        command = conversions.command_from_message(message)
        if command.source != source:
            self.get_logger().error(
                f"{source}/command carries a command of '{command.source}'; ignored",
                throttle_duration_sec=1.0,
            )
            return
        now = now_s(self)
        led = self.supervisor.source
        if not self.supervisor.offer(now, command):
            return
        self.diagnostics.count("commands")
        if self.supervisor.source != led:
            self.get_logger().warning(f"{source} has taken over from {led}")
        if 0.0 <= now - self._stepped_s < SHORTEST_STEP_S:
            return  # a flood; the tick or a later one acts on the newest
        self._step()
        self._commanded_s = self._stepped_s
        # After the command is out, not before: and then the tick need not do it.
        self._publish_state()

    def _tick(self) -> None:
        """Act where no command has just done so."""
        if not 0.0 <= now_s(self) - self._commanded_s < 1.5 / TICK_HZ:
            self._publish_state()
            self._step()

    def _look(self) -> None:
        self._state = self.vendor.look()

    def _publish_state(self) -> None:
        self._look()
        if self._state is not None:
            self._state_publisher.publish(conversions.state_to_message(self._state))

    def _step(self) -> None:
        self._stepped_s = now_s(self)
        started_s = time.perf_counter()
        verdict = self.supervisor.step(self._stepped_s, self._state)
        self._slowest_step_s = max(self._slowest_step_s, time.perf_counter() - started_s)
        if verdict.command is not None:
            command = self.supervisor.at_publication(now_s(self), verdict.command)
            self.vendor.send(command)
            self._sent_publisher.publish(conversions.command_to_message(command))
        elif not self._holding:
            self.vendor.send_base(self._stepped_s, np.zeros(3))
        self._report(verdict)

    def _look_at_hardware(self) -> None:
        """Faults of motors and battery hold the robot until they are gone."""
        problems = self.vendor.problems()
        for rule in HOLDING_PROBLEMS:
            if rule in problems:
                self.supervisor.faults[rule] = problems[rule]
            else:
                self.supervisor.faults.pop(rule, None)
        self.supervisor.warnings = {
            rule: line for rule, line in problems.items() if rule not in HOLDING_PROBLEMS
        }

    # -- reports ---------------------------------------------------------------------------

    def _report(self, verdict: SafetyVerdict) -> None:
        supervisor = self.supervisor
        self._log_changes(verdict.events)
        mode = (supervisor.mode, supervisor.source, verdict.holding)
        if mode == self._mode_sent and self._stepped_s - self._safety_sent_s < 1.0 / SAFETY_HZ:
            return
        if self._mode_sent is None or mode[0] is not self._mode_sent[0]:
            self.vendor.brake(supervisor.mode is Mode.ESTOP)
        self._mode_sent, self._safety_sent_s = mode, self._stepped_s
        self._holding = verdict.holding
        age_s = self._stepped_s - self._state.stamp_s if self._state else -1.0
        command_age_s = supervisor.command_age_s(self._stepped_s)
        self._safety_publisher.publish(
            safety_message(self._stepped_s, supervisor, verdict, command_age_s, age_s)
        )

    def _log_changes(self, events: tuple[SafetyEvent, ...]) -> None:
        current = {event.rule: event for event in events}
        for rule, event in current.items():
            if rule not in self._events and rule not in ROUTINE:
                log(self, int(event.severity) > 0, f"{rule}: {event.message}")
        self._events = current

    def _look_for_another_robot(self) -> None:
        """Two robot nodes on one namespace would fight; hold until one goes."""
        topic = self.embodiment.base.command_topic
        others = self.count_publishers(topic) - 1
        if others > 0:
            self.supervisor.faults["two_robots"] = (
                f"{others} other publisher(s) of {self.resolve_topic_name(topic)}; "
                "stop the other robot node or give this one a namespace"
            )
        else:
            self.supervisor.faults.pop("two_robots", None)

    # -- services --------------------------------------------------------------------------

    def _on_arm(self, request: Arm.Request, response: Arm.Response) -> Arm.Response:
        self._refusal = ""
        if not request.arm:
            self._deactivate()
        elif self.supervisor.mode is Mode.ARMED:
            self._refusal = self.supervisor.arm(now_s(self), self._state)
        else:
            self.trigger_activate()
        response.success = not self._refusal
        response.message = self._refusal or ("armed" if request.arm else "disarmed")
        log(self, False, f"arm: {response.message}")
        self._step()
        return response

    def _deactivate(self) -> None:
        """Leave the lifecycle's active state, if the robot was armed."""
        if self.supervisor.mode is Mode.ARMED:
            self.trigger_deactivate()

    def _estop(self, reason: str) -> None:
        active = self.supervisor.mode is Mode.ARMED
        self.supervisor.estop(reason)
        self._step()
        if active:
            self.trigger_deactivate()

    def _on_select_source(
        self, request: SelectSource.Request, response: SelectSource.Response
    ) -> SelectSource.Response:
        problem = self.supervisor.select_source(request.source)
        response.success = not problem
        response.message = problem or f"following {request.source}"
        self._step()
        return response

    def _on_estop_request(self, message: Bool) -> None:
        if message.data:
            self._estop("pressed on the leader")

    def _on_hand_back_request(self, message: Bool) -> None:
        if message.data:
            problem = self.supervisor.hand_back(now_s(self))
            log(self, bool(problem), problem or f"handed back to {self.supervisor.source}")
            self._step()

    def _on_hold_request(self, message: Bool) -> None:
        """Disarm: whoever asks, such as the monitor, can make the robot stand and nothing else."""
        if message.data and self.supervisor.mode is Mode.ARMED:
            log(self, True, "disarmed: a hold was asked for; arm the robot to go on")
            self._deactivate()

    def _on_estop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._estop("requested by service")
        response.success, response.message = True, "e-stop latched"
        return response

    def _on_clear_estop(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.supervisor.clear_estop()
        self._step()
        response.success, response.message = True, "cleared; arm the robot to go on"
        return response

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        supervisor = self.supervisor
        worst = max((event.severity for event in self._events.values()), default=Severity.INFO)
        lines = [event.message for event in self._events.values() if event.severity == worst]
        age_s = now_s(self) - self._state.stamp_s if self._state else -1.0
        values: dict[str, Any] = {
            "source": supervisor.source,
            "feedback age [s]": f"{age_s:.3f}",
            "slowest safety check [ms]": f"{1e3 * self._slowest_step_s:.2f}",
        }
        if battery := self.vendor.battery():
            values["battery"] = str(battery)
        self._slowest_step_s = 0.0
        return min(int(worst), 2), f"{supervisor.mode.name.lower()} {'; '.join(lines)}", values


def main() -> None:
    run(RobotNode, Priority.CONTROL)
