"""Memory over many segments: it stays, and if it did not, that would be seen."""

from __future__ import annotations

import mmap
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml.anomaly.toy import ColourEncoder, RednessJudge

from brs_cli.anomaly_soak import Growth, Soak, growth
from brs_ml.anomaly import AnomalyError, MonitorConfig, SegmentConfig
from brs_ml.anomaly.judge import Question, Verdict
from brs_ml.anomaly.watcher import Equipment

SHORT = MonitorConfig(segment=SegmentConfig(frames=4, windows_px=(120,)))
TEXTS = ["red thing", "green thing", "blue thing"]


@dataclass
class Forgetful(RednessJudge):
    """A judge that keeps nothing, or a megabyte of each question.

    Fresh pages each time: the allocator might have room left by what ran before in this process.
    """

    keep: bool = False
    kept: list[mmap.mmap] = field(default_factory=list)

    def rate(self, questions: Sequence[Question]) -> list[Verdict]:
        self.asked.clear()
        for _ in questions if self.keep else ():
            self.kept.append(mmap.mmap(-1, 1 << 20))
            self.kept[-1].write(b"\1" * (1 << 20))
        return super().rate(questions)


def soaked(judge: RednessJudge) -> Growth:
    load = lambda: Equipment(ColourEncoder(), judge)  # noqa: E731
    return Soak(load, SHORT, ["a", "b"], TEXTS, (96, 128), np.zeros_like).run(120, 10.0)


def test_memory_stays_and_a_leak_is_seen() -> None:
    flat, leaking = soaked(Forgetful()), soaked(Forgetful(keep=True))
    assert flat.segments == leaking.segments == 120
    assert flat.hours == pytest.approx(120 * 4 / 10.0 / 2 / 3600.0)
    per_segment = flat.hours / 120
    assert flat.mb_per_hour * per_segment < 0.2
    # Two texts of three are asked about, three pictures each, but in bad segments.
    assert leaking.mb_per_hour * per_segment == pytest.approx(6 * 1.05, rel=0.3)


def test_a_worker_without_answers_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def load() -> Equipment:
        raise AnomalyError("there are no small models")

    monkeypatch.setattr("brs_cli.anomaly_soak.PATIENCE_S", 0.2)
    with pytest.raises(AnomalyError, match="segment 0 was not scored: there are no small models"):
        Soak(load, SHORT, ["a"], TEXTS, (96, 128)).run(10, 10.0)


@given(st.floats(-50.0, 50.0), st.integers(5, 200), st.floats(0.1, 10.0))
def test_the_slope_is_that_after_warming_up(slope: float, count: int, hours: float) -> None:
    times = np.linspace(0.0, hours, count)
    line = 500.0 + slope * times
    line[: round(0.2 * count)] = 0.0  # what happens there does not count
    found = growth(line.tolist(), count, hours)
    assert found.mb_per_hour == pytest.approx(slope, rel=1e-6, abs=1e-6)
    assert found.end_mb == pytest.approx(line[-1])


def test_nothing_is_said_of_a_moment() -> None:
    with pytest.raises(ValueError, match="too few"):
        growth([1.0], 1, 1.0)
