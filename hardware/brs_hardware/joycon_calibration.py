"""Calibration of a Joy-Con's stick: centre and noise at rest, range by circling it.

BRS does it so too, but its file has the maxima of the two axes swapped; here each axis is kept by
name. Values are raw 12-bit numbers, (horizontal, vertical).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brs_hardware import calibration_store
from brs_hardware.errors import DeviceError
from brs_hardware.leader_config import StickConfig

SECTORS = 16  # of the circle; the stick has to be in each of them at its rim
RIM = 0.8  # of the full deflection; the rim of worn controllers is no perfect circle
GREATEST_REST_SPREAD = 150  # raw; noise is about 20, a thumb on the stick makes more
LEAST_TRAVEL = 500  # raw, from the centre to each end; usual are 1000 to 1500
_ENDS = (("left", "down"), ("right", "up"))  # of (horizontal, vertical): lower, upper
_DEVICE = "joycon"


@dataclass(frozen=True)
class JoyConCalibration:
    """What is stored for one controller."""

    serial: str  # Bluetooth address
    side: str  # `left` or `right`
    made: str  # date and time, ISO 8601
    stick: StickConfig


def centre_at_rest(at_rest: np.ndarray) -> np.ndarray:
    """(2,) centre of (n, 2) samples. Raises DeviceError: somebody touched the stick."""
    spread = np.ptp(at_rest, axis=0)
    if np.any(spread > GREATEST_REST_SPREAD):
        raise _refused(
            f"moved by {spread.max():.0f} of 4096 at rest", "take your thumb off and try again"
        )
    centre: np.ndarray = np.median(at_rest, axis=0)
    return centre


def solve_stick(at_rest: np.ndarray, circled: np.ndarray) -> StickConfig:
    """Centre, range and rest of a stick.

    Args:
        at_rest: (n, 2) samples while nobody touched it.
        circled: (m, 2) samples while it was circled at its rim.

    Raises:
        DeviceError: it was touched, not pushed to every end, or not circled; tells which.
    """
    centre = centre_at_rest(at_rest)
    lower, upper = circled.min(axis=0), circled.max(axis=0)
    for end, names in zip((lower, upper), _ENDS, strict=True):
        for axis, name in enumerate(names):
            if abs(end[axis] - centre[axis]) < LEAST_TRAVEL:
                raise _refused(f"was not pushed {name}", "circle it at its rim, twice")
    covered = coverage(circled, centre)
    if not np.all(covered):
        raise _refused(
            f"was circled through {covered.sum()} of {SECTORS} sectors only",
            "circle it at its rim, twice and slowly",
        )
    offset = at_rest - centre
    rest = np.max(np.abs(offset) / np.where(offset < 0.0, centre - lower, upper - centre))
    return StickConfig(centre, lower.astype(float), upper.astype(float), float(rest))


def coverage(circled: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """(SECTORS,) whether the stick was at the rim in each sector, counted from the right on.

    Args:
        circled: (m, 2) samples so far.
        centre: (2,).
    """
    offset = circled - centre
    below, above = np.maximum(-offset.min(axis=0), 1.0), np.maximum(offset.max(axis=0), 1.0)
    # So long as it went nowhere yet, nothing is the rim.
    travel = np.maximum(np.where(offset < 0.0, below, above), LEAST_TRAVEL)
    horizontal, vertical = (offset / travel).T
    at_rim = np.hypot(horizontal, vertical) >= RIM
    sector = np.floor(np.arctan2(vertical, horizontal) / (2.0 * np.pi) * SECTORS).astype(int)
    covered = np.zeros(SECTORS, dtype=bool)
    covered[sector[at_rim] % SECTORS] = True
    return covered


def save_stick(calibration: JoyConCalibration) -> str:
    """Store a calibration; returns the path of the file. Raises ConfigError."""
    path = calibration_store.calibration_path(_DEVICE, calibration.serial)
    calibration_store.save(path, calibration)
    return str(path)


def stored_stick(serial: str) -> StickConfig | None:
    """The stored calibration of a controller's stick, None where there is none.

    Raises:
        ConfigError: the file is torn, malformed or of another version.
    """
    path = calibration_store.calibration_path(_DEVICE, serial)
    stored = calibration_store.load(JoyConCalibration, path, "run `brs calibrate joycon`")
    return None if stored is None else stored.stick


def _refused(what: str, remedy: str) -> DeviceError:
    return DeviceError(f"the stick {what}", remedy=remedy)
