"""Generated clips: the same by seed, wrong exactly from when they say, where they say."""

from __future__ import annotations

import numpy as np
import pytest

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError
from brs_sim.anomalies import KINDS, MOTION_KINDS, Clip
from brs_sim.cameras import CameraRenderer

ROBOT = load_embodiment("r1")


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_is_normal_up_to_its_beginning_and_not_after(kind: str) -> None:
    clip = Clip(ROBOT, kind, seed=3)
    truth = clip.truth()
    assert truth.shape == (168,) and 0 < clip.begin < 168
    assert not truth[: clip.begin].any() and truth[clip.begin :].all()
    assert clip.sight(clip.begin - 1) is None
    moved = clip.positions(clip.begin) - clip.positions(clip.begin - 1)
    usual = clip.positions(clip.begin - 1) - clip.positions(clip.begin - 2)
    assert np.abs(moved - usual).max() > 1e-3


def test_nothing_goes_wrong_in_a_normal_clip() -> None:
    clip = Clip(ROBOT, None, seed=3)
    assert not clip.truth().any() and clip.sight(100) is None


def test_clips_are_the_same_by_seed_and_differ_between_seeds() -> None:
    first, again, other = (Clip(ROBOT, "person", seed) for seed in (1, 1, 2))
    assert np.array_equal(first.positions(150), again.positions(150))
    assert np.array_equal(first.model.geom_rgba, again.model.geom_rgba)
    assert not np.array_equal(first.model.geom_rgba, other.model.geom_rgba)


def test_a_normal_robot_never_rests() -> None:
    clip = Clip(ROBOT, None, seed=5)
    ways = [
        np.linalg.norm(np.diff([clip._base(i)[0], clip._base(i + 18)[0]], axis=0))
        for i in range(150)
    ]
    stuck = Clip(ROBOT, "robot_stuck", seed=5)
    rest = [
        np.linalg.norm(stuck._base(i)[0] - stuck._base(i + 5)[0]) for i in range(stuck.begin, 160)
    ]
    assert np.mean(np.array(ways) > 0.05) > 0.9 and max(rest) < 0.02


def test_what_is_wrong_shows_where_the_truth_says() -> None:
    """The picture with and without it differs most within the circle."""
    for kind in ("person", "spill", "fallen_object"):
        clip = Clip(ROBOT, kind, seed=4)
        frame = clip.frames - 1
        sight = clip.sight(frame)
        assert sight is not None and sight.inside
        with CameraRenderer(clip) as renderer:
            after = clip.draw(renderer, frame).astype(int)
            clip.begin = clip.frames  # as if it had never happened
            before = clip.draw(renderer, frame).astype(int)
        rows, columns = np.nonzero(np.abs(after - before).max(axis=2) > 25)
        far = np.hypot(rows - sight.row, columns - sight.column)
        # A fallen vase is missing from the table, too.
        assert np.mean(far <= 1.6 * sight.radius) > (0.3 if kind == "fallen_object" else 0.9)


def test_noise_makes_no_two_frames_alike() -> None:
    clip = Clip(ROBOT, "robot_stuck", seed=0)
    with CameraRenderer(clip) as renderer:
        first = clip.draw(renderer, 160)
        assert np.array_equal(first, clip.draw(renderer, 160))
        assert not np.array_equal(first, clip.draw(renderer, 161))
    assert set(MOTION_KINDS) <= set(KINDS)


def test_unknown_anomalies_are_refused() -> None:
    with pytest.raises(BrsError, match="did you mean person"):
        Clip(ROBOT, "persn", 0)
