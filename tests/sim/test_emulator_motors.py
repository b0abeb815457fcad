"""The rules that emulated motors keep, spoken to in packets, without a serial device."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware.dynamixel.control_table import (
    ITEMS,
    TABLE_SIZE,
    TICKS_PER_TURN,
    DriveMode,
    HardwareError,
    OperatingMode,
)
from brs_sim.emulators.chain import MotorChain
from brs_sim.emulators.dynamixel_bus import joylo_motors
from brs_sim.emulators.motor import EmulatedMotor
from brs_sim.emulators.packets import BROADCAST, Instruction, Parser, StatusError, crc, frame

BAUD = 1_000_000


@pytest.fixture
def chain() -> MotorChain:
    return MotorChain(joylo_motors(range(3), BAUD))


def ask(
    chain: MotorChain, motor: int, instruction: int, body: bytes = b"", baud: int = BAUD
) -> list[tuple[int, int, bytes]]:
    """(id, error, data) of each status packet that answers."""
    answer = chain.hear(frame(motor, instruction, body), baud, 0.0)
    return [(p.motor, p.parameters[0], p.parameters[1:]) for p in Parser().feed(answer.data)]


def span(name: str) -> bytes:
    """Address and length of a register, as in the parameters of a read."""
    item = ITEMS[name]
    return item.address.to_bytes(2, "little") + item.size.to_bytes(2, "little")


def written(name: str, value: int) -> bytes:
    """Address and data of a register, as in the parameters of a write."""
    return ITEMS[name].address.to_bytes(2, "little") + ITEMS[name].encode(value)


def read(chain: MotorChain, motor: int, name: str) -> int:
    ((_, error, data),) = ask(chain, motor, Instruction.READ, span(name))
    assert error & 0x7F == 0
    return ITEMS[name].decode(data)


def test_a_ping_gives_model_and_firmware(chain: MotorChain) -> None:
    identity = b"\xb0\x04" + bytes((46,))  # 1200, 46
    assert ask(chain, 1, Instruction.PING) == [(1, 0, identity)]
    everyone = [(motor, 0, identity) for motor in range(3)]
    assert ask(chain, BROADCAST, Instruction.PING) == everyone
    assert ask(chain, 7, Instruction.PING) == []


def test_another_baud_rate_is_not_understood(chain: MotorChain) -> None:
    assert ask(chain, 1, Instruction.PING, baud=57_600) == []
    chain.motor(1).poke("baud_rate", 1)
    assert len(ask(chain, 1, Instruction.PING, baud=57_600)) == 1
    assert ask(chain, 1, Instruction.PING) == []


def test_a_broken_packet_is_answered_by_a_crc_error(chain: MotorChain) -> None:
    packet = bytearray(frame(1, Instruction.READ, span("led")))
    packet[-1] ^= 0xFF
    answer = chain.hear(bytes(packet), BAUD, 0.0).data
    (status,) = Parser().feed(answer)
    assert status.parameters == bytes((StatusError.CRC,))


@pytest.mark.parametrize(
    ("name", "value", "torque", "error"),
    [
        ("led", 1, True, StatusError.NONE),
        ("homing_offset", -5, False, StatusError.NONE),
        ("homing_offset", -5, True, StatusError.ACCESS),
        ("present_position", 0, False, StatusError.ACCESS),
        ("led", 2, False, StatusError.DATA_RANGE),
        ("operating_mode", 2, False, StatusError.DATA_RANGE),
        ("goal_position", 4096, True, StatusError.DATA_LIMIT),
        ("goal_velocity", 446, True, StatusError.DATA_LIMIT),
    ],
)
def test_writes_are_judged(
    chain: MotorChain, name: str, value: int, torque: bool, error: StatusError
) -> None:
    chain.motor(1).poke("torque_enable", int(torque))
    before = read(chain, 1, name)
    ((_, status, _),) = ask(chain, 1, Instruction.WRITE, written(name, value))
    assert status == error
    assert read(chain, 1, name) == (before if error else value)


@settings(deadline=None)
@given(st.integers(0, 300), st.binary(min_size=1, max_size=12), st.booleans())
def test_no_write_breaks_a_motor(address: int, data: bytes, torque: bool) -> None:
    """Whatever is written: no exception, registers in range, EEPROM untouched under torque."""
    motor = EmulatedMotor(5)
    motor.poke("torque_enable", int(torque))
    eeprom = bytes(motor.table[:64])
    error = motor.write(address, data)
    assert isinstance(error, StatusError)
    if torque:
        assert bytes(motor.table[:64]) == eeprom
    for name, item in ITEMS.items():
        if error == StatusError.NONE and item.minimum is not None and item.maximum is not None:
            assert item.minimum <= motor.peek(name) <= item.maximum
    motor.step(0.01)
    assert len(motor.table) == TABLE_SIZE


def test_a_status_return_level_silences_writes_then_reads(chain: MotorChain) -> None:
    chain.motor(1).poke("status_return_level", 1)
    assert ask(chain, 1, Instruction.WRITE, written("led", 1)) == []
    assert read(chain, 1, "led") == 1
    chain.motor(1).poke("status_return_level", 0)
    assert ask(chain, 1, Instruction.READ, span("led")) == []
    assert len(ask(chain, 1, Instruction.PING)) == 1


def test_a_registered_write_waits_for_the_action(chain: MotorChain) -> None:
    for motor in (0, 2):
        ask(chain, motor, Instruction.REG_WRITE, written("led", 1))
    assert [read(chain, motor, "led") for motor in range(3)] == [0, 0, 0]
    assert read(chain, 2, "registered_instruction") == 1
    assert ask(chain, BROADCAST, Instruction.ACTION) == []
    assert [read(chain, motor, "led") for motor in range(3)] == [1, 0, 1]


def test_group_instructions_reach_the_named_motors(chain: MotorChain) -> None:
    item = ITEMS["goal_current"]
    head = span("goal_current")
    values = b"".join(bytes((motor,)) + item.encode(-motor - 10) for motor in (2, 0, 9))
    assert ask(chain, BROADCAST, Instruction.SYNC_WRITE, head + values) == []
    answers = ask(chain, BROADCAST, Instruction.SYNC_READ, head + bytes((2, 9, 0)))
    assert [(motor, item.decode(data)) for motor, _, data in answers] == [(2, -12), (0, -10)]
    bulk = b"".join(
        bytes((motor,)) + span(name) + ITEMS[name].encode(value)
        for motor, name, value in ((0, "led", 1), (1, "position_p_gain", 500))
    )
    ask(chain, BROADCAST, Instruction.BULK_WRITE, bulk)
    asked = bytes((1,)) + span("position_p_gain") + bytes((0,)) + span("led")
    answers = ask(chain, BROADCAST, Instruction.BULK_READ, asked)
    assert answers == [(1, 0, b"\xf4\x01"), (0, 0, b"\x01")]


def test_a_fast_sync_read_is_one_packet_with_a_crc_after_each_part(chain: MotorChain) -> None:
    body = span("present_position") + bytes((0, 1, 2))
    answer = chain.hear(frame(BROADCAST, Instruction.FAST_SYNC_READ, body), BAUD, 0.0).data
    assert answer[:8] == b"\xff\xff\xfd\x00\xfe" + (1 + 3 * 8).to_bytes(2, "little") + b"\x55"
    for motor in range(3):
        end = 8 + 8 * (motor + 1)
        assert answer[end - 8 : end - 6] == bytes((0, motor))
        assert answer[end - 2 : end] == crc(answer[: end - 2])
    # A motor that is not there breaks the chain; older firmware does not know the instruction.
    missing = frame(BROADCAST, Instruction.FAST_SYNC_READ, body + b"\x09")
    assert chain.hear(missing, BAUD, 0.0).data == b""


def test_return_delays_add_up(chain: MotorChain) -> None:
    for motor in chain.motors:
        motor.poke("return_delay_time", 250)
    body = span("present_position") + bytes((0, 1, 2))
    answer = chain.hear(frame(BROADCAST, Instruction.SYNC_READ, body), BAUD, 0.0)
    assert answer.delay_s == pytest.approx(3 * 500e-6)


def test_a_hardware_error_alerts_and_lasts_until_a_reboot(chain: MotorChain) -> None:
    motor = chain.motor(1)
    motor.poke("torque_enable", 1)
    motor.fail(HardwareError.OVERLOAD)
    assert motor.peek("torque_enable") == 0
    ((_, error, _),) = ask(chain, 1, Instruction.WRITE, written("torque_enable", 1))
    assert error == 0x80 | StatusError.RESULT_FAIL
    ask(chain, 1, Instruction.REBOOT)
    assert ask(chain, 1, Instruction.WRITE, written("torque_enable", 1)) == [(1, 0, b"")]


def test_a_factory_reset_keeps_the_id_when_told(chain: MotorChain) -> None:
    motor = chain.motor(2)
    motor.poke("homing_offset", 99)
    ask(chain, 2, Instruction.FACTORY_RESET, b"\x01")
    assert (motor.id, motor.peek("homing_offset"), motor.peek("baud_rate")) == (2, 0, 1)
    motor.poke("baud_rate", 3)
    ask(chain, 2, Instruction.FACTORY_RESET, b"\xff")
    assert motor.id == 1


def test_indirect_data_leads_elsewhere(chain: MotorChain) -> None:
    position = ITEMS["present_position"].address
    for i in range(4):
        ask(chain, 1, Instruction.WRITE, written(f"indirect_address_{i + 1}", position + i))
    ask(chain, 1, Instruction.WRITE, written("indirect_address_5", ITEMS["led"].address))
    chain.motor(1).grasp(3000.0)
    chain.motor(1).step(0.01)
    ((_, _, data),) = ask(chain, 1, Instruction.READ, b"\xd0\x00\x04\x00")
    assert int.from_bytes(data, "little") == 3000
    ask(chain, 1, Instruction.WRITE, b"\xd4\x00\x01")
    assert read(chain, 1, "led") == 1
    ((_, error, _),) = ask(chain, 1, Instruction.WRITE, b"\xd0\x00\x00\x00\x00\x00")
    assert error == StatusError.ACCESS


@given(st.integers(-40_000, 40_000), st.booleans(), st.integers(-5000, 5000))
def test_positions_follow_the_hand_direction_and_offset(
    shaft: int, reverse: bool, offset: int
) -> None:
    motor = EmulatedMotor(1, 0.0)
    motor.poke("drive_mode", int(DriveMode.REVERSE) if reverse else 0)
    motor.poke("homing_offset", offset)
    motor.clear_turns()
    start = motor.peek("present_position")
    motor.grasp(float(shaft))
    motor.step(0.001)
    assert motor.peek("present_position") - start == (-shaft if reverse else shaft)
    motor.reboot()
    assert 0 <= motor.peek("present_position") - offset < TICKS_PER_TURN
    assert (motor.peek("present_position") - offset - (-shaft if reverse else shaft)) % 4096 == 0


def test_indirect_addresses_in_a_circle_do_no_harm() -> None:
    motor = EmulatedMotor(1)
    motor.poke("indirect_address_1", 209)
    motor.poke("indirect_address_2", 208)
    assert motor.write(208, b"\x05") == StatusError.NONE
    assert motor.read(209, 1) == b"\x00"


def test_a_driven_motor_reaches_its_goal_within_its_speed() -> None:
    motor = EmulatedMotor(1)
    motor.poke("operating_mode", int(OperatingMode.EXTENDED_POSITION))
    motor.write(112, ITEMS["profile_velocity"].encode(100))
    motor.write(64, b"\x01")
    motor.write(116, ITEMS["goal_position"].encode(6000))
    most, before = 0.0, motor.shaft
    for _ in range(3000):
        motor.step(0.001)
        most, before = max(most, abs(motor.shaft - before)), motor.shaft
    assert motor.peek("present_position") == 6000
    assert most <= 100 * 0.229 / 60 * 4096 * 0.001 + 1e-9


def test_current_pushes_against_the_hand() -> None:
    motor = EmulatedMotor(1)
    motor.poke("operating_mode", int(OperatingMode.CURRENT))
    motor.grasp(2048.0)
    motor.write(64, b"\x01")
    motor.write(102, ITEMS["goal_current"].encode(-300))
    for _ in range(300):
        motor.step(0.001)
    assert motor.peek("present_current") == -300
    assert motor.shaft < 2048.0
