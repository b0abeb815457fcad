"""Node `joylo`: both leader arms and both Joy-Cons onto the bus of topics.

Worker threads own the devices: `leader` reads the motors on a steady beat and publishes at once
(and drives them in all modes but `free`, see `leader_driver`); one thread for each Joy-Con keeps
it connected and shakes it. A device that fails is told of in one line and
tried again every second; while it is away its topic is silent, and teleop lets go.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, replace
from typing import Any

from rclpy.node import Node
from sensor_msgs.msg import JointState, Joy
from std_srvs.srv import Trigger

from brs_hardware.calibration_store import load_leader_calibration
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError, DeviceError
from brs_hardware.joycon import JoyCon
from brs_hardware.joylo import JoyLo, load_leader, runtime_folder
from brs_hardware.leader_calibration import joint_ranges
from brs_hardware.neutral import restore_neutral, save_neutral
from brs_nodes import conversions
from brs_nodes.common import SENSOR, Diagnostics, Priority, declare, now_s, parameter, run
from brs_nodes.leader_calibrator import LeaderCalibrator
from brs_nodes.leader_driver import DriverOptions, LeaderDriver
from brs_sim.emulators.joycon_socket import device_factory

RETRY_S = 1.0
SHAKE_S = 0.1


@dataclass(frozen=True)
class Parameters:
    robot: str = parameter("r1", "robot description in config/robots; its joints are led")
    leader: str = parameter("joylo", "leader description in config/leaders")
    rate_hz: float = parameter(100.0, "rate of leader samples", 1.0, 500.0)
    bind: str = parameter(
        "auto",
        "auto: by the stored calibration, else as `start` where emulated and as `service` where"
        " real; start: the neutral pose at start; service: when joylo/bind_neutral is called",
    )
    control: str = parameter("joylo", "gains and masses in config/leaders/control")
    mode: str = parameter("free", "while a dead-man button is held: free, float or bilateral")
    mirror: bool = parameter(False, "the leader follows the armed robot while no button is held")
    rumble: bool = parameter(True, "Joy-Cons shake when the robot touches something")


class JoyLoNode(Node):
    """Thin shell around JoyLo and two JoyCons."""

    def __init__(self) -> None:
        super().__init__("joylo")
        self.parameters = declare(self, Parameters)
        robot = load_embodiment(self.parameters.robot)
        self.config = load_leader(self.parameters.leader)
        self.leader = JoyLo(self.config)
        if self.parameters.bind not in ("auto", "start", "service"):
            raise ConfigError("bind is auto, start or service", where="parameter bind")
        # A real leader is bound when its person says that the arms hang; an emulated one hangs
        # when it is switched on.
        self._bind_at_start = self.parameters.bind == "start" or (
            self.parameters.bind == "auto" and self.config.emulated
        )
        self._kept = runtime_folder() / f"{self.config.name}_neutral.json"
        self._ranges = joint_ranges(robot)
        self._joints = (*robot.left_arm.joints, *robot.right_arm.joints)
        self.arms = self.create_publisher(JointState, "joylo/joint_states", SENSOR)
        self.joys = {
            side: self.create_publisher(Joy, f"joylo/joy_{side}", SENSOR)
            for side in ("left", "right")
        }
        joycons = {"left": self.config.left_joycon, "right": self.config.right_joycon}
        self.joycons = {
            side: JoyCon(side, config, lambda: now_s(self), device_factory(config))
            for side, config in joycons.items()
        }
        options = DriverOptions(
            self.parameters.control,
            self.parameters.mode,
            self.parameters.mirror,
            self.parameters.rumble,
            self.parameters.rate_hz,
        )
        self._shakes: dict[str, float] = {}
        self._wakes = {side: threading.Event() for side in self.joycons}
        self.driver = LeaderDriver(self, self.leader, robot, self.joycons, self._shake, options)
        self.create_service(Trigger, "joylo/bind_neutral", self._on_bind)
        self.calibrator = LeaderCalibrator(self, self.leader)
        self.diagnostics = Diagnostics(self, self._summary)
        self._problems: dict[str, str] = {}
        self._joy_stamps: dict[str, Any] = {}
        self._bind_requested = threading.Event()
        self._closing = threading.Event()
        self._threads = [threading.Thread(target=self._lead, name="leader", daemon=True)]
        self._threads += [
            threading.Thread(target=self._keep_connected, args=(side,), daemon=True)
            for side in self.joycons
        ]
        for thread in self._threads:
            thread.start()

    # -- arms ------------------------------------------------------------------------------

    def _lead(self) -> None:
        while not self._closing.is_set():
            try:
                self.leader.connect()
                if self.calibrator.requested.is_set():
                    self.driver.lost("the leader is being calibrated")
                    self.calibrator.run(self._closing)
                self._bind()
                self._mend("arms")
                self._stream()
            except DeviceError as error:
                self._report("arms", error)
                self.driver.lost(str(error))
                self.calibrator.finish(False, str(error))
            finally:
                self.leader.close()  # takes the torque off, whatever happened
            self._closing.wait(RETRY_S)

    def _bind(self) -> None:
        """By the stored calibration, else by the binding from before a restart, else anew."""
        if self.parameters.bind == "auto" and self._bind_absolutely():
            return
        if restore_neutral(self.leader, self._kept):
            self.get_logger().info("neutral pose kept from before")
            return
        if not self._bind_at_start:
            self._report(
                "arms",
                DeviceError(
                    "not bound",
                    where=self.config.name,
                    remedy="let both arms hang in the neutral pose, call joylo/bind_neutral",
                ),
            )
            while not self._bind_requested.wait(0.1):
                if self._interrupted():
                    return
        self._bind_now()

    def _bind_absolutely(self) -> bool:
        """False, and why in the log, where no stored calibration fits these motors."""
        try:
            stored = load_leader_calibration(self.config, self.leader.bus)
        except ConfigError as error:
            self.get_logger().warning(f"{error}; until then the neutral pose is bound")
            return False
        if stored is None:
            if not self.config.emulated:
                self.get_logger().warning(
                    "no calibration is stored, so the neutral pose is bound after every power"
                    " cycle; `brs calibrate joylo` makes one that lasts"
                )
            return False
        self.leader.bind_zeros(stored.zeros, self._ranges)
        self.get_logger().info(f"bound by the calibration of {stored.made}")
        return True

    def _bind_now(self) -> None:
        self._bind_requested.clear()
        self.leader.bind_neutral()
        try:
            save_neutral(self.leader, self._kept)
        except OSError as error:
            self.get_logger().warning(f"the binding cannot be kept over a restart: {error}")
        self.get_logger().info("bound to the neutral pose")

    def _stream(self) -> None:
        """Read, stamp and publish on a steady beat until closed; raises DeviceError."""
        driver = self.driver
        driver.start()
        due_s = time.monotonic()
        while not self._interrupted():
            before_s = now_s(self)
            sample = driver.read(before_s)
            if driver.beat:
                # The motors answered some time in between; the middle is off by half at most.
                sample = replace(sample, stamp_s=0.5 * (before_s + now_s(self)))
                self.arms.publish(conversions.leader_to_message(sample, self._joints))
                self.diagnostics.count("arms")
                self._publish_joycons()
            if self._bind_requested.is_set():
                self._bind_now()
            driver.decide()
            period_s = driver.period_s
            due_s = max(due_s + period_s, time.monotonic() - period_s)
            time.sleep(max(0.0, due_s - time.monotonic()))

    def _interrupted(self) -> bool:
        """Whether the leader's thread shall do something else than leading."""
        return self._closing.is_set() or self.calibrator.requested.is_set()

    # -- Joy-Cons --------------------------------------------------------------------------

    def _publish_joycons(self) -> None:
        for side, joycon in self.joycons.items():
            try:
                message = conversions.joycon_to_message(side, joycon.sample())
            except DeviceError:  # told by the controller's own thread, which reconnects it
                continue
            if message.header.stamp == self._joy_stamps.get(side):
                continue  # no report since the last look
            self._joy_stamps[side] = message.header.stamp
            self.joys[side].publish(message)
            self.diagnostics.count(f"joy_{side}")

    def _keep_connected(self, side: str) -> None:
        joycon = self.joycons[side]
        while not self._closing.is_set():
            try:
                if not joycon.connected:
                    if side in self._problems:
                        joycon.connect()
                    else:
                        self._first_connection(joycon)
                    self._mend(side)
                joycon.sample()
                if strength := self._shakes.pop(side, 0.0):
                    joycon.rumble(strength, SHAKE_S)
            except DeviceError as error:
                self._report(side, error)
                self._closing.wait(RETRY_S)
            self._wakes[side].wait(0.1)
            self._wakes[side].clear()
        joycon.close()

    def _shake(self, side: str, strength: float) -> None:
        """Let the controller's own thread shake it: writing to it may wait."""
        self._shakes[side] = strength
        self._wakes[side].set()

    def _first_connection(self, joycon: JoyCon) -> None:
        """Connect, or tell why a connection that was there is gone."""
        if joycon.age_s < float("inf"):
            joycon.sample()
        joycon.connect()

    # -- reports ---------------------------------------------------------------------------

    def _report(self, device: str, error: DeviceError) -> None:
        if self._problems.get(device) != str(error):
            self.get_logger().error(str(error))
        self._problems[device] = str(error)

    def _mend(self, device: str) -> None:
        self._problems.pop(device, None)
        self.get_logger().info(f"{device}: connected")

    def _on_bind(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self._bind_requested.set()
        response.success = True
        response.message = "binding what the arms read now to the neutral pose"
        return response

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        statistics = self.leader.bus.statistics
        values = {"bus errors": statistics.errors, "bus retries": statistics.retries}
        if self._problems:
            return 2, "; ".join(self._problems.values()), values
        return 0, f"leading, {self.driver.loop.mode}", values

    def close(self) -> None:
        """Stop the threads; closing the leader takes its torque off."""
        self._closing.set()
        for wake in self._wakes.values():
            wake.set()
        for thread in self._threads:
            thread.join(timeout=2.0)
        self.driver.close()
        self.calibrator.close()


def main() -> None:
    run(JoyLoNode, Priority.CONTROL)
