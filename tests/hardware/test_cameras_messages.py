"""Pictures survive coding, parts of a frame find each other, and what is bad is told."""

from __future__ import annotations

import io
import struct
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from brs_hardware.cameras import CameraFrame
from brs_hardware.cameras.matching import FrameMatcher
from brs_hardware.cameras.pictures import (
    DEPTH_FORMAT,
    JPEG_FORMAT,
    color_of,
    depth_of,
    to_compressed_depth,
    to_jpeg,
)
from brs_hardware.errors import DeviceError

SIZE = (12, 16)
FRAME_ID = "head_camera_optical_frame"


def header(stamp_ns: int = 0, frame_id: str = FRAME_ID) -> SimpleNamespace:
    stamp = SimpleNamespace(sec=stamp_ns // 10**9, nanosec=stamp_ns % 10**9)
    return SimpleNamespace(stamp=stamp, frame_id=frame_id)


def image(pixels: np.ndarray, encoding: str, padding: int = 0, **of_header: Any) -> Any:
    rows = np.pad(pixels.reshape(len(pixels), -1).view(np.uint8), ((0, 0), (0, padding)))
    return SimpleNamespace(
        header=header(**of_header),
        height=pixels.shape[0],
        width=pixels.shape[1],
        encoding=encoding,
        is_bigendian=pixels.dtype.byteorder == ">",
        step=rows.shape[1],
        data=rows.tobytes(),
    )


def compressed(data: bytes, kind: str, **of_header: Any) -> Any:
    return SimpleNamespace(header=header(**of_header), format=kind, data=data)


def info(size: tuple[int, int] = SIZE, focal: float = 20.0, **of_header: Any) -> Any:
    k = [focal, 0.0, 7.5, 0.0, focal + 1.0, 5.5, 0.0, 0.0, 1.0]
    return SimpleNamespace(header=header(**of_header), height=size[0], width=size[1], k=k, d=[])


def color(value: int = 0) -> np.ndarray:
    return np.random.default_rng(value).integers(0, 256, (*SIZE, 3), dtype=np.uint8)


def metres(value: int = 0) -> np.ndarray:
    return np.random.default_rng(value).uniform(0.3, 3.0, SIZE).astype(np.float32)


# -- pictures -----------------------------------------------------------------------------------


@pytest.mark.parametrize("padding", [0, 5])
def test_raw_pictures_are_read_in_all_their_encodings(padding: int) -> None:
    pixels, depth = color(), metres()
    assert np.array_equal(color_of(image(pixels, "rgb8", padding), "head"), pixels)
    swapped = image(np.ascontiguousarray(pixels[:, :, ::-1]), "bgr8", padding)
    assert np.array_equal(color_of(swapped, "head"), pixels)
    for order in "<>":
        stored = image(depth.astype(f"{order}f4"), "32FC1", padding)
        assert np.array_equal(depth_of(stored, "head"), depth)
        millimetres = np.rint(depth * 1e3).astype(f"{order}u2")
        read = depth_of(image(millimetres, "16UC1", padding), "head")
        assert read.dtype == np.float32
        np.testing.assert_allclose(read, millimetres / 1e3, rtol=1e-6)


def test_what_is_no_reading_is_nan() -> None:
    depth = metres()
    depth[0, :5] = [0.0, -1.0, np.nan, np.inf, 0.7]
    read = depth_of(image(depth, "32FC1"), "head")
    assert np.isnan(read[0, :4]).all() and read[0, 4] == np.float32(0.7)
    assert np.isnan(depth_of(image(np.zeros(SIZE, np.uint16), "16UC1"), "head")).all()


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.floats(0.0006, 65.0) | st.sampled_from([0.0, np.nan, np.inf, -np.inf, -2.0, 66.0]),
        min_size=6,
        max_size=6,
    )
)
def test_compressed_depth_comes_back_to_half_a_millimetre(values: list[float]) -> None:
    depth = np.array(values, np.float32).reshape(2, 3)
    data = to_compressed_depth(depth)
    read = depth_of(compressed(data, DEPTH_FORMAT), "head")
    valid = (depth > 0.0) & (depth < 65.5)
    assert np.array_equal(np.isfinite(read), valid)
    np.testing.assert_allclose(read[valid], depth[valid], atol=0.000501, rtol=1e-6)
    # Read independently: the header of image_transport, and PNG by another library.
    assert data[:12] == bytes(12)
    stored = np.asarray(Pillow.open(io.BytesIO(data[12:])))
    np.testing.assert_allclose(stored[valid] / 1e3, depth[valid], atol=0.000501)


def test_inverse_depth_of_image_transport_is_read() -> None:
    # As compressed_depth_image_transport quantizes 32FC1: stored = a / depth + b.
    depth, a, b = metres(), 100.0 * 101.0, 1.0 - 100.0 * 101.0 / 10.0
    stored = (a / depth + b).astype(np.uint16)
    stored[0, 0] = 0
    png = io.BytesIO()
    Pillow.fromarray(stored).save(png, "PNG")
    data = struct.pack("<iff", 0, a, b) + png.getvalue()
    read = depth_of(compressed(data, "32FC1; compressedDepth"), "head")
    assert np.isnan(read[0, 0])
    np.testing.assert_allclose(read.ravel()[1:], depth.ravel()[1:], rtol=1e-3)


