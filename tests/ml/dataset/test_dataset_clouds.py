"""Clouds and pictures come back from disk as they went, within what is promised."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_ml.dataset import DatasetError
from brs_ml.dataset.clouds import CloudCodec
from brs_ml.dataset.images import pack_image, unpack_image

LOWER, UPPER = (0.0, -1.0, -0.5), (2.0, 1.0, 1.6)


def cloud(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    points = random.uniform(LOWER, UPPER, (count, 3)).astype(np.float32)
    return points, random.integers(0, 256, (count, 3), np.uint8)


def mixed(step: np.ndarray) -> int:
    """The bits of x, y and z, one after another."""
    return sum(
        ((int(step[axis]) >> bit) & 1) << (3 * bit + axis)
        for bit in range(16)
        for axis in range(3)
    )


@settings(deadline=None)
@given(st.integers(0, 200), st.integers(0, 5))
def test_positions_are_within_half_a_step_and_colours_exact(count: int, seed: int) -> None:
    codec = CloudCodec(LOWER, UPPER)
    points, colors = cloud(count, seed)
    positions, back = codec.unpack(codec.pack(points, colors))
    steps = np.rint((points - LOWER) / (np.array(UPPER) - LOWER) * 65535).astype(int)
    half = (np.array(UPPER) - LOWER) / 65535 / 2
    # A cloud is a set: only its order is another, that of the mixed bits of x, y and z.
    order = sorted(range(count), key=lambda i: mixed(steps[i]))
    assert (np.abs(positions.T - points[order]) <= half + 2e-7).all()
    assert np.array_equal(back.T, colors[order])


def test_points_outside_lie_on_the_surface_and_nan_is_refused() -> None:
    codec = CloudCodec(LOWER, UPPER)
    positions, _ = codec.unpack(codec.pack(np.array([[9.0, 0, -9]]), np.zeros((1, 3), np.uint8)))
    assert positions[:, 0] == pytest.approx([2.0, 0.0, -0.5], abs=1e-4)
    with pytest.raises(ValueError, match="no number"):
        codec.pack(np.array([[np.nan, 0, 0]]), np.zeros((1, 3), np.uint8))


@settings(deadline=None)
@given(st.integers(1, 40), st.integers(1, 40))
def test_another_count_repeats_or_thins_and_invents_nothing(found: int, wanted: int) -> None:
    codec = CloudCodec(LOWER, UPPER)
    points, colors = cloud(found)
    data = codec.pack(points, colors)
    all_points = codec.points(data, found)
    got = codec.points(data, wanted)
    assert got.shape == (wanted, 6)
    assert got.dtype == np.float32
    known = {row.tobytes() for row in all_points}
    chosen = {row.tobytes() for row in got}
    assert chosen <= known
    assert len(chosen) == min(wanted, len(known))
    assert (got[:, 3:] >= 0).all()
    assert (got[:, 3:] <= 1).all()


def test_an_empty_cloud_is_black_at_the_origin() -> None:
    codec = CloudCodec(LOWER, UPPER)
    data = codec.pack(np.zeros((0, 3)), np.zeros((0, 3), np.uint8))
    assert not codec.points(data, 4).any()


@settings(deadline=None)
@given(st.data())
def test_any_changed_byte_is_found(data: st.DataObject) -> None:
    codec = CloudCodec(LOWER, UPPER)
    whole = codec.pack(*cloud(30))
    place = data.draw(st.integers(0, len(whole) - 1))
    bit = data.draw(st.integers(0, 7))
    changed = bytearray(whole)
    changed[place] ^= 1 << bit
    try:
        back = codec.unpack(bytes(changed))
    except DatasetError:
        return
    # A bit of the frame's head may mean nothing; then nothing may have changed either.
    positions, colors = codec.unpack(whole)
    assert np.array_equal(back[0], positions)
    assert np.array_equal(back[1], colors)


def test_a_box_needs_an_inside() -> None:
    with pytest.raises(ValueError, match="below"):
        CloudCodec((0, 0, 0), (1, 0, 1))


def test_pictures_keep_channels_and_shape() -> None:
    image = np.zeros((24, 32, 3), np.uint8)
    image[:, :16] = (200, 40, 10)
    image[:, 16:] = (10, 60, 220)
    back = unpack_image(pack_image(image, 95))
    assert back.shape == image.shape
    assert np.abs(back[5, 4].astype(int) - image[5, 4]).max() < 12
    assert np.abs(back[5, 28].astype(int) - image[5, 28]).max() < 12


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_a_damaged_picture_is_an_error(data: bytes) -> None:
    with pytest.raises(DatasetError, match="damaged"):
        unpack_image(data)
