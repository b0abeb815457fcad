"""From bags to a data set: which episodes are in it, their splits, and the statistics."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic_episodes import (
    Recipe,
    TellingClouds,
    layout,
    made,
    settings,
)

from brs_ml.dataset import DatasetError, build, find_episodes
from brs_ml.dataset.format import INDEX
from brs_ml.dataset.splits import split_of


def test_failed_episodes_are_left_out_unless_asked_for(tmp_path: Path) -> None:
    recipes = {"done": Recipe(), "failed": Recipe(success=False)}
    dataset = made(tmp_path, recipes)
    assert dict(dataset.index.left_out) == {"failed": "the task failed"}
    both = made(tmp_path, recipes, out="both", failures=True)
    assert [entry.success for entry in both.episodes] == [True, False]


@pytest.mark.parametrize(
    ("other", "message", "allowed"),
    [
        (Recipe(robot="r1_pro"), "robot", ""),
        (Recipe(focal=31.0), "calibration of head", "calibration"),
        (Recipe(state_hz=40.0), "state has", "rates"),
    ],
)
def test_what_does_not_belong_together_is_refused(
    tmp_path: Path, other: Recipe, message: str, allowed: str
) -> None:
    recipes = {"a": Recipe(), "b": other, "c": Recipe()}
    with pytest.raises(DatasetError, match=message) as caught:
        made(tmp_path, recipes)
    assert [path.name for path in tmp_path.iterdir()] == ["episodes"]
    if allowed:
        assert f"--allow {allowed}" in caught.value.remedy
        assert len(made(tmp_path, recipes, differences=(allowed,)).episodes) == 3


def test_another_robot_than_the_layouts_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="r1_pro, not r1"):
        made(tmp_path, {"a": Recipe(robot="r1_pro")})
    dataset = made(tmp_path / "wrong_arms", {"a": Recipe(), "b": Recipe(arm=7)})
    assert "left_arm has 7 numbers, r1 has 6" in dataset.index.left_out["b"]


def test_splits_hold_out_whole_episodes_and_stay(tmp_path: Path) -> None:
    names = [f"e{i}" for i in range(200)]
    splits = {name: split_of(name, 0.2) for name in names}
    share = sum(split == "validation" for split in splits.values()) / len(names)
    assert 0.1 < share < 0.3
    # A larger share takes none back, and another seed chooses others.
    assert all(split_of(n, 0.5) == "validation" for n, s in splits.items() if s == "validation")
    assert any(split_of(n, 0.2, seed=1) != s for n, s in splits.items())
    held_out = next(name for name, split in splits.items() if split == "validation")
    kept = next(name for name, split in splits.items() if split == "train")
    dataset = made(tmp_path, {held_out: Recipe(), kept: Recipe()}, validation_share=0.2)
    assert {e.name: e.split for e in dataset.episodes} == {held_out: "validation", kept: "train"}
    with pytest.raises(DatasetError, match="all episodes"):
        made(tmp_path / "alone", {held_out: Recipe()}, validation_share=0.2)


def test_statistics_are_those_of_valid_training_steps(tmp_path: Path) -> None:
    names = [f"e{i}" for i in range(99)]
    held_out = next(name for name in names if split_of(name, 0.2) == "validation")
    kept = next(name for name in names if split_of(name, 0.2) == "train")
    far = Recipe(state_of=lambda seconds: np.full(21, 7.0))
    recipes = {held_out: far, kept: Recipe(gap=lambda kind, s: kind == "head" and 0.9 < s < 1.4)}
    dataset = made(tmp_path, recipes, validation_share=0.2)
    entry = next(entry for entry in dataset.episodes if entry.split == "train")
    rows = slice(entry.first, entry.first + entry.steps)
    assert not dataset.column("valid")[rows].all()
    for feature in ("proprioception", "action"):
        values = dataset.column(feature)[rows][dataset.column("valid")[rows]].astype(float)
        found = dataset.index.statistics[feature]
        assert found["mean"] == pytest.approx(values.mean(axis=0))
        assert found["std"] == pytest.approx(values.std(axis=0))
        assert found["min"] == pytest.approx(values.min(axis=0))
        assert found["max"] == pytest.approx(values.max(axis=0))
        assert found["q05"] == pytest.approx(np.quantile(values, 0.05, axis=0))
    limits = dataset.index.features["action"]
    assert (limits.lower[0], limits.upper[20]) == (-0.4, 1.0)


def test_workers_give_the_same_bytes(tmp_path: Path) -> None:
    recipes = {name: Recipe(seconds=0.6) for name in ("a", "b")}
    alone = made(tmp_path, recipes)
    episodes = find_episodes([tmp_path / "episodes"])
    build(episodes, tmp_path / "two", layout(), settings(), clouds=TellingClouds, workers=2)
    # The index has the checksum of every file.
    assert (tmp_path / "two" / INDEX).read_bytes() == (alone.root / INDEX).read_bytes()


def test_episodes_are_found_and_two_of_one_name_are_refused(tmp_path: Path) -> None:
    for place in ("a/one", "a/trash/two", "a/three.part", "b/one"):
        (tmp_path / place).mkdir(parents=True)
        (tmp_path / place / "x.mcap").touch()
    assert find_episodes([tmp_path / "a"]) == [tmp_path / "a/one"]
    assert find_episodes([tmp_path / "b/one"]) == [tmp_path / "b/one"]
    with pytest.raises(DatasetError, match="has the name of"):
        find_episodes([tmp_path / "a", tmp_path / "b"])
    with pytest.raises(DatasetError, match="no episode"):
        find_episodes([tmp_path / "c"])
    (tmp_path / "b/bad name").mkdir()
    (tmp_path / "b/bad name/x.mcap").touch()
    with pytest.raises(DatasetError, match="no name"):
        find_episodes([tmp_path / "b"])
