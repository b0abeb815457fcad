"""What a soak concludes from what it has seen."""

from __future__ import annotations

import os
import random

import pytest

from brs_cli.fault_report import markdown
from brs_cli.fault_table import Outcome
from brs_cli.fault_watch import Sorter
from brs_cli.memory import Growth, MemoryWatch, _fit
from brs_cli.soak import Report, _shuffled
from brs_sim.faults import Fault


def test_growth_is_one_slope_over_all_lives_of_a_process() -> None:
    """Each life begins at its own level, and warms up; neither is a leak."""
    dice = random.Random(0)
    lives = []
    for start_mb in (50.0, 90.0, 70.0):
        warming = [(float(t), start_mb + t) for t in range(0, 120, 5)]
        work = [
            (float(t), start_mb + 120 + 0.01 * t + dice.gauss(0, 0.1)) for t in range(120, 500)
        ]
        lives.append(warming + work)
    growth = _fit(lives)
    assert growth.slope_mb_per_min == pytest.approx(0.6, abs=0.02)
    assert growth.watched_s == pytest.approx(3 * 379) and growth.tells
    assert not _fit([lives[0][:30]]).tells


def test_the_memory_of_a_running_process_is_sampled_and_a_dead_one_is_left_out() -> None:
    watch = MemoryWatch()
    for now_s in (0.0, 30.0, 40.0):
        watch.sample(now_s, {"me": os.getpid(), "gone": 2**22 + 1})
    assert [len(life) for life in watch.lives()["me"]] == [3]
    assert set(watch.growth()) == {"me"} and watch.growth()["me"].peak_mb > 1.0


def test_every_breach_is_a_problem_and_what_a_flood_costs_is_none() -> None:
    report = Report(0, outcomes=[Outcome("flood", "f", "r", True, lost=3, lost_by_fault=9)])
    assert not report.problems()
    report.outcomes = [
        Outcome("a", "a", "r", True, lost=1),
        Outcome("b", "b", "r", problem="no end\nof it"),
    ]
    report.unsafe = {"velocity": 2}
    report.memory = {"robot": Growth(2.0, 1000.0, 90.0), "teleop": Growth(2.0, 10.0, 90.0)}
    assert report.problems() == [
        "b: no end",
        "2 commands broke the rule 'velocity'",
        "a: the recorder lost 1 messages",
        "robot grows by 2.00 MB/min",
    ]


def test_every_fault_comes_equally_often_in_an_order_of_the_seed() -> None:
    faults = [Fault(name, name, "", lambda: None) for name in "abcd"]
    order = _shuffled(faults, random.Random(1))
    names = [next(order).name for _ in range(12)]
    assert [sorted(names[i : i + 4]) for i in (0, 4, 8)] == [list("abcd")] * 3
    again = _shuffled(faults, random.Random(1))
    assert names == [next(again).name for _ in range(12)] and names[:4] != names[4:8]


def test_the_page_shows_figures_and_says_what_was_not_measured() -> None:
    rows = [
        Outcome("a", "cable", "holds", True, 0.21, None, 0, slowest_stop_ms=84, recovery_s=2.0),
        Outcome("b", "loss", "goes on", skipped="no right to"),
    ]
    page = markdown(rows, 0, 1234)
    assert "| cable | holds | 0.21 s | 84 ms | 2.0 s | 0 |" in page
    assert "| loss | **not measured: no right to** |" in page and "1,234" in page


def test_what_comes_late_still_gets_its_place_in_the_order_of_publication() -> None:
    """All of it is seconds old, as in a flood: only how long it has been here counts."""
    sorter = Sorter()
    sorter.add(1.00, "base")
    assert not sorter.due(10.0)
    sorter.add(0.99, "its cause, later")
    sorter.add(1.20, "next")
    assert not sorter.due(10.9)
    assert sorter.due(11.0) == [(0.99, "its cause, later"), (1.00, "base")]
    assert not sorter.due(11.5)
    sorter.add(1.10, "older than what was read before it")
    assert [row for _, row in sorter.due(12.5)] == ["older than what was read before it", "next"]
