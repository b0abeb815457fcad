"""The driven leader: laws against plain arithmetic, modes against emulated arms with weight."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from virtual_leader import VirtualLeader, limits, scaled

from brs_hardware.dynamixel.control_table import ITEMS
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError, DeviceError
from brs_hardware.joylo import JoyLo, load_leader
from brs_hardware.leader_control import (
    FrictionAssist,
    approach,
    beyond_limits,
    damper,
    friction_current,
    gains_from_raw,
    load_leader_control,
    spring,
)
from brs_hardware.leader_loop import LeaderLoop
from brs_hardware.leader_modes import FollowerMotion, LeaderController, ModeRefused
from brs_hardware.leader_policy import ContactRumble, LeaderPolicy
from brs_sim.emulators.joylo import EmulatedJoyLo
from brs_sim.emulators.packets import StatusError

CONTROL = load_leader_control()
# Both arms lifted in front: every joint carries something.
RAISED = np.array([0.9, 2.4, -1.9, 0.3, 0.4, 0.2, -0.9, 2.4, -1.9, -0.3, 0.4, -0.2])
numbers = arrays(float, 12, elements=st.floats(-4.0, 4.0))


@given(gap=st.floats(-3.0, 3.0), stiffness=st.floats(0.0, 5.0), limit=st.floats(0.01, 1.0))
def test_a_spring_stores_the_integral_of_its_pull(
    gap: float, stiffness: float, limit: float
) -> None:
    current, stored = spring(np.array([gap]), np.array([stiffness]), limit)
    assert current[0] == pytest.approx(max(-limit, min(limit, stiffness * gap)))
    middles = (np.arange(4000) + 0.5) * gap / 4000
    pull = np.clip(stiffness * middles, -limit, limit)
    assert stored[0] == pytest.approx(pull.sum() * gap / 4000, abs=1e-4)


@given(leader=numbers, follower=numbers)
def test_dampers_friction_and_limits_joint_by_joint(
    leader: np.ndarray, follower: np.ndarray
) -> None:
    gains = dataclasses.replace(
        CONTROL.bilateral,
        damping_a_s_rad=np.arange(6) * 0.01,
        constant_damping_a_s_rad=np.arange(6, 0, -1) * 0.01,
        follower_velocity=0.5,
    )
    assist = FrictionAssist(share=0.6, from_rad_s=0.1, full_rad_s=0.5)
    damped = damper(leader, follower, gains)
    pushed = friction_current(leader, 0.05, assist)
    back = beyond_limits(leader, np.full(12, -1.0), np.full(12, 2.0))
    moved = approach(leader, follower, 0.25)
    for i in range(12):
        shared, own = 0.01 * (i % 6), 0.01 * (6 - i % 6)
        wanted = -shared * (leader[i] - 0.5 * follower[i]) - own * leader[i]
        assert damped[i] == pytest.approx(wanted)
        share = min(1.0, max(0.0, (abs(leader[i]) - 0.1) / 0.4))
        assert pushed[i] == pytest.approx(0.03 * share * (1 if leader[i] > 0 else -1), abs=1e-12)
        assert pushed[i] * leader[i] <= 0.6 * 0.05 * abs(leader[i]) + 1e-12  # never above friction
        assert back[i] == pytest.approx(max(-1.0 - leader[i], 0) + min(2.0 - leader[i], 0))
        assert abs(moved[i] - leader[i]) <= 0.25 + 1e-12
        assert abs(moved[i] - follower[i]) <= max(0.0, abs(leader[i] - follower[i]) - 0.25) + 1e-9


def test_raw_gains_of_brs_become_326_milliampere_a_radian() -> None:
    stiffness, damping = gains_from_raw(0.5, 0.01)
    assert stiffness == pytest.approx(0.326, abs=5e-4)
    assert damping == pytest.approx(0.01e-3 / (0.229 * 2 * np.pi / 60))
    assert CONTROL.bilateral.stiffness_a_rad == pytest.approx(stiffness, rel=1e-2)
    assert CONTROL.bilateral.damping_a_s_rad == pytest.approx(damping, rel=1e-2)


def test_a_wrong_number_of_gains_and_unknown_keys_are_told(tmp_path: Path) -> None:
    text = Path("config/leaders/control/joylo.yaml").read_text()
    wrong = tmp_path / "wrong.yaml"
    wrong.write_text(text.replace("stiffness_a_rad: [0.326, ", "stiffness_a_rad: [", 1))
    with pytest.raises(ConfigError, match="'stiffness_a_rad' needs 6 numbers"):
        load_leader_control(str(wrong))
    wrong.write_text(text + "lop_hz: 3\n")
    with pytest.raises(ConfigError, match=r"unknown key 'lop_hz'.*loop_hz"):
        load_leader_control(str(wrong))
    with pytest.raises(ConfigError, match="unknown leader control 'joylow'"):
        load_leader_control("joylow")


# -- modes on arms with weight ----------------------------------------------------------------


def test_float_keeps_the_posture_with_masses_ten_percent_off(robot: Embodiment) -> None:
    leader = VirtualLeader(robot, truth=scaled(CONTROL.model, 1.1, 0.9))
    leader.place(RAISED)
    leader.take("float")
    leader.run(10.0)
    assert leader.loop.mode == "float"
    assert np.abs(leader.physics.angles - RAISED).max() < np.radians(2.0)


def test_arms_fall_without_gravity_compensation(robot: Embodiment) -> None:
    weightless = dataclasses.replace(CONTROL, model=scaled(CONTROL.model, 0.01, 0.01))
    leader = VirtualLeader(robot, truth=CONTROL.model, control=weightless)
    leader.place(RAISED)
    leader.take("float")
    leader.run(1.0)
    assert np.abs(leader.physics.angles - RAISED).max() > np.radians(10.0)


def test_float_moves_easily_and_stays_where_it_was_moved(robot: Embodiment) -> None:
    moved = []
    for share in (0.0, 0.8):
        control = dataclasses.replace(CONTROL, friction=FrictionAssist(share=share))
        leader = VirtualLeader(robot, control=control)
        leader.place(RAISED)
        leader.take("float")
        leader.physics.push_nm[2] = -0.03
        leader.run(0.5)
        leader.physics.push_nm[2] = 0.0
        leader.run(1.0)
        stopped = leader.physics.angles
        leader.run(1.0)
        assert np.abs(leader.physics.angles - stopped).max() < 0.01
        moved.append(abs(float((stopped - RAISED)[2])))
    assert moved[0] > 0.05
    assert moved[1] > 1.3 * moved[0]  # the assist makes it lighter


def test_lock_holds_against_a_hand_and_wrist_lock_only_the_wrists(robot: Embodiment) -> None:
    deviations = {}
    for mode in ("lock", "wrist_lock"):
        leader = VirtualLeader(robot)
        leader.place(RAISED)
        leader.take(mode)
        leader.physics.push_nm[:] = 0.06
        leader.run(1.0)
        deviations[mode] = np.abs(leader.physics.angles - RAISED).reshape(2, 6).max(axis=0)
    assert deviations["lock"].max() < 0.06
    assert deviations["wrist_lock"][3:].max() < 0.06
    assert deviations["wrist_lock"][2] > 0.3  # the elbow floats away


def test_mirror_reaches_the_robot_within_its_speed(robot: Embodiment) -> None:
    leader = VirtualLeader(robot, truth=scaled(CONTROL.model, 1.1, 0.9))
    leader.follow(RAISED)
    leader.take("mirror")
    pace = CONTROL.mirror
    holder = leader.controller._holder
    targets, fastest = [holder.target_rad], 0.0
    for _ in range(900):
        (motion,) = leader.run(1.0 / CONTROL.loop_hz)
        targets.append(holder.target_rad)
        fastest = max(fastest, float(np.abs(motion.velocity).max()))
    assert np.abs(leader.physics.angles - RAISED).max() < 0.02
    speeds = np.diff(targets, axis=0) * CONTROL.loop_hz
    assert np.abs(speeds).max() == pytest.approx(pace.speed_rad_s)
    # The target keeps the pace; the arm that a spring draws along swings about it.
    assert fastest < 1.6 * pace.speed_rad_s


def test_mirror_keeps_up_with_a_robot_that_moves(robot: Embodiment) -> None:
    leader = VirtualLeader(robot)
    leader.place(RAISED)
    leader.follow(RAISED)
    leader.take("mirror")
    leader.run(0.5)
    errors = []
    for turn in range(600):
        time_s = turn / CONTROL.loop_hz
        pose = RAISED + 0.4 * np.sin(2.0 * time_s) * np.eye(12)[4]
        speed = 0.8 * np.cos(2.0 * time_s) * np.eye(12)[4]
        leader.follower = FollowerMotion(leader.bus.now_s, pose, speed)
        leader.run(1.0 / CONTROL.loop_hz, robot_moves=False)
        errors.append(leader.physics.angles[4] - pose[4])
    # Without the robot's speed fed forward it is 0.4 rad behind.
    assert np.abs(errors[200:]).max() < 0.04


def test_bilateral_pushes_in_proportion_to_the_lag(robot: Embodiment) -> None:
    pulls = []
    for lag in (0.1, 0.2, -0.2, 3.0):
        leader = VirtualLeader(robot)
        leader.place(RAISED)
        leader.follow(RAISED)
        leader.take("bilateral")
        leader.run(0.5)
        resting = leader.loop.last.current[4]
        for motor in leader.bus.chain.motors:
            motor.grasp(motor.shaft)  # a hand keeps the leader there
        moved = RAISED.copy()
        moved[4] += lag
        leader.follow(moved)
        leader.run(0.3)
        pulls.append(float(leader.loop.last.current[4] - resting))
        assert leader.loop.last.gap[4] == pytest.approx(lag, abs=0.05)
    assert pulls[0] == pytest.approx(0.0326, rel=0.2)
    assert pulls[1] == pytest.approx(2 * pulls[0], rel=0.1)
    assert pulls[2] == pytest.approx(-pulls[1], rel=0.15)
    assert pulls[3] == pytest.approx(CONTROL.bilateral.current_limit_a, rel=0.05)


def test_currents_rise_no_faster_than_their_limit(robot: Embodiment) -> None:
    leader = VirtualLeader(robot)
    leader.place(RAISED)
    leader.follow(RAISED + 0.3)
    currents = [np.zeros(12)]
    for mode in ("float", "bilateral", "lock", "mirror"):
        leader.take(mode)
        for _ in range(30):
            leader.run(1.0 / CONTROL.loop_hz)
            currents.append(leader.loop.last.current)
    steps = np.abs(np.diff(currents, axis=0)).max()
    most = CONTROL.current_slew_a_s / CONTROL.loop_hz
    assert 0.5 * most < steps <= most + 1e-9
    assert np.abs(currents).max() <= CONTROL.current_limit_a


# -- letting go ---------------------------------------------------------------------------------


def _stale(leader: VirtualLeader) -> None:
    leader.run(0.3, robot_moves=False)


def _out_of_limits(leader: VirtualLeader) -> None:
    leader.physics.push_nm[4] = 2.0
    leader.run(2.0)


def _stalled(leader: VirtualLeader) -> None:
    leader.loop.step(leader.bus.now_s, 0.2, leader.follower)


def _hot(leader: VirtualLeader) -> None:
    leader.bus.chain.motor(5).poke("present_temperature", 68)
    leader.run(2.0)


def _starved(leader: VirtualLeader) -> None:
    leader.bus.chain.motor(5).poke("present_input_voltage", 38)
    leader.run(2.0)


def _deaf(leader: VirtualLeader) -> None:
    leader.bus.chain.motor(5).poke("bus_watchdog", -1)
    leader.run(2.0)


@pytest.mark.parametrize(
    ("trouble", "told"),
    [
        (_stale, "the robot's state is 0.1"),
        (_out_of_limits, "left_arm_joint5 (is|turns)"),
        (_stalled, "stood still for 200 ms"),
        (_hot, "ID 5 is hot: 68 C"),
        (_starved, "ID 5 gets only 38"),
        (_deaf, "ID 5 missed packets"),
    ],
)
def test_trouble_lets_go_and_says_why(
    robot: Embodiment, trouble: Callable[[VirtualLeader], None], told: str
) -> None:
    leader = VirtualLeader(robot)
    leader.place(RAISED)
    leader.follow(RAISED)
    leader.take("bilateral")
    leader.run(0.2)
    assert leader.powered
    trouble(leader)
    assert leader.loop.mode == "free"
    assert not leader.powered
    with pytest.raises(AssertionError, match=told):  # shows the text when it differs
        raise AssertionError(leader.loop.let_go)


def test_a_mode_that_cannot_be_is_refused_and_nothing_changes(robot: Embodiment) -> None:
    leader = VirtualLeader(robot)
    with pytest.raises(ModeRefused, match="the robot's state is not known"):
        leader.take("mirror")
    with pytest.raises(ConfigError, match=r"unknown mode 'bilatral'.*bilateral"):
        leader.take("bilatral")
    leader.place(leader.neutral + np.eye(12)[4] * 2.5)
    with pytest.raises(ModeRefused, match=r"left_arm_joint5 is 0.84 rad beyond"):
        leader.take("float")
    assert leader.loop.mode == "free" and not leader.powered


def test_motors_let_go_by_themselves_when_the_host_dies(robot: Embodiment) -> None:
    leader = VirtualLeader(robot)
    leader.place(RAISED)
    leader.take("lock")
    leader.run(0.2)
    leader.bus.advance(0.06)
    assert leader.powered
    leader.bus.advance(0.04)  # 100 ms in all
    assert not leader.powered
    motor = leader.bus.chain.motor(4)
    goal = ITEMS["goal_current"]
    # After the manual: goals are read-only with a range error until the watchdog is set to 0.
    assert motor.write(goal.address, goal.encode(10)) == StatusError.DATA_RANGE
    assert motor.write(ITEMS["bus_watchdog"].address, b"\0") == StatusError.NONE
    assert motor.write(goal.address, goal.encode(10)) == StatusError.NONE


def test_an_exception_in_the_loop_lets_go(robot: Embodiment) -> None:
    leader = VirtualLeader(robot)
    leader.take("float")
    leader.run(0.1)
    leader.controller.step = None  # type: ignore[assignment,method-assign]
    with pytest.raises(TypeError):
        leader.run(0.1)
    assert leader.loop.mode == "free" and not leader.powered


def test_an_unplugged_bus_ends_force_feedback(robot: Embodiment) -> None:
    with tempfile.TemporaryDirectory(prefix="brs") as folder:
        config = dataclasses.replace(
            load_leader("joylo_emulated", Path(folder)), reply_timeout_s=0.2
        )
        with EmulatedJoyLo(config) as emulated:
            arms = JoyLo(config)
            arms.connect()
            arms.bind_neutral()
            loop = LeaderLoop(arms, LeaderController(CONTROL, config, *limits(robot)))
            pose = np.concatenate([config.left.neutral, config.right.neutral])
            follower = FollowerMotion(0.0, pose, np.zeros(12))
            loop.take("bilateral", 0.0, follower)
            loop.step(0.0, 0.004, follower)
            chain = emulated.chain
            assert all(motor.powered for motor in chain.motors)
            emulated.unplug_bus()
            with pytest.raises(DeviceError, match="unplugged"):
                loop.step(0.004, 0.004, follower)
            assert loop.mode == "free" and "watchdogs do it" in loop.let_go
            arms.close()
            chain.step(time.monotonic() + 0.1)
            assert not any(motor.powered for motor in chain.motors)


# -- who decides --------------------------------------------------------------------------------


def test_the_leader_mirrors_while_nobody_holds_the_button() -> None:
    policy = LeaderPolicy("bilateral", mirror=True)
    wishes = [
        policy.wish(0.0, armed=False, dead_man=False),
        policy.wish(0.1, armed=True, dead_man=False),
        policy.wish(0.2, armed=True, dead_man=False),
        policy.wish(0.3, armed=True, dead_man=True),
        policy.wish(0.4, armed=True, dead_man=False),
        policy.wish(0.5, armed=False, dead_man=False),
    ]
    assert wishes == [None, "mirror", None, "bilateral", "mirror", "free"]
    policy.wish(1.0, armed=True, dead_man=False)
    policy.failed(1.0)
    assert policy.wish(1.5, armed=True, dead_man=False) is None
    assert policy.wish(2.1, armed=True, dead_man=False) == "mirror"  # tried again
    policy.wish(3.0, armed=True, dead_man=True)
    policy.failed(3.0)
    assert policy.wish(9.0, armed=True, dead_man=True) is None  # a person must press again


def test_a_leader_that_is_never_driven_by_itself_is_left_alone() -> None:
    policy = LeaderPolicy("free", mirror=False)
    assert policy.wish(0.0, armed=True, dead_man=True) is None
    assert LeaderPolicy("float", mirror=False).wish(0.0, armed=False, dead_man=False) == "float"
    with pytest.raises(ConfigError, match=r"unknown mode 'flaot'.*float"):
        LeaderPolicy("flaot", mirror=False)


def test_a_sudden_effort_is_felt_once_and_on_its_side() -> None:
    rumble = ContactRumble(np.full(12, 10.0))
    effort = np.full(12, 3.0)
    assert rumble.feel(0.0, effort) == (0.0, 0.0)
    effort[8] = 6.0
    left, right = rumble.feel(0.05, effort)
    assert left == 0.0 and right == pytest.approx(0.3 / 0.6)
    assert rumble.feel(0.1, effort) == (0.0, 0.0)  # not so soon again
    for step in range(60):  # what stays becomes usual
        last = rumble.feel(0.2 + 0.05 * step, effort)
    assert last == (0.0, 0.0)


def test_currents_stay_within_their_limit_wherever_the_arms_are(robot: Embodiment) -> None:
    random = np.random.default_rng(0)
    low, high = limits(robot)
    for _ in range(20):
        leader = VirtualLeader(robot)
        leader.place(random.uniform(low - 0.3, high + 0.3))
        leader.follow(random.uniform(low, high))
        leader.take("mirror")
        leader.run(0.05)
        assert leader.loop.mode == "mirror"
        assert np.all(np.abs(leader.loop.last.current) <= CONTROL.current_limit_a)
