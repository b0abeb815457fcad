"""What is stored of a calibration fits its own leader only, and survives what happens to disks."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from calibration_samples import CONFIG, RANGES, SETTINGS, pose_angles, with_zeros

from brs_hardware import calibration_store as store
from brs_hardware.dynamixel.control_table import RAD_PER_TICK
from brs_hardware.errors import BrsError, ConfigError, DeviceError
from brs_hardware.joylo import JoyLo, JoyLoConfig, load_leader
from brs_hardware.leader_calibration import read_pose, solve, turned_round
from brs_hardware.user_data import data_folder
from brs_sim.emulators.joylo import EmulatedJoyLo


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

    monkeypatch.setattr(os, "fsync", full)
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
        (lambda text: text.replace("4095.7", "NaN"), "zero_ticks: expected finite numbers"),
        (lambda text: text.replace("4095.7", '"x"'), "expected finite numbers"),
        (lambda text: text.replace('"left_arm_joint1",', ""), "as many joints"),
        (lambda text: text.replace("4095.7", "1e300"), "'zero_ticks' must lie within one turn"),
        (lambda text: text.replace("4095.7", "-1.0"), "'zero_ticks' must lie within one turn"),
        (lambda text: text.replace("4095.7", "1" * 400), "expected finite numbers"),
        (lambda text: text.replace("37.0", "1e9", 1), "'pair_ticks' needs numbers within half a"),
        (lambda text: text.replace('"schema": 1', '"schema": true'), "version True, not 1"),
        (
            lambda text: text.replace('"schema": 1', '"schema": ' + "1" * 400),
            r"version 1+\.\.\.1+,",
        ),
        (lambda text: "[" * 100_000, "torn calibration file"),
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
    assert "\n" not in text and len(text) < 300


def test_a_file_that_cannot_be_read_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"cannot be read: Is a directory\. Try: run it again"):
        store.load(store.LeaderCalibration, tmp_path, "run it again")


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
    assert data_folder() == tmp_path / "mine"


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
