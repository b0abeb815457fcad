"""A publisher that should not be: commands of a source, at any rate, until it is stopped.

python -m brs_cli.fault_flood --source policy --rate-hz 10000
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time

import numpy as np
import rclpy
from brs_interfaces.msg import WholeBodyCommand
from rclpy.node import Node

from brs_hardware.embodiment import load_embodiment
from brs_hardware.types import WholeBodyCommand as Command
from brs_nodes import conversions
from brs_nodes.common import COMMAND, now_s
from brs_nodes.transport import talk_by_datagrams

BURST_S = 0.01


def main() -> None:
    """Publish from a line on the standard input on, until it or its parent is killed."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--source", default="teleop", help="that the messages claim to be of")
    parser.add_argument("--rate-hz", type=float, default=10_000.0)
    parser.add_argument("--not-a-number", action="store_true", help="all numbers are NaN")
    options = parser.parse_args()
    parent = os.getppid()
    talk_by_datagrams(os.environ)
    rclpy.init()
    node = Node("flood")
    publisher = node.create_publisher(WholeBodyCommand, "teleop/command", COMMAND)
    message = conversions.command_to_message(_command(options.source, options.not_a_number))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    due_s = time.monotonic()
    while os.getppid() == parent:
        message.header.stamp = conversions.to_time(now_s(node))
        for _ in range(round(options.rate_hz * BURST_S)):
            publisher.publish(message)
        due_s = max(due_s + BURST_S, time.monotonic() - BURST_S)
        time.sleep(max(0.0, due_s - time.monotonic()))


def _command(source: str, not_a_number: bool) -> Command:
    """The ready pose at full speed back, or nothing but NaN."""
    robot = load_embodiment("r1")
    ready, factor = robot.poses["ready"], np.nan if not_a_number else 1.0
    return Command(
        stamp_s=0.0,
        # Back, into the open room, and on the one line on which the person drives to and fro.
        base_velocity=factor * robot.base.max_velocity * (-1.0, 0.0, 0.0),
        torso=factor * ready["torso"],
        left_arm=factor * ready["left_arm"],
        right_arm=factor * ready["right_arm"],
        left_gripper=factor,
        right_gripper=factor,
        source=source,
    )


class Flood:
    """Such a publisher as a process of its own.

    Args:
        options: of its command line.
    """

    def __init__(self, *options: str) -> None:
        self._options = options
        self._process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> None:
        """Start the process, up to its first message."""
        command = [sys.executable, "-m", "brs_cli.fault_flood", *self._options]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe)
        assert self._process.stdout is not None
        self._process.stdout.readline()

    def start(self) -> None:
        """Publish."""
        assert self._process is not None and self._process.stdin is not None, "prepare() first"
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()

    def stop(self) -> None:
        """End at once; a second time does nothing."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


if __name__ == "__main__":
    main()
