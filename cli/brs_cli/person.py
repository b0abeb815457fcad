"""`brs arm`, `disarm`, `estop`, `clear` and `bind`: what only a person decides, one call each."""

from __future__ import annotations

import argparse
import os
import sys
import time
from typing import Any

import rclpy
from brs_interfaces.srv import Arm, SelectSource
from rclpy.node import Node
from std_srvs.srv import Trigger

from brs_hardware.errors import BrsError
from brs_nodes.transport import talk_by_datagrams

SERVICES: dict[str, tuple[type, str, Any, str]] = {
    "arm": (Arm, "robot/arm", Arm.Request(arm=True), "let the robot follow its source"),
    "disarm": (Arm, "robot/arm", Arm.Request(arm=False), "stop following; nothing moves"),
    "estop": (Trigger, "robot/estop", Trigger.Request(), "latch the soft e-stop"),
    "clear": (Trigger, "robot/clear_estop", Trigger.Request(), "unlatch the soft e-stop"),
    "bind": (
        Trigger,
        "joylo/bind_neutral",
        Trigger.Request(),
        "bind the hanging leader arms to their neutral pose",
    ),
}


def main() -> None:
    """Entry point; which command is in the program's name."""
    name = sys.argv[0].split()[-1]
    service, topic, request, text = SERVICES[name]
    parser = argparse.ArgumentParser(prog=f"brs {name}", description=text)
    if name == "arm":
        parser.add_argument("--source", help="select it first: teleop, policy or replay")
    parser.add_argument("--namespace", default="", help="of the robot's nodes")
    parser.add_argument("--timeout", type=float, default=5.0, help="patience [s]")
    options = parser.parse_args()
    talk_by_datagrams(os.environ)  # an e-stop must not depend on what else has died
    rclpy.init()
    try:
        node = Node(f"person_{name}", namespace=options.namespace)
        if getattr(options, "source", None):
            chosen = SelectSource.Request(source=options.source)
            ask(node, SelectSource, "robot/select_source", chosen, options.timeout)
        sys.stdout.write(ask(node, service, topic, request, options.timeout) + "\n")
    finally:
        rclpy.shutdown()


def ask(node: Node, service: type, topic: str, request: Any, timeout_s: float) -> str:
    """The message of a service that succeeded.

    Raises:
        BrsError: nobody offers it, it does not answer, or it refuses.
    """
    client: Any = node.create_client(service, topic)
    if not client.wait_for_service(timeout_sec=timeout_s):
        raise BrsError(
            "nobody offers this service",
            where=client.srv_name,
            remedy="start teleop.launch.py; check ROS_DOMAIN_ID and --namespace",
        )
    future = client.call_async(request)
    end_s = time.monotonic() + timeout_s
    while not future.done() and time.monotonic() < end_s:
        rclpy.spin_once(node, timeout_sec=0.1)
    if not future.done():
        raise BrsError("no answer", where=client.srv_name, remedy="look at the node's log")
    answer: Any = future.result()
    if not answer.success:
        raise BrsError(answer.message, where=client.srv_name)
    return str(answer.message)
