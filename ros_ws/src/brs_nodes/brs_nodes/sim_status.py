"""Fault codes, battery and remote control of the simulated robot, set by parameters."""

from __future__ import annotations

from collections.abc import Callable

from hdas_msg.msg import Bms, ControllerSignalStamped, FeedbackStatus, FeedbackStatusDetail
from rclpy.node import Node

from brs_hardware.galaxea.interface import VendorInterface
from brs_nodes import conversions
from brs_nodes.common import SENSOR

STATUS_HZ = 2.0  # as the vendor's driver was seen to send it
FULL_BATTERY_V, EMPTY_BATTERY_V = 54.0, 44.0  # 13 cells; 54.0 V was seen on a full R1 Pro


class SimulatedStatus:
    """Publishes what the parameters `fault`, `battery_percent` and `remote_mode` say.

    Args:
        node: has those parameters and owns the publishers.
        vendor: names the topics.
        stamp_s: gives the time of feedback now [s].
    """

    def __init__(self, node: Node, vendor: VendorInterface, stamp_s: Callable[[], float]) -> None:
        self._node, self._stamp_s = node, stamp_s
        self._status = {
            part: node.create_publisher(FeedbackStatus, topic, SENSOR)
            for part, topic in vendor.status_topics.items()
        }
        self._bms = vendor.battery and node.create_publisher(Bms, vendor.battery.topic, SENSOR)
        self._remote = vendor.controller_topic and node.create_publisher(
            ControllerSignalStamped, vendor.controller_topic, SENSOR
        )
        node.create_timer(1.0 / STATUS_HZ, self._publish)

    def _publish(self) -> None:
        stamp = conversions.to_time(self._stamp_s())
        faulty_part, error = self._fault()
        for part, publisher in self._status.items():
            status = FeedbackStatus(name_id=part, errors=[error] if part == faulty_part else [])
            status.header.stamp = stamp
            publisher.publish(status)
        if self._bms:
            percent = float(self._node.get_parameter("battery_percent").value)
            span_v = FULL_BATTERY_V - EMPTY_BATTERY_V
            bms = Bms(voltage=EMPTY_BATTERY_V + span_v * percent / 100.0, capital=percent)
            bms.header.stamp = stamp
            self._bms.publish(bms)
        if self._remote:
            signal = ControllerSignalStamped()
            signal.header.stamp = stamp
            signal.data.mode = int(self._node.get_parameter("remote_mode").value)
            self._remote.publish(signal)

    def _fault(self) -> tuple[str, FeedbackStatusDetail]:
        """The part and entry of the parameter `fault`; no part where there is none."""
        text = str(self._node.get_parameter("fault").value)
        part, motor, code = (text.split(":") + [""] * 3)[:3]
        if part in self._status and code.isdecimal() and int(code) < 2**32:
            return part, FeedbackStatusDetail(name=motor, error_code=int(code))
        if text:
            self._node.get_logger().error(
                f"parameter fault: want 'part:motor:code' and a part of {', '.join(self._status)}",
                throttle_duration_sec=10.0,
            )
        return "", FeedbackStatusDetail()
