"""What came out of an evaluation, as one structure: report.json, and what the page shows."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from typing import Any

from brs_cli.eval_config import EvalConfig
from brs_cli.eval_rows import Row
from brs_cli.eval_statistics import paired_chance, wilson
from brs_sim.evaluation import Trial

FORMAT = "brs-evaluation"
VERSION = 1
_PACKAGES = ("brs", "mujoco", "numpy")


@dataclass(frozen=True)
class Share:
    """How often something succeeded."""

    name: str
    count: int
    trials: int
    share: float
    low: float  # of the interval
    high: float


@dataclass(frozen=True)
class RowReport:
    """One driver."""

    name: str
    kind: str
    held_out: bool  # known to have learnt from none of the scenes
    about: Mapping[str, Any]  # of a checkpoint: what it is
    success: Share  # of the entire task
    subtasks: tuple[Share, ...]
    subtask_mean: float  # of their shares
    # In how many trials, and how often in all.
    violations: Mapping[str, tuple[int, int]]
    success_s: float | None  # median time to success, simulated
    simulated_s: float
    lost: Mapping[str, tuple[str, ...]]  # seed -> why attempts at its trial were lost
    films: Mapping[str, str]  # seed -> file of a failure
    trials: tuple[Trial, ...]


@dataclass(frozen=True)
class PairReport:
    """Two drivers in the scenes that both were in."""

    first: str
    second: str
    scenes: int
    first_only: int  # in so many scenes, only the first succeeded
    second_only: int
    difference: float  # of their shares of success, second less first
    chance: float  # of such a difference between equals


@dataclass(frozen=True)
class Report:
    """report.json."""

    task: str
    rows: tuple[RowReport, ...]
    pairs: tuple[PairReport, ...]
    settings: EvalConfig
    versions: Mapping[str, str]
    format: str = FORMAT
    version: int = VERSION

    def plain(self) -> dict:
        """For JSON."""
        return asdict(self)


def make_report(task: str, config: EvalConfig, rows: Sequence[RowReport]) -> Report:
    """The whole of it: rows, and each two of them compared."""
    pairs = [_pair(*two) for two in itertools.combinations(rows, 2)]
    versions = {name: version(name) for name in _PACKAGES}
    found = tuple(pair for pair in pairs if pair is not None)
    return Report(task, tuple(rows), found, config, versions)


def row_report(
    row: Row,
    trials: Sequence[Trial],
    lost: Mapping[int, tuple[str, ...]],
    films: Mapping[int, str],
    confidence: float,
) -> RowReport:
    """One driver's figures.

    Args:
        row: the driver.
        trials: all of them, one a scene; those that were lost have failed.
        lost: seed -> why attempts at a trial were lost.
        films: seed -> file of a failure, within the report's folder.
        confidence: of intervals.
    """

    def share(name: str, successes: Sequence[bool]) -> Share:
        count, total = sum(successes), len(successes)
        return Share(name, count, total, count / total, *wilson(count, total, confidence))

    names = trials[0].subtasks
    subtasks = [share(name, [t.done[i] for t in trials]) for i, name in enumerate(names)]
    counts = [Counter(violation.kind for violation in trial.violations) for trial in trials]
    kinds = sorted(set().union(*counts))
    times = [trial.success_s for trial in trials if trial.success_s is not None]
    return RowReport(
        row.name,
        row.kind,
        row.held_out,
        row.about,
        share("entire task", [trial.success for trial in trials]),
        tuple(subtasks),
        statistics.fmean(subtask.share for subtask in subtasks),
        {kind: (sum(kind in c for c in counts), sum(c[kind] for c in counts)) for kind in kinds},
        statistics.median(times) if times else None,
        round(math.fsum(trial.length_s for trial in trials), 2),
        {str(seed): why for seed, why in lost.items()},
        {str(seed): file for seed, file in films.items()},
        tuple(trials),
    )


def lost_trial(seed: int, subtasks: tuple[str, ...], lost: Sequence[str]) -> Trial:
    """A trial of which every attempt was lost: it has failed, in everything."""
    nothing = (False,) * len(subtasks)
    return Trial(seed, False, subtasks, nothing, 0.0, None, (), f"lost: {'; '.join(lost)}")


def _pair(first: RowReport, second: RowReport) -> PairReport | None:
    """Two drivers compared; None if they were in no scene both."""
    ours = {trial.seed: trial.success for trial in first.trials}
    theirs = {trial.seed: trial.success for trial in second.trials}
    both = ours.keys() & theirs.keys()
    if not both:
        return None
    first_only = sum(ours[seed] and not theirs[seed] for seed in both)
    second_only = sum(theirs[seed] and not ours[seed] for seed in both)
    return PairReport(
        first.name,
        second.name,
        len(both),
        first_only,
        second_only,
        (second_only - first_only) / len(both),
        paired_chance(first_only, second_only),
    )
