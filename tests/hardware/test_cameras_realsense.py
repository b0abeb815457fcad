"""The RealSense driver on the real SDK: frames enter through its software device."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from brs_hardware.cameras import CameraConfig, CameraFrame, Intrinsics
from brs_hardware.cameras.realsense import RealSenseCamera
from brs_hardware.errors import ConfigError, DeviceError
from brs_sim.emulators.realsense import EmulatedRealSense

WIDTH, HEIGHT = 64, 48
COLOR = Intrinsics(WIDTH, HEIGHT, 40.0, 40.0, 31.5, 23.5)
DEPTH = Intrinsics(WIDTH, HEIGHT, 30.0, 30.0, 31.5, 23.5)  # sees more than the colour sensor
UNIT_M = 0.0005
CONFIG = CameraConfig("realsense", WIDTH, HEIGHT, 30, np.array([0.3, 3.0]))


class Clock:
    now_s = 1000.0

    def __call__(self) -> float:
        return self.now_s


class Set:
    """One emulated device, its driver, and the host's clock."""

    def __init__(self, config: CameraConfig = CONFIG) -> None:
        self.clock = Clock()
        self.device = EmulatedRealSense("123", COLOR, DEPTH, UNIT_M)
        self.camera = RealSenseCamera("head", config, self.clock, self.device.devices)

    def give(self, number: int, stamp_s: float, hardware_clock: bool = True) -> None:
        rows, columns = np.mgrid[:HEIGHT, :WIDTH]
        color = np.stack([columns, rows, np.full_like(rows, number)], 2).astype(np.uint8)
        depth = np.where(columns < WIDTH // 2, 1.0, 2.0)
        depth[:10] = 0.0
        depth[-10:] = 5.0
        self.device.give(color, depth, number, stamp_s, hardware_clock)

    def read(self) -> CameraFrame:
        frame = self.camera.read(5.0)
        assert frame is not None
        return frame


@pytest.fixture
def rig() -> Set:
    return Set()


def test_depth_is_aligned_with_colour_and_in_metres(rig: Set) -> None:
    rig.camera.open()
    rig.give(1, 5.0)
    frame = rig.read()
    assert frame.intrinsics == COLOR
    assert frame.number == 1
    assert frame.color[7, 9].tolist() == [9, 7, 1]
    # A depth row r is seen by the colour sensor at 23.5 + 40/30 (r - 23.5): rows 10 to 37 of
    # depth hold readings, which are rows 6 to 41 of colour.
    middle = frame.depth[10:38]
    assert np.nanmax(np.abs(middle[:, : WIDTH // 2 - 2] - 1.0)) < UNIT_M
    assert np.nanmax(np.abs(middle[:, WIDTH // 2 + 2 :] - 2.0)) < UNIT_M
    assert np.isfinite(middle).mean() > 0.9
    # No reading, and beyond the range.
    assert np.isnan(frame.depth[:4]).all()
    assert np.isnan(frame.depth[-4:]).all()
    rig.camera.close()


def test_device_clock_is_mapped_and_global_time_taken_as_it_is(rig: Set) -> None:
    rig.camera.open()
    for number, delay_s in enumerate([0.030, 0.050, 0.020, 0.040], start=1):
        device_s = 5.0 + number / 30
        rig.clock.now_s = 1000.0 + number / 30 + delay_s
        rig.give(number, device_s)
        frame = rig.read()
        # The least delay so far is all that the stamp may be late.
        least_s = min([0.030, 0.050, 0.020, 0.040][:number])
        assert frame.stamp_s == pytest.approx(1000.0 + number / 30 + least_s, abs=1e-4)
    rig.clock.now_s = 1001.0
    rig.give(5, 1000.99, hardware_clock=False)
    assert rig.read().stamp_s == pytest.approx(1000.99, abs=1e-4)
    rig.camera.close()


def test_unplugging_and_return(rig: Set) -> None:
    rig.camera.open()
    rig.give(1, 5.0)
    rig.read()
    rig.device.plugged_in = False
    assert rig.camera.read(0.01) is None  # borne for a moment
    rig.clock.now_s += CONFIG.silent_after_s + 0.1
    with pytest.raises(DeviceError, match="is silent"):
        rig.camera.read(0.01)
    with pytest.raises(DeviceError, match="no RealSense is plugged in"):
        rig.camera.open()
    rig.device.plugged_in = True
    rig.camera.open()
    rig.give(1, 0.5)  # it counts anew, and its clock too
    assert rig.read().stamp_s == rig.clock.now_s
    rig.camera.close()
    rig.camera.close()


def test_wrong_serial_size_or_choice_is_told() -> None:
    with pytest.raises(DeviceError, match=r"no RealSense 9 is plugged in \(seen: 123\)"):
        Set(replace(CONFIG, serial="9")).camera.open()
    Set(replace(CONFIG, serial="123")).camera.open()
    with pytest.raises(DeviceError, match="640x480 at 30 Hz"):
        Set(replace(CONFIG, width=640, height=480)).camera.open()
    rig, other = Set(), EmulatedRealSense("124", COLOR, DEPTH)
    both = [*rig.device.devices(), *other.devices()]
    camera = RealSenseCamera("head", CONFIG, rig.clock, lambda: both)
    with pytest.raises(ConfigError, match="123, 124"):
        camera.open()


def test_reading_before_opening_is_told(rig: Set) -> None:
    with pytest.raises(DeviceError, match="not open"):
        rig.camera.read(0.01)
