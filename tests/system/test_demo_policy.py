"""`brs demo --policy`: a policy drives the whole stack, and its episode is kept as any other."""

from __future__ import annotations

from pathlib import Path

import pytest
import tiny_policy
from harness import Harness

from brs_cli.demo import EpisodeResult, record, run_episode
from brs_cli.demo_drivers import PolicyDriver
from brs_hardware.errors import BrsError
from brs_ml.episode import EpisodeReader


def test_a_policy_drives_and_is_recorded(ros: Harness, tmp_path: Path) -> None:
    driver = PolicyDriver(str(tiny_policy.write(tmp_path / "tiny.safetensors")), "shelves")
    driver.arguments["cloud"] = "default"  # which the tiny policy's box is of
    driver.limit_s = 3.0
    result = EpisodeResult(1000)
    reader = EpisodeReader(record("shelves", 1000, tmp_path / "episodes", result, driver))
    assert not result.success and result.length_s >= 3.0 and result.lost == 0
    counts = {topic.name: count for topic, count in reader.counts.items()}
    assert counts["/policy/command"] > 50 and counts["/robot/command"] > 100
    assert reader.info.operator == "tiny.safetensors" and reader.info.success is False


def test_a_checkpoint_that_is_not_there_is_told_before_anything_starts() -> None:
    with pytest.raises(BrsError, match="no checkpoint"):
        PolicyDriver("out/nothing.safetensors", "shelves")


def test_a_checkpoint_of_other_clouds_fails_in_words(ros: Harness, tmp_path: Path) -> None:
    from rich.console import Console

    driver = PolicyDriver(str(tiny_policy.write(tmp_path / "tiny.safetensors")), "shelves")
    result = run_episode("shelves", 1000, tmp_path, Console(quiet=True), False, driver)
    assert not result.success and "cloud" in result.problem
