"""Emulated Joy-Cons as HID devices, in this process and through a socket."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from brs_hardware.joycon import JoyCon
from brs_hardware.leader_config import JoyConConfig
from brs_sim.emulators.joycon import REPORT_PERIOD_S, VENDOR_ID, EmulatedJoyCon
from brs_sim.emulators.joycon_socket import JoyConServer, SocketHidDevice, device_factory

LEFT = 0x2006


@pytest.fixture
def emulated() -> EmulatedJoyCon:
    return EmulatedJoyCon("left", "00:01")


@pytest.fixture
def server(emulated: EmulatedJoyCon, tmp_path: Path) -> Iterator[JoyConServer]:
    serving = JoyConServer(tmp_path / "joycon", emulated)
    yield serving
    serving.close()


@pytest.fixture(params=["direct", "socket"])
def device(
    request: pytest.FixtureRequest, emulated: EmulatedJoyCon, server: JoyConServer
) -> Iterator[EmulatedJoyCon | SocketHidDevice]:
    opened = emulated if request.param == "direct" else SocketHidDevice(server.path)
    opened.open(VENDOR_ID, LEFT, "00:01")
    yield opened
    opened.close()


def command(device: EmulatedJoyCon | SocketHidDevice, subcommand: int, argument: bytes) -> bytes:
    """Answer to a subcommand."""
    device.write(b"\x01\x00" + bytes(8) + bytes((subcommand,)) + argument)
    while True:
        report = bytes(device.read(49, 2000))
        assert report
        if report[0] == 0x21:
            return report


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds; fails after long."""
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.005)
    pytest.fail("it did not come true")


def test_subcommands_are_acknowledged(device: EmulatedJoyCon | SocketHidDevice) -> None:
    for subcommand, argument in ((0x40, b"\x01"), (0x08, b"\0"), (0x30, b"\x05"), (0x48, b"\x01")):
        report = command(device, subcommand, argument)
        assert (len(report), report[13], report[14]) == (49, 0x80, subcommand)
    assert command(device, 0x77, b"")[13] & 0x80 == 0


def test_flash_is_read(device: EmulatedJoyCon | SocketHidDevice, emulated: EmulatedJoyCon) -> None:
    for address in (0x6050, 0x8026, 0x6020, 0x8012, 0x801D, 0x603D, 0x6046):
        argument = address.to_bytes(4, "little") + bytes((6,))
        report = command(device, 0x10, argument)
        assert report[13:20] == b"\x90\x10" + argument
        assert report[20:26] == emulated._flash[address : address + 6]


def test_reports_flow_once_asked_for(
    device: EmulatedJoyCon | SocketHidDevice, emulated: EmulatedJoyCon
) -> None:
    assert device.read(49, 60) == []
    command(device, 0x03, b"\x30")
    emulated.set_buttons(frozenset({"zl"}))
    reports = [bytes(device.read(49, 2000)) for _ in range(4)]
    assert {(len(report), report[0]) for report in reports} == {(49, 0x30)}
    assert reports[-1][5] == 0x80
    assert len({report[1] for report in reports}) == 4  # the timer counts


def test_no_more_reports_come_than_66_a_second(emulated: EmulatedJoyCon) -> None:
    begun_s = time.monotonic()
    emulated.open(VENDOR_ID, LEFT)
    command(emulated, 0x03, b"\x30")
    for _ in range(6):
        assert emulated.read(49, 2000)
    assert time.monotonic() - begun_s >= 5 * REPORT_PERIOD_S - 1e-3


def test_a_disconnected_controller_fails_reads_writes_and_opening(
    device: EmulatedJoyCon | SocketHidDevice, emulated: EmulatedJoyCon
) -> None:
    command(device, 0x03, b"\x30")
    emulated.disconnect()
    with pytest.raises(OSError):
        for _ in itertools.count():
            device.read(49, 2000)
    with pytest.raises(OSError):
        for _ in range(3):
            device.write(b"\x10" + bytes(9))
    device.close()
    with pytest.raises(OSError):
        device.open(VENDOR_ID, LEFT, "00:01")
    with pytest.raises(ValueError, match="not open"):
        SocketHidDevice("/nowhere").read(49)


@pytest.mark.parametrize(
    ("product", "serial"), [(0x2007, "00:01"), (LEFT, "00:02"), (0x2007, None)]
)
def test_another_controller_is_not_opened(
    server: JoyConServer, product: int, serial: str | None
) -> None:
    with pytest.raises(OSError, match="open failed"):
        SocketHidDevice(server.path).open(VENDOR_ID, product, serial)


def test_a_server_that_goes_is_a_lost_controller_and_may_return(
    emulated: EmulatedJoyCon, tmp_path: Path
) -> None:
    path = tmp_path / "joycon"
    settings = JoyConConfig(socket=str(path), silent_after_s=5.0)
    joycon = JoyCon("left", settings, lambda: 0.0, device_factory(settings))
    for _ in range(2):
        server = JoyConServer(path, emulated)
        joycon.connect()
        assert joycon.connected
        server.close()
        wait_for(lambda: not joycon.connected)
        assert not path.exists()
    joycon.close()


def test_clients_come_one_after_the_other(server: JoyConServer, emulated: EmulatedJoyCon) -> None:
    for _ in range(3):
        client = SocketHidDevice(server.path)
        client.open(VENDOR_ID, LEFT)
        assert command(client, 0x02, b"")[15:17] == bytes((4, 6))
        client.close()


def test_a_path_too_long_for_a_socket_is_refused(emulated: EmulatedJoyCon) -> None:
    with pytest.raises(ValueError, match="longer than 107"):
        JoyConServer("/tmp/" + "x" * 110, emulated)


def test_unknown_buttons_are_refused(emulated: EmulatedJoyCon) -> None:
    with pytest.raises(ValueError, match="no button"):
        emulated.set_buttons(frozenset({"zr"}))
