"""Each fault of a camera is told, in time and with figures; a sound one tells nothing."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable, Iterator

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware import config
from brs_hardware.cameras import CameraFrame, Intrinsics
from brs_hardware.cameras.quality import FrameQuality, QualityConfig
from brs_hardware.errors import ConfigError

WIDTH, HEIGHT, FPS = 192, 144, 10
PINHOLE = Intrinsics(WIDTH, HEIGHT, 126.0, 126.0, 95.5, 71.5)
RULES = {"exposure", "depth", "blur", "intrinsics"}
LIMITS = QualityConfig()

Fault = Callable[[CameraFrame], CameraFrame]


class Scenery:
    """A wall of coloured boards before which a camera swings, with some noise and a few holes."""

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._color = np.full((600, 900, 3), 120, np.uint8)
        self._depth = np.full((600, 900), 1.5, np.float32)
        for _ in range(500):
            row, column = self._random.integers(0, (560, 860))
            part = np.s_[row : row + self._random.integers(10, 80), column : column + 40]
            self._color[part] = self._random.integers(30, 220, 3)
            self._depth[part] = self._random.uniform(0.5, 2.0)
        self._number = 0

    def frame(self) -> CameraFrame:
        now_s = self._number / FPS
        row = int(180 + 150 * math.sin(0.7 * now_s))
        column = int(290 + 250 * math.sin(1.1 * now_s))
        view = np.s_[row : row + HEIGHT, column : column + WIDTH]
        noise = self._random.integers(-4, 5, (HEIGHT, WIDTH, 3))
        color = (self._color[view] + noise).astype(np.uint8)
        depth = self._depth[view].copy()
        depth[self._random.random(depth.shape) < 0.02] = np.nan
        self._number += 1
        return CameraFrame(now_s, color, depth, PINHOLE, self._number)

    def frames(self, seconds: float, fault: Fault | None = None) -> Iterator[CameraFrame]:
        for _ in range(round(seconds * FPS)):
            frame = self.frame()
            yield fault(frame) if fault else frame


def told(quality: FrameQuality, frames: Iterator[CameraFrame]) -> list[dict[str, str]]:
    """What was told after each frame."""
    problems = []
    for frame in frames:
        quality.look(frame)
        problems.append(quality.problems())
    return problems


def recolored(frame: CameraFrame, color: np.ndarray) -> CameraFrame:
    return dataclasses.replace(frame, color=np.clip(color, 0, 255).astype(np.uint8))


def covered(frame: CameraFrame) -> CameraFrame:
    return recolored(frame, frame.color * 0.02)


def overexposed(frame: CameraFrame) -> CameraFrame:
    return recolored(frame, frame.color * 3.0)


def darker(frame: CameraFrame) -> CameraFrame:
    return recolored(frame, frame.color * 0.55)


def blurred(frame: CameraFrame) -> CameraFrame:
    return recolored(frame, cv2.GaussianBlur(frame.color, (0, 0), 4.0))


def without_depth(share: float, seed: int = 1) -> Fault:
    random = np.random.default_rng(seed)

    def fault(frame: CameraFrame) -> CameraFrame:
        missing = random.random(frame.depth.shape) < share
        depth = np.where(missing, np.float32(np.nan), frame.depth)
        return dataclasses.replace(frame, depth=depth)

    return fault


def half_without_depth(frame: CameraFrame) -> CameraFrame:
    depth = frame.depth.copy()
    depth[:, : WIDTH // 2] = np.nan
    return dataclasses.replace(frame, depth=depth)


def with_pinhole(**changes: float) -> Fault:
    changed = dataclasses.replace(PINHOLE, **changes)  # type: ignore[arg-type]
    return lambda frame: dataclasses.replace(frame, intrinsics=changed)


@pytest.mark.parametrize("seed", range(3))
def test_a_sound_camera_that_moves_tells_nothing(seed: int) -> None:
    assert not any(told(FrameQuality(), Scenery(seed).frames(30.0)))


LASTING = [
    (covered, "exposure", r"is dark: 100% of its pixels are black"),
    (overexposed, "exposure", r"is overexposed: \d\d% of its pixels are white"),
    (without_depth(0.3), "depth", r"\d\d% of its depth is holes, normally 2%"),
    (without_depth(0.6), "depth", r"\d\d% of its depth is holes, normally 2%"),
    (without_depth(0.85), "depth", r"\d\d% of its depth is holes, normally 2%"),
    (half_without_depth, "depth", r"5\d% of its pixels have no depth, normally 2%"),
    (blurred, "blur", r"is blurred: sharpness 0.0\d\d, normally 0\.\d\d\d"),
]


@pytest.mark.parametrize(("fault", "rule", "line"), LASTING)
def test_a_fault_that_lasts_is_told_while_it_lasts(fault: Fault, rule: str, line: str) -> None:
    quality, scenery = FrameQuality(), Scenery()
    assert not any(told(quality, scenery.frames(10.0)))
    during = told(quality, scenery.frames(1.2 * LIMITS.memory_s, fault))
    lasting = math.ceil(LIMITS.lasting_s * FPS)
    others = [problems.keys() - {"exposure", rule} for problems in during]
    assert not any(others), "one fault is told as one"
    assert not any(problems.get(rule, "").startswith("is ") for problems in during[:lasting])
    for problems in during[lasting + 1 :]:
        assert re.fullmatch(line, problems[rule])
    # A light that comes back is a jump, for a while.
    assert not told(quality, scenery.frames(2.0 * LIMITS.jump_told_s))[-1]


@pytest.mark.parametrize("fault", [covered, overexposed, without_depth(0.4), blurred])
def test_what_is_wrong_from_the_beginning_is_told_too(fault: Fault) -> None:
    problems = told(FrameQuality(), Scenery().frames(3.0, fault))
    assert problems[-1] and not problems[0]


@pytest.mark.parametrize("fault", [covered, without_depth(0.5), half_without_depth, blurred])
def test_what_passes_is_not_told(fault: Fault) -> None:
    quality, scenery = FrameQuality(QualityConfig(jump_ratio=1e6)), Scenery()
    for _ in range(3):
        assert not any(told(quality, scenery.frames(6.0)))
        assert not any(told(quality, scenery.frames(1.5, fault)))


def test_a_jump_of_brightness_is_told_at_once_and_for_a_while() -> None:
    quality, scenery = FrameQuality(), Scenery()
    told(quality, scenery.frames(2.0))
    during = told(quality, scenery.frames(10.0, darker))
    assert "brightness jumped from" in during[0]["exposure"]
    for_a_while = round(LIMITS.jump_told_s * FPS)
    assert all(problems == during[0] for problems in during[: for_a_while - 1])
    assert not any(during[for_a_while + 1 :])


def test_a_slow_change_of_light_is_no_jump() -> None:
    def dusk(frame: CameraFrame) -> CameraFrame:
        return recolored(frame, frame.color * math.exp(-frame.stamp_s / 10.0))

    assert not any(told(FrameQuality(), Scenery().frames(15.0, dusk)))


def test_no_jump_is_told_across_a_gap_or_back_in_time() -> None:
    for step_s in (1.0, -1.0):
        quality, scenery = FrameQuality(), Scenery()
        told(quality, scenery.frames(2.0))
        frame = darker(scenery.frame())
        quality.look(dataclasses.replace(frame, stamp_s=frame.stamp_s + step_s))
        assert not quality.problems()


def test_views_with_depth_and_without_are_no_fault() -> None:
    """A wrist camera that turns from its work to the room and back sees nothing in its range."""

    def away(frame: CameraFrame) -> CameraFrame:
        edge = int(WIDTH * (0.5 + 0.45 * math.sin(frame.stamp_s)))
        depth = frame.depth.copy()
        depth[:, :edge] = np.nan
        return dataclasses.replace(frame, depth=depth)

    assert not any(told(FrameQuality(), Scenery().frames(40.0, away)))


def test_a_bare_wall_is_not_blurred() -> None:
    random = np.random.default_rng(2)

    def wall(frame: CameraFrame) -> CameraFrame:
        slope = np.linspace(90.0, 110.0, WIDTH)[None, :, None]
        return recolored(frame, slope + random.normal(0.0, 1.0, frame.color.shape))

    quality, scenery = FrameQuality(), Scenery()
    told(quality, scenery.frames(10.0))
    assert not any(told(quality, scenery.frames(10.0, wall)))


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"width": 640, "height": 480}, "intrinsics are of 640x480, not 192x144"),
        ({"fx": math.nan}, "no pinhole"),
        ({"fy": 0.0}, "no pinhole"),
        ({"fx": 24.0, "fy": 24.0}, "a focal length of 24 px would see 152 degrees"),
        ({"fx": 840.0, "fy": 840.0}, "would see 13 degrees"),
        ({"fy": 168.0}, "focal lengths 126 and 168 px"),
        ({"cx": 192.0}, "principal point 192, 72 px"),
        ({"cy": 36.0}, "principal point 96, 36 px"),
    ],
)
def test_wrong_intrinsics_are_told_at_the_first_frame(
    changes: dict[str, float], line: str
) -> None:
    quality = FrameQuality()
    quality.look(with_pinhole(**changes)(Scenery().frame()))
    assert quality.problems().keys() == {"intrinsics"}
    assert line in quality.problems()["intrinsics"]


def test_intrinsics_that_change_are_told_until_they_are_the_first_again() -> None:
    quality, scenery = FrameQuality(), Scenery()
    assert not any(told(quality, scenery.frames(1.0)))
    for problems in told(quality, scenery.frames(1.0, with_pinhole(fx=129.0))):
        line = problems["intrinsics"]
        assert line.startswith("intrinsics changed from 126.0, 126.0") and "to 129.0" in line
    assert not any(told(quality, scenery.frames(1.0)))


def test_frames_are_left_as_they_are() -> None:
    frame = Scenery().frame()
    color, depth = frame.color.copy(), frame.depth.copy()
    FrameQuality().look(frame)
    assert np.array_equal(frame.color, color)
    assert np.array_equal(frame.depth, depth, equal_nan=True)


@settings(max_examples=50, deadline=None)
@given(
    sizes=st.tuples(st.integers(1, 130), st.integers(1, 130)),
    stamps=st.lists(st.floats(-10.0, 1e9), min_size=1, max_size=8),
    level=st.integers(0, 255),
    missing=st.floats(0.0, 1.0),
)
def test_no_frame_is_too_odd(
    sizes: tuple[int, int], stamps: list[float], level: int, missing: float
) -> None:
    quality, random = FrameQuality(), np.random.default_rng(level)
    height, width = sizes
    for number, stamp_s in enumerate(stamps):
        color = np.full((height, width, 3), level, np.uint8)
        depth = np.where(random.random(sizes) < missing, np.nan, 1.0).astype(np.float32)
        quality.look(CameraFrame(stamp_s, color, depth, PINHOLE, number))
        assert quality.problems().keys() <= RULES
        assert all("\n" not in line and line for line in quality.problems().values())


@pytest.mark.parametrize(
    "values",
    [{"black_share": 0.0}, {"jump_ratio": 0.9}, {"lasting_s": 0.0}, {"blackshare": 0.5}],
)
def test_wrong_limits_are_refused(values: dict[str, float]) -> None:
    with pytest.raises(ConfigError):
        config.build(QualityConfig, values, "cameras")
