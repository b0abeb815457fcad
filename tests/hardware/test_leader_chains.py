"""Arms of other motors than JoyLo's, on emulated buses, through to the samples for teleop."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from robot_samples import state_at

from brs_hardware.dynamixel.control_table import RAD_PER_TICK
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError, DeviceError
from brs_hardware.leader_config import ArmConfig
from brs_hardware.leaders import ChainLeader
from brs_hardware.leaders.chains import (
    ArmChains,
    ChainConfig,
    ChainReading,
    ChainSettings,
    TriggerConfig,
)
from brs_sim.emulators.chain import MotorChain
from brs_sim.emulators.dynamixel_bus import EmulatedBus, joylo_motors

SHAFT = 2048.0  # ticks that every motor shows in the neutral pose
BAUD = 1_000_000


def chain(port: Path, side: str, masters: tuple[int, ...], trigger: int | None) -> ChainConfig:
    count = len(masters)
    names = tuple(f"{side}_arm_joint{number}" for number in range(1, count + 1))
    arm = ArmConfig(names, masters, {}, np.resize([1.0, -1.0], count), np.arange(count) * 0.1)
    pull = None if trigger is None else TriggerConfig(trigger, -0.7)
    return ChainConfig(str(port), BAUD, arm, pull)


@pytest.fixture
def two_buses(tmp_path: Path) -> Iterator[tuple[ChainSettings, dict[str, EmulatedBus]]]:
    """GELLO's arrangement: an adapter an arm, the same ids on both, a trigger each."""
    ids = (1, 2, 3, 4, 5, 6)
    buses = {
        side: EmulatedBus(MotorChain(joylo_motors((*ids, 7), BAUD, shaft=SHAFT)), tmp_path / side)
        for side in ("left", "right")
    }
    settings = ChainSettings(
        **{side: chain(tmp_path / side, side, ids, 7) for side in buses}, reply_timeout_s=0.2
    )
    yield settings, buses
    for bus in buses.values():
        bus.close()


def turn(bus: EmulatedBus, motor: int, angle_rad: float) -> None:
    """A hand turns one motor from its neutral place."""
    with bus.changing() as motors:
        motors.motor(motor).grasp(SHAFT + angle_rad / RAD_PER_TICK)
        motors.step(time.monotonic())


def test_two_buses_with_the_same_ids(
    two_buses: tuple[ChainSettings, dict[str, EmulatedBus]],
) -> None:
    settings, buses = two_buses
    arms = ArmChains(settings)
    arms.connect()
    with pytest.raises(DeviceError, match="not calibrated"):
        arms.read()
    arms.bind_neutral()
    turn(buses["left"], 2, 0.3)
    turn(buses["right"], 3, -0.2)
    turn(buses["right"], 7, -0.42)
    reading = arms.read()
    arms.close()
    expected = {side: np.arange(6) * 0.1 for side in buses}
    expected["left"][1] -= 0.3
    expected["right"][2] -= 0.2
    for side, angles in expected.items():
        np.testing.assert_allclose(reading.arms[side], angles, atol=RAD_PER_TICK)
    assert reading.pulls["left"] == 0.0
    assert reading.pulls["right"] == pytest.approx(0.6, abs=0.01)


@pytest.mark.parametrize("count", [6, 7])
def test_one_bus_for_both_arms_of_any_number_of_joints(tmp_path: Path, count: int) -> None:
    ids = tuple(range(10, 10 + 2 * count))
    bus = EmulatedBus(MotorChain(joylo_motors(ids, BAUD, shaft=SHAFT)), tmp_path / "tty")
    port = tmp_path / "tty"
    settings = ChainSettings(
        left=chain(port, "left", ids[:count], None),
        right=chain(port, "right", ids[count:], None),
        reply_timeout_s=0.2,
    )
    arms = ArmChains(settings)
    arms.connect()
    arms.bind_neutral()
    turn(bus, ids[-1], 0.25)
    reading = arms.read()
    arms.close()
    bus.close()
    assert reading.arms["left"] == pytest.approx(np.arange(count) * 0.1, abs=RAD_PER_TICK)
    sign = 1.0 if count % 2 else -1.0
    last = 0.1 * (count - 1) + sign * 0.25
    assert reading.arms["right"][-1] == pytest.approx(last, abs=RAD_PER_TICK)


def test_an_unplugged_bus_is_told(
    two_buses: tuple[ChainSettings, dict[str, EmulatedBus]],
) -> None:
    settings, buses = two_buses
    arms = ArmChains(settings)
    arms.connect()
    arms.bind_neutral()
    buses["right"].unplug()
    with pytest.raises(DeviceError, match="right"):
        for _ in range(10):
            arms.read()
    arms.close()


def test_a_missing_bus_leaves_none_open(
    two_buses: tuple[ChainSettings, dict[str, EmulatedBus]], tmp_path: Path
) -> None:
    settings, _ = two_buses
    gone = dataclasses.replace(settings.right, port=str(tmp_path / "gone"))
    arms = ArmChains(dataclasses.replace(settings, right=gone))
    with pytest.raises(DeviceError, match="gone"):
        arms.connect()
    again = ArmChains(settings)
    again.connect()  # the left port is free
    again.close()


def test_a_pulled_trigger_is_that_grippers_button(robot: Embodiment, tmp_path: Path) -> None:
    ids = (1, 2, 3, 4, 5, 6)
    both = {side: chain(tmp_path / side, side, ids, 7) for side in ("left", "right")}
    leader = ChainLeader(robot, ChainSettings(**both))
    state = state_at(robot, 1.0)
    arms = {"left": state.left_arm.position + 0.1, "right": state.right_arm.position}
    leader.gamepad.hear(1.0, np.array([0.0, 0, 1, 0, 0, 1]), np.zeros(11))
    leader.hear(1.0, ChainReading(arms, {"left": 0.4, "right": 0.6}))
    samples = leader.update(1.0, state)
    assert samples is not None
    assert (samples.left.buttons, samples.right.buttons) == (frozenset(), {"zr"})
    np.testing.assert_array_equal(samples.arms.left_arm, arms["left"])  # told as they are


def test_arms_that_do_not_fit_are_refused(robot: Embodiment, tmp_path: Path) -> None:
    five = {s: chain(tmp_path / s, s, (1, 2, 3, 4, 5), None) for s in ("left", "right")}
    with pytest.raises(ConfigError, match="5 joints, the robot's has 6"):
        ChainLeader(robot, ChainSettings(**five))
    seven = chain(tmp_path / "tty", "left", (1, 2, 3, 4, 5, 6, 7), None)
    with pytest.raises(ValueError, match="different baud"):
        ChainSettings(left=seven, right=dataclasses.replace(seven, baud=57600))
    with pytest.raises(ValueError, match="pulled_rad"):
        TriggerConfig(7, 0.0)
