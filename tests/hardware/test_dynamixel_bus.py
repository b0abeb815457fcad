"""The bus driver through the real SDK against emulated motors on a pseudo terminal."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from brs_hardware.dynamixel import DynamixelBus, OperatingMode, check
from brs_hardware.dynamixel.control_table import ITEMS, HardwareError, hardware_error_lines
from brs_hardware.dynamixel.fast_sdk import FastPort
from brs_hardware.errors import DeviceError
from brs_sim.emulators.chain import MotorChain
from brs_sim.emulators.dynamixel_bus import EmulatedBus, joylo_motors
from brs_sim.emulators.motor import EmulatedMotor

IDS = range(16)
BAUD = 3_000_000
NAMES = {motor: f"joint {motor}" for motor in IDS}


@pytest.fixture
def emulated() -> Iterator[EmulatedBus]:
    motors = joylo_motors(IDS, BAUD)
    for motor in motors:
        motor.shaft = 1000.0 + 321.0 * motor.id
        motor.clear_turns()
    served = EmulatedBus(MotorChain(motors))
    yield served
    served.close()


@pytest.fixture
def bus(emulated: EmulatedBus) -> Iterator[DynamixelBus]:
    with open_bus(emulated) as opened:
        yield opened


def open_bus(
    emulated: EmulatedBus, baud: int = BAUD, reply_timeout_s: float = 0.2
) -> DynamixelBus:
    return DynamixelBus(emulated.port, baud, names=NAMES, reply_timeout_s=reply_timeout_s)


def positions(emulated: EmulatedBus) -> list[int]:
    return [motor.position for motor in emulated.chain.motors]


def test_registers_lie_where_the_manual_says() -> None:
    addresses = {
        "id": 7,
        "baud_rate": 8,
        "drive_mode": 10,
        "operating_mode": 11,
        "homing_offset": 20,
        "torque_enable": 64,
        "hardware_error_status": 70,
        "goal_current": 102,
        "goal_position": 116,
        "present_current": 126,
        "present_velocity": 128,
        "present_position": 132,
        "present_temperature": 146,
    }
    assert {name: ITEMS[name].address for name in addresses} == addresses


@pytest.mark.parametrize("fast", [True, False])
def test_one_transaction_reads_current_velocity_and_position(
    bus: DynamixelBus, emulated: EmulatedBus, fast: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(EmulatedMotor, "step", lambda motor, elapsed_s: None)
    emulated.chain.fast_sync_read = fast
    motor = emulated.chain.motor(3)
    motor.poke("present_current", -123)
    motor.poke("present_velocity", -45)
    bus.watch(IDS)
    assert bus.fast is fast
    states = bus.read_states()
    assert states["position"].tolist() == positions(emulated)
    assert (states[3]["current"], states[3]["velocity"]) == (-123, -45)
    assert (bus.statistics.reads, bus.statistics.errors) == (1, 0)


def test_registers_are_written_and_read_back(bus: DynamixelBus) -> None:
    bus.write("homing_offset", 2, -1000)
    bus.write("operating_mode", 2, OperatingMode.EXTENDED_POSITION)
    assert bus.read("homing_offset", 2) == -1000
    bus.sync_write("goal_current", {1: -200, 2: 200})
    assert bus.sync_read("goal_current", [1, 2, 3]) == [-200, 200, 1750]
    assert bus.configure("homing_offset", {1: 0, 2: 7}) == [2]


@pytest.mark.parametrize(
    ("item", "value", "error"),
    [
        ("homing_offset", 5, "access error"),  # EEPROM, torque is on
        ("present_position", 5, "access error"),
        ("position_p_gain", 16_384, "data range error"),
        ("goal_position", 5000, "data limit error"),
    ],
)
def test_a_refused_write_says_why(bus: DynamixelBus, item: str, value: int, error: str) -> None:
    bus.torque([4], True)
    with pytest.raises(DeviceError, match=rf"ID 4 \(joint 4\) refused .*{item}: {error}"):
        bus.write(item, 4, value)


def test_a_healthy_bus_passes_and_is_scanned(bus: DynamixelBus) -> None:
    check(bus, IDS)
    assert bus.scan(16) == dict.fromkeys(IDS, 1200)


def test_a_missing_port_is_named(tmp_path: Path) -> None:
    with pytest.raises(DeviceError, match=r"tty_joylo: no such device\. Try: plug in"):
        DynamixelBus(str(tmp_path / "tty_joylo"), BAUD).open()


def test_a_file_is_no_port(tmp_path: Path) -> None:
    path = tmp_path / "tty_joylo"
    path.write_text("")
    with pytest.raises(DeviceError, match="not a serial port"):
        DynamixelBus(str(path), BAUD).open()


def test_missing_permission_is_told(
    emulated: EmulatedBus, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(port: FastPort, baud: int) -> bool:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(FastPort, "setupPort", refuse)
    with pytest.raises(DeviceError, match=r"no permission.*dialout"):
        open_bus(emulated).open()


def test_a_port_serves_one_program(bus: DynamixelBus, emulated: EmulatedBus) -> None:
    with pytest.raises(DeviceError, match="another program uses the device"):
        open_bus(emulated).open()


def test_an_unknown_baud_rate_is_refused(emulated: EmulatedBus) -> None:
    with pytest.raises(DeviceError, match="12345 baud is not supported"):
        open_bus(emulated, 12345).open()


def test_a_wrong_baud_rate_is_told_with_the_right_one(emulated: EmulatedBus) -> None:
    with (
        open_bus(emulated, 1_000_000) as bus,
        pytest.raises(DeviceError, match="at 1000000 baud, but 16 answer at 3000000"),
    ):
        check(bus, range(2))


def test_no_motor_at_all_is_told(emulated: EmulatedBus) -> None:
    emulated.chain.faults.dead = frozenset(IDS)
    with (
        open_bus(emulated, reply_timeout_s=0.005) as bus,
        pytest.raises(DeviceError, match="no motor answers, at 3000000 baud or any other"),
    ):
        check(bus, range(4))


def test_a_missing_motor_is_named(bus: DynamixelBus, emulated: EmulatedBus) -> None:
    emulated.chain.faults.dead = frozenset({5})
    with pytest.raises(DeviceError, match=r"no answer from ID 5 \(joint 5\)"):
        check(bus, IDS)


@pytest.mark.parametrize("seed", range(4))
def test_a_doubled_id_is_named(seed: int) -> None:
    emulated = EmulatedBus(MotorChain(joylo_motors(IDS, BAUD), seed=seed))
    emulated.chain.faults.doubled = frozenset({9})
    try:
        with (
            open_bus(emulated) as bus,
            pytest.raises(DeviceError, match=r"two motors answer as ID 9 \(joint 9\)"),
        ):
            check(bus, IDS)
    finally:
        emulated.close()


@pytest.mark.parametrize("fast", [True, False])
def test_a_dropped_byte_is_mended_and_counted(
    bus: DynamixelBus, emulated: EmulatedBus, fast: bool
) -> None:
    bus.watch(IDS)
    bus.fast = fast
    emulated.chain.faults.drop_next = 1
    assert bus.read_states()["position"].tolist() == positions(emulated)
    assert (bus.statistics.reads, bus.statistics.retries, bus.statistics.errors) == (1, 1, 1)


def test_broken_answers_in_a_row_stop_the_reading(emulated: EmulatedBus) -> None:
    with open_bus(emulated) as bus:
        bus.watch(IDS)
        emulated.chain.faults.drop_next = bus.max_failures
        with pytest.raises(DeviceError, match="4 broken answers in a row, though every motor"):
            bus.read_states()
        assert bus.statistics.errors == bus.max_failures


@pytest.mark.parametrize("fast", [True, False])
def test_noise_never_yields_wrong_positions(fast: bool) -> None:
    emulated = EmulatedBus(MotorChain(joylo_motors(IDS, BAUD), seed=3))
    try:
        with DynamixelBus(emulated.port, BAUD, reply_timeout_s=0.03, max_failures=50) as bus:
            bus.watch(IDS)
            bus.fast = fast
            emulated.chain.faults.corrupt_probability = 0.3 if fast else 0.03
            for _ in range(30):
                assert bus.read_states()["position"].tolist() == positions(emulated)
            assert bus.statistics.errors > 0
    finally:
        emulated.close()


def test_an_unplugged_bus_is_told(bus: DynamixelBus, emulated: EmulatedBus) -> None:
    bus.watch(IDS)
    bus.read_states()
    emulated.unplug()
    for _ in range(2):
        with pytest.raises(DeviceError, match="the bus was unplugged"):
            bus.read_states()
    with pytest.raises(DeviceError, match="unplugged"):
        bus.write("led", 3, 1)


def test_a_bus_unplugged_amid_reading_is_told(bus: DynamixelBus, emulated: EmulatedBus) -> None:
    bus.watch(IDS)
    puller = threading.Timer(0.03, emulated.unplug)
    puller.start()
    with pytest.raises(DeviceError, match="the bus was unplugged"):
        while True:
            bus.read_states()
    puller.join()


def test_lost_power_is_told(emulated: EmulatedBus) -> None:
    with open_bus(emulated, reply_timeout_s=0.005) as bus:
        bus.watch(IDS)
        emulated.chain.faults.dead = frozenset(IDS)
        with pytest.raises(DeviceError, match="all motors stopped answering"):
            bus.read_states()
        assert bus.statistics.timeouts == bus.max_failures


def test_a_motor_lost_in_motion_is_named(emulated: EmulatedBus) -> None:
    with open_bus(emulated) as bus:
        bus.watch(IDS)
        emulated.chain.faults.dead = frozenset({15})
        with pytest.raises(DeviceError, match=r"no answer from ID 15 \(joint 15\)"):
            bus.read_states()


@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("error", [e for e in HardwareError if e])
def test_hardware_errors_are_spelt_out(
    bus: DynamixelBus, emulated: EmulatedBus, error: HardwareError, fast: bool
) -> None:
    bus.watch(IDS)
    bus.fast = fast
    with emulated.changing() as chain:
        chain.motor(7).fail(error)
    ((text, _),) = hardware_error_lines(error)
    with pytest.raises(DeviceError, match=rf"ID 7 \(joint 7\): {text}"):
        bus.read_states()
    with pytest.raises(DeviceError, match=text):
        check(bus, IDS)


def test_reads_are_counted(bus: DynamixelBus) -> None:
    bus.watch(IDS)
    before = dataclasses.replace(bus.statistics)
    for _ in range(5):
        bus.read_states()
    assert bus.statistics.reads_per_second(before, 0.5) == 10.0


def test_a_bus_can_be_opened_again(emulated: EmulatedBus) -> None:
    for _ in range(3):
        with open_bus(emulated) as bus:
            bus.watch(IDS)
            assert np.array_equal(bus.read_states()["position"], positions(emulated))


def test_using_a_closed_bus_is_told(emulated: EmulatedBus) -> None:
    with pytest.raises(DeviceError, match="not open"):
        open_bus(emulated).read("id", 1)


def test_no_descriptors_are_left_open(emulated: EmulatedBus) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    with open_bus(emulated) as bus:
        bus.scan(1)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
