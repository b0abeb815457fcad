"""Data sets that are built are judged by the same rules."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from quality_episodes import FACTS, GOOD, STATE, changed, entries, facts, posture, without, write

from brs_ml.dataset import AlignConfig, BuildConfig, build, find_episodes
from brs_ml.dataset.format import INDEX, FileEntry, read_index, sha256, write_index
from brs_ml.episode import EpisodeError
from brs_ml.quality import QualityConfig, Report, check_dataset, is_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of a good episode, one with a hole, and one that does not follow."""
    root = tmp_path_factory.mktemp("set")
    write(root / "episodes" / "good", entries())
    write(root / "episodes" / "hole", without(entries(begin_s=10), STATE, 12, 13.5))
    lazy = changed(entries(begin_s=20), STATE, value=lambda m: posture(m.seconds - 20) * 0.5)
    write(root / "episodes" / "lazy", lazy)
    write(root / "episodes" / "failed", entries(begin_s=30), replace(GOOD, success=False))
    config = BuildConfig(AlignConfig(cameras=("head",)), validation_share=0.0)
    build(find_episodes([root / "episodes"]), root / "set", FACTS.layout, config)
    return root / "set"


def found(root: Path) -> dict[str, set[str]]:
    """Rules by episode."""
    report = check_dataset(root, QualityConfig(), facts)
    rules: dict[str, set[str]] = {episode.name: set() for episode in report.episodes}
    for finding in report.findings:
        rules.setdefault(finding.episode, set()).add(finding.rule)
    return rules


def test_a_data_set_is_told_from_episodes(dataset: Path, tmp_path: Path) -> None:
    assert is_dataset(dataset)
    assert not is_dataset(tmp_path)


def test_episodes_of_a_data_set_are_judged(dataset: Path) -> None:
    rules = found(dataset)
    assert rules["good"] == set()
    assert "invalid_steps" in rules["hole"]
    assert "follow" in rules["lazy"]
    assert rules[""] == {"left_out"}


def test_a_report_tells_lengths_and_ways(dataset: Path) -> None:
    report: Report = check_dataset(dataset, QualityConfig(), facts)
    good = report.episodes[0]
    assert good.name == "good"
    assert good.seconds == pytest.approx(5.8, abs=0.15)
    # 16 joints, each swinging by 0.4 sin(1.5 t + phase).
    times_s = np.linspace(0, good.seconds, 2000)
    phases = np.arange(3, 21)[[i for i in range(18) if i not in (10, 17)]] * 0.3
    ways = np.abs(np.diff(0.4 * np.sin(1.5 * times_s[:, None] + phases), axis=0)).sum()
    assert good.figures["path_rad"] == pytest.approx(ways, rel=0.05)


def test_a_file_that_changed_is_told_of(dataset: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "set"))
    column = copy / "columns" / "action.npy"
    data = bytearray(column.read_bytes())
    data[-1] ^= 1
    column.write_bytes(data)
    assert found(copy) == {"": {"unreadable"}}


def test_pictures_that_stand_still_are_found(dataset: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "set"))
    name = "columns/image.head.span.npy"
    spans = np.load(copy / name)
    spans[10:30] = spans[10]
    np.save(copy / name, spans)
    index = read_index(copy)
    entry = FileEntry((copy / name).stat().st_size, sha256(copy / name))
    write_index(copy, replace(index, files={**index.files, name: entry}))
    assert found(copy)["good"] == {"frozen_picture"}


def test_numbers_that_are_none_in_valid_steps_are_found(dataset: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "set"))
    name = "columns/proprioception.npy"
    values = np.load(copy / name)
    values[5, 3] = np.nan
    np.save(copy / name, values)
    index = json.loads((copy / INDEX).read_text())
    index["files"][name]["sha256"] = sha256(copy / name)
    (copy / INDEX).write_text(json.dumps(index))
    assert found(copy)["good"] == {"nan"}


def test_a_robot_that_is_not_known_cannot_be_checked(dataset: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(dataset, tmp_path / "set"))
    write_index(copy, replace(read_index(copy), robot="toaster"))
    with pytest.raises(EpisodeError, match="toaster"):
        check_dataset(copy, QualityConfig(), facts)
