"""Joy-Cons at the byte level: decoding, calibration, loss of the controller."""

from __future__ import annotations

import dataclasses
import itertools
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyjoycon import JoyCon as PyJoyCon

from brs_hardware.errors import DeviceError
from brs_hardware.joycon import (
    HidDevice,
    JoyCon,
    connected_controllers,
    decode_stick,
    raw_stick,
    rumble_bytes,
    stick_deflection,
)
from brs_hardware.leader_config import JoyConConfig, StickConfig
from brs_hardware.types import JOYCON_BUTTONS
from brs_sim.emulators.joycon import DEFAULT_STICK, EmulatedJoyCon

SERIAL = "98:b6:e9:00:00:01"
PATIENT = JoyConConfig(serial=SERIAL, silent_after_s=5.0)
sides = st.sampled_from(["left", "right"])


@pytest.fixture(params=["left", "right"])
def emulated(request: pytest.FixtureRequest) -> EmulatedJoyCon:
    return EmulatedJoyCon(request.param, SERIAL)


@pytest.fixture
def joycon(emulated: EmulatedJoyCon) -> Iterator[JoyCon]:
    ticks = itertools.count(100.0)
    controller = JoyCon(emulated.side, PATIENT, lambda: next(ticks), lambda: emulated)
    controller.connect()
    yield controller
    controller.close()


def wait_for(condition: Callable[[], bool]) -> None:
    """Until it holds; fails after long."""
    for _ in range(1000):
        if condition():
            return
        time.sleep(0.005)
    pytest.fail("it did not come true")


def test_what_the_operator_does_arrives(joycon: JoyCon, emulated: EmulatedJoyCon) -> None:
    for held in (frozenset(JOYCON_BUTTONS[emulated.side]), frozenset({"stick"}), frozenset()):
        emulated.set_buttons(held)
        emulated.set_stick((1.0, -1.0))
        wait_for(lambda held=held: joycon.sample().buttons == held)
    sample = joycon.sample()
    assert sample.stick.tolist() == [1.0, -1.0]
    wait_for(lambda: joycon.sample().stamp_s > sample.stamp_s)
    assert joycon.connected
    assert joycon.battery == 1.0
    assert not joycon.charging
    assert emulated.lamps
    assert emulated.vibration


@settings(max_examples=50, deadline=None)
@given(sides, st.integers(0, 4095), st.integers(0, 4095), st.integers(0, 4), st.data())
def test_reports_decode_as_pyjoycon_decodes_them(
    side: str, horizontal: int, vertical: int, battery: int, draw: st.DataObject
) -> None:
    held = draw.draw(st.frozensets(st.sampled_from(JOYCON_BUTTONS[side])))
    emulated = EmulatedJoyCon(side, SERIAL)
    emulated.state.stick, emulated.state.battery = (horizontal, vertical), battery
    emulated.set_buttons(held)
    report = emulated.report()
    assert len(report) == 49
    assert raw_stick(report, side).tolist() == [horizontal, vertical]
    reference = object.__new__(PyJoyCon)
    reference._input_report, reference.product_id = report, 0
    for sensor, axis in itertools.product(("ACCEL", "GYRO"), "XYZ"):
        setattr(reference, f"_{sensor}_OFFSET_{axis}", 0)
        setattr(reference, f"_{sensor}_COEFF_{axis}", 1)
    status = reference.get_status()
    assert status["battery"]["level"] == battery
    stick = status["analog-sticks"][side]
    assert (stick["horizontal"], stick["vertical"]) == (horizontal, vertical)
    buttons = {name for name, down in status["buttons"][side].items() if down}
    shared = {name for name, down in status["buttons"]["shared"].items() if down}
    names = {"l-stick": "stick", "r-stick": "stick"}
    assert buttons | {names.get(name, name) for name in shared} == held


