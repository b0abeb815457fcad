"""Node `leader_chains`: other arms of Dynamixel motors, such as GELLO's, lead the robot.

A worker thread owns the buses. One that fails is told of in one line and tried again every
second. Buttons and sticks are those of a gamepad on the topic `joy`. The arms are bound to their
neutral pose by `joylo/bind_neutral`, anew whenever a bus was lost.
"""

from __future__ import annotations

import queue
import threading
from dataclasses import dataclass

import numpy as np
from sensor_msgs.msg import Joy
from std_srvs.srv import Trigger

from brs_hardware.errors import DeviceError
from brs_hardware.leaders import ChainLeader
from brs_hardware.leaders.chains import ArmChains, ChainReading
from brs_nodes import direct_leader
from brs_nodes.common import SENSOR, Priority, now_s, parameter, run

RETRY_S = 1.0


@dataclass(frozen=True)
class Parameters(direct_leader.Parameters):
    leader: str = parameter("gello", "leader description in config/leaders, of kind chains")


class LeaderChainsNode(direct_leader.DirectLeaderNode):
    """Thin shell around ArmChains and ChainLeader."""

    def __init__(self) -> None:
        super().__init__("leader_chains", Parameters, ChainLeader)
        self.chains = ArmChains(self.leader.settings)
        self._readings: queue.SimpleQueue[tuple[float, ChainReading]] = queue.SimpleQueue()
        self._bind_requested, self._closing = threading.Event(), threading.Event()
        self._connected = threading.Event()
        self.create_subscription(Joy, "joy", self._on_joy, SENSOR)
        self.create_service(Trigger, "joylo/bind_neutral", self._on_bind)
        self._thread = threading.Thread(target=self._lead, name="leader", daemon=True)
        self._thread.start()

    def _lead(self) -> None:
        told = ""
        while not self._closing.is_set():
            try:
                self.chains.connect()
                told = ""
                self._bind_requested.clear()  # whoever asked before did not hold these arms
                self._connected.set()
                self.get_logger().info("connected; hold the neutral pose, call joylo/bind_neutral")
                self._stream()
            except DeviceError as error:
                if str(error) != told:
                    told = str(error)
                    self.get_logger().error(told)
            finally:
                self._connected.clear()
                self.chains.close()
            self._closing.wait(RETRY_S)

    def _stream(self) -> None:
        """Read as fast as the buses answer, at most at the rate of samples."""
        bound = False
        while not self._closing.wait(1.0 / self.parameters.rate_hz):
            if self._bind_requested.is_set():
                self._bind_requested.clear()
                self.chains.bind_neutral()
                bound = True
                self.get_logger().info("bound to the neutral pose")
            if bound:
                self._readings.put((now_s(self), self.chains.read()))

    def hear(self) -> None:
        while not self._readings.empty():
            self.leader.hear(*self._readings.get())

    def _on_joy(self, message: Joy) -> None:
        self.leader.gamepad.hear(now_s(self), np.array(message.axes), np.array(message.buttons))

    def _on_bind(self, _: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success = self._connected.is_set()
        response.message = "the arms are not connected; ask again when they are"
        if response.success:
            self._bind_requested.set()
            response.message = "binding what the arms read now to the neutral pose"
        return response

    def close(self) -> None:
        """Let go of the buses."""
        self._closing.set()
        self._thread.join(timeout=2.0)
        super().close()


def main() -> None:
    run(LeaderChainsNode, Priority.CONTROL)
