"""Whether images pass between two processes: one publishes, the other counts."""

from __future__ import annotations

import subprocess
import sys
import time

import numpy as np
import rclpy
from rclpy.context import Context
from rclpy.node import Node
from sensor_msgs.msg import Image

from brs_nodes.common import SENSOR, make_executor
from brs_nodes.conversions import color_image

TOPIC = "brs_dds_check/image"
RATE_HZ = 30.0


def image_delivery(width: int, height: int, count: int = 30, timeout_s: float = 15.0) -> float:
    """Share 0..1 of best-effort rgb8 images of that size that arrive from another process."""
    context = Context()
    rclpy.init(context=context)
    node = Node("dds_check_reader", context=context)
    executor = make_executor(context)
    executor.add_node(node)
    arrived: list[int] = []
    node.create_subscription(Image, TOPIC, lambda message: arrived.append(message.height), SENSOR)
    writer = subprocess.Popen(
        [sys.executable, "-m", "brs_cli.dds_check", str(width), str(height), str(count)]
    )
    end_s = time.monotonic() + timeout_s
    while writer.poll() is None and time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.05)
    for _ in range(10):
        executor.spin_once(timeout_sec=0.02)
    if writer.poll() is None:
        writer.kill()
    writer.wait()
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)
    return len(arrived) / count


def publish(width: int, height: int, count: int) -> None:
    """Publish `count` images once somebody listens."""
    rclpy.init()
    node = Node("dds_check_writer")
    publisher = node.create_publisher(Image, TOPIC, SENSOR)
    end_s = time.monotonic() + 10.0
    while publisher.get_subscription_count() == 0 and time.monotonic() < end_s:
        time.sleep(0.05)
    time.sleep(0.3)  # the other direction of discovery
    color = np.random.default_rng(0).integers(0, 255, (height, width, 3), dtype=np.uint8)
    due_s = time.monotonic()
    for _ in range(count):
        publisher.publish(color_image(time.time(), "check", color))
        due_s += 1.0 / RATE_HZ
        time.sleep(max(0.0, due_s - time.monotonic()))
    time.sleep(0.3)
    node.destroy_node()
    rclpy.shutdown()


if __name__ == "__main__":
    publish(*(int(value) for value in sys.argv[1:4]))