stick_configs = st.builds(
    lambda centre, below, above: StickConfig(
        np.array(centre, dtype=float),
        np.array(centre, dtype=float) - np.array(below),
        np.array(centre, dtype=float) + np.array(above),
    ),
    st.tuples(st.integers(1500, 2500), st.integers(1500, 2500)),
    st.tuples(st.integers(200, 1400), st.integers(200, 1400)),
    st.tuples(st.integers(200, 1400), st.integers(200, 1400)),
)


@settings(max_examples=30, deadline=None)
@given(stick_configs, st.floats(0.0, 0.9))
def test_the_dead_zone_has_no_jump_at_its_edge(stick: StickConfig, dead_zone: float) -> None:
    raw = [*range(0, 4096, 45), 4095]
    values = np.array([stick_deflection(np.array([r, r]), stick, dead_zone) for r in raw])
    for axis in range(2):
        steps = np.diff(values[:, axis])
        assert np.all(steps >= 0.0)
        # 45 raw units never move it by more than their part of the shortest side.
        assert np.all(steps <= 45 / (200 * (1 - dead_zone)) + 1e-12)
        assert values[0, axis] == -1.0
        assert values[-1, axis] == 1.0
    assert stick_deflection(stick.centre, stick, dead_zone).tolist() == [0.0, 0.0]


def test_within_the_dead_zone_nothing_moves() -> None:
    stick = StickConfig(np.full(2, 2000.0), np.full(2, 1000.0), np.full(2, 3000.0))
    assert stick_deflection(np.array([2199, 1801]), stick, 0.2).tolist() == [0.0, 0.0]
    assert np.allclose(stick_deflection(np.array([2600, 1400]), stick, 0.2), [0.5, -0.5])


@settings(max_examples=50, deadline=None)
@given(sides, stick_configs)
def test_the_stick_calibration_in_flash_comes_back(side: str, stick: StickConfig) -> None:
    emulated = EmulatedJoyCon(side, SERIAL, stick)
    address = 0x603D if side == "left" else 0x6046
    got = decode_stick(emulated._flash[address : address + 9], side)
    for name in ("centre", "lower", "upper"):
        assert np.array_equal(getattr(got, name), getattr(stick, name))


def test_a_calibration_the_user_made_wins(emulated: EmulatedJoyCon) -> None:
    side = emulated.side
    other = EmulatedJoyCon(side, SERIAL, DEFAULT_STICK["left" if side == "right" else "right"])
    factory, user = (0x603D, 0x8010) if side == "left" else (0x6046, 0x801B)
    flash = bytearray(emulated._flash)
    flash[user : user + 11] = b"\xb2\xa1" + other._flash[factory : factory + 9]
    emulated._flash = bytes(flash)
    emulated.state.stick = tuple(int(raw) for raw in other.stick.upper)
    controller = JoyCon(side, PATIENT, lambda: 0.0, lambda: emulated)
    controller.connect()
    assert controller.sample().stick.tolist() == [1.0, 1.0]
    controller.close()


def test_a_calibration_in_the_file_wins_over_flash(emulated: EmulatedJoyCon) -> None:
    stick = StickConfig(np.full(2, 2000.0), np.full(2, 1000.0), np.full(2, 3000.0))
    calibrated = dataclasses.replace(PATIENT, stick=stick, dead_zone=0.0)
    emulated.state.stick = (2500, 1250)
    controller = JoyCon(emulated.side, calibrated, lambda: 0.0, lambda: emulated)
    controller.connect()
    assert controller.sample().stick.tolist() == [0.5, -0.75]
    controller.close()


class Neighbourhood:
    """Several controllers near one computer: `open` finds the one with the serial number."""

    def __init__(self, controllers: dict[str, EmulatedJoyCon]) -> None:
        self._controllers = controllers
        self._opened: EmulatedJoyCon | None = None

    def open(self, vendor_id: int, product_id: int, serial_number: str | None) -> None:
        first = next(iter(self._controllers))
        self._opened = self._controllers[serial_number or first]
        self._opened.open(vendor_id, product_id, serial_number)

    def __getattr__(self, name: str) -> object:
        return getattr(self._opened, name)


