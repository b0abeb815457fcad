"""Pictures that the small encoder and judge learn from: clips of homes, cut up, with the truth."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_ml.anomaly.config import FRAME_PX, SegmentConfig
from brs_ml.anomaly.windows import cut, two_by_two, window_corners
from brs_sim.anomalies import KINDS, MOTION_KINDS, Clip, Sight
from brs_sim.cameras import CameraRenderer

SEGMENT = SegmentConfig()
QUARTER = SEGMENT.frames // 4
SEEN_SHARE = 0.35  # of a thing or window that must be within the other to be seen
HIDDEN_SHARE = 0.05  # less is not seen
RANDOM_WINDOWS = 3  # of each picture, beside those around what matters


@dataclass(frozen=True)
class Lesson:
    """Four key frames and what is in them."""

    frames: tuple[np.ndarray, ...]  # four of (240, 240, 3) uint8
    kind: int | None  # in KINDS, of what goes wrong in the clip
    sights: tuple[Sight | None, ...]  # of it in each frame; none where it has not begun
    robot: tuple[Sight, ...]


def lessons(robot: Embodiment, rooms: int, first_seed: int) -> Iterator[Lesson]:
    """Two lessons of each clip: one from anywhere, one from when it has begun."""
    renderer: CameraRenderer | None = None
    for room in range(rooms):
        for kind in (*KINDS, None):
            clip = Clip(robot, kind, first_seed + room)
            renderer = renderer or CameraRenderer(clip)
            random = np.random.default_rng([first_seed + room, len(KINDS)])
            last = clip.frames - SEGMENT.frames
            for lowest in (0, min(clip.begin, last - 1)):
                begin = int(random.integers(lowest, last)) + int(random.integers(QUARTER))
                numbers = [begin + QUARTER * i for i in range(4)]
                yield Lesson(
                    tuple(clip.draw(renderer, i) for i in numbers),
                    None if kind is None else KINDS.index(kind),
                    tuple(clip.sight(i) for i in numbers),
                    tuple(clip.robot_sight(i) for i in numbers),
                )
    if renderer is not None:
        renderer.close()


def encoder_pictures(
    taught: Sequence[Lesson], side_px: int, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Frames, windows and grids (n, side, side, 3), and what they show (n, kinds)."""
    random = np.random.default_rng([seed, 3])
    pictures, shows = [], []
    for lesson in taught:
        moment = int(random.integers(4))
        for corner, size in _places(lesson, random):
            window = cut(lesson.frames[moment], corner[None, None], size, side_px)[0]
            pictures.append(window)
            shows.append(_still(lesson, moment, corner, size))
            cells = [
                cut(frame, corner[None, None], size, side_px // 2)[0] for frame in lesson.frames
            ]
            pictures.append(two_by_two(cells))
            shows.append(_moving(lesson, corner, size))
    return np.stack(pictures), np.array(shows, np.float32)


def judge_pictures(
    taught: Sequence[Lesson], scorer: Any, keywords: Sequence[str], seed: int = 0
) -> list[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """What the judge will be shown: moments, kinds asked for, and whether they are there.

    Args:
        taught: lessons.
        scorer: `(frames, which) -> position and temporal context` with the trained encoder.
        keywords: one of each kind.
        seed: of what else is asked for.

    Returns:
        Of pictures (n, 1, 224, 224, 3), and of grids (n, 4, 112, 112, 3). Of one picture motions
        are as likely as not, so they are told by grids alone.
    """
    from brs_ml.anomaly.small import judge_input

    random = np.random.default_rng([seed, 4])
    stills: list[tuple[np.ndarray, int, float]] = []
    grids: list[tuple[np.ndarray, int, float]] = []
    for lesson in taught:
        asked = set(random.integers(len(keywords), size=2).tolist())
        if lesson.kind is not None:
            asked = {lesson.kind, (lesson.kind + int(random.integers(1, len(KINDS)))) % len(KINDS)}
        for which in sorted(asked):
            moment = int(random.integers(4))
            position, temporal = scorer(lesson.frames, moment, which)
            there = float(which == lesson.kind and lesson.sights[moment] is not None)
            if KINDS[which] in MOTION_KINDS:
                there = 0.5  # one picture does not tell; it must not guess by anything else
            stills.append((judge_input(lesson.frames[moment], False), which, there))
            stills.append((judge_input(position.picture, False), which, there))
            shown = _moving(lesson, np.array(temporal.corner), temporal.size_px)[which]
            if np.isfinite(shown):
                grids.append((judge_input(temporal.picture, True), which, shown))
    return [
        (
            np.stack([row[0] for row in rows]),
            np.array([row[1] for row in rows]),
            np.array([row[2] for row in rows], np.float32),
        )
        for rows in (stills, grids)
    ]


def _places(lesson: Lesson, random: np.random.Generator) -> list[tuple[np.ndarray, int]]:
    """Windows as (top and left, size): the frame, any of the usual ones, those that matter."""
    usual = [
        (corner, size)
        for size in SEGMENT.windows_px
        for corner in window_corners(size).reshape(-1, 2)
    ]
    chosen = [usual[i] for i in random.choice(len(usual), RANDOM_WINDOWS, replace=False)]
    around = [sight for sight in (lesson.sights[-1], lesson.robot[-1]) if sight is not None]
    for sight in around:
        near = [
            (corner, size) for corner, size in usual if _share(sight, corner, size) > SEEN_SHARE
        ]
        if near:
            chosen.append(near[int(random.integers(len(near)))])
    return [(np.zeros(2, int), FRAME_PX), *chosen]


def _share(sight: Sight | None, corner: np.ndarray, size: int) -> float:
    """How much of a thing is in a window, or fills it if it is larger."""
    if sight is None:
        return 0.0
    top, left = (float(value) for value in corner)
    high = min(sight.row + sight.radius, top + size) - max(sight.row - sight.radius, top)
    wide = min(sight.column + sight.radius, left + size) - max(sight.column - sight.radius, left)
    least = min(2.0 * sight.radius, float(size)) ** 2
    return max(high, 0.0) * max(wide, 0.0) / least


def _told(share: float) -> float:
    """1 seen, 0 not seen, nan in between."""
    return 1.0 if share > SEEN_SHARE else 0.0 if share < HIDDEN_SHARE else np.nan


def _still(lesson: Lesson, moment: int, corner: np.ndarray, size: int) -> np.ndarray:
    """(kinds,) of a window of one frame. Of motions a robot is as likely as not to make them."""
    shows = np.zeros(len(KINDS))
    robot = _told(_share(lesson.robot[moment], corner, size))
    for kind in MOTION_KINDS:
        shows[KINDS.index(kind)] = 0.5 * robot
    if lesson.kind is not None and KINDS[lesson.kind] not in MOTION_KINDS:
        shows[lesson.kind] = _told(_share(lesson.sights[moment], corner, size))
    return shows


def _moving(lesson: Lesson, corner: np.ndarray, size: int) -> np.ndarray:
    """(kinds,) of a grid: what is seen in half of its cells is there."""
    shows = np.zeros(len(KINDS))
    if lesson.kind is not None:
        seen = [_told(_share(sight, corner, size)) for sight in lesson.sights]
        often = np.count_nonzero(np.array(seen) == 1.0)
        none = all(value == 0.0 for value in seen)
        shows[lesson.kind] = 1.0 if often >= 2 else 0.0 if none else np.nan
    return shows


def scorer_of(encoder: Any, texts: Any) -> Any:
    """`judge_pictures`' scorer: contexts as the monitor makes them."""
    from brs_ml.anomaly.context import Contexts

    def contexts(frames: Sequence[np.ndarray], moment: int, which: int) -> tuple[Any, Any]:
        made = Contexts(encoder, SEGMENT, frames)
        position = made.position(moment, texts.templated, which)
        return position, made.temporal(range(4), texts.templated[which])

    return contexts
