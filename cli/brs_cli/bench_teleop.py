"""Speed of the teleoperation path, measured on the whole running stack."""

from __future__ import annotations

import tempfile
import time

import numpy as np
import psutil
from sensor_msgs.msg import JointState

from brs_cli.bench import Figure, figure
from brs_cli.session import Session
from brs_hardware.embodiment import load_embodiment
from brs_nodes.common import SENSOR
from brs_nodes.conversions import to_seconds
from brs_sim.emulators.measure import leader_bus

NOMINAL_S = 0.01


def measure_teleop(seconds: float) -> list[Figure]:
    """Leader bus alone; then latency, jitter, recorder and simulator with everything running."""
    bus = leader_bus(3.0)
    figures = [
        figure(
            "leader_bus_hz",
            bus["leader_bus_hz"],
            "Hz",
            ">= 500",
            round(bus["leader_bus_ratio"], 2),
            "two transactions, position then velocity",
        ),
        figure("leader_bus_ratio", bus["leader_bus_ratio"], "", ">= 1.6"),
    ]
    return figures + measure_stack(seconds)


def measure_stack(seconds: float) -> list[Figure]:
    """The script teleoperates with recorder and three RGB-D cameras while we listen."""
    topic = load_embodiment("r1").right_arm.command_topic
    stamps: list[float] = []
    latencies: list[float] = []
    arrivals: list[float] = []

    def on_command(message: JointState) -> None:
        now_s = time.time()
        stamp_s = to_seconds(message.header.stamp)
        if engaged() and (not stamps or stamp_s > stamps[-1]):
            stamps.append(stamp_s)
            latencies.append(now_s - stamp_s)
            arrivals.append(now_s)

    with tempfile.TemporaryDirectory(prefix="brs_bench_") as folder:
        arguments = {"sim": "true", "leader": "script", "record": "true", "episodes": folder}
        with Session("teleop.launch.py", arguments) as session:

            def engaged() -> bool:
                teleop = session.state.get("teleop/state")
                return teleop is not None and teleop.state == teleop.ENGAGED

            session.node.create_subscription(JointState, topic, on_command, SENSOR)
            session.wait_for_robot()
            session.wait("the leader", lambda: "teleop/state" in session.state, 30.0)
            session.start_episode(task="shelves", instruction="", operator_name="bench", seed=0)
            session.arm()
            session.wait("engagement", engaged, 30.0)
            recorder = psutil.Process(session.process("recorder"))
            began_s, simulated_s = time.monotonic(), session.state["sim/task"].time_s
            peak_mb = 0.0
            while time.monotonic() - began_s < seconds:
                session.spin(0.5)
                peak_mb = max(peak_mb, recorder.memory_info().rss / 1e6)
            wall_s = time.monotonic() - began_s
            simulated_s = session.state["sim/task"].time_s - simulated_s
            saved = session.save_episode(task_success=False)
    latency_ms = 1e3 * np.array(latencies)
    intervals_s = np.diff(arrivals)
    # A pause of teleop (a new press of the dead-man) is no jitter.
    jitter_ms = 1e3 * np.abs(intervals_s[intervals_s < 0.5] - NOMINAL_S)
    return [
        figure("command_latency_p50_ms", np.percentile(latency_ms, 50), "ms", "<= 4"),
        figure("command_latency_p99_ms", np.percentile(latency_ms, 99), "ms", "<= 12"),
        figure("control_jitter_p99_ms", np.percentile(jitter_ms, 99), "ms", "<= 3"),
        figure("commands", len(latency_ms), ""),
        figure("recorder_messages", saved.messages, ""),
        figure("recorder_lost", saved.lost, "", "== 0"),
        figure("recorder_rss_mb", peak_mb, "MB", "<= 300"),
        figure("sim_realtime_factor", simulated_s / wall_s, "x", ">= 0.995"),
    ]
