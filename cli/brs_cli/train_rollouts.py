"""Trials of a policy while it is trained, held as `brs eval` holds them."""

from __future__ import annotations

import os
import statistics
from collections.abc import Sequence
from pathlib import Path

from brs_cli.eval_config import parse
from brs_cli.eval_report import lost_trial
from brs_cli.eval_rows import rows_of
from brs_cli.eval_trials import Item, Job
from brs_cli.eval_workers import run_items
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_sim.tasks import make_task


class SimulatedRollouts:
    """Tries checkpoints in the same scenes again and again, in worker processes.

    Args:
        task: a registered task.
        robot: that is driven.
        seeds: of the scenes, one after another; other ones than `brs eval` judges in.
        workers: processes.

    Raises:
        ConfigError: no such task or robot, no scene, or scenes of demonstrations.
    """

    def __init__(self, task: str, robot: str, seeds: Sequence[int], workers: int) -> None:
        if not seeds or workers < 1:
            raise ConfigError(
                "rollouts need scenes and a process", remedy="rollouts=10 rollout_workers=1"
            )
        self._task, self._robot, self._seeds, self._workers = task, robot, seeds, workers
        self._subtasks = make_task(task, load_embodiment(robot), seeds[0]).subtasks

    def __call__(self, checkpoint: Path) -> dict[str, float]:
        """Shares, from 0 to 1: `success` of the entire task, `subtasks` on the mean, `lost`.

        Raises:
            BrsError, EpisodeError: the checkpoint cannot drive this robot, or learnt from these
                scenes.
        """
        options, config = parse(
            [
                f"policy={checkpoint}",
                f"task={self._task}",
                f"episodes={len(self._seeds)}",
                f"seed={self._seeds[0]}",
                f"robot={self._robot}",
            ]
        )
        job = Job(self._task, tuple(rows_of(options, config)), config)
        # Workers compute alongside each other, each in one thread.
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        outcomes = run_items(job, [Item(0, seed) for seed in self._seeds], self._workers)
        trials = [
            outcome.trial or lost_trial(item.seed, self._subtasks, outcome.lost)
            for item, outcome in outcomes.items()
        ]
        return {
            "success": statistics.fmean(trial.success for trial in trials),
            "subtasks": statistics.fmean(statistics.fmean(trial.done) for trial in trials),
            "lost": statistics.fmean(outcome.trial is None for outcome in outcomes.values()),
        }
