"""The leader arms: mapping to joint angles, calibration, goals and what can go wrong."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brs_hardware import config
from brs_hardware.dynamixel.control_table import RAD_PER_TICK, TICKS_PER_TURN
from brs_hardware.errors import BrsError, ConfigError, DeviceError
from brs_hardware.joylo import JoyLo, JoyLoConfig, load_leader, runtime_folder
from brs_sim.emulators.joylo import EmulatedJoyLo

angles = arrays(float, 6, elements=st.floats(-7.0, 7.0))


@pytest.fixture(scope="module")
def leader_config(tmp_path_factory: pytest.TempPathFactory) -> JoyLoConfig:
    folder = tmp_path_factory.mktemp("joylo")
    return dataclasses.replace(load_leader("joylo_emulated", folder), reply_timeout_s=0.2)


@pytest.fixture
def emulated(leader_config: JoyLoConfig) -> Iterator[EmulatedJoyLo]:
    with EmulatedJoyLo(leader_config) as running:
        yield running


@pytest.fixture
def leader(emulated: EmulatedJoyLo) -> Iterator[JoyLo]:
    arms = JoyLo(emulated.config)
    arms.connect()
    yield arms
    arms.close()


@pytest.fixture(scope="module")
def bound(leader_config: JoyLoConfig) -> Iterator[tuple[EmulatedJoyLo, JoyLo]]:
    """A calibrated leader for the many examples of a property."""
    folder = Path(leader_config.port).parent / "bound"
    with EmulatedJoyLo(load_leader("joylo_emulated", folder)) as emulated:
        arms = JoyLo(dataclasses.replace(emulated.config, reply_timeout_s=0.2))
        arms.connect()
        arms.bind_neutral()
        yield emulated, arms
        arms.close()


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds; fails after long."""
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    pytest.fail("it did not come true")


@settings(max_examples=60, deadline=None)
@given(left=angles, right=angles)
def test_angles_of_the_hand_come_back_to_half_a_tick_and_unclipped(
    bound: tuple[EmulatedJoyLo, JoyLo], left: np.ndarray, right: np.ndarray
) -> None:
    emulated, arms = bound
    emulated.move_hand(left, right)
    sample = arms.read(12.5)
    assert sample.stamp_s == 12.5
    for got, wanted in ((sample.left_arm, left), (sample.right_arm, right)):
        # Half a tick for the encoder; the neutral pose itself lies on a whole one here.
        assert np.all(np.abs(got - wanted) <= 0.5 * RAD_PER_TICK + 1e-9)


def test_ticks_become_angles_by_the_documented_formula(leader: JoyLo) -> None:
    leader.bind_neutral()
    ids = (0, 2, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15)
    signs = np.array([-1, -1, 1, 1, 1, 1, -1, -1, 1, 1, -1, 1])
    neutral = np.array([1.56, 2.94, -2.54, 0, 0, 0, -1.56, 2.94, -2.54, 0, 0, 0])
    before = np.array([leader.bus.read("present_position", motor) for motor in ids])
    # 100 ticks more on every encoder, through the register that shifts them.
    for motor in leader.config.motors:
        leader.bus.write("homing_offset", motor, 100)
    assert before.tolist() == [2048] * 12
    sample = leader.read(0.0)
    got = np.concatenate([sample.left_arm, sample.right_arm])
    assert np.allclose(got, signs * 100 * np.pi / 2048 + neutral)


def test_connecting_sets_the_motors_up(leader: JoyLo, emulated: EmulatedJoyLo) -> None:
    motors = emulated.chain.motors
    assert [m.id for m in motors if m.peek("drive_mode") & 1] == [1, 3, 9, 11]
    assert {m.peek("return_delay_time") for m in motors} == {0}
    assert {m.peek("torque_enable") for m in motors} == {0}
    assert leader.bus.fast


def test_an_uncalibrated_leader_does_not_read(leader: JoyLo) -> None:
    assert not leader.bound
    with pytest.raises(DeviceError, match="not calibrated"):
        leader.read(0.0)


def test_a_joint_beyond_its_turns_is_refused(emulated: EmulatedJoyLo) -> None:
    emulated.chain.motor(6).shaft += 11 * TICKS_PER_TURN
    with pytest.raises(DeviceError, match=r"ID 6 \(left_arm_joint5\) reads 11\.5 turns"):
        JoyLo(emulated.config).connect()


def test_a_slipped_coupling_is_told(leader: JoyLo, emulated: EmulatedJoyLo) -> None:
    leader.bind_neutral()
    emulated.slip_coupling(8, 200.0)
    with pytest.raises(DeviceError, match=r"ID 8 \(right_arm_joint1\) and ID 9 are 18 degrees"):
        leader.read(0.0)


def test_the_leader_holds_goals_and_lets_go(leader: JoyLo, emulated: EmulatedJoyLo) -> None:
    leader.bind_neutral()
    emulated.move_hand(emulated.config.left.neutral + 0.3, emulated.config.right.neutral - 5.0)
    leader.hold()
    emulated.release_hand()
    left, right = (
        np.array([1.0, 2.0, -1.5, 0.5, -0.5, 0.2]),
        np.array([-1.0, 2.5, -2.0, 0, 0, 3.0]),
    )
    leader.move_to(left, right)

    def arrived() -> bool:
        sample = leader.read(0.0)
        goals = np.concatenate([left, right])
        return np.allclose(np.concatenate([sample.left_arm, sample.right_arm]), goals, atol=2e-3)

    wait_for(arrived)
    # Master and slave read alike while they share one goal.
    positions = dict(zip(leader.config.motors, leader.bus.read_states()["position"], strict=True))
    assert [positions[m] - positions[s] for m, s in ((0, 1), (2, 3), (8, 9), (10, 11))] == [0] * 4
    leader.slacken()
    assert arrived()
    assert {motor.peek("homing_offset") for motor in emulated.chain.motors} == {0}


