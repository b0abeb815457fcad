"""Two poses give signs and zeros that hold after a power cycle; mistakes are named."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from brs_hardware import calibration_store as store
from brs_hardware.dynamixel.control_table import RAD_PER_TICK
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError, ConfigError, DeviceError
from brs_hardware.hands_free_calibration import HandsFreeCalibration
from brs_hardware.joylo import JoyLo, JoyLoConfig, load_leader
from brs_hardware.leader_calibration import (
    LeaderZeros,
    PoseReading,
    check_pose,
    joint_ranges,
    mounting_deviation_rad,
    read_pose,
    solve,
    turned_round,
    zeros_of_this_turn,
)
from brs_hardware.leader_config import CalibrationConfig, CalibrationPose
from brs_sim.emulators.joylo import EmulatedJoyLo

CONFIG = load_leader("joylo")
assert CONFIG.calibration is not None
SETTINGS: CalibrationConfig = CONFIG.calibration
HANGING, SQUARE = SETTINGS.poses
RANGES = joint_ranges(load_embodiment("r1"))
MASTERS = (0, 2, 4, 5, 6, 7, 8, 10, 12, 13, 14, 15)
SIGNS = np.concatenate([CONFIG.left.signs, CONFIG.right.signs])

signs = arrays(float, 12, elements=st.sampled_from([-1.0, 1.0]))
zeros = arrays(float, 12, elements=st.integers(0, 4095))
turns = arrays(int, 12, elements=st.integers(-9, 9))
errors = arrays(float, 12, elements=st.floats(-0.09, 0.09))
places = arrays(float, 12, elements=st.floats(0.0, 1.0))


def pose_angles(pose: CalibrationPose) -> np.ndarray:
    return np.concatenate([pose.left, pose.right])


def encoders(angles: np.ndarray, sign: np.ndarray, zero: np.ndarray) -> np.ndarray:
    """What 16 motors read, joint by joint with plain arithmetic; slaves are 37 ticks ahead."""
    ticks = [0.0] * 16
    for joint, master in enumerate(MASTERS):
        ticks[master] = round(zero[joint] + sign[joint] * angles[joint] / (2 * math.pi) * 4096)
        if master in (0, 2, 8, 10):
            ticks[master + 1] = ticks[master] + 37
    return np.array(ticks)


def reading(ticks: np.ndarray) -> PoseReading:
    return PoseReading(ticks, np.zeros(16))


def solved(first: np.ndarray, second: np.ndarray) -> LeaderZeros:
    return solve(
        CONFIG, SETTINGS.poses, (reading(first), reading(second)), SETTINGS.pose_tolerance_rad
    )


def either_order(sign: np.ndarray) -> bool:
    """Signs that cannot be told from poses held in the wrong order."""
    return bool(np.all(sign[:6] == -SIGNS[:6]) or np.all(sign[6:] == -SIGNS[6:]))


@settings(max_examples=200, deadline=None)
@given(signs, zeros, turns, errors, errors)
def test_signs_are_exact_and_zeros_right_to_the_hand_for_any_assembly(
    sign: np.ndarray, zero: np.ndarray, turn: np.ndarray, one: np.ndarray, other: np.ndarray
) -> None:
    assume(not either_order(sign))
    lifted = zero + 4096 * turn
    found = solved(
        encoders(pose_angles(HANGING) + one, sign, lifted),
        encoders(pose_angles(SQUARE) + other, sign, lifted),
    )
    assert np.array_equal(found.signs, sign)
    # A hand's error in one pose counts half; what is left is the encoder's rounding.
    expected = zero + sign * 0.5 * (one + other) / RAD_PER_TICK
    apart = (found.zero_ticks - expected + 2048) % 4096 - 2048
    assert np.all(np.abs(apart) <= 0.5 + 1e-6)
    assert np.all(np.abs(found.pose_error_rad - (other - one)) <= 1.01 * RAD_PER_TICK)
    assert np.all((found.zero_ticks >= 0) & (found.zero_ticks < 4096))
    assert found.pair_ticks.tolist() == [37] * 4


@settings(max_examples=200, deadline=None)
@given(signs, zeros, turns, places)
def test_any_angle_in_range_is_found_again_when_turn_counts_are_lost(
    sign: np.ndarray, zero: np.ndarray, turn: np.ndarray, place: np.ndarray
) -> None:
    assume(not either_order(sign))
    lifted = zero + 4096 * turn
    found = solved(
        encoders(pose_angles(HANGING), sign, lifted), encoders(pose_angles(SQUARE), sign, lifted)
    )
    angles = RANGES[0] + place * (RANGES[1] - RANGES[0])
    after = encoders(angles, sign, lifted) % 4096
    shifted = zeros_of_this_turn(CONFIG, found, after, RANGES, 0.1)
    seen = sign * (after[list(MASTERS)] - shifted) * RAD_PER_TICK
    assert np.all(np.abs(seen - angles) < RAD_PER_TICK)


@settings(max_examples=100, deadline=None)
@given(signs, zeros, st.integers(0, 11), st.floats(-3.0, 3.0))
def test_a_joint_that_moved_wrongly_is_named(
    sign: np.ndarray, zero: np.ndarray, joint: int, wrong: float
) -> None:
    expected = pose_angles(SQUARE) - pose_angles(HANGING)
    assume(abs(abs(wrong) - abs(expected[joint])) > SETTINGS.pose_tolerance_rad + 0.01)
    second = pose_angles(SQUARE)
    second[joint] = pose_angles(HANGING)[joint] + wrong
    with pytest.raises(DeviceError) as raised:
        solved(encoders(pose_angles(HANGING), sign, zero), encoders(second, sign, zero))
    assert CONFIG.joints[joint] in str(raised.value)
    assert sum(name in str(raised.value) for name in CONFIG.joints) == 1


def test_the_message_tells_expected_and_seen_degrees() -> None:
    second = pose_angles(SQUARE)
    second[2] += math.radians(-49)
    second[9] = 0.0
    with pytest.raises(
        DeviceError,
        match=r"left_arm_joint3 moved by 41 degrees, not 90; right_arm_joint4 did not move\. Try",
    ):
        solved(
            encoders(pose_angles(HANGING), SIGNS, np.zeros(12)),
            encoders(second, SIGNS, np.zeros(12)),
        )


def test_one_pose_held_twice_is_told_in_one_short_line() -> None:
    still = encoders(pose_angles(HANGING), SIGNS, np.zeros(12))
    with pytest.raises(DeviceError, match=r"joint3 did not move; and 9 more"):
        solved(still, still)


@pytest.mark.parametrize("side", ["left", "right"])
def test_poses_in_the_wrong_order_are_noticed(side: str) -> None:
    first, second = pose_angles(HANGING), pose_angles(SQUARE)
    swapped = slice(0, 6) if side == "left" else slice(6, 12)
    first[swapped], second[swapped] = second[swapped].copy(), first[swapped].copy()
    with pytest.raises(DeviceError, match=f"the {side} arm was held in 'square' first"):
        solved(encoders(first, SIGNS, np.zeros(12)), encoders(second, SIGNS, np.zeros(12)))


def test_a_slave_that_slips_between_the_poses_is_noticed() -> None:
    second = encoders(pose_angles(SQUARE), SIGNS, np.zeros(12))
    second[11] += 200
    with pytest.raises(DeviceError, match=r"ID 10 \(right_arm_joint2\) and ID 11 are 18 degrees"):
        solved(encoders(pose_angles(HANGING), SIGNS, np.zeros(12)), second)


def test_single_joints_turned_round_are_reported_not_refused() -> None:
    sign = SIGNS.copy()
    sign[[1, 9]] *= -1
    found = solved(
        encoders(pose_angles(HANGING), sign, np.zeros(12)),
        encoders(pose_angles(SQUARE), sign, np.zeros(12)),
    )
    assert turned_round(CONFIG, found) == ["left_arm_joint2", "right_arm_joint4"]


def test_a_mean_is_taken_and_a_moving_arm_refused() -> None:
    samples = np.tile(np.arange(16.0), (20, 1))
    samples[::2, 3] += 1.0
    calm = read_pose(CONFIG, samples, 0.02)
    assert calm.ticks[3] == 3.5
    assert calm.spread_rad[3] == pytest.approx(2 * math.pi / 4096)
    samples[:, 8] = np.where(samples[:, 3] > 3.0, 4095.0, 0.0)  # a boundary is no movement
    assert read_pose(CONFIG, samples, 0.02).ticks[8] % 4096 == 4095.5
    samples[7, 6] += 30.0
    with pytest.raises(DeviceError, match=r"left_arm_joint5 moved by 2\.6 degrees while the pose"):
        read_pose(CONFIG, samples, 0.02)


def with_zeros(zero: np.ndarray) -> LeaderZeros:
    return LeaderZeros(SIGNS, zero, np.full(4, 37.0), np.zeros(12), np.zeros(12))


def test_a_joint_beyond_its_range_in_every_turn_is_named() -> None:
    angles = pose_angles(HANGING)
    angles[1] = math.radians(-90)  # its range is 0 to 185 degrees
    with pytest.raises(
        DeviceError, match=r"left_arm_joint2 \(range 0 to 185 degrees\) stands at -90 or 270"
    ):
        zeros_of_this_turn(
            CONFIG, with_zeros(np.zeros(12)), encoders(angles, SIGNS, np.zeros(12)), RANGES, 0.2
        )


def test_a_joint_with_two_turns_in_its_range_is_named() -> None:
    ranges = RANGES.copy()
    ranges[:, 6] = -4.0, 4.0
    angles = pose_angles(HANGING)
    angles[6] = 3.0
    ticks = encoders(angles, SIGNS, np.zeros(12))
    with pytest.raises(DeviceError, match=r"right_arm_joint1 .* -188 or 172 degrees, and both"):
        zeros_of_this_turn(CONFIG, with_zeros(np.zeros(12)), ticks, ranges, 0.0)


def test_a_held_pose_off_by_more_than_the_tolerance_is_named() -> None:
    angles = pose_angles(HANGING)
    angles[4] += 0.1
    assert check_pose(CONFIG, HANGING, angles, 0.15)[4] == pytest.approx(0.1)
    angles[8] -= 0.3
    with pytest.raises(
        DeviceError, match=r"off from pose 'hanging': right_arm_joint3 by -17\.2 degrees"
    ):
        check_pose(CONFIG, HANGING, angles, 0.15)


def test_mounting_is_measured_from_the_nearest_quarter_turn() -> None:
    zero = np.array([0.0, 1024, 2048, 3072, 1034, 1014, 4090, 511, 513, 6, 3073, 2000])
    ticks = mounting_deviation_rad(with_zeros(zero)) / RAD_PER_TICK
    assert ticks == pytest.approx([0, 0, 0, 0, 10, -10, -6, 511, -511, 6, 1, -48])


@pytest.mark.parametrize(
    "second", [HANGING, dataclasses.replace(SQUARE, left=HANGING.left + math.pi)]
)
def test_poses_that_leave_a_sign_uncertain_are_refused(second: CalibrationPose) -> None:
    with pytest.raises(ValueError, match="its sign is not certain"):
        CalibrationConfig((HANGING, second))


# -- without a keyboard ------------------------------------------------------------------------


class Guided:
    """A person who holds poses, in steps of 0.1 s."""

    def __init__(self) -> None:
        self.guide = HandsFreeCalibration(CONFIG, SETTINGS, hold_s=2.0)
        self.now_s = 100.0

    def hold(
        self, angles: np.ndarray, duration_s: float, shake_rad: float = 0.0
    ) -> LeaderZeros | None:
        for step in range(round(duration_s * 10)):
            self.now_s += 0.1
            ticks = encoders(angles + shake_rad * (step % 2), SIGNS, np.full(12, 2048.0))
            found = self.guide.update(ticks, self.now_s)
            if found is not None:
                return found
        return None


def test_poses_are_read_when_held_still_and_only_then() -> None:
    person = Guided()
    assert person.hold(pose_angles(HANGING), 9.0) is None
    assert person.guide.progress == 0.0  # nobody has taken the arms yet
    person.hold(pose_angles(HANGING) + 0.3, 0.1)
    person.hold(pose_angles(HANGING), 5.0, shake_rad=0.1)
    assert person.guide.progress < 0.1  # not still
    person.hold(pose_angles(HANGING), 1.5)
    assert 0.3 < person.guide.progress < 0.5
    assert "hold 'hanging'" in person.guide.instruction
    person.hold(pose_angles(HANGING), 1.0)
    assert "hold 'square'" in person.guide.instruction
    near = pose_angles(SQUARE)
    near[3] -= 0.4
    assert person.hold(near, 5.0) is None
    assert person.guide.instruction.endswith("Not there yet: left_arm_joint4.")
    found = person.hold(pose_angles(SQUARE), 3.0)
    assert found is not None
    assert np.array_equal(found.signs, SIGNS)
    assert found.zero_ticks == pytest.approx(np.full(12, 2048.0), abs=0.5)


def test_a_wrong_first_pose_never_becomes_a_calibration() -> None:
    person = Guided()
    person.hold(pose_angles(HANGING) + 1.0, 0.1)
    person.hold(pose_angles(HANGING) + 0.4, 3.0)
    assert "hold 'square'" in person.guide.instruction
    assert person.hold(pose_angles(SQUARE), 9.0) is None


# -- with emulated motors ----------------------------------------------------------------------


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> JoyLoConfig:
    monkeypatch.setenv("BRS_DATA", str(tmp_path / "data"))
    return dataclasses.replace(
        load_leader("joylo_emulated", runtime=tmp_path), reply_timeout_s=0.2
    )


@pytest.fixture
def hand(config: JoyLoConfig) -> Iterator[EmulatedJoyLo]:
    """A leader whose left wrist roll was built in the other way round."""
    left = dataclasses.replace(config.left, signs=np.array([-1.0, -1, 1, 1, 1, -1]))
    with EmulatedJoyLo(dataclasses.replace(config, left=left)) as emulated:
        yield emulated


@pytest.fixture
def leader(config: JoyLoConfig, hand: EmulatedJoyLo) -> Iterator[JoyLo]:
    arms = JoyLo(config)
    arms.connect()
    yield arms
    arms.close()


def calibrate(leader: JoyLo, hand: EmulatedJoyLo) -> store.LeaderCalibration:
    """As the wizard does it, and stored."""
    readings = []
    for pose in SETTINGS.poses:
        hand.move_hand(pose.left, pose.right)
        samples = np.array([leader.read_ticks() for _ in range(5)])
        readings.append(read_pose(leader.config, samples, SETTINGS.still_rad))
    found = solve(
        leader.config, SETTINGS.poses, (readings[0], readings[1]), SETTINGS.pose_tolerance_rad
    )
    store.save_leader_calibration(leader.config, leader.bus, found, "2026-01-02T03:04:05")
    stored = store.load_leader_calibration(leader.config, leader.bus)
    assert stored is not None
    return stored


def test_angles_are_the_same_after_a_power_cycle_wherever_the_arms_are(
    leader: JoyLo, hand: EmulatedJoyLo
) -> None:
    made = calibrate(leader, hand)
    assert turned_round(leader.config, made.zeros) == ["left_arm_joint6"]
    left = np.array([-2.5, 0.4, -3.2, 2.8, -1.6, -2.7])
    right = np.array([2.8, 3.2, -0.1, -2.8, 1.6, 2.8])
    hand.move_hand(left, right)
    leader.bind_zeros(made.zeros, RANGES)
    before = leader.read(0.0)
    leader.close()
    hand.power_cycle()
    leader.connect()
    assert np.all(leader.read_ticks() >= 0)  # within one turn: the count is lost
    assert np.all(leader.read_ticks() < 4096)
    stored = store.load_leader_calibration(leader.config, leader.bus)
    assert stored is not None
    leader.bind_zeros(stored.zeros, RANGES)
    after = leader.read(0.0)
    for now, then, true in (
        (after.left_arm, before.left_arm, left),
        (after.right_arm, before.right_arm, right),
    ):
        assert np.all(np.abs(now - then) < RAD_PER_TICK)
        assert np.all(np.abs(now - true) < RAD_PER_TICK)


def test_a_coupling_that_slipped_while_the_power_was_off_is_noticed(
    leader: JoyLo, hand: EmulatedJoyLo
) -> None:
    made = calibrate(leader, hand)
    leader.close()
    hand.slip_coupling(2, -150.0)
    hand.power_cycle()
    leader.connect()  # which cannot know
    with pytest.raises(DeviceError, match=r"ID 2 \(left_arm_joint2\) and ID 3 are 13 degrees"):
        leader.bind_zeros(made.zeros, RANGES)


def test_another_motor_of_the_same_id_is_noticed(leader: JoyLo, hand: EmulatedJoyLo) -> None:
    calibrate(leader, hand)
    hand.chain.motor(13).poke(store.MARK_REGISTER, 10)  # as from the shop
    with pytest.raises(
        ConfigError, match=r"ID 13 \(right_arm_joint4\) is not the motor .*\(mark 10, not \d+\)"
    ):
        store.load_leader_calibration(leader.config, leader.bus)


def test_two_motors_swapped_with_each_other_are_noticed(
    leader: JoyLo, hand: EmulatedJoyLo
) -> None:
    calibrate(leader, hand)
    one, other = hand.chain.motor(5), hand.chain.motor(6)
    marks = one.peek(store.MARK_REGISTER), other.peek(store.MARK_REGISTER)
    one.poke(store.MARK_REGISTER, marks[1])
    other.poke(store.MARK_REGISTER, marks[0])
    with pytest.raises(ConfigError, match=r"ID 5 \(left_arm_joint4\) is not the motor"):
        store.load_leader_calibration(leader.config, leader.bus)


def test_marks_are_distinct_and_stay(leader: JoyLo, hand: EmulatedJoyLo) -> None:
    first = [motor.mark for motor in store.mark(leader.bus, leader.config.motors)]
    assert len(set(first)) == 16
    assert set(first) <= set(store.MARKS)
    hand.power_cycle()
    hand.chain.motor(4).poke(store.MARK_REGISTER, first[9])  # a spare from another leader
    second = [motor.mark for motor in store.mark(leader.bus, leader.config.motors)]
    assert len(set(second)) == 16
    assert sum(a != b for a, b in zip(first, second, strict=True)) in (1, 2)


# -- files -------------------------------------------------------------------------------------


def some_calibration() -> store.LeaderCalibration:
    return store.LeaderCalibration(
        leader="joylo",
        adapter="FT1",
        made="2026-01-02T03:04:05",
        joints=CONFIG.joints,
        motors=tuple(store.MotorIdentity(i, 1200, 46, 300 + i) for i in range(16)),
        poses={pose.name: pose_angles(pose) for pose in SETTINGS.poses},
        zeros=with_zeros(np.linspace(0.0, 4095.7, 12)),
    )


def test_a_file_gives_back_what_was_saved(tmp_path: Path) -> None:
    path, made = tmp_path / "a" / "b.json", some_calibration()
    store.save(path, made)
    back = store.load(store.LeaderCalibration, path, "")
    assert back is not None
    for field in dataclasses.fields(made):
        if field.name not in ("zeros", "poses"):
            assert getattr(back, field.name) == getattr(made, field.name)
    for field in dataclasses.fields(made.zeros):
        assert np.array_equal(getattr(back.zeros, field.name), getattr(made.zeros, field.name))
    assert np.array_equal(back.poses["square"], made.poses["square"])
    assert [file.name for file in path.parent.iterdir()] == ["b.json"]


def test_a_full_disk_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "c.json"
    store.save(path, some_calibration())
    before = path.read_text()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(store.os, "fsync", full)
    with pytest.raises(ConfigError, match="cannot be written: No space left on device"):
        store.save(path, dataclasses.replace(some_calibration(), adapter="FT2"))
    assert path.read_text() == before


def test_where_nothing_is_stored_there_is_nothing(tmp_path: Path) -> None:
    assert store.load(store.LeaderCalibration, tmp_path / "none.json", "") is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "torn calibration file"),
        (lambda text: "", "torn calibration file"),
        (lambda text: "[1, 2]", "version None, not 1"),
        (lambda text: text.replace('"schema": 1', '"schema": 7'), "version 7, not 1"),
        (lambda text: text.replace('"adapter"', '"adaptor"'), "unknown key 'adaptor'"),
        (lambda text: text.replace("4095.7", "NaN"), "'zero_ticks' needs a number"),
        (lambda text: text.replace("4095.7", '"x"'), "expected numbers"),
        (lambda text: text.replace('"left_arm_joint1",', ""), "as many joints"),
    ],
)
def test_bad_files_give_one_line_with_file_and_remedy(
    tmp_path: Path, change, message: str
) -> None:
    path = tmp_path / "c.json"
    store.save(path, some_calibration())
    path.write_text(change(path.read_text()))
    with pytest.raises(BrsError, match=message) as raised:
        store.load(store.LeaderCalibration, path, "run it again")
    text = str(raised.value)
    assert str(path) in text
    assert text.endswith("Try: run it again")
    assert "\n" not in text


def test_the_file_of_another_leader_is_not_used(leader: JoyLo, hand: EmulatedJoyLo) -> None:
    calibrate(leader, hand)
    path = store.calibration_path(leader.config.name, "tty_joylo")
    values = json.loads(path.read_text()) | {"leader": "gello"}
    path.write_text(json.dumps(values))
    with pytest.raises(ConfigError, match="it is of another leader"):
        store.load_leader_calibration(leader.config, leader.bus)


def test_data_lie_where_the_user_says(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("BRS_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    wanted = tmp_path / "brs" / "calibration" / "joylo" / "FT-2-.json"
    assert store.calibration_path("joylo", "FT/2 ") == wanted
    monkeypatch.setenv("BRS_DATA", str(tmp_path / "mine"))
    assert store.data_folder() == tmp_path / "mine"


def test_the_adapter_is_known_by_its_serial_number(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Port:
        device, serial_number = str(tmp_path / "ttyUSB0"), "FT7W91LM"

    monkeypatch.setattr(store.list_ports, "comports", lambda: [Port])
    (tmp_path / "ttyUSB0").touch()
    (tmp_path / "tty_joylo").symlink_to("ttyUSB0")
    assert store.adapter_serial(str(tmp_path / "tty_joylo")) == "FT7W91LM"
    assert store.adapter_serial(str(tmp_path / "tty_other")) == "tty_other"
