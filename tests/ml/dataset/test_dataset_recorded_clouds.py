"""Clouds that were recorded live, as a source of data sets."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from synthetic_episodes import (
    LOWER,
    START_NS,
    UPPER,
    Recipe,
    cloud_at,
    layout,
    made,
    record,
    settings,
)

from brs_ml.dataset import Dataset, DatasetError, build, find_episodes
from brs_ml.dataset.messages import cloud_of

NAMES = ("x", "y", "z", "rgb")
LIVE = Recipe(seconds=1.5, cloud_hz=15.0)
MADE = Recipe(seconds=1.5)


def stamps_of(dataset: Dataset) -> np.ndarray:
    """Seconds from the episode's start at which the clouds of valid steps were recorded."""
    steps = np.flatnonzero(dataset.column("valid"))
    ticks = (dataset.column("stamp_ns")[steps] - START_NS) * 1e-9
    return np.asarray(ticks - dataset.column("cloud_age")[steps])


def test_each_step_has_the_newest_cloud_not_after_it(tmp_path: Path) -> None:
    dataset = made(tmp_path, {"one": LIVE}, cloud_source="recorded", max_cloud_age_s=0.2)
    recorded = np.arange(0.02, LIVE.seconds, 1.0 / LIVE.cloud_hz)
    steps, found = np.flatnonzero(dataset.column("valid")), stamps_of(dataset)
    assert len(steps) > 8
    grain = np.subtract(UPPER, LOWER) / 65535
    for step, stamp in zip(steps, found, strict=True):
        tick = (int(dataset.column("stamp_ns")[step]) - START_NS) * 1e-9
        newest = recorded[recorded <= tick + 1e-9].max()
        assert stamp == pytest.approx(newest, abs=1e-6)
        cloud = dataset.cloud(int(step), points=3)
        points, colors = cloud_at(newest)
        near = np.abs(cloud[:, None, :3] - points[None]).max(axis=2).argmin(axis=1)
        assert sorted(near) == [0, 1, 2]  # what is outside of the box or no number is not there
        assert np.abs(cloud[:, :3] - points[near]).max() <= grain.max()
        assert np.array_equal(np.rint(cloud[:, 3:] * 255), colors[near])
    assert dataset.episodes[0].source["clouds"] == "recorded"


def test_a_cloud_that_is_too_old_is_not_used(tmp_path: Path) -> None:
    gone = Recipe(seconds=2.0, cloud_hz=15.0, gap=lambda k, s: k == "cloud" and 0.5 < s < 1.2)
    dataset = made(tmp_path, {"one": gone}, cloud_source="recorded", max_cloud_age_s=0.15)
    ticks = (dataset.column("stamp_ns") - START_NS) * 1e-9
    without = ~dataset.column("valid")
    assert without[(ticks > 0.66) & (ticks < 1.2)].all() and without.any()
    assert np.isnan(dataset.column("cloud_age")[without]).all()
    assert np.nanmax(dataset.column("cloud_age")) <= 0.15
    assert not without[(ticks < 0.6) | (ticks > 1.3)].any()


def test_sources_are_never_mixed(tmp_path: Path) -> None:
    dataset = made(tmp_path / "a", {"one": LIVE, "two": MADE}, cloud_source="auto")
    assert dataset.index.build["config"]["cloud_source"] == "fused"
    assert {episode.source["clouds"] for episode in dataset.episodes} == {"fused"}
    assert "cloud_age" not in dataset.index.features
    dataset = made(tmp_path / "b", {"one": LIVE, "two": LIVE}, cloud_source="auto")
    assert dataset.index.build["config"]["cloud_source"] == "recorded"
    assert {episode.source["clouds"] for episode in dataset.episodes} == {"recorded"}


def test_episodes_without_recorded_clouds_are_left_out_with_the_reason(tmp_path: Path) -> None:
    dataset = made(tmp_path, {"one": LIVE, "two": MADE}, cloud_source="recorded")
    assert [episode.name for episode in dataset.episodes] == ["one"]
    assert "--clouds fused" in dataset.index.left_out["two"]


def test_recorded_clouds_need_no_depth_and_nothing_that_makes_clouds(tmp_path: Path) -> None:
    record(tmp_path / "episodes" / "one", Recipe(seconds=1.0, cloud_hz=15.0, depth=False))
    for images in (True, False):
        config = settings(cloud_source="recorded", images=images)
        out = tmp_path / f"set{images}"
        build(find_episodes([tmp_path / "episodes"]), out, layout(), config)
        dataset = Dataset(out)
        assert dataset.column("valid").sum() > 5
        assert ("image.head" in dataset.index.features) is images


def test_clouds_of_another_frame_leave_the_episode_out(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"a cloud is in 'odom', not in base_link"):
        made(
            tmp_path,
            {"one": Recipe(seconds=1.0, cloud_hz=15.0, cloud_frame="odom")},
            cloud_source="recorded",
        )


def test_no_other_source_is_taken() -> None:
    with pytest.raises(ValueError, match="cloud_source"):
        settings(cloud_source="live")


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": []},
        {"point_step": 15},
        {"row_step": 79},
        {"data": np.zeros(79, np.uint8)},
        {"height": 2},
        {"width": 1 << 30},
    ],
    ids=["no fields", "short points", "short rows", "cut off", "too high", "too wide"],
)
def test_a_cloud_that_is_not_what_it_tells_is_an_error(changes: dict[str, object]) -> None:
    fields = [SimpleNamespace(name=n, offset=4 * i, datatype=7) for i, n in enumerate(NAMES)]
    whole = {"fields": fields, "height": 1, "width": 5, "point_step": 16, "row_step": 80}
    whole |= {"data": np.zeros(80, np.uint8), "is_bigendian": False}
    header = SimpleNamespace(frame_id="base_link")
    points, colors = cloud_of(SimpleNamespace(header=header, **whole), "base_link", "/c")
    assert points.shape == colors.shape == (5, 3)
    with pytest.raises(DatasetError, match="cut off"):
        cloud_of(SimpleNamespace(header=header, **(whole | changes)), "base_link", "/c")
