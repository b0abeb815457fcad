"""The monitor's scores in an episode: kept as they were said, and in nobody's way."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from view_samples import SampleBag, Shown, state

from brs_cli import episode, view
from brs_ml.episode import EpisodeReader

SCORES = "brs_interfaces/msg/AnomalyScores"


@pytest.fixture
def recorded(tmp_path: Path) -> Path:
    """An episode of a robot's state and of scores, one of them unknown."""
    bag = SampleBag(tmp_path)
    for i in range(20):
        bag.put("/robot/state", "brs_interfaces/msg/WholeBodyState", 0.1 * i, state(0.1 * i))
    said = {"camera": "head", "texts": ["a spill", "чашка"], "reasons": ["seen", "unknown words"]}
    numbers = {"scores": [0.75, math.nan], "alarms": [True, False], "judged": [True, False]}
    bag.put("/anomaly/scores", SCORES, 1.0, {**said, **numbers})
    return bag.finish()


def test_scores_come_back(recorded: Path) -> None:
    ((_, scores),) = EpisodeReader(recorded).decoded(["/anomaly/scores"])
    assert scores.camera == "head" and list(scores.texts) == ["a spill", "чашка"]
    assert scores.scores[0] == 0.75 and math.isnan(scores.scores[1])
    assert list(scores.alarms) == [True, False]


def test_an_episode_with_scores_is_shown_as_one_without(recorded: Path) -> None:
    assert "success" in episode.show(recorded) and "21 messages" in episode.show(recorded)
    path = recorded.parent / "shown.rrd"
    view.main([str(recorded), "--save", str(path)])
    assert len(Shown(path).numbers("/joints/torso/measured")) == 20
