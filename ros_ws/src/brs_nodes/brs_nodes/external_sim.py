"""Node `external_sim`: the vendor's topics in front of Gazebo or Isaac Sim.

Those simulators tell joint states and take joint targets (`simulator/...`); cameras and /clock go
past this node, straight from their bridges. Time is theirs: run with use_sim_time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from rclpy.node import Node
from rclpy.publisher import Publisher
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_nodes import conversions
from brs_nodes.common import COMMAND, SENSOR, Diagnostics, declare, now_s, parameter, run
from brs_nodes.driver_topics import DriverTopics
from brs_nodes.sim_status import SimulatedStatus
from brs_sim.external import contract
from brs_sim.external.vendor_side import JointReading, Targets, VendorSide

RATE_HZ = 200.0
ODOMETRY_EVERY = 4
TARGET_KINDS = ("arrays", "single")
_LONGEST_STEP_S = 0.1  # a simulator that stood still does not make targets jump


@dataclass(frozen=True)
class Parameters:
    robot: str = parameter("r1", "robot description in config/robots")
    targets: str = parameter(
        "single", "how the simulator takes targets: single numbers (Gazebo) or arrays (Isaac Sim)"
    )
    # The following may be set while the node runs.
    battery_percent: float = parameter(100.0, "charge that is reported", 0.0, 105.0)
    fault: str = parameter("", "reported fault 'part:motor:code', e.g. left_arm:joint3:13")
    remote_mode: int = parameter(5, "mode of the remote control that is reported", 0, 255)


class ExternalSimNode(Node):
    """Thin shell around VendorSide."""

    def __init__(self) -> None:
        super().__init__("external_sim")
        self.parameters = declare(self, Parameters)
        if self.parameters.targets not in TARGET_KINDS:
            raise ConfigError(
                f"'{self.parameters.targets}' is no kind of targets",
                where="parameter targets",
                remedy=f"one of {', '.join(TARGET_KINDS)}",
            )
        robot = load_embodiment(self.parameters.robot)
        self._side = VendorSide(robot)
        self._driver = DriverTopics(self, robot)
        self._single: dict[str, Publisher] = {}
        self._arrays: dict[str, Publisher] = {}
        if self.parameters.targets == "single":
            for joint, topic in contract.single_joint_topics(robot).items():
                self._single[joint] = self.create_publisher(Float64, topic.name, COMMAND)
        else:
            for name in (contract.POSITIONS, contract.VELOCITIES):
                self._arrays[name] = self.create_publisher(JointState, name, COMMAND)
        self.create_subscription(JointState, contract.JOINT_STATES, self._on_states, SENSOR)
        self._status = SimulatedStatus(self, robot.vendor, lambda: now_s(self))
        self.diagnostics = Diagnostics(self, self._summary)
        self._last_s = now_s(self)
        self._count = 0
        self.create_timer(1.0 / RATE_HZ, self._tick)

    def _on_states(self, message: JointState) -> None:
        values = [
            [*column, *[0.0] * (len(message.name) - len(column))]
            for column in (message.position, message.velocity, message.effort)
        ]
        readings = map(JointReading, *values)
        self._side.measured(dict(zip(message.name, readings, strict=True)))
        self.diagnostics.count("joint states")

    def _tick(self) -> None:
        time_s = now_s(self)
        step_s = min(max(time_s - self._last_s, 0.0), _LONGEST_STEP_S)
        self._last_s = time_s
        self._driver.hand_on(self._side)
        targets, feedback = self._side.targets(time_s, step_s), self._side.feedback(time_s)
        if targets is None or feedback is None:
            return
        self._send(time_s, targets)
        self._driver.publish(time_s, feedback)
        self.diagnostics.count("feedback")
        if self._count % ODOMETRY_EVERY == 0:
            self._driver.publish_odometry(time_s, feedback)
        self._count += 1

    def _send(self, time_s: float, targets: Targets) -> None:
        if self._single:
            for joint, value in (targets.positions | targets.velocities).items():
                self._single[joint].publish(Float64(data=value))
            return
        for name, position, velocity in (
            (contract.POSITIONS, targets.positions, {}),
            (contract.VELOCITIES, {}, targets.velocities),
        ):
            message = JointState(
                name=[*position, *velocity],
                position=[*position.values()],
                velocity=[*velocity.values()],
            )
            message.header.stamp = conversions.to_time(time_s)
            self._arrays[name].publish(message)

    def _summary(self) -> tuple[int, str, dict[str, Any]]:
        missing = self._side.missing()
        if missing:
            return (
                2,
                f"the simulator tells nothing of {missing[0]} and {len(missing) - 1} more",
                {},
            )
        return 0, "follows the simulator", {}

    def close(self) -> None:
        """Give up the commands' topics."""
        self._driver.close()


def main() -> None:
    run(ExternalSimNode)
