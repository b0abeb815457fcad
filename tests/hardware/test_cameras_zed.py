"""The ZED driver against a module that has the documented names of the ZED SDK and no others."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType

import numpy as np
import pytest
import zed_sdk

from brs_hardware.cameras import Camera, CameraConfig, make_camera
from brs_hardware.errors import ConfigError, DeviceError

VGA = CameraConfig("zed", 672, 376, 60, np.array([0.2, 3.0]))


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> zed_sdk.Bench:
    package = ModuleType("pyzed")
    package.sl = zed_sdk  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pyzed", package)
    monkeypatch.setitem(sys.modules, "pyzed.sl", zed_sdk)
    monkeypatch.setattr(zed_sdk, "bench", zed_sdk.Bench())
    return zed_sdk.bench


def camera(config: CameraConfig = VGA) -> Camera:
    return make_camera("head", config, lambda: 1_700_000_000.02)


def test_a_frame_has_colour_in_rgb_depth_in_metres_and_the_stamp_of_its_capture(
    bench: zed_sdk.Bench,
) -> None:
    bench.bgra[:] = [10, 20, 30, 255]
    bench.depth[:4] = np.array([np.nan, np.inf, -np.inf, 9.0])[:, None]
    zed = camera(replace(VGA, serial=str(zed_sdk.Bench.SERIAL)))
    zed.open()
    frame = zed.read(0.1)
    assert frame is not None
    assert frame.stamp_s == pytest.approx(1.7e9, abs=1e-6)
    assert frame.color.shape == (376, 672, 3)
    assert frame.color[5, 5].tolist() == [30, 20, 10]
    assert frame.depth.dtype == np.float32
    assert np.isnan(frame.depth[:4]).all()
    assert (frame.depth[4:] == 1.0).all()
    assert (frame.intrinsics.fx, frame.intrinsics.fy) == (260.0, 261.0)
    wanted = bench.opened_with
    assert wanted is not None
    assert wanted.serial == zed_sdk.Bench.SERIAL
    assert wanted.camera_resolution is zed_sdk.RESOLUTION.VGA
    assert (wanted.depth_minimum_distance, wanted.depth_maximum_distance) == (0.2, 3.0)


def test_frames_own_their_pixels(bench: zed_sdk.Bench) -> None:
    zed = camera()
    zed.open()
    frame = zed.read(0.1)
    bench.bgra[:] = 200  # the SDK draws the next picture into the same memory
    bench.depth[:] = 2.0
    assert frame is not None
    assert not frame.color.any()
    assert (frame.depth == 1.0).all()


def test_frames_that_the_sdk_lost_are_counted(bench: zed_sdk.Bench) -> None:
    zed = camera()
    zed.open()
    for _ in range(2):
        bench.stamp_ns += 1_000_000
        bench.bgra[:] += 1
        assert zed.read(0.1) is not None
        bench.dropped += 3
    assert zed.health(1_700_000_000.02).dropped == 3


def test_unplugging_and_return(bench: zed_sdk.Bench) -> None:
    zed = camera()
    zed.open()
    bench.plugged_in = False
    with pytest.raises(DeviceError, match=r"CAMERA_REBOOTING.*plug it in"):
        zed.read(0.1)
    with pytest.raises(DeviceError, match="CAMERA_NOT_DETECTED"):
        zed.open()
    bench.plugged_in = True
    zed.open()
    assert zed.read(0.1) is not None
    zed.close()
    zed.close()


def test_wrong_serial_tells_what_is_there(bench: zed_sdk.Bench) -> None:
    with pytest.raises(DeviceError, match=str(zed_sdk.Bench.SERIAL)):
        camera(replace(VGA, serial="5")).open()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 640}, "672x376"),
        ({"serial": "A1"}, "digits"),
        ({"depth_mode": "PERFORMANC"}, "PERFORMANCE"),
    ],
)
def test_impossible_configurations(
    bench: zed_sdk.Bench, wrong: dict[str, object], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        camera(replace(VGA, **wrong))  # type: ignore[arg-type]


def test_missing_sdk_and_the_other_package_of_that_name(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("pyzed", "pyzed.sl"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(ConfigError, match=r"not installed.*stereolabs"):
        camera()
    monkeypatch.setitem(sys.modules, "pyzed", ModuleType("pyzed"))
    with pytest.raises(ConfigError, match=r"is not the ZED SDK's.*another program"):
        camera()
    monkeypatch.setitem(sys.modules, "pyzed.sl", ModuleType("pyzed.sl"))
    with pytest.raises(ConfigError, match="is not the ZED SDK's"):
        camera()