def test_a_hand_overcomes_what_holds(leader: JoyLo, emulated: EmulatedJoyLo) -> None:
    leader.bind_neutral()
    leader.hold()
    neutral = emulated.config.left.neutral
    emulated.move_hand(neutral + 1.0, emulated.config.right.neutral)
    # The emulated hand gives way a little to the motors' 400 mA, by 100 ticks.
    wait_for(lambda: bool(np.all(leader.read(0.0).left_arm - neutral > 0.8)))
    assert np.all(leader.read(0.0).left_arm - neutral < 0.9)


def test_closing_leaves_the_motors_slack(leader: JoyLo, emulated: EmulatedJoyLo) -> None:
    leader.bind_neutral()
    leader.hold()
    assert all(motor.peek("torque_enable") for motor in emulated.chain.motors)
    leader.close()
    leader.close()
    assert not any(motor.peek("torque_enable") for motor in emulated.chain.motors)


def test_an_unplugged_leader_is_told_and_closes(leader: JoyLo, emulated: EmulatedJoyLo) -> None:
    leader.bind_neutral()
    leader.hold()
    emulated.unplug_bus()
    with pytest.raises(DeviceError, match="unplugged"):
        leader.read(0.0)
    leader.close()


def test_a_calibration_can_be_kept(leader: JoyLo, emulated: EmulatedJoyLo) -> None:
    leader.bind_neutral()
    kept = leader.neutral_ticks
    emulated.move_hand(emulated.config.left.neutral + 0.5, emulated.config.right.neutral)
    before = leader.read(0.0)
    leader.close()
    leader.connect()
    assert not leader.bound
    leader.restore_neutral(kept)
    assert np.array_equal(leader.read(0.0).left_arm, before.left_arm)


def test_the_real_and_the_emulated_leader_differ_only_in_where_they_are() -> None:
    real, emulated = load_leader("joylo"), load_leader("joylo_emulated")
    for arm in ("left", "right"):
        one, other = getattr(real, arm), getattr(emulated, arm)
        assert (one.joints, one.masters, one.slaves) == (other.joints, other.masters, other.slaves)
        assert np.array_equal(one.signs, other.signs)
        assert np.array_equal(one.neutral, other.neutral)
    assert real.motors == tuple(range(16))
    assert not real.emulated
    assert emulated.emulated


def test_runtime_files_lie_apart_for_each_domain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("BRS_RUNTIME_DIR", raising=False)
    monkeypatch.setenv("ROS_DOMAIN_ID", "7")
    seven = load_leader("joylo_emulated").port
    monkeypatch.setenv("ROS_DOMAIN_ID", "8")
    assert load_leader("joylo_emulated").port != seven
    monkeypatch.setenv("BRS_RUNTIME_DIR", "/tmp/elsewhere")
    assert runtime_folder() == Path("/tmp/elsewhere")
    leader = load_leader("joylo_emulated")
    assert leader.port == "/tmp/elsewhere/tty_joylo"
    assert leader.left_joycon.socket == "/tmp/elsewhere/joycon_left"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bauds": 1}, "unknown key 'bauds'"),
        ({"left": {"signs": [1, 1]}}, "'signs' needs 6 numbers"),
        ({"left": {"signs": [1, 1, 1, 1, 1, 2]}}, "'signs' must be 1 or -1"),
        ({"left": {"masters": [0, 2, 4, 5, 6, 8]}}, r"motor ids \[8\] are named twice"),
        ({"left": {"slaves": {4: 1, 3: 9}}}, "'slaves' names master 3"),
        ({"left_joycon": {"dead_zone": 1.0}}, "'dead_zone' must be"),
        (
            {"left_joycon": {"stick": {"centre": [9, 2], "lower": [9, 1], "upper": [10, 9]}}},
            "lower < centre < upper",
        ),
    ],
)
def test_mistakes_in_the_leaders_file_are_named(change: dict, message: str) -> None:
    folder = config.load_yaml(Path(config.__file__).parents[2] / "config/leaders/joylo.yaml")
    for key, value in change.items():
        folder[key] = folder.get(key, {}) | value if isinstance(value, dict) else value
    with pytest.raises(ConfigError, match=message):
        config.build(JoyLoConfig, folder, "joylo.yaml")


def test_a_leader_like_another_gives_only_what_differs(tmp_path: Path) -> None:
    own = tmp_path / "own.yaml"
    own.write_text("like: joylo_emulated\nname: own\nleft_joycon: {dead_zone: 0.1}\n")
    leader, other = load_leader(str(own), tmp_path), load_leader("joylo_emulated", tmp_path)
    assert (leader.name, leader.left_joycon.dead_zone) == ("own", 0.1)
    assert leader.left_joycon.socket is None  # a key stands for all that is under it
    assert (leader.port, leader.right_joycon.socket) == (other.port, other.right_joycon.socket)
    assert leader.motors == tuple(range(16))
    own.write_text("like: joylow\n")
    with pytest.raises(ConfigError, match=r"unknown leader 'joylow'.*did you mean joylo"):
        load_leader(str(own))
    own.write_text(f"like: {own}\n")
    with pytest.raises(ConfigError, match="is like itself"):
        load_leader(str(own))


def test_an_unknown_leader_lists_the_nearest() -> None:
    with pytest.raises(BrsError, match=r"unknown leader 'joylow'.*did you mean joylo"):
        load_leader("joylow")
