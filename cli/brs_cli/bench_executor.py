"""What an executor costs: six topics at 200 Hz, the load of the robot node, into one process."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import time

import numpy as np
import rclpy
from rclpy.executors import Executor, SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import JointState

from brs_cli.bench import Figure, figure
from brs_nodes.common import SENSOR, make_executor
from brs_nodes.conversions import joint_state, to_seconds

TOPICS = 6
RATE_HZ = 200.0


def measure_executors(seconds: float) -> list[Figure]:
    """CPU share and latency of the executor that nodes use, against the single-threaded one."""
    seconds = min(seconds, 10.0)
    results = {}
    for kind in ("single", "ours"):
        writer = subprocess.Popen([*_SELF, "write", str(seconds + 3.0)])
        reader = subprocess.run(
            [*_SELF, kind, str(seconds)], capture_output=True, text=True, check=True
        )
        results[kind] = json.loads(reader.stdout.splitlines()[-1])
        writer.wait()
    ours, single = results["ours"], results["single"]
    against = "SingleThreadedExecutor"
    return [
        figure("executor_cpu", ours["cpu"], "cores", "", ours["cpu"] / single["cpu"], against),
        figure(
            "executor_p99_ms", ours["p99_ms"], "ms", "", ours["p99_ms"] / single["p99_ms"], against
        ),
    ]


_SELF = [sys.executable, "-m", "brs_cli.bench_executor"]


def write(seconds: float) -> None:
    """Publish the load."""
    rclpy.init()
    node = Node("bench_writer")
    publishers = [node.create_publisher(JointState, f"bench/t{i}", SENSOR) for i in range(TOPICS)]
    values = np.zeros(6)
    due_s = time.monotonic()
    end_s = due_s + seconds
    while due_s < end_s:
        for publisher in publishers:
            publisher.publish(joint_state(time.time(), ("a",) * 6, values, values, values))
        due_s += 1.0 / RATE_HZ
        time.sleep(max(0.0, due_s - time.monotonic()))


def read(executor: Executor, seconds: float) -> dict[str, float]:
    """Count what arrives; returns CPU share and 99th percentile of latency."""
    node = Node("bench_reader")
    latencies: list[float] = []
    for i in range(TOPICS):
        node.create_subscription(
            JointState,
            f"bench/t{i}",
            lambda message: latencies.append(time.time() - to_seconds(message.header.stamp)),
            SENSOR,
        )
    executor.add_node(node)
    while len(latencies) < 100:
        executor.spin_once(timeout_sec=0.2)
    latencies.clear()
    before = resource.getrusage(resource.RUSAGE_SELF)
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s:
        executor.spin_once(timeout_sec=0.2)
    after = resource.getrusage(resource.RUSAGE_SELF)
    used_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"cpu": used_s / seconds, "p99_ms": 1e3 * float(np.percentile(latencies, 99))}


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(float(sys.argv[2]))
    else:
        rclpy.init()
        chosen = make_executor() if sys.argv[1] == "ours" else SingleThreadedExecutor()
        sys.stdout.write(json.dumps(read(chosen, float(sys.argv[2]))) + "\n")
