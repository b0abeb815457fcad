"""`brs eval policy=NAME[,NAME ...] [task=shelves] [episodes=100] [seed=1000] [workers=2] ..`

policy is idle, random, expert, replay:EPISODES (each in its own scene), blind:EPISODES (the same
commands in held-out scenes) or a checkpoint.safetensors; several are compared in the same scenes.
Any value of config/eval can be given anew, such as limits_s.shelves=60 or delay=1; data=DIR is the
data set a checkpoint learnt from, where it does not tell its scenes. --ray takes a Ray cluster.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from brs_cli.eval_config import EvalConfig, EvalOptions, parse
from brs_cli.eval_page import html
from brs_cli.eval_report import Report, lost_trial, make_report, row_report
from brs_cli.eval_rows import Row, rows_of
from brs_cli.eval_trials import Item, Job, make_driver
from brs_cli.eval_workers import Begun, Outcome, Tell, run_items
from brs_cli.progress import Bar
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_ml.episode.metadata import write_atomically
from brs_sim.evaluation import Trial
from brs_sim.tasks import make_task


def main() -> None:
    """Entry point of `brs eval`. Raises BrsError or EpisodeError with what to do."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        raise SystemExit(0 if arguments else 2)
    options, config = parse(arguments)
    rows = rows_of(options, config)
    with _TrialBar("trials", sum(len(row.seeds) for row in rows)) as bar:
        report = evaluate(options, config, rows, bar)
    Console().print(_table(report))
    print(options.folder / "report.html")


def evaluate(
    options: EvalOptions,
    config: EvalConfig,
    rows: Sequence[Row],
    tell: Tell = lambda _: None,
) -> Report:
    """Hold all trials, film failures, write report.json and report.html.

    Args:
        options: what is asked for.
        config: how it is judged.
        rows: who drives, see `rows_of`.
        tell: told of attempts and outcomes.

    Raises:
        BrsError, EpisodeError: driver, scenes or folder do not fit.
    """
    folder = options.folder
    if folder.exists():
        raise ConfigError("exists", where=str(folder), remedy="out=DIR, or remove it")
    robot = load_embodiment(config.robot)
    subtasks = make_task(options.task, robot, options.seed).subtasks
    job = Job(options.task, tuple(rows), config)
    for row in rows:
        make_driver(row, job, robot).close()  # what cannot drive is told before all else
    # Workers compute alongside each other, each in one thread.
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    items = [Item(i, seed) for i, row in enumerate(rows) for seed in row.seeds]
    outcomes = _held(job, items, options, tell)
    trials = [
        [_trial(outcomes[Item(i, seed)], subtasks) for seed in row.seeds]
        for i, row in enumerate(rows)
    ]
    folder.mkdir(parents=True)
    films = [_films(i, row, trials[i], folder, config) for i, row in enumerate(rows)]
    wanted = [item for each in films for item in each]
    filmed = run_items(job, wanted, options.workers, tell) if wanted else {}
    reports = []
    for i, row in enumerate(rows):
        lost = {seed: outcomes[Item(i, seed)].lost for seed in row.seeds}
        for item in films[i]:
            lost[item.seed] += _differs(filmed[item], trials[i][row.seeds.index(item.seed)])
        lost = {seed: why for seed, why in lost.items() if why}
        kept = {
            item.seed: str(Path(item.film).relative_to(folder))
            for item in films[i]
            if filmed[item].trial is not None
        }
        reports.append(row_report(row, trials[i], lost, kept, config.confidence))
    report = make_report(options.task, config, reports)
    write_atomically(folder / "report.json", json.dumps(report.plain(), indent=1) + "\n")
    write_atomically(folder / "report.html", html(report))
    return report


def _held(
    job: Job, items: Sequence[Item], options: EvalOptions, tell: Tell
) -> dict[Item, Outcome]:
    if not options.ray:
        return run_items(job, items, options.workers, tell)
    from brs_cli.eval_ray import run_on_ray

    return run_on_ray(job, items, options.workers, tell)


def _trial(outcome: Outcome, subtasks: tuple[str, ...]) -> Trial:
    if outcome.trial is not None:
        return outcome.trial
    return lost_trial(outcome.item.seed, subtasks, outcome.lost)


def _films(
    i: int, row: Row, trials: Sequence[Trial], folder: Path, config: EvalConfig
) -> list[Item]:
    """The first failures again, to be filmed: the same seeds give the same trials."""
    failed = [trial.seed for trial in trials if not trial.success and trial.length_s > 0.0]
    place = folder / "films"
    return [
        Item(i, seed, str(place / f"{i}_{row.kind}_{seed}.mp4"))
        for seed in failed[: config.video.most]
    ]


def _differs(outcome: Outcome, trial: Trial) -> tuple[str, ...]:
    if outcome.trial in (trial, None):
        return outcome.lost
    return (*outcome.lost, "the film shows another course of events than was judged")


class _TrialBar(Bar):
    """Counts trials; why attempts were lost stays, a line each."""

    def __call__(self, told: Begun | Outcome) -> None:
        if isinstance(told, Begun):
            return
        for why in told.lost:
            self.progress.console.print(f"seed {told.item.seed}: {why}")
        if told.item.film:
            self.progress.update(self.task, description="filming failures")
        else:
            self.progress.advance(self.task)


def _table(report: Report) -> Table:
    percent = f"{100 * report.settings.confidence:g} %"
    table = Table("driver", "entire task", percent, "sub-tasks", "time", "breaches", "lost")
    for row in report.rows:
        whole = row.success
        known = "" if row.held_out or row.kind == "replay" else " [red](scenes unknown)[/]"
        table.add_row(
            row.name + known,
            f"{whole.share:.0%} ({whole.count}/{whole.trials})",
            f"{whole.low:.0%} to {whole.high:.0%}",
            f"{row.subtask_mean:.0%}",
            "-" if row.success_s is None else f"{row.success_s:.1f} s",
            str(sum(count for _, count in row.violations.values())),
            str(len(row.lost)),
        )
    return table
