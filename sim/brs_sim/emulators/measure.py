"""How fast a host reads the leader's bus: the real SDK against motors in another process."""

from __future__ import annotations

import contextlib
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


def leader_bus(duration_s: float = 3.0) -> dict[str, float]:
    """Complete reads of 16 motors a second, several ways.

    Args:
        duration_s: of each measurement.

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
    with emulated_bus() as port:
        with DynamixelBus(port, BAUD, reply_timeout_s=_REPLY_TIMEOUT_S) as bus:
            bus.watch(range(MOTORS))
            fast_hz = _rate(bus.read_states, duration_s)
            bus.fast = False
            plain_hz = _rate(bus.read_states, duration_s)
            two_hz = _rate(_two_reads(bus.sdk_port, bus.packets), duration_s)
        sdk_port = PortHandler(port)
        sdk_port.setBaudRate(BAUD)
        sdk_two_hz = _rate(_two_reads(sdk_port, PacketHandler(2.0)), duration_s)
        sdk_port.closePort()
    with (
        emulated_bus("--wire-time") as port,
        DynamixelBus(port, BAUD, reply_timeout_s=_REPLY_TIMEOUT_S) as bus,
    ):
        bus.watch(range(MOTORS))
        wire_hz = _rate(bus.read_states, duration_s)
        wire_two_hz = _rate(_two_reads(bus.sdk_port, bus.packets), duration_s)
    return {
        "leader_bus_hz": fast_hz,
        "leader_bus_ratio": fast_hz / two_hz,
        "leader_bus_sync_hz": plain_hz,
        "leader_bus_sync_ratio": plain_hz / two_hz,
        "leader_bus_two_hz": two_hz,
        "leader_bus_sdk_two_hz": sdk_two_hz,
        "leader_bus_wire_hz": wire_hz,
        "leader_bus_wire_two_hz": wire_two_hz,
    }


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


def _rate(read: Callable[[], object], duration_s: float) -> float:
    """Calls a second, over about so long."""
    read()
    begun_s = time.perf_counter()
    count, elapsed_s = 0, 0.0
    while elapsed_s < duration_s:
        read()
        count += 1
        elapsed_s = time.perf_counter() - begun_s
    return count / elapsed_s