def test_two_left_controllers_are_told_apart() -> None:
    both = {serial: EmulatedJoyCon("left", serial) for serial in ("00:01", "00:02")}
    both["00:02"].set_buttons(frozenset({"zl"}))
    joycons = [
        JoyCon("left", JoyConConfig(serial=serial), lambda: 0.0, lambda: Neighbourhood(both))
        for serial in both
    ]
    for joycon in joycons:
        joycon.connect()
    wait_for(lambda: all(joycon.connected for joycon in joycons))
    assert [sorted(joycon.sample().buttons) for joycon in joycons] == [[], ["zl"]]
    for joycon in joycons:
        joycon.close()


def refusing(error: OSError) -> Callable[[], HidDevice]:
    """A factory of devices that cannot be opened."""

    class Refusing(EmulatedJoyCon):
        def open(self, *arguments: object) -> None:
            raise error

    return lambda: Refusing("left", SERIAL)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError("open failed"), "cannot be reached: open failed.*pair it by Bluetooth"),
        (PermissionError(13, "no"), "no permission.*udev rule"),
    ],
)
def test_a_controller_that_cannot_be_opened_is_told(error: OSError, message: str) -> None:
    joycon = JoyCon("left", PATIENT, lambda: 0.0, refusing(error))
    with pytest.raises(DeviceError, match=rf"left Joy-Con {SERIAL}: {message}"):
        joycon.connect()
    assert not joycon.connected
    with pytest.raises(DeviceError, match="not connected"):
        joycon.sample()


def test_a_controller_that_never_answers_is_told(
    emulated: EmulatedJoyCon, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brs_hardware.joycon._REPLY_TIMEOUT_S", 0.1)
    emulated.fall_silent()
    joycon = JoyCon(emulated.side, PATIENT, lambda: 0.0, lambda: emulated)
    with pytest.raises(DeviceError, match="does not answer"):
        joycon.connect()


def test_a_lost_controller_is_told_and_comes_back(
    joycon: JoyCon, emulated: EmulatedJoyCon
) -> None:
    emulated.disconnect()
    wait_for(lambda: not joycon.connected)
    with pytest.raises(DeviceError, match=r"lost the controller \(read error\)"):
        joycon.sample()
    with pytest.raises(DeviceError, match="lost the controller"):
        joycon.rumble(1.0, 0.1)
    emulated.reconnect()
    joycon.connect()
    assert joycon.connected
    joycon.sample()


def test_a_silent_controller_is_told(emulated: EmulatedJoyCon) -> None:
    quick = JoyConConfig(serial=SERIAL, silent_after_s=0.05)
    joycon = JoyCon(emulated.side, quick, lambda: 0.0, lambda: emulated)
    joycon.connect()
    emulated.fall_silent()
    wait_for(lambda: not joycon.connected)
    with pytest.raises(DeviceError, match=r"lost the controller \(silent for"):
        joycon.sample()
    assert joycon.age_s > 0.05
    emulated.fall_silent(False)
    wait_for(lambda: joycon.connected)
    joycon.close()
    assert joycon.age_s == float("inf")


def test_rumble_ends_by_itself(joycon: JoyCon, emulated: EmulatedJoyCon) -> None:
    joycon.rumble(0.5, 0.02)
    assert emulated.rumble == rumble_bytes(0.5) != rumble_bytes(0.0)
    wait_for(lambda: emulated.rumble == rumble_bytes(0.0))


def test_rumble_bytes_are_those_of_the_controllers_table() -> None:
    assert rumble_bytes(0.0) == bytes.fromhex("0001404000014040")
    assert rumble_bytes(1.0) == bytes.fromhex("00c9407200c94072")
    assert rumble_bytes(0.01) == bytes.fromhex("0003c0400003c040")
    assert rumble_bytes(7.0) == rumble_bytes(1.0)


def test_the_system_can_be_asked_for_controllers() -> None:
    assert all(side in JOYCON_BUTTONS for side, _ in connected_controllers())
