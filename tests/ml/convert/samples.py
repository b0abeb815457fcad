"""Data sets to convert: small, with everything in them that another format has no place for."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from ml.dataset.synthetic_episodes import Recipe, TellingClouds, layout, record, settings

from brs_ml.convert import LINKS, BrsRobot
from brs_ml.convert.kept import present
from brs_ml.dataset import Dataset, build, find_episodes


def _gap(kind: str, seconds: float) -> bool:
    gaps = {"head": (0.5, 0.9), "state": (0.95, 1.15), "command": (0.25, 0.45)}
    first, last = gaps.get(kind, (0.0, 0.0))
    return first < seconds < last


def sample_set(root: Path) -> Dataset:
    """Three episodes, in two splits: pictures and state missing, several drivers, two tasks."""
    recipes = {
        "one": Recipe(seconds=1.5),
        "two": Recipe(
            seconds=1.5,
            gap=_gap,
        ),
        "three": Recipe(seconds=1.2, drivers=(("teleop", 0.0, 0.6), ("policy", 0.8, 2.0))),
    }
    for name, recipe in recipes.items():
        record(root / "episodes" / name, recipe)
    made = settings(validation_share=0.4, split_seed=3)
    build(find_episodes([root / "episodes"]), root / "set", layout(), made, clouds=TellingClouds)
    return Dataset(root / "set", verify=True)


def link_poses(joints: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Poses that tell which joints they are of."""
    return {link: np.full(7, joints["torso"][0] + i) for i, link in enumerate(LINKS)}


def robot_of(name: str) -> BrsRobot:
    """A robot whose strokes are not round numbers of its closings."""
    return BrsRobot(layout(name or "r1"), 90.0, 1.0, link_poses)


def assert_same(
    first: Dataset, second: Dataset, *, without: tuple[str, ...] = (), pictures: bool = True
) -> None:
    """Columns bit by bit, clouds and pictures byte by byte, and all that is told of episodes."""
    features = {k: f for k, f in first.index.features.items() if k not in without}
    assert second.index.features == features
    assert second.episodes == first.episodes
    for key in ("robot", "rate_hz", "build", "left_out"):
        assert getattr(second.index, key) == getattr(first.index, key)
    for key, feature in features.items():
        if feature.encoding == "column":
            ours, theirs = first.column(key), second.column(key)
            assert ours.dtype == theirs.dtype
            assert ours.tobytes() == theirs.tobytes(), key
        elif feature.encoding == "cloud" or pictures:
            there = np.concatenate([present(first, key, episode) for episode in first.episodes])
            same = np.concatenate([present(second, key, episode) for episode in second.episodes])
            np.testing.assert_array_equal(there, same)
            for step in np.flatnonzero(there):
                assert first.packed(key, (int(step),)) == second.packed(key, (int(step),))
    assert second.index.statistics.keys() == first.index.statistics.keys()
