"""Pictures and clouds of messages: every encoding against a plain loop, and malformed ones."""

from __future__ import annotations

import io
import struct
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from view_samples import cloud, image

from brs_cli.view_pictures import (
    FIELD_TYPES,
    PNG,
    cloud_of,
    color_of,
    compressed_color,
    compressed_depth,
    depth_of,
    jpeg,
    png,
)

RNG = np.random.default_rng(3)


def message(fields: dict[str, Any], **more: Any) -> SimpleNamespace:
    content = {"is_bigendian": False, **fields, **more}
    if "fields" in content:
        content["fields"] = [SimpleNamespace(**field) for field in content["fields"]]
    return SimpleNamespace(**content)


@pytest.mark.parametrize(
    ("encoding", "channels", "red_green_blue"),
    [
        ("rgb8", 3, (0, 1, 2)),
        ("bgr8", 3, (2, 1, 0)),
        ("rgba8", 4, (0, 1, 2)),
        ("bgra8", 4, (2, 1, 0)),
        ("mono8", 1, (0, 0, 0)),
    ],
)
@pytest.mark.parametrize("padding", [0, 5])
def test_colours_are_put_in_order_without_padding(
    encoding: str, channels: int, red_green_blue: tuple[int, ...], padding: int
) -> None:
    pixels = RNG.integers(0, 256, (4, 6, channels), dtype=np.uint8)
    color = color_of(message(image(pixels, encoding, padding)))
    for row in range(4):
        for column in range(6):
            expected = [pixels[row, column, channel] for channel in red_green_blue]
            assert color[row, column].tolist() == expected


def test_depth_in_metres_becomes_millimetres() -> None:
    depth = np.array([[0.0, 0.5, 1.2345], [np.nan, np.inf, 70.0]], dtype=np.float32)
    assert depth_of(message(image(depth, "32FC1", 8))).tolist() == [[0, 500, 1234], [0, 0, 65535]]
    millimetres = np.array([[0, 500], [65535, 3]], dtype=np.uint16)
    assert depth_of(message(image(millimetres, "16UC1"))).tolist() == millimetres.tolist()
    swapped = message(image(millimetres.byteswap(), "16UC1"), is_bigendian=True)
    assert depth_of(swapped).tolist() == millimetres.tolist()


def test_compression_keeps_depth_and_about_keeps_colour() -> None:
    depth = RNG.integers(0, 65536, (20, 30), dtype=np.uint16)
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(png(depth)))), depth)
    color = np.full((16, 24, 3), (200, 30, 90), dtype=np.uint8)
    seen = np.asarray(Image.open(io.BytesIO(jpeg(color, 90)))).astype(int)
    assert seen.shape == color.shape and np.abs(seen - color).max() < 8


def test_compressed_pictures_are_handed_on() -> None:
    color = np.zeros((4, 4, 3), dtype=np.uint8)
    as_jpeg, as_png = jpeg(color, 50), png(np.ones((3, 3), dtype=np.uint16))
    assert compressed_color(message({}, data=as_jpeg, format="rgb8; jpeg"))[1] == "image/jpeg"
    assert compressed_color(message({}, data=as_png, format="png")) == (as_png, "image/png")
    transported = message({}, data=bytes(12) + as_png, format="16UC1; compressedDepth png")
    assert compressed_depth(transported) == (as_png, "image/png")
    rvl = message({}, data=b"1234", format="16UC1; compressedDepth rvl")
    assert compressed_depth(rvl) == (b"1234", "application/rvl")
    for function in (compressed_color, compressed_depth):
        with pytest.raises(ValueError, match="neither"):
            function(message({}, data=b"nothing", format="odd"))


@pytest.mark.parametrize(
    "change",
    [
        *({"encoding": "yuv422"}, {"step": 17}, {"height": 5}, {"width": 7}, {"width": 0}),
        *({"height": 0}, {"data": b""}),
    ],
)
def test_a_malformed_picture_is_refused(change: dict[str, Any]) -> None:
    good = image(np.zeros((4, 6, 3), dtype=np.uint8), "rgb8")
    with pytest.raises(ValueError):
        color_of(message({**good, **change}))
    depth = image(np.zeros((4, 6), dtype=np.float32), "32FC1")
    with pytest.raises(ValueError):
        depth_of(message({**depth, **change}))


def test_a_cloud_gives_its_points_and_colours_without_nan() -> None:
    points = RNG.normal(size=(50, 3)).astype(np.float32)
    colors = RNG.integers(0, 256, (50, 3), dtype=np.uint8)
    points[7, 1], points[9, 0] = np.nan, np.inf
    kept = [i for i in range(50) if i not in (7, 9)]
    seen, painted = cloud_of(message(cloud(points, colors)))
    assert np.array_equal(seen, points[kept])
    assert painted is not None and np.array_equal(painted, colors[kept])


@settings(max_examples=60, deadline=None)
@given(
    kinds=st.lists(st.sampled_from(sorted(FIELD_TYPES)), min_size=3, max_size=3),
    gaps=st.lists(st.integers(0, 5), min_size=4, max_size=4),
    size=st.tuples(st.integers(1, 4), st.integers(1, 5)),
    padding=st.integers(0, 6),
    big=st.booleans(),
)
def test_any_layout_of_a_cloud_is_read(
    kinds: list[int], gaps: list[int], size: tuple[int, int], padding: int, big: bool
) -> None:
    """Fields of any type with gaps between them, rows with padding, either byte order."""
    order, codes = ">" if big else "<", dict(zip(sorted(FIELD_TYPES), "bBhHiIfd", strict=True))
    height, width = size
    fields, offset = [], 0
    for name, kind, gap in zip("xyz", kinds, gaps, strict=False):
        offset += gap
        fields.append({"name": name, "offset": offset, "datatype": kind, "count": 1})
        offset += struct.calcsize(codes[kind])
    point_step = offset + gaps[3]
    row_step = point_step * width + padding
    data = bytearray(row_step * height)
    expected = []
    for number in range(height * width):
        start = number // width * row_step + number % width * point_step
        point = [number + axis for axis in range(3)]
        for field, value in zip(fields, point, strict=True):
            code = order + codes[int(str(field["datatype"]))]
            struct.pack_into(code, data, start + int(str(field["offset"])), value)
        expected.append(point)
    shape = {"height": height, "width": width, "point_step": point_step, "row_step": row_step}
    made = message({"fields": fields, "data": bytes(data), **shape}, is_bigendian=big)
    points, colors = cloud_of(made)
    assert colors is None and points.tolist() == expected


@pytest.mark.parametrize(
    "change",
    [
        *({"width": 60}, {"row_step": 10}, {"data": b"123"}, {"width": 0}, {"point_step": 8}),
        {"fields": [{"name": "x", "offset": 0, "datatype": 7, "count": 1}]},
    ],
)
def test_a_malformed_cloud_is_refused(change: dict[str, Any]) -> None:
    good = cloud(np.zeros((50, 3), dtype=np.float32), np.zeros((50, 3), dtype=np.uint8))
    with pytest.raises(ValueError):
        cloud_of(message({**good, **change}))


def test_png_begins_as_the_standard_says() -> None:
    assert png(np.zeros((1, 1), dtype=np.uint16)).startswith(PNG)
