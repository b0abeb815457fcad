"""From what the cameras saw to a policy's command, on the whole running stack in simulation."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from brs_interfaces.msg import PolicyState, WholeBodyCommand

from brs_cli.bench import Figure, figure
from brs_cli.dataset_clouds import layout_of
from brs_cli.session import Session
from brs_hardware.config import build, load_yaml, named_file
from brs_hardware.embodiment import load_embodiment
from brs_hardware.perception.config import load_cloud
from brs_ml.policy.training_config import RunConfig
from brs_nodes.common import COMMAND, LATCHED

TASK = "shelves"
CAMERA_HZ = 15.0
START_S = 180.0  # kernels are compiled at the very first start
WARM_UP_S = 5.0


def measure_policy_node(seconds: float) -> list[Figure]:
    """Simulator with three cameras, perception, robot and policy; the robot is not armed."""
    states: list[PolicyState] = []
    commands: list[WholeBodyCommand] = []
    with tempfile.TemporaryDirectory(prefix="brs_bench_") as folder:
        checkpoint = untrained(Path(folder) / "small.safetensors")
        arguments = {"checkpoint": str(checkpoint), "task": TASK, "camera_hz": str(CAMERA_HZ)}
        with Session("policy.launch.py", arguments) as session:
            session.node.create_subscription(PolicyState, "policy/state", states.append, LATCHED)
            session.node.create_subscription(
                WholeBodyCommand, "policy/command", commands.append, COMMAND
            )
            session.wait("the policy to act", lambda: acting(states), START_S)
            session.spin(WARM_UP_S)
            states.clear()
            commands.clear()
            began_s = session.state["sim/task"].time_s
            session.spin(seconds)
            simulated_s = session.state["sim/task"].time_s - began_s
    # One message for each chunk, and some between.
    latencies_ms = {state.chunks: 1e3 * state.latency_s for state in states}
    inferences_ms = {state.chunks: 1e3 * state.inference_s for state in states}
    waited = sum(state.state == PolicyState.WAITING for state in states)
    latency_ms = np.array(list(latencies_ms.values()))
    return [
        figure("observation_to_command_p50_ms", np.percentile(latency_ms, 50), "ms"),
        figure("observation_to_command_p95_ms", np.percentile(latency_ms, 95), "ms", "<= 150"),
        figure("node_inference_p95_ms", np.percentile(list(inferences_ms.values()), 95), "ms"),
        figure("chunks_hz", len(latency_ms) / seconds, "Hz", ">= 9.5"),
        figure("policy_commands_hz", len(commands) / seconds, "Hz"),
        figure("policy_waited", waited, "", "== 0"),
        figure("policy_sim_realtime_factor", simulated_s / seconds, "x"),
    ]


def acting(states: list[PolicyState]) -> bool:
    """Whether commands are given."""
    return bool(states) and states[-1].state == PolicyState.ACTING


def untrained(path: Path) -> Path:
    """The small size with random weights: how long it takes hangs on its size alone."""
    from brs_ml.policy.untrained import write_untrained

    file = named_file("policy", "wbvma_small", "policy")
    config = build(RunConfig, load_yaml(file), str(file)).policy
    crop = load_cloud(TASK).crop
    box = (crop.lower.tolist(), crop.upper.tolist())
    return write_untrained(path, config, layout_of(load_embodiment("r1")), box)
