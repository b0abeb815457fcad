"""Speed of the teleoperation path, measured on the whole running stack."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil

from brs_cli.bench import Figure, figure
from brs_cli.session import Session
from brs_hardware.embodiment import load_embodiment
from brs_ml.episode import EpisodeReader
from brs_sim.emulators.measure import leader_bus

PERIOD_MS = 10.0
PAUSE_MS = 500.0


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
    """The script teleoperates with recorder and three RGB-D cameras; the bag tells the times."""
    with tempfile.TemporaryDirectory(prefix="brs_bench_") as folder:
        arguments = {"sim": "true", "leader": "script", "record": "true", "episodes": folder}
        with Session("teleop.launch.py", arguments) as session:
            session.wait_for_robot()
            session.wait("the leader", lambda: "teleop/state" in session.state, 30.0)
            session.start_episode(task="shelves", instruction="", operator_name="bench", seed=0)
            session.arm()

            def engaged() -> bool:
                teleop = session.state["teleop/state"]
                return bool(teleop.state == teleop.ENGAGED)

            session.wait("engagement", engaged, 30.0)
            recorder = psutil.Process(session.process("recorder"))
            timer = subprocess.Popen(
                [sys.executable, "-m", "brs_cli.bench_timer", str(0.9 * seconds)],
                stdout=subprocess.PIPE,
                text=True,
            )
            began_s, simulated_s = time.monotonic(), session.state["sim/task"].time_s
            peak_mb = 0.0
            while time.monotonic() - began_s < seconds:
                session.spin(0.5)
                peak_mb = max(peak_mb, recorder.memory_info().rss / 1e6)
            wall_s = time.monotonic() - began_s
            simulated_s = session.state["sim/task"].time_s - simulated_s
            saved = session.save_episode(task_success=False)
            floor_ms = json.loads(timer.communicate()[0])["p99_ms"]
        latency_ms, jitter_ms = command_times(Path(saved.path))
    jitter_p99_ms = float(np.percentile(jitter_ms, 99))
    return [
        figure("command_latency_p50_ms", np.percentile(latency_ms, 50), "ms", "<= 4"),
        figure("command_latency_p99_ms", np.percentile(latency_ms, 99), "ms", "<= 12"),
        figure(
            "control_jitter_p99_ms",
            jitter_p99_ms,
            "ms",
            "<= 3",
            round(jitter_p99_ms / floor_ms, 2),
            f"a bare 100 Hz timer in the same run, {floor_ms:.1f} ms",
        ),
        figure("commands", len(latency_ms), ""),
        figure("recorder_messages", saved.messages, ""),
        figure("recorder_lost", saved.lost, "", "== 0"),
        figure("recorder_rss_mb", peak_mb, "MB", "<= 300"),
        figure("sim_realtime_factor", simulated_s / wall_s, "x", ">= 0.995"),
    ]


def command_times(bag: Path) -> tuple[np.ndarray, np.ndarray]:
    """Latency and jitter of vendor commands, from a bag.

    A vendor command carries the stamp of the leader sample that caused it, and the bag the time
    at which it was published, so that no observer's own delay is measured.

    Returns:
        (n,) ms from the sample to the command's publication, of all caused by a sample; (m,) ms
        by which the time between two of them differs from the leader's period.
    """
    reader = EpisodeReader(bag)
    leader = reader.topic_named("joylo/joint_states").name
    command = reader.topic_named(load_embodiment("r1").right_arm.command_topic).name
    samples = set()
    published: dict[int, int] = {}  # stamp -> first publication [ns]; a hold repeats its stamp
    for message, content in reader.decoded([leader, command]):
        stamp_ns = content.header.stamp.sec * 1_000_000_000 + content.header.stamp.nanosec
        if message.topic == leader:
            samples.add(stamp_ns)
        else:
            published.setdefault(stamp_ns, message.publish_time_ns)
    caused = np.array([times for times in published.items() if times[0] in samples], np.int64)
    latency_ms = (caused[:, 1] - caused[:, 0]) / 1e6
    intervals_ms = np.diff(caused[:, 1]) / 1e6
    # A pause of teleop (a new press of the dead-man) is no jitter.
    jitter_ms = np.abs(intervals_ms[intervals_ms < PAUSE_MS] - PERIOD_MS)
    return latency_ms, jitter_ms
