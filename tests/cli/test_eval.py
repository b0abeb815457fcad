"""`brs eval`: nothing is lost, nothing was seen before, and numbers mean what they say."""

from __future__ import annotations

import html.parser
import json
import os
import signal
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ml.dataset.synthetic_episodes import Recipe, command_at, record
from scipy import stats

from brs_cli.eval import evaluate
from brs_cli.eval_config import EvalConfig, EvalOptions, parse
from brs_cli.eval_page import html as page
from brs_cli.eval_report import lost_trial, make_report, row_report
from brs_cli.eval_rows import Row, check_held_out, rows_of
from brs_cli.eval_statistics import paired_chance, wilson
from brs_cli.eval_trials import Item, Job, TrialRunner, read_commands
from brs_cli.eval_workers import Begun, Outcome, run_items
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError, ConfigError
from brs_ml.episode.metadata import update_info
from brs_sim.evaluation import Trial
from brs_sim.violations import Violation

SHORT = ("limits_s.shelves=0.5", "video.width=64", "video.height=48")


def asked(*arguments: str) -> tuple[EvalOptions, EvalConfig, list[Row]]:
    options, config = parse(["policy=idle", *SHORT, *arguments])
    return options, config, rows_of(options, config)


@given(st.integers(1, 300), st.data(), st.floats(0.5, 0.999))
def test_intervals_are_wilsons(trials: int, data: st.DataObject, confidence: float) -> None:
    successes = data.draw(st.integers(0, trials))
    naive = stats.binomtest(successes, trials).proportion_ci(confidence, method="wilson")
    expected = pytest.approx((naive.low, naive.high), abs=1e-9)
    assert wilson(successes, trials, confidence) == expected


def test_without_trials_nothing_is_known() -> None:
    assert wilson(0, 0, 0.95) == (0.0, 1.0)


@given(st.integers(0, 60), st.integers(0, 60))
def test_chance_of_a_difference_is_the_exact_test(first: int, second: int) -> None:
    naive = stats.binomtest(first, first + second).pvalue if first + second else 1.0
    assert paired_chance(first, second) == pytest.approx(naive, abs=1e-9)
    assert paired_chance(first, second) == paired_chance(second, first)


