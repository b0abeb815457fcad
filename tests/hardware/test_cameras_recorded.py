"""Recordings as cameras: what was stored comes back, at the pace at which it was taken."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap_ros2.writer import Writer

from brs_hardware.cameras import Camera, CameraConfig, CameraFrame, Intrinsics
from brs_hardware.cameras.bag import BagCamera
from brs_hardware.cameras.folder import FolderCamera, FolderWriter
from brs_hardware.errors import DeviceError

SIZE = (12, 16)
PINHOLE = Intrinsics(SIZE[1], SIZE[0], 20.0, 21.0, 7.5, 5.5, (0.1, -0.2, 0.0, 0.0, 0.05))
STAMPS_S = (500.0, 500.1, 500.25)


def frames() -> list[CameraFrame]:
    random = np.random.default_rng(0)
    made = []
    for number, stamp_s in enumerate(STAMPS_S):
        depth = random.uniform(0.3, 3.0, SIZE).astype(np.float32)
        depth[0, :3] = np.nan
        color = random.integers(0, 256, (*SIZE, 3), dtype=np.uint8)
        made.append(CameraFrame(stamp_s, color, depth, PINHOLE, number))
    return made


class Host:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now_s = 1000.0

    def clock(self) -> float:
        return self.now_s

    def wait(self, seconds: float) -> None:
        assert seconds >= 0.0
        self.now_s += seconds


def config(source: Path, **changes: object) -> CameraConfig:
    base = CameraConfig("folder", SIZE[1], SIZE[0], 10, np.array([0.2, 3.0]), source=str(source))
    return replace(base, **changes)  # type: ignore[arg-type]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    writer = FolderWriter(tmp_path / "recording")
    for frame in frames()[:2]:
        writer.write(frame)
    # Continued by another run.
    FolderWriter(tmp_path / "recording").write(frames()[2])
    return tmp_path / "recording"


def image(
    stamp_s: float, encoding: str, pixels: np.ndarray, padding: int = 0
) -> dict[str, object]:
    rows = pixels.reshape(len(pixels), -1).view(np.uint8)
    rows = np.pad(rows, ((0, 0), (0, padding)))
    return {
        "header": {"stamp": stamp(stamp_s), "frame_id": "head_camera_optical_frame"},
        "height": pixels.shape[0],
        "width": pixels.shape[1],
        "encoding": encoding,
        "is_bigendian": 0,
        "step": rows.shape[1],
        "data": rows.tobytes(),
    }


def stamp(stamp_s: float) -> dict[str, int]:
    return {"sec": int(stamp_s), "nanosec": round((stamp_s % 1) * 1e9)}


_HEADER = """std_msgs/Header header
{fields}
================================================================================
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
================================================================================
MSG: builtin_interfaces/Time
int32 sec
uint32 nanosec
"""
_IMAGE = _HEADER.format(
    fields="uint32 height\nuint32 width\nstring encoding\nuint8 is_bigendian\nuint32 step\n"
    "uint8[] data"
)
_INFO = _HEADER.format(fields="uint32 height\nuint32 width\nfloat64[] d\nfloat64[9] k")


def write_bag(path: Path, color: str = "rgb8", depth: str = "32FC1") -> Path:
    with path.open("wb") as file:
        writer = Writer(file)
        picture = writer.register_msgdef("sensor_msgs/msg/Image", _IMAGE)
        info = writer.register_msgdef("sensor_msgs/msg/CameraInfo", _INFO)
        for i, frame in enumerate(frames()):
            # Depth comes late, as through a filter, and the second one was lost.
            now_ns = round(frame.stamp_s * 1e9)
            pixels = frame.color if color == "rgb8" else frame.color[:, :, ::-1]
            metres = np.nan_to_num(frame.depth)
            stored = metres if depth == "32FC1" else np.round(metres * 1e3).astype(np.uint16)
            described = {
                "header": {"stamp": stamp(frame.stamp_s), "frame_id": "x"},
                "height": SIZE[0],
                "width": SIZE[1],
                "d": list(PINHOLE.distortion),
                "k": PINHOLE.matrix.ravel().tolist(),
            }
            writer.write_message("/camera/head/camera_info", info, described, now_ns)
            writer.write_message(
                "/camera/head/color/image_raw",
                picture,
                image(frame.stamp_s, color, np.ascontiguousarray(pixels), padding=5),
                now_ns,
            )
            if i != 1:
                writer.write_message(
                    "/camera/head/depth/image_raw",
                    picture,
                    image(frame.stamp_s, depth, stored),
                    now_ns + 40_000_000,
                )
        writer.finish()
    return path


def read_all(camera: Camera) -> list[CameraFrame]:
    """Frames until the recording is over."""
    camera.open()
    read = []
    while True:
        try:
            frame = camera.read(1.0)
        except DeviceError as error:
            if "over" not in error.what:
                raise
            return read
        if frame is not None:
            read.append(frame)


def assert_same(got: CameraFrame, put: CameraFrame, tolerance_m: float) -> None:
    assert np.array_equal(got.color, put.color)
    assert got.depth.dtype == np.float32
    np.testing.assert_allclose(got.depth, put.depth, atol=tolerance_m, equal_nan=True)
    assert got.intrinsics == put.intrinsics


def test_a_folder_gives_back_what_was_written(folder: Path) -> None:
    host = Host()
    read = read_all(FolderCamera("head", config(folder, paced=False), host.clock))
    assert [frame.stamp_s for frame in read] == list(STAMPS_S)
    for got, put in zip(read, frames(), strict=True):
        assert_same(got, put, 0.51e-4)


def test_a_recording_is_played_at_its_pace_with_stamps_of_now(folder: Path) -> None:
    host = Host()
    camera = FolderCamera("head", config(folder), host.clock, host.wait)
    camera.open()
    arrivals = []
    for _ in STAMPS_S:
        frame = camera.read(1.0)
        assert frame is not None
        assert frame.stamp_s == pytest.approx(host.now_s)
        arrivals.append(host.now_s - 1000.0)
    assert arrivals == pytest.approx([0.0, 0.1, 0.25])


def test_a_short_timeout_gives_nothing_yet(folder: Path) -> None:
    host = Host()
    camera = FolderCamera("head", config(folder), host.clock, host.wait)
    camera.open()
    assert camera.read(0.04) is not None
    assert [camera.read(0.04) is None for _ in range(3)] == [True, True, False]
    assert host.now_s == pytest.approx(1000.1)


def test_a_loop_goes_on_at_the_frame_rate(folder: Path) -> None:
    host = Host()
    camera = FolderCamera("head", config(folder, loop=True), host.clock, host.wait)
    camera.open()
    stamps = [camera.read(1.0) for _ in range(7)]
    times = [frame.stamp_s - 1000.0 for frame in stamps if frame is not None]
    assert times == pytest.approx([0.0, 0.1, 0.25, 0.35, 0.45, 0.6, 0.7])


@given(depth=st.floats(-1.0, 100.0, width=32) | st.just(float("nan")))
@settings(max_examples=50, deadline=None)
def test_any_depth_is_stored_within_half_a_unit_or_not_at_all(
    tmp_path_factory: pytest.TempPathFactory, depth: float
) -> None:
    path = tmp_path_factory.mktemp("any")
    frame = replace(frames()[0], depth=np.full(SIZE, depth, np.float32))
    FolderWriter(path, depth_unit_m=1e-3).write(frame)
    wide = config(path, paced=False, depth_range=np.array([0.0, 1000.0]))
    [read] = read_all(FolderCamera("head", wide, Host().clock))
    if np.isfinite(read.depth).all():
        assert np.abs(read.depth - depth).max() <= 0.0005 + 1e-5
    else:
        assert np.isnan(read.depth).all()
        assert not 0.0006 < depth < 65.535


@pytest.mark.parametrize("color", ["rgb8", "bgr8"])
@pytest.mark.parametrize(("depth", "tolerance_m"), [("32FC1", 0.0), ("16UC1", 0.51e-3)])
def test_a_bag_gives_pairs_of_equal_stamps(
    tmp_path: Path, color: str, depth: str, tolerance_m: float
) -> None:
    path = write_bag(tmp_path / "bag.mcap", color, depth)
    for source in (path, tmp_path):
        read = read_all(BagCamera("head", config(source, paced=False), Host().clock))
        put = [frames()[0], frames()[2]]
        assert [f.stamp_s for f in read] == pytest.approx([f.stamp_s for f in put], abs=1e-9)
        for got, expected in zip(read, put, strict=True):
            assert_same(got, expected, tolerance_m)


def damage_stamps(folder: Path) -> None:
    (folder / "stamps.csv").write_text("0,500.0\nx\n")


def remove_picture(folder: Path) -> None:
    (folder / "000000_depth.png").unlink()


def shallow_depth(folder: Path) -> None:
    shutil.copy(folder / "000000_color.png", folder / "000000_depth.png")


def other_size(folder: Path) -> None:
    description = json.loads((folder / "camera.json").read_text())
    (folder / "camera.json").write_text(json.dumps(description | {"width": 20}))


def unknown_key(folder: Path) -> None:
    description = json.loads((folder / "camera.json").read_text())
    (folder / "camera.json").write_text(json.dumps(description | {"fov": 1.0}))


@pytest.mark.parametrize(
    ("harm", "message"),
    [
        (damage_stamps, "stamps.csv:2"),
        (remove_picture, "000000_depth.png: cannot be read"),
        (shallow_depth, "not 16-bit grey"),
        (other_size, "intrinsics are of 20x12"),
        (unknown_key, "unknown key 'fov'"),
        (shutil.rmtree, "no such file"),
    ],
)
def test_a_damaged_folder_is_told_in_one_line(folder: Path, harm: object, message: str) -> None:
    harm(folder)  # type: ignore[operator]
    camera = FolderCamera("head", config(folder, paced=False), Host().clock)
    with pytest.raises(DeviceError, match=message) as caught:
        read_all(camera)
    assert "\n" not in str(caught.value)


def test_a_bag_that_is_missing_cut_or_strange_is_told(tmp_path: Path) -> None:
    def opened(path: Path) -> None:
        BagCamera("head", config(path), Host().clock).open()

    with pytest.raises(DeviceError, match="no bag there"):
        opened(tmp_path / "nothing.mcap")
    whole = write_bag(tmp_path / "bag.mcap", depth="16UC1")
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(whole.read_bytes()[:1500])
    with pytest.raises(DeviceError, match="mcap recover"):
        opened(cut)
    with pytest.raises(DeviceError, match="no frames"):
        BagCamera("left_wrist", config(whole), Host().clock).open()
