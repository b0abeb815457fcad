"""What makes the clouds of a data set is made once a process, unless it remembers."""

from __future__ import annotations

from pathlib import Path

import pytest

from brs_cli.dataset_clouds import CloudFactory

pytest.importorskip("numba", reason="clouds need brs[perception]")


def test_one_fusion_serves_all_episodes() -> None:
    first, second = CloudFactory("r1", "shelves")(), CloudFactory("r1", "shelves")()
    assert first._fusion is second._fusion
    assert first._fusion is not CloudFactory("r1", "default")()._fusion


def test_what_is_held_of_one_episode_does_not_come_into_the_next(tmp_path: Path) -> None:
    path = tmp_path / "held.yaml"
    path.write_text("crop:\n  lower: [0, -1, 0]\n  upper: [2, 1, 2]\nhold_s: 1.0\n")
    factory = CloudFactory("r1", str(path))
    assert factory()._fusion is not factory()._fusion
