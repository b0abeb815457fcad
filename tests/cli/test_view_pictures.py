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

from brs_cli.view_pictures import FIELD_TYPES, PNG, cloud_of, color_picture, depth_picture
from brs_hardware.errors import DeviceError

RNG = np.random.default_rng(3)


def message(fields: dict[str, Any], **more: Any) -> SimpleNamespace:
    content = {"is_bigendian": False, **fields, **more}
    if "fields" in content:
        content["fields"] = [SimpleNamespace(**field) for field in content["fields"]]
    return SimpleNamespace(**content)


def test_depth_is_whole_millimetres() -> None:
    depth = np.array([[0.0, 0.5, 1.2345], [np.nan, np.inf, 60.0]], dtype=np.float32)
    data, kind = depth_picture(message(image(depth, "32FC1", 8)), "head")
    assert kind == "image/png" and data.startswith(PNG)
    stored = np.asarray(Image.open(io.BytesIO(data)))
    assert stored.tolist() == [[0, 500, 1234], [0, 0, 60_000]]


def test_colour_keeps_its_order() -> None:
    color = np.full((16, 24, 3), (200, 30, 90), dtype=np.uint8)
    for pixels, encoding in ((color, "rgb8"), (color[..., ::-1], "bgr8")):
        data, kind = color_picture(message(image(pixels, encoding, 5)), "head", 90)
        seen = np.asarray(Image.open(io.BytesIO(data))).astype(int)
        assert kind == "image/jpeg" and np.abs(seen - color).max() < 8


def test_compressed_pictures_are_handed_on() -> None:
    as_jpeg, as_png = b"\xff\xd8 and so on", PNG + b" and so on"
    given = message({}, data=as_jpeg, format="rgb8; jpeg")
    assert color_picture(given, "head", 50) == (as_jpeg, "image/jpeg")
    given = message({}, data=as_png, format="png")
    assert color_picture(given, "head", 50) == (as_png, "image/png")
    transported = message({}, data=bytes(12) + as_png, format="16UC1; compressedDepth png")
    assert depth_picture(transported, "head") == (as_png, "image/png")
    rvl = message({}, data=b"1234", format="16UC1; compressedDepth rvl")
    assert depth_picture(rvl, "head") == (b"1234", "application/rvl")
    odd = message({}, data=b"nothing", format="odd")
    with pytest.raises(ValueError, match="neither JPEG nor PNG"):
        color_picture(odd, "head", 50)
    with pytest.raises(ValueError, match="neither PNG nor RVL"):
        depth_picture(odd, "head")


@pytest.mark.parametrize("change", [{"encoding": "yuv422"}, {"step": 17}, {"data": b""}])
def test_a_malformed_picture_is_refused(change: dict[str, Any]) -> None:
    color = image(np.zeros((4, 6, 3), dtype=np.uint8), "rgb8")
    with pytest.raises(DeviceError, match="head"):
        color_picture(message({**color, **change}), "head", 50)
    depth = image(np.zeros((4, 6), dtype=np.float32), "32FC1")
    with pytest.raises(DeviceError, match="head"):
        depth_picture(message({**depth, **change}), "head")


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
        *({"width": 60}, {"row_step": 10}, {"data": b"123"}, {"point_step": 8}),
        {"fields": [{"name": "x", "offset": 0, "datatype": 7, "count": 1}]},
    ],
)
def test_a_malformed_cloud_is_refused(change: dict[str, Any]) -> None:
    good = cloud(np.zeros((50, 3), dtype=np.float32), np.zeros((50, 3), dtype=np.uint8))
    with pytest.raises(ValueError):
        cloud_of(message({**good, **change}))


def test_a_cloud_may_be_empty() -> None:
    points, colors = cloud_of(message(cloud(np.zeros((0, 3)), np.zeros((0, 3), dtype=np.uint8))))
    assert points.shape == (0, 3) and colors is not None and colors.shape == (0, 3)