def test_jpeg_keeps_colours_in_their_places() -> None:
    pixels = np.zeros((32, 32, 3), np.uint8)
    pixels[:16, :, 0], pixels[16:, :, 2] = 220, 180  # red above, blue below
    data = to_jpeg(pixels, 90)
    read = color_of(compressed(data, JPEG_FORMAT), "head")
    for other in (read, np.asarray(Pillow.open(io.BytesIO(data)))):
        assert np.abs(other[2:12].astype(int) - [220, 0, 0]).max() < 12
        assert np.abs(other[20:30].astype(int) - [0, 0, 180]).max() < 12
    assert len(to_jpeg(color(), 95)) > len(to_jpeg(color(), 20))


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (image(color(), "mono8"), "mono8"),
        (compressed(b"\xff\xd8 no picture", JPEG_FORMAT), "cannot be decoded"),
        (compressed(b"", JPEG_FORMAT), "cannot be decoded"),
    ],
)
def test_colour_that_cannot_be_read_is_refused(message: Any, told: str) -> None:
    with pytest.raises(DeviceError, match=told):
        color_of(message, "head")


@pytest.mark.parametrize(
    ("message", "told"),
    [
        (image(metres(), "64FC1"), "64FC1"),
        (compressed(b"", DEPTH_FORMAT), "without pixels"),
        (compressed(bytes(12) + b"no picture", DEPTH_FORMAT), "cannot be decoded"),
        (compressed(bytes(40), "16UC1; compressedDepth rvl"), "rvl"),
        (compressed(bytes(12) + to_jpeg(color(), 80), DEPTH_FORMAT), "16 bits"),
    ],
)
def test_depth_that_cannot_be_read_is_refused(message: Any, told: str) -> None:
    with pytest.raises(DeviceError, match=told):
        depth_of(message, "head")


def test_a_picture_that_was_cut_off_is_refused() -> None:
    message = image(color(), "rgb8")
    message.data = message.data[: len(message.data) // 2]
    with pytest.raises(DeviceError, match="288 bytes for 16x12"):
        color_of(message, "head")


# -- frames -------------------------------------------------------------------------------------


def parts(stamp_ns: int, value: int) -> list[tuple[str, Any]]:
    return [
        ("color", image(color(value), "rgb8", stamp_ns=stamp_ns)),
        ("depth", image(metres(value), "32FC1", stamp_ns=stamp_ns)),
        ("info", info(stamp_ns=stamp_ns)),
    ]


@settings(max_examples=50, deadline=None)
@given(st.permutations(range(9)))
def test_parts_match_in_any_order(order: list[int]) -> None:
    stamps_ns = [1_000_000_001, 1_066_666_667, 1_133_333_333]
    sent = [part for value, stamp in enumerate(stamps_ns) for part in parts(stamp, value)]
    matcher = FrameMatcher("head", FRAME_ID)
    found: list[CameraFrame] = []
    for i in order:
        found += matcher.add(*sent[i])
    assert sorted(round(frame.stamp_s * 1e9) for frame in found) == stamps_ns
    for frame in found:
        value = stamps_ns.index(round(frame.stamp_s * 1e9))
        assert np.array_equal(frame.color, color(value))
        assert np.array_equal(frame.depth, metres(value))
        assert (frame.intrinsics.fx, frame.intrinsics.cy) == (20.0, 5.5)
    assert [frame.number for frame in found] == [1, 2, 3]


def test_what_has_no_partner_is_forgotten() -> None:
    matcher = FrameMatcher("head")
    for value in range(20):
        assert not matcher.add("color", image(color(), "rgb8", stamp_ns=value))
    assert matcher.lonely == 12
    matcher.add("info", info())
    assert not matcher.add("depth", image(metres(), "32FC1", stamp_ns=0)), "long gone"
    assert len(matcher.add("depth", image(metres(), "32FC1", stamp_ns=19))) == 1


@pytest.mark.parametrize(
    ("part", "message", "told"),
    [
        ("color", image(color(), "rgb8", frame_id="left_wrist"), "colou?r in frame 'left_wrist'"),
        ("info", info(frame_id=""), "info in frame ''"),
        ("color", image(color()[::2], "rgb8", stamp_ns=7), "16x6 colour and 16x12 depth"),
        ("color", image(color(), "8UC3", stamp_ns=7), "8UC3"),
        ("info", info(focal=0.0), "without focal lengths"),
        ("info", info(focal=np.nan), "without focal lengths"),
        ("info", info(size=(0, 16)), "without focal lengths"),
    ],
)
def test_a_bad_part_is_refused_by_name_and_the_next_frame_is_good(
    part: str, message: Any, told: str
) -> None:
    matcher = FrameMatcher("head", FRAME_ID)
    matcher.add("info", info())
    matcher.add("depth", image(metres(), "32FC1", stamp_ns=7))
    with pytest.raises(DeviceError, match=told) as refusal:
        matcher.add(part, message)
    assert refusal.value.where == "head"
    matcher.add("depth", image(metres(3), "32FC1", stamp_ns=9))
    (frame,) = matcher.add("color", image(color(3), "rgb8", stamp_ns=9))
    assert np.array_equal(frame.depth, metres(3))
