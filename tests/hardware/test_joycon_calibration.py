"""A stick's calibration: exact for any stick, refused when half done, used by its controller."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware import calibration_store as store
from brs_hardware.errors import DeviceError
from brs_hardware.joycon import JoyCon, stick_deflection
from brs_hardware.joycon_calibration import (
    SECTORS,
    JoyConCalibration,
    coverage,
    save_stick,
    solve_stick,
    stored_stick,
)
from brs_hardware.leader_config import JoyConConfig, StickConfig
from brs_sim.emulators.joycon import EmulatedJoyCon

CENTRE = np.array([1900.0, 2150.0])
SERIAL = "00:00:00:00:00:0A"
STICK = StickConfig(CENTRE, np.array([700.0, 900]), np.array([3000.0, 3300]), 0.05)


def circle(centre: np.ndarray, below: np.ndarray, above: np.ndarray, part: float = 1.0):
    """Samples of one round, point by point, each axis scaled by the travel to its own side."""
    points = []
    for step in range(240):
        angle = 2 * np.pi * part * step / 240
        x, y = np.cos(angle), np.sin(angle)
        points.append(
            (
                centre[0] + x * (above[0] if x > 0 else below[0]),
                centre[1] + y * (above[1] if y > 0 else below[1]),
            )
        )
    return np.rint(points)


travels = st.tuples(st.integers(600, 1500), st.integers(600, 1500)).map(np.array)


@settings(max_examples=100, deadline=None)
@given(
    st.tuples(st.integers(1700, 2400), st.integers(1700, 2400)).map(np.array),
    travels,
    travels,
    st.integers(0, 70),
    st.integers(0, 2**31 - 1),
)
def test_centre_range_and_rest_are_found_and_axes_not_swapped(
    centre: np.ndarray, below: np.ndarray, above: np.ndarray, noise: int, seed: int
) -> None:
    at_rest = centre + np.random.default_rng(seed).integers(-noise, noise + 1, (200, 2))
    found = solve_stick(at_rest, circle(centre, below, above))
    assert np.all(np.abs(found.centre - np.median(at_rest, axis=0)) == 0)
    assert np.all(np.abs(found.lower - (centre - below)) <= 1)
    assert np.all(np.abs(found.upper - (centre + above)) <= 1)
    # No sample at rest gets out of the dead zone, however narrow that was chosen.
    for raw in at_rest:
        assert np.all(stick_deflection(raw, found, 0.0) == 0.0)
    assert found.rest <= 2 * noise / (min(*below, *above) - noise) + 1e-9


def test_output_starts_from_nothing_at_the_edge_and_ends_at_one() -> None:
    raw = np.linspace(STICK.centre[0], STICK.upper[0], 2000)
    out = [stick_deflection(np.array([x, CENTRE[1]]), STICK, 0.2)[0] for x in raw]
    moved = next(value for value in out if value > 0.0)
    assert moved < 0.002
    assert out[-1] == 1.0
    assert max(np.diff(out)) < 0.002
    edge = (raw[np.flatnonzero(np.array(out) > 0.0)[0]] - CENTRE[0]) / 1100.0
    assert edge == pytest.approx(0.2 + 0.8 * 0.05, abs=0.001)


@pytest.mark.parametrize("part", [0.5, 0.75, 0.9])
def test_a_part_of_a_circle_is_refused(part: float) -> None:
    at_rest = np.tile(CENTRE, (10, 1))
    travel = np.array([1200.0, 1200.0])
    with pytest.raises(DeviceError, match=r"was not pushed down|of 16 sectors only"):
        solve_stick(at_rest, circle(CENTRE, travel, travel, part))


def test_a_cross_is_no_circle() -> None:
    way = np.linspace(-1200, 1200, 100)
    cross = np.concatenate(
        [
            CENTRE + np.stack([way, 0 * way], axis=1),
            CENTRE + np.stack([0 * way, way], axis=1),
        ]
    )
    with pytest.raises(DeviceError, match=r"through [456] of 16 sectors"):
        solve_stick(np.tile(CENTRE, (10, 1)), cross)


@pytest.mark.parametrize(
    ("end", "where"), [((-1, 0), "left"), ((1, 0), "right"), ((0, -1), "down"), ((0, 1), "up")]
)
def test_the_end_that_was_not_reached_is_named(end: tuple[int, int], where: str) -> None:
    travel = np.array([1200.0, 1200.0])
    points = circle(CENTRE, travel, travel)
    short = points[(points - CENTRE) @ np.array(end) < 400]
    with pytest.raises(DeviceError, match=f"was not pushed {where}"):
        solve_stick(np.tile(CENTRE, (10, 1)), short)


def test_a_thumb_on_the_stick_at_rest_is_refused() -> None:
    travel = np.array([1200.0, 1200.0])
    touched = np.tile(CENTRE, (10, 1))
    touched[4] += (0.0, 300.0)
    with pytest.raises(DeviceError, match="moved by 300 of 4096 at rest"):
        solve_stick(touched, circle(CENTRE, travel, travel))


def test_coverage_grows_sector_by_sector() -> None:
    travel = np.array([1200.0, 1200.0])
    points = circle(CENTRE, travel, travel)
    seen = [coverage(points[: n + 1], CENTRE).sum() for n in range(len(points))]
    assert seen[0] == 1
    assert seen == sorted(seen)
    assert seen[-1] == SECTORS
    assert coverage(np.tile(CENTRE, (5, 1)), CENTRE).sum() == 0


@pytest.fixture(autouse=True)
def data(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("BRS_DATA", str(tmp_path))
    return tmp_path


def connected(config: JoyConConfig) -> tuple[EmulatedJoyCon, JoyCon]:
    emulated = EmulatedJoyCon("left", SERIAL)
    joycon = JoyCon("left", config, time.monotonic, lambda: emulated)
    joycon.connect()
    return emulated, joycon


def full_right(config: JoyConConfig) -> float:
    """Deflection that the controller reports at raw (2450, centre)."""
    emulated, joycon = connected(config)
    try:
        emulated.state.stick = (2450, 2153)
        for _ in range(200):
            if joycon.raw_stick()[0] == 2450:
                return float(joycon.sample().stick[0])
            time.sleep(0.01)
        pytest.fail("no report came")
    finally:
        joycon.close()


def test_the_controller_of_that_serial_uses_what_was_stored() -> None:
    factory = full_right(JoyConConfig(dead_zone=0.0))
    path = save_stick(JoyConCalibration(SERIAL, "left", "2026-01-02T03:04:05", STICK))
    assert json.loads(Path(path).read_text())["stick"]["upper"] == [3000.0, 3300.0]
    mine = full_right(JoyConConfig(dead_zone=0.0))
    assert factory == pytest.approx((2450 - 1875) / (3280 - 1875))
    assert mine == pytest.approx(((2450 - 1900) / 1100 - 0.05) / 0.95)
    # What the leader's YAML says goes first.
    given = StickConfig(CENTRE, STICK.lower, np.array([2450.0, 3300.0]))
    assert full_right(JoyConConfig(dead_zone=0.0, stick=given)) == 1.0


def test_a_torn_file_is_told_and_the_flash_used(caplog: pytest.LogCaptureFixture) -> None:
    path = store.calibration_path("joycon", SERIAL)
    path.parent.mkdir(parents=True)
    path.write_text('{"schema": 1, "ser')
    factory = full_right(JoyConConfig(dead_zone=0.0))
    assert factory == pytest.approx((2450 - 1875) / (3280 - 1875))
    assert "torn calibration file" in caplog.text
    assert stored_stick("00:00:00:00:00:0B") is None
