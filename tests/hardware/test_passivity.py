"""Energy of the force feedback: gains judged before, books kept while it runs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from virtual_leader import VirtualLeader, limits

from brs_hardware.dynamixel.control_table import RAD_PER_TICK
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.joylo import load_leader
from brs_hardware.leader_control import load_leader_control
from brs_hardware.leader_modes import LeaderController
from brs_hardware.passivity import (
    FOLLOWER_TROUGH,
    LoopTiming,
    PassivityConfig,
    PassivityObserver,
    check_gains,
    largest_stiffness_a_rad,
)

CONTROL = load_leader_control()
MOTOR = CONTROL.model.motor


def test_the_trough_of_a_late_follower() -> None:
    x = np.linspace(1e-3, 60.0, 600_000)
    assert pytest.approx(-np.min(np.sin(x) / x), abs=1e-4) == FOLLOWER_TROUGH


@given(
    damping=st.floats(0.0, 0.03),
    period=st.floats(0.001, 0.02),
    delay=st.floats(0.0, 0.02),
    follower=st.floats(0.0, 0.2),
)
def test_the_largest_stiffness_is_just_accepted(
    damping: float, period: float, delay: float, follower: float
) -> None:
    timing = LoopTiming(period, delay, follower)
    viscous, coulomb = 0.0164, 0.05
    (largest,) = largest_stiffness_a_rad(viscous, coulomb, np.array([damping]), timing)
    # Put back into the conditions as they are published.
    needed = largest * (period / 2 + delay + FOLLOWER_TROUGH * follower) + damping
    assert largest == 0.0 or needed <= viscous + 1e-9
    assert largest <= 2 * coulomb / RAD_PER_TICK + 1e-9
    if damping > viscous:
        assert largest == 0.0
    check_gains("here", ["elbow"], np.array([largest]), np.array([damping]), np.array([largest]))
    with pytest.raises(ConfigError, match="elbow"):
        more = np.array([largest * 1.01 + 1e-6])
        check_gains("here", ["elbow"], more, np.array([damping]), np.array([largest]))


def test_gains_that_are_not_passive_are_refused_by_joint_and_limit(robot: Embodiment) -> None:
    config = load_leader("joylo_emulated")
    gains = CONTROL.bilateral.stiffness_a_rad.copy()
    gains[2] = 4.0
    wild = dataclasses.replace(
        CONTROL, bilateral=dataclasses.replace(CONTROL.bilateral, stiffness_a_rad=gains)
    )
    with pytest.raises(ConfigError, match=r"bilateral: left_arm_joint3.*4 A/rad.*at most 0\.9"):
        LeaderController(wild, config, *limits(robot))
    slow = dataclasses.replace(CONTROL, loop_hz=30.0)
    with pytest.raises(ConfigError, match="not passive"):
        LeaderController(slow, config, *limits(robot))


def test_a_loop_that_became_too_slow_lets_go(robot: Embodiment) -> None:
    leader = VirtualLeader(robot)
    leader.take("lock")
    motion = leader.run(0.01)[-1]
    for _ in range(400):
        drive = leader.controller.step(0.0, 0.03, motion, None)
        if drive.let_go:
            break
    assert drive.let_go.startswith("the loop runs at only 3")


# -- the books, on one joint of plain arithmetic -------------------------------------------------


def simulate(
    delay_steps: int, stiffness: float, observed: bool
) -> tuple[np.ndarray, PassivityObserver]:
    """A joint on a virtual spring computed at 300 Hz and late, let go from 0.2 rad.

    Returns:
        (steps,) position [rad], and the observer; let go for good once it says so.
    """
    dt_s, substeps = 1.0 / 300.0, 20
    constant = MOTOR.torque_constant_nm_a
    observer = PassivityObserver(
        PassivityConfig(), np.array([constant]), MOTOR.coulomb_a, MOTOR.viscous_a_s_rad
    )
    position, speed, waiting = 0.2, 0.0, [0.0] * (delay_steps + 1)
    seen = []
    for _ in range(1500):
        gap, current = -position, waiting[0]
        observer.observe(
            np.array([position]), np.array([current]), np.array([0.5 * stiffness * gap**2]),
            np.zeros(1), dt_s,
        )  # fmt: skip
        wanted = stiffness * gap
        if observed:
            wanted += float(observer.damping(np.array([speed]))[0])
            if observer.active_joint is not None:
                wanted, waiting = 0.0, [0.0] * len(waiting)
                stiffness = 0.0
        waiting = [*waiting[1:], wanted]
        for _ in range(substeps):
            friction = MOTOR.coulomb_nm * np.tanh(speed / 0.01) + MOTOR.viscous_nm_s_rad * speed
            acceleration = (constant * waiting[0] - friction) / (MOTOR.armature_kg_m2 + 0.001)
            speed += acceleration * dt_s / substeps
            position += speed * dt_s / substeps
        seen.append(position)
    return np.array(seen), observer


def test_a_passive_spring_is_left_alone() -> None:
    free, _ = simulate(0, 1.5, observed=False)
    kept, observer = simulate(0, 1.5, observed=True)
    assert np.array_equal(free, kept)
    assert observer.passive and observer.peak_j < 1e-3
    assert abs(free[-1]) < 0.1


def test_a_late_spring_is_caught_and_stays_bounded() -> None:
    wild, _ = simulate(6, 3.0, observed=False)
    assert np.abs(wild[-300:]).max() > 100.0  # it would have grown
    kept, observer = simulate(6, 3.0, observed=True)
    assert observer.peak_j > observer.config.let_go_j
    assert np.abs(kept).max() < 2.0
    assert np.ptp(kept[-300:]) < 0.01  # let go, and at rest


def test_what_the_hand_put_in_it_may_take_out_but_no_more() -> None:
    observer = PassivityObserver(PassivityConfig(), np.ones(1), 0.0, 0.0)

    def move(to: float, current: float, stored: float) -> None:
        observer.observe(np.array([to]), np.array([current]), np.array([stored]), np.zeros(1), 1.0)

    move(0.0, 0.0, 0.0)
    move(0.4, -0.4, 0.08)  # drawn away from a spring of 1 A/rad
    move(0.0, 0.0, 0.0)  # and led back by it
    assert observer.generated_j == pytest.approx(0.0)
    move(0.4, -0.4, 0.08)
    move(0.4, 0.0, 0.0)  # the target went away: nothing may be taken back any more
    move(0.0, -0.4, 0.0)
    assert observer.generated_j[0] > 0.0


def test_a_delay_that_nobody_knew_of_lets_the_leader_go(robot: Embodiment) -> None:
    hold = dataclasses.replace(
        CONTROL.hold,
        stiffness_a_rad=np.full(6, 3.0),
        damping_a_s_rad=np.zeros(6),
        integral_limit_a=0.0,
        current_limit_a=0.9,
    )
    # Without the rule on speed, which would be first.
    control = dataclasses.replace(CONTROL, hold=hold, let_go_speed_rad_s=100.0)
    leader = VirtualLeader(robot, control=control)
    leader.bus.delay_s = 0.008
    leader.take("lock")
    leader.physics.push_nm[4] = 0.15  # a knock
    leader.run(0.2)
    leader.physics.push_nm[4] = 0.0
    seen = leader.run(3.0)
    assert leader.loop.mode == "free" and not leader.powered
    # The books show it, and the joint is let go for what it does with that energy.
    assert leader.controller.observer.peak_j > CONTROL.passivity.budget_j
    assert leader.loop.let_go.startswith(("left_arm_joint5", "the feedback of left_arm_joint5"))
    assert max(float(np.abs(m.position - leader.neutral).max()) for m in seen) < 2.2