@pytest.mark.parametrize(
    ("argument", "message"),
    [
        ("polisy=idle", "unknown key 'polisy'.*policy"),
        ("limits.shelves=3", "unknown key 'limits'.*limits_s"),
        ("limits_s.shelves=0", "'limits_s' must be positive"),
        ("video.size=3", "unknown key 'size'"),
        ("episodes=0", "must be positive"),
        ("policy=idel", "unknown policy 'idel'.*idle"),
        ("policy=idle,idle", "'idle' is there twice"),
        ("policy=replai:out", "unknown policy 'replai:out'"),
        ("seed=999", "seeds below 1000 are for demonstrations"),
        ("config=defualt", "unknown evaluation 'defualt'.*default"),
    ],
)
def test_what_cannot_be_is_answered(argument: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        asked(argument)


def test_scenes_that_were_learnt_from_are_refused() -> None:
    config = asked()[1]
    check_held_out(range(1000, 1100), [*range(50), 1100], config, "policy")
    with pytest.raises(ConfigError, match=r"2 of these scenes: seeds 1004, 1099\. .*seed=1100"):
        check_held_out(range(1000, 1100), (1099, 7, 1004), config, "policy")


def test_episodes_are_replayed_in_their_scenes_or_blindly_in_others(tmp_path: Path) -> None:
    for number, seed in enumerate((3, 1001)):
        record(tmp_path / f"episode{number}", Recipe(seconds=0.5, depth=False))
        update_info(tmp_path / f"episode{number}", seed=seed)
    own = asked(f"policy=replay:{tmp_path}")[2][0]
    assert own.seeds == (3, 1001) and not own.held_out
    blind = asked(f"policy=blind:{tmp_path}", "seed=1002", "episodes=5")[2][0]
    assert blind.seeds == (1002, 1003, 1004, 1005, 1006)
    with pytest.raises(ConfigError, match="learnt from 1 of these scenes: seeds 1001"):
        asked(f"policy=blind:{tmp_path}")
    with pytest.raises(ConfigError, match=r"of task 'shelves'.*not of trash"):
        asked(f"policy=replay:{tmp_path}", "task=trash")
    (tmp_path / "episode1" / "episode.json").write_text('{"task": "she')
    with pytest.raises(ConfigError, match=r"episode1: does not tell of what task.*dataset check"):
        asked(f"policy=replay:{tmp_path}")
    found = read_commands(tmp_path / "episode0", load_embodiment("r1"))
    assert found.times_s[0] == 0.0
    assert found.times_s == pytest.approx(np.arange(len(found.times_s)) * 0.01, abs=1e-6)
    assert found.actions[7] == pytest.approx(command_at(0.07), abs=1e-6)


def a_trial(seed: int, done: tuple[bool, bool], **changes: Any) -> Trial:
    values: dict[str, Any] = {
        "success": all(done),
        "length_s": 10.0,
        "success_s": 9.0 + seed if all(done) else None,
        "violations": (),
        "ended": "success" if all(done) else "time",
    }
    return Trial(seed=seed, subtasks=("<one>", "two"), done=done, **{**values, **changes})


def test_figures_of_a_report_are_those_counted_by_hand() -> None:
    config = asked()[1]
    hits = tuple(Violation(t, "collision", "arm and door", 200.0) for t in (1.0, 5.0))
    ours = [
        a_trial(0, (True, True)),
        a_trial(1, (True, False), violations=hits),
        a_trial(2, (True, True)),
        lost_trial(3, ("<one>", "two"), ("killed", "silent")),
    ]
    theirs = [a_trial(seed, (False, False)) for seed in (0, 1, 2, 3)]
    rows = [
        row_report(
            Row("<b>us", "checkpoint", "p", (0, 1, 2, 3), False, {"steps": 7}),
            ours,
            {3: ("killed", "silent")},
            {1: "films/1 x.mp4"},
            0.95,
        ),
        row_report(Row("idle", "idle", "", (0, 1, 2, 3), True), theirs, {}, {}, 0.95),
    ]
    us = rows[0]
    assert (us.success.count, us.success.trials, us.success.share) == (2, 4, 0.5)
    assert (us.success.low, us.success.high) == wilson(2, 4, 0.95)
    assert [share.count for share in us.subtasks] == [3, 2]
    assert us.subtask_mean == 0.625
    assert us.violations == {"collision": (1, 2)}
    assert us.success_s == 10.0  # of 9 and 11
    assert us.simulated_s == 30.0
    report = make_report("shelves", config, rows)
    pair = report.pairs[0]
    assert (pair.scenes, pair.first_only, pair.second_only, pair.difference) == (4, 2, 0, -0.5)
    assert pair.chance == 0.5
    assert json.loads(json.dumps(report.plain()))["rows"][0]["trials"][3]["ended"] == (
        "lost: killed; silent"
    )
    text = page(report)
    seen = Page(text)
    assert seen.tags["script"] == 0 and seen.tags["b"] == 0
    assert seen.tags["td"] > 20 and seen.open == []
    assert seen.links == ["films/1%20x.mp4"]
    told = ("50% (2/4)", "nobody knows what scenes", "killed; silent", "-50 points", "steps 7")
    for words in ("<b>us", *told):
        assert words in seen.text, words


class Page(html.parser.HTMLParser):
    """Counts tags, and holds what is open and what is read."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.open: list[str] = []
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        self.links += [str(value) for name, value in attributes if name == "href"]
        if tag != "meta":
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def when_begun(act: Callable[[Begun], None]) -> Callable[[Begun | Outcome], None]:
    return lambda told: act(told) if isinstance(told, Begun) else None


def test_results_hang_on_seeds_alone_even_when_a_worker_is_killed() -> None:
    options, config, rows = asked("policy=random,idle", "episodes=2")
    job = Job(options.task, tuple(rows), config)
    items = [Item(row, seed) for row in (0, 1) for seed in (1000, 1001)]
    runner = TrialRunner(job)
    here = {item: runner.run(item, lambda: None) for item in reversed(items)}
    assert here[items[0]] != here[items[1]]
    killed: list[Item] = []

    def kill_the_second(told: Begun) -> None:
        if told.item == items[1] and told.attempt == 1:
            os.kill(told.worker, signal.SIGKILL)
            killed.append(told.item)

    outcomes = run_items(job, items, 2, when_begun(kill_the_second))
    assert killed == [items[1]]
    assert {item: outcome.trial for item, outcome in outcomes.items()} == here
    assert outcomes[items[1]].lost == ("a worker was killed by signal 9",)
    assert not any(outcomes[item].lost for item in items if item != items[1])


def test_a_trial_that_is_lost_twice_is_told_and_counts() -> None:
    options, config, rows = asked("silence_s=60")
    job = Job(options.task, tuple(rows), config)
    now = [0.0]

    def stop_then_kill(told: Begun) -> None:
        if told.attempt == 1:
            os.kill(told.worker, signal.SIGSTOP)
            now[0] += 61.0
        else:
            os.kill(told.worker, signal.SIGKILL)

    item = Item(0, 1000)
    outcome = run_items(job, [item], 1, when_begun(stop_then_kill), lambda: now[0])[item]
    assert outcome.trial is None
    assert outcome.lost == ("a worker was silent for 60 s", "a worker was killed by signal 9")


def test_an_evaluation_leaves_a_report_and_films_of_failures(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    folder = tmp_path / "out"
    options, config, rows = asked("episodes=2", "video.most=1", "workers=1", f"out={folder}")
    report = evaluate(options, config, rows)
    assert [(row.name, row.success.count, row.success.trials) for row in report.rows] == [
        ("idle", 0, 2)
    ]
    plain = json.loads((folder / "report.json").read_text())
    assert (plain["format"], plain["version"], plain["task"]) == ("brs-evaluation", 1, "shelves")
    assert [trial["seed"] for trial in plain["rows"][0]["trials"]] == [1000, 1001]
    assert plain["rows"][0]["films"] == {"1000": "films/0_idle_1000.mp4"}
    assert plain["rows"][0]["lost"] == {}  # the film shows what was judged
    assert Page((folder / "report.html").read_text()).links == ["films/0_idle_1000.mp4"]
    with av.open(str(folder / "films/0_idle_1000.mp4")) as film:
        pictures = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(pictures) == 5 and pictures[0].shape == (48, 64, 3) and pictures[0].std() > 10
    with pytest.raises(ConfigError, match="exists"):
        evaluate(options, config, rows)


def test_ray_is_asked_for_by_name_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)  # as where it is not installed
    options, config, rows = asked("--ray", f"out={tmp_path / 'out'}")
    with pytest.raises(BrsError, match="Ray is not installed"):
        evaluate(options, config, rows)
