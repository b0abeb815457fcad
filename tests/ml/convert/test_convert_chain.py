"""The whole way: episodes are checked, built, read in windows, converted, and come back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ml.convert.samples import assert_same, robot_of
from ml.dataset.synthetic_episodes import (
    CAMERAS,
    Recipe,
    TellingClouds,
    layout,
    proprioception_at,
    record,
    settings,
)

from brs_ml.convert import ConvertOptions, LeRobotOptions, convert
from brs_ml.dataset import Dataset, WindowReader, WindowSpec, build, find_episodes
from brs_ml.quality import QualityConfig, RobotFacts, check

FACTS = RobotFacts(layout(), (2.0,) * 21, CAMERAS)


@pytest.mark.parametrize("clouds", ["fused", "recorded"])
def test_episodes_come_back_from_other_formats_as_they_were_built(
    clouds: str, tmp_path: Path
) -> None:
    episodes = tmp_path / "episodes"
    for name, seconds in (("one", 1.2), ("two", 1.0)):
        record(episodes / name, Recipe(seconds=seconds, cloud_hz=15.0))
    report = check(episodes, QualityConfig(), lambda name: FACTS)
    assert [episode.name for episode in report.episodes] == ["one", "two"]
    unreadable = {"no_bag", "unreadable", "metadata", "torn", "undecodable", "missing_topic"}
    assert not unreadable & {finding.rule for finding in report.findings}

    config = settings(cloud_source=clouds)
    build(find_episodes([episodes]), tmp_path / "set", layout(), config, clouds=TellingClouds)
    ours = Dataset(tmp_path / "set", verify=True)
    first = WindowReader(ours, WindowSpec(), "train", features=["cloud"]).sample(0)
    now = (ours.column("stamp_ns")[1] - ours.column("stamp_ns")[0]) * 1e-9
    assert now == pytest.approx(0.1)
    seen = first["proprioception"][1] - first["proprioception"][0]
    told = proprioception_at(now) - proprioception_at(0.0)
    assert np.allclose(seen, told, atol=1e-5)
    assert first["cloud"].shape == (2, 8, 6)

    convert(ours.root, tmp_path / "all.hdf5", "brs-hdf5", robot_of)
    convert(tmp_path / "all.hdf5", tmp_path / "from_hdf5", "brs", robot_of)
    assert_same(ours, Dataset(tmp_path / "from_hdf5", verify=True))
    options = ConvertOptions(LeRobotOptions("jpeg", clouds=True))
    convert(ours.root, tmp_path / "lerobot", "lerobot", robot_of, options)
    assert not convert(tmp_path / "lerobot", tmp_path / "from_lerobot", "brs", robot_of)
    assert_same(ours, Dataset(tmp_path / "from_lerobot", verify=True))
