"""`brs train policy=NAME data=DIR out=DIR [steps=N] [KEY.KEY=VALUE ...]`: trains a policy.

policy is a file of config/policy or a path; any of its values can be given anew, such as
training.batch_size=32 or policy.normalisation.joints=data. resume=true goes on with a stopped
run, tensorboard=false writes no logs for it. from=CHECKPOINT corrections=DIR goes on from a
policy, and mixes in what people did who took over from it (DIR: data set of such episodes).
rollouts_every=N tries it in simulation every N steps, in rollouts=10 scenes of task=NAME that are
kept for that, from rollouts_seed=100000 on, in rollout_workers=1 processes. Several GPUs:
torchrun --nproc-per-node=N -m brs_cli.main train ...
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from brs_cli.assignments import assignments
from brs_cli.dataset_clouds import layout_of
from brs_cli.progress import Bar
from brs_hardware.config import build, did_you_mean, load_yaml, named_file
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.kinematics import Kinematics
from brs_ml.dataset.format import Index, read_index
from brs_ml.policy.training_config import RunConfig

SECTIONS = ("policy", "training", "distillation", "corrections")
SHORT = {
    "steps": "training.steps",
    "rollouts_every": "training.rollouts_every",
    "corrections": "corrections.data",
    "from": "corrections.checkpoint",
}


@dataclass(frozen=True)
class TrainOptions:
    """What is said on the command line beside the run's own settings."""

    policy: str
    data: str
    out: str
    robot: str = ""  # of the data set, where it is empty
    resume: bool = False
    tensorboard: bool = True
    task: str = ""  # of rollouts; empty: the one that the data set has
    rollouts: int = 10  # scenes in which it is tried each time
    rollouts_seed: int = 100_000  # of the first of them; `brs eval` judges in others
    rollout_workers: int = 1  # processes that try it


def parse(arguments: list[str]) -> tuple[TrainOptions, RunConfig]:
    """Options and settings.

    Raises:
        ConfigError: an argument is no KEY=VALUE, or a key or value is wrong.
    """
    plain: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    for key, value in assignments(arguments, "brs train").items():
        key = SHORT.get(key, key)
        (changes if "." in key else plain)[key] = value
    options = build(TrainOptions, plain, "command line")
    file = named_file("policy", options.policy, "policy")
    settings = load_yaml(file) or {}
    for key, value in changes.items():
        _set(settings, key.split("."), value)
    return options, build(RunConfig, settings, str(file))


def _set(settings: dict[str, Any], keys: list[str], value: Any) -> None:
    if keys[0] not in SECTIONS:
        raise ConfigError(f"unknown key '{keys[0]}'", remedy=did_you_mean(keys[0], SECTIONS))
    for key in keys[:-1]:
        settings = settings.setdefault(key, {})
        if not isinstance(settings, dict):
            raise ConfigError(f"'{key}' has no values in it", remedy="give it one value")
    settings[keys[-1]] = value


def main() -> None:
    """Entry point of `brs train`. Raises BrsError or EpisodeError with what to do."""
    arguments = sys.argv[1:]
    if not arguments or arguments[0] in ("-h", "--help"):
        print(__doc__.strip())
        raise SystemExit(0 if arguments else 2)
    options, config = parse(arguments)
    try:
        from brs_ml.policy.board import TensorBoard
        from brs_ml.policy.hands import HandFrame, hand_frames
        from brs_ml.policy.run import train
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"training needs {error.name}, which is not installed", remedy="pip install brs[ml]"
        ) from None
    data, out = Path(options.data), Path(options.out)
    index = read_index(data)
    robot = options.robot or index.robot
    embodiment = load_embodiment(robot)
    layout = layout_of(embodiment)
    hands: tuple[HandFrame, ...] = ()
    if config.policy.pointnet.hand_points:
        hands = hand_frames(Kinematics(embodiment), layout)
    rollouts = None
    if config.training.rollouts_every:
        from brs_cli.train_rollouts import SimulatedRollouts

        task = options.task or only_task(index)
        scenes = range(options.rollouts_seed, options.rollouts_seed + options.rollouts)
        rollouts = SimulatedRollouts(task, robot, scenes, options.rollout_workers)
    with ExitStack() as stack:
        reports: list[Any] = []
        if os.environ.get("RANK", "0") == "0":
            reports.append(stack.enter_context(_TrainingBar("training", config.training.steps)))
            if options.tensorboard:
                board = TensorBoard(out / "tensorboard")
                stack.callback(board.close)
                reports.append(board)

        def report(step: int, measured: Mapping[str, float]) -> None:
            for each in reports:
                each(step, measured)

        path = train(
            config,
            data,
            layout,
            out,
            report,
            resume=options.resume,
            rollouts=rollouts,
            hands=hands,
        )
    print(path)


def only_task(index: Index) -> str:
    """The task of a data set; raises ConfigError if it has several or none."""
    tasks = sorted({episode.task for episode in index.episodes})
    if len(tasks) != 1 or not tasks[0]:
        raise ConfigError(
            f"the data set has the tasks {', '.join(tasks) or 'none'}",
            where="rollouts_every",
            remedy="task=NAME tells which of them is tried",
        )
    return tasks[0]


class _TrainingBar(Bar):
    """Counts steps, with the last loss; validation errors stay, a line each."""

    def __call__(self, step: int, measured: Mapping[str, float]) -> None:
        self.progress.update(self.task, completed=step)
        if "train/loss" in measured:
            text = f"loss {measured['train/loss']:.4f}"
            self.progress.update(self.task, description=text)
        else:
            values = "  ".join(f"{name} {value:.3f}" for name, value in measured.items())
            self.progress.console.print(f"step {step}: {values}")
