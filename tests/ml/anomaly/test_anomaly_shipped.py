"""The weights that are shipped find what they were taught, in rooms they never saw."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from brs_cli.anomaly_train import TEST_SEEDS, Phrases, weights_file
from brs_hardware.config import load_named
from brs_hardware.embodiment import load_embodiment
from brs_ml.anomaly import MonitorConfig, SegmentScorer, score_video, watch_texts
from brs_ml.anomaly.small import SmallEncoder, SmallJudge, SmallModels
from brs_sim.anomalies import KINDS, MOTION_KINDS, Clip
from brs_sim.cameras import CameraRenderer

ROBOT = load_embodiment("r1")
PHRASES = load_named(Phrases, "anomaly", "household", "list of phrases").phrases
ROOMS = (TEST_SEEDS + 50, TEST_SEEDS + 51)  # behind those that `brs monitor eval` takes
FRAMES = MonitorConfig().segment.frames


@pytest.fixture(scope="module")
def models() -> SmallModels:
    return SmallModels.load(weights_file())


@pytest.fixture(scope="module")
def renderer() -> Iterator[CameraRenderer]:
    drawn = CameraRenderer(Clip(ROBOT, None, TEST_SEEDS))
    yield drawn
    drawn.close()


def test_they_know_the_words_that_they_were_taught(models: SmallModels) -> None:
    encoder = SmallEncoder(models)
    assert all(encoder.knows(text) for several in PHRASES.values() for text in several)
    assert not encoder.knows("an elephant")


@pytest.mark.parametrize("kind", KINDS)
def test_a_score_rises_when_it_goes_wrong(
    kind: str, models: SmallModels, renderer: CameraRenderer
) -> None:
    text = PHRASES[kind][0]
    encoder, config = SmallEncoder(models), MonitorConfig(judged_texts=0)
    texts = watch_texts([several[0] for several in PHRASES.values()], encoder, config)
    scorer = SegmentScorer(encoder, SmallJudge(models), texts, config)
    before: list[float] = []
    after: list[float] = []
    for room in ROOMS:
        clip = Clip(ROBOT, kind, room)
        for scores, begin in ((before, clip.begin - FRAMES), (after, clip.frames - FRAMES)):
            frames = [clip.draw(renderer, begin + i) for i in range(FRAMES)]
            (segment,) = score_video(scorer, frames).segments
            (row,) = (row for row in segment.keywords if row.keyword == text)
            assert row.score is not None and row.parts.temporal is not None
            scores.append(row.parts.temporal if kind in MOTION_KINDS else row.score)
    assert np.mean(after) > np.mean(before) + 0.2
