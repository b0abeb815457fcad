"""How fast a host reads the leader's bus: the real SDK against motors in another process."""

from __future__ import annotations

import contextlib
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from dynamixel_sdk import COMM_SUCCESS, GroupSyncRead, PacketHandler, PortHandler

from brs_hardware.dynamixel import ITEMS, DynamixelBus
from brs_hardware.errors import DeviceError

MOTORS = 16
BAUD = 3_000_000
_START_TIMEOUT_S = 20.0
_REPLY_TIMEOUT_S = 0.2  # never reached unless the computer is very busy
_MOST_TRIES = 20
_SLICE_S = 0.05


def leader_bus(duration_s: float = 3.0) -> dict[str, float]:
    """Complete reads of 16 motors a second, several ways.

    Args:
        duration_s: of each way of reading.

    Returns:
        leader_bus_hz: current, velocity and position in one transaction, as `read_states` does.
        leader_bus_sync_hz: the same by a plain sync read, as on older firmware.
        leader_bus_two_hz: position, then velocity, by a plain sync read each, as BRS reads.
        leader_bus_ratio: leader_bus_hz over leader_bus_two_hz, which runs on our port too.
        leader_bus_sync_ratio: leader_bus_sync_hz over leader_bus_two_hz.
        leader_bus_sdk_two_hz: leader_bus_two_hz on the SDK's own port and packet handler.
        leader_bus_wire_hz: leader_bus_hz where bytes take their time at 3 Mbaud.
        leader_bus_wire_two_hz: leader_bus_two_hz likewise.

    Raises:
        DeviceError: the emulated bus did not start or failed.
    """
    with emulated_bus() as port, _bus(port) as bus:
        bus.watch(range(MOTORS))
        sdk_port = PortHandler(port)
        sdk_port.setBaudRate(BAUD)
        ways: dict[str, Callable[[], object]] = {
            "hz": lambda: _read(bus, True),
            "sync_hz": lambda: _read(bus, False),
            "two_hz": _two_reads(bus.sdk_port, bus.packets),
            "sdk_two_hz": _two_reads(sdk_port, PacketHandler(2.0)),
        }
        try:
            rates = _rates(ways, duration_s)
        finally:
            sdk_port.closePort()
    with emulated_bus("--wire-time") as port, _bus(port) as bus:
        bus.watch(range(MOTORS))
        ways = {
            "wire_hz": lambda: _read(bus, True),
            "wire_two_hz": _two_reads(bus.sdk_port, bus.packets),
        }
        rates |= _rates(ways, duration_s)
    rates["ratio"] = rates["hz"] / rates["two_hz"]
    rates["sync_ratio"] = rates["sync_hz"] / rates["two_hz"]
    return {f"leader_bus_{name}": value for name, value in rates.items()}


@contextlib.contextmanager
def emulated_bus(*options: str) -> Iterator[str]:
    """An emulated bus in its own process; gives its device file."""
    with tempfile.TemporaryDirectory(prefix="brs-bus-") as folder:
        link = Path(folder) / "tty_joylo"
        command = [sys.executable, "-m", "brs_sim.emulators.dynamixel_bus", "--link", str(link)]
        process = subprocess.Popen([*command, *options])
        try:
            deadline_s = time.monotonic() + _START_TIMEOUT_S
            while not link.exists():
                if process.poll() is not None or time.monotonic() > deadline_s:
                    raise DeviceError("the emulated bus did not start", where=str(link))
                time.sleep(0.02)
            yield str(link)
        finally:
            process.terminate()
            process.wait()


def _two_reads(port: PortHandler, packets: object) -> Callable[[], None]:
    """Positions in one transaction, velocities in the next."""
    groups = []
    for name in ("present_position", "present_velocity"):
        item = ITEMS[name]
        group = GroupSyncRead(port, packets, item.address, item.size)
        for motor in range(MOTORS):
            group.addParam(motor)
        groups.append((group, item))

    def read() -> None:
        for group, item in groups:
            # The SDK gives up after 34 ms, which a busy computer may need: such a read only costs.
            tries = 0
            while group.txRxPacket() != COMM_SUCCESS:
                tries += 1
                if tries == _MOST_TRIES:
                    raise DeviceError("the emulated bus is silent", where=port.getPortName())
            for motor in range(MOTORS):
                group.getData(motor, item.address, item.size)

    return read


def _bus(port: str) -> DynamixelBus:
    return DynamixelBus(port, BAUD, reply_timeout_s=_REPLY_TIMEOUT_S)


def _read(bus: DynamixelBus, fast: bool) -> None:
    bus.fast = fast
    bus.read_states()


def _rates(ways: dict[str, Callable[[], object]], duration_s: float) -> dict[str, float]:
    """Calls a second of each way: the median over short slices, taken in turn.

    In turn, so that whatever else the computer does meets all ways alike.
    """
    slices: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(max(1, round(duration_s / _SLICE_S))):
        for name, read in ways.items():
            slices[name].append(_rate(read))
    return {name: statistics.median(rates) for name, rates in slices.items()}


def _rate(read: Callable[[], object]) -> float:
    """Calls a second over one slice."""
    begun_s = time.perf_counter()
    count, elapsed_s = 0, 0.0
    while elapsed_s < _SLICE_S:
        read()
        count += 1
        elapsed_s = time.perf_counter() - begun_s
    return count / elapsed_s
