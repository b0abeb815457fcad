"""What is wrong with a bus of motors: checks made once, before the motors are used."""

from __future__ import annotations

from collections.abc import Sequence

from dynamixel_sdk import COMM_RX_TIMEOUT, COMM_SUCCESS

from brs_hardware.dynamixel.bus import DynamixelBus
from brs_hardware.dynamixel.control_table import (
    BAUD_RATES,
    ITEMS,
    MODEL_NAME,
    MODEL_NUMBER,
    hardware_error_lines,
)
from brs_hardware.errors import DeviceError

# Registers that differ from motor to motor at any moment: two motors of one ID cannot send the
# same bytes here, so that their answers destroy each other or come one after the other.
_DIFFERING = (ITEMS["realtime_tick"].address, 27)  # realtime tick .. present temperature
_TRIES = 5
_SECOND_ANSWER_MS = 1.0


def check(bus: DynamixelBus, motors: Sequence[int]) -> None:
    """See that all motors are there, once each, of the right model and healthy.

    Raises:
        DeviceError: wrong baud rate, missing motors, two motors of one ID, another model, or
            a hardware error; the first found.
    """
    verdicts = {motor: _probe(bus, motor) for motor in motors}
    if all(verdict == "silent" for verdict in verdicts.values()):
        raise _nobody(bus, max(motors))
    broken = [motor for motor, verdict in verdicts.items() if verdict == "broken"]
    missing = [motor for motor, verdict in verdicts.items() if verdict == "silent"]
    if len(broken) > len(motors) // 2:
        raise DeviceError(
            "most answers on the bus are broken",
            where=bus.port,
            remedy="check cables and power, and that no other program uses the port",
        )
    if broken:
        also = f"; {_names(bus, missing)} is missing" if missing else ""
        raise DeviceError(
            f"two motors answer as {_names(bus, broken)}{also}",
            where=bus.port,
            remedy="unplug one of them and give it its own ID",
        )
    if missing:
        raise DeviceError(
            f"no answer from {_names(bus, missing)}",
            where=bus.port,
            remedy="check the cable to it, its power and its ID",
        )
    for motor in motors:
        model = bus.read("model_number", motor)
        if model != MODEL_NUMBER:
            raise DeviceError(
                f"{bus.name(motor)} is model {model}, not {MODEL_NUMBER} ({MODEL_NAME})",
                where=bus.port,
                remedy=f"use an {MODEL_NAME}",
            )
        if bus.read("hardware_error_status", motor):
            raise hardware_error(bus, motor)


def hardware_error(bus: DynamixelBus, motor: int) -> DeviceError:
    """The error that a motor's hardware error status spells out."""
    lines = hardware_error_lines(bus.read("hardware_error_status", motor))
    what, remedy = lines[0] if lines else ("alert without a cause", "switch the power off and on")
    if len(lines) > 1:
        what = " and ".join(line[0] for line in lines)
    return DeviceError(f"{bus.name(motor)}: {what}", where=bus.port, remedy=remedy)


def answering_bauds(bus: DynamixelBus, greatest_id: int) -> dict[int, list[int]]:
    """Baud rate -> ids that answer there, over all bauds but the bus's own.

    Raises:
        DeviceError: the port is gone.
    """
    found = {}
    for baud in sorted(BAUD_RATES.values(), reverse=True):
        if baud != bus.baud and bus.set_baud(baud) and (ids := list(bus.scan(greatest_id))):
            found[baud] = ids
    bus.set_baud(bus.baud)
    return found


def _probe(bus: DynamixelBus, motor: int) -> str:
    """`fine`, `silent`, or `broken` where answers collide; a lost byte or two decide nothing."""
    verdicts: list[str] = []
    while len(verdicts) < _TRIES:
        verdicts.append(_probe_once(bus, motor))
        if verdicts.count("fine") == 2:
            return "fine"
        if verdicts == ["silent"] * 2:
            return "silent"
    return "broken"


def _probe_once(bus: DynamixelBus, motor: int) -> str:
    address, length = _DIFFERING
    with bus.guard:
        bus.sdk_port.drain()  # an answer that came too late last time
        data, result, _ = bus.packets.readTxRx(bus.sdk_port, motor, address, length)
        if result == COMM_RX_TIMEOUT:
            return "silent"
        if result != COMM_SUCCESS or len(data) != length:
            return "broken"
        # A second motor's answer follows the first one within its return delay.
        bus.sdk_port.setPacketTimeoutMillis(_SECOND_ANSWER_MS)
        return "broken" if bus.sdk_port.readPort(1) else "fine"


def _nobody(bus: DynamixelBus, greatest_id: int) -> DeviceError:
    found = answering_bauds(bus, greatest_id)
    if not found:
        return DeviceError(
            f"no motor answers, at {bus.baud} baud or any other",
            where=bus.port,
            remedy="check the motors' power supply and the cable from the adapter",
        )
    baud, ids = max(found.items(), key=lambda pair: len(pair[1]))
    return DeviceError(
        f"no motor answers at {bus.baud} baud, but {len(ids)} answer at {baud}",
        where=bus.port,
        remedy=f"set 'baud: {baud}' in the leader's YAML, or the motors to {bus.baud}",
    )


def _names(bus: DynamixelBus, motors: Sequence[int]) -> str:
    return ", ".join(bus.name(motor) for motor in motors)
