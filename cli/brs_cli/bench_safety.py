"""Cost of the safety checks, rate of the force feedback, and what a takeover takes."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from brs_cli.bench import Figure, figure
from brs_cli.bench_leader import measure_leader
from brs_cli.bench_takeover import Takeover
from brs_hardware.collision_config import KeepOut
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.safety.setup import SafetySetup, load_safety, make_supervisor
from brs_hardware.types import JointGroupState, WholeBodyCommand, WholeBodyState

STEP_S = 0.01
TAKEOVERS = 5
# A table before the robot and shelves at its sides.
KEEP_OUTS = (
    KeepOut("table", np.array([0.9, 0.0, 0.35]), np.array([0.25, 0.5, 0.35])),
    KeepOut("shelf", np.array([0.0, 1.4, 0.8]), np.array([0.5, 0.16, 0.8]), 0.1, "odom"),
    KeepOut("wall", np.array([-0.9, 0.0, 1.0]), np.array([0.05, 2.0, 1.0])),
    KeepOut("cupboard", np.array([0.0, -1.4, 0.8]), np.array([0.5, 0.2, 0.8]), 0.0, "odom"),
)


def measure_safety(seconds: float) -> list[Figure]:
    """The supervisor alone, on one core; then the running stack."""
    robot = load_embodiment("r1")
    setup = replace(load_safety(), keep_outs=KEEP_OUTS)
    checked_ms = supervisor_ms(robot, setup)
    bare_ms = supervisor_ms(robot, replace(setup, collisions=False, balance=False, keep_outs=()))
    median_ms = float(np.median(checked_ms))
    return [
        figure(
            "supervisor_ms",
            median_ms,
            "ms",
            "<= 4",
            round(median_ms / float(np.median(bare_ms)), 1),
            "the same without collisions and balance",
        ),
        figure("supervisor_p99_ms", np.percentile(checked_ms, 99), "ms"),
        *measure_leader(seconds),
        *measure_takeover(),
    ]


def supervisor_ms(robot: Embodiment, setup: SafetySetup, count: int = 1000) -> np.ndarray:
    """(count,) durations [ms] of a check, while the robot goes between random poses."""
    random = np.random.default_rng(0)
    supervisor = make_supervisor(robot, setup)
    pose = {name: np.array(value) for name, value in robot.poses["ready"].items()}
    state = _state(0.0, pose)
    supervisor.arm(0.0, state)
    target, spent_ms = pose, np.zeros(count)
    for i in range(count):
        now_s = (i + 1) * STEP_S
        if i % 50 == 0:
            groups = {name: robot.group(name) for name in robot.GROUPS}
            target = {n: random.uniform(g.lower, g.upper) for n, g in groups.items()}
        supervisor.offer(now_s, _command(now_s, target))
        began_s = time.perf_counter()
        verdict = supervisor.step(now_s, replace(state, stamp_s=now_s))
        spent_ms[i] = 1e3 * (time.perf_counter() - began_s)
        assert verdict.command is not None
        state = _state(now_s, {name: getattr(verdict.command, name) for name in robot.GROUPS})
    return spent_ms


def _command(now_s: float, pose: dict[str, np.ndarray]) -> WholeBodyCommand:
    return WholeBodyCommand(
        now_s, np.zeros(3), pose["torso"], pose["left_arm"], pose["right_arm"], 0.5, 0.5
    )


def _state(now_s: float, pose: dict[str, np.ndarray]) -> WholeBodyState:
    torso, left, right = (
        JointGroupState(pose[name], np.zeros_like(pose[name]), np.zeros_like(pose[name]))
        for name in Embodiment.GROUPS
    )
    return WholeBodyState(now_s, np.zeros(3), np.zeros(3), torso, left, right, 0.5, 0.5)


def measure_takeover() -> list[Figure]:
    """The worst of some takeovers."""
    with Takeover() as session:
        session.wait_for_robot()
        session.arm("policy")
        taken = np.array([session.once() for _ in range(TAKEOVERS)])
    gap_ms, jump_rad, reaction_ms = taken.max(axis=0)
    return [
        figure("takeover_gap_ms", gap_ms, "ms", "<= 50"),
        figure("takeover_jump_rad", jump_rad, "rad", "<= 0.02"),
        figure("takeover_reaction_ms", reaction_ms, "ms"),
    ]
