"""Rows of an evaluation: who drives, in which scenes, and whether these were seen before.

idle, random, expert        know nothing of the task; know all of it
replay:EPISODES             recorded commands, open loop, each episode in its own scene
blind:EPISODES              the same in held-out scenes: what is reached without looking
PATH.safetensors            a trained policy
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from brs_cli.eval_config import EvalConfig, EvalOptions
from brs_hardware.config import did_you_mean
from brs_hardware.errors import ConfigError
from brs_ml.dataset import find_episodes
from brs_ml.dataset.format import INDEX, read_index, sha256
from brs_ml.episode import EpisodeReader

if TYPE_CHECKING:
    from brs_ml.policy.checkpoint import DataCard

PLAIN = ("idle", "random", "expert")
REPLAYED = ("replay", "blind")
CHECKPOINT = "checkpoint"
_TOLD = 5  # of the seeds that overlap


@dataclass(frozen=True)
class Row:
    """Who drives, and where."""

    name: str  # as it was asked for
    kind: str  # of PLAIN, REPLAYED, or CHECKPOINT
    path: str  # of episodes or the checkpoint, empty for the others
    seeds: tuple[int, ...]  # of the scenes, one a trial
    # Whether it is known that what it learnt from has none of these scenes.
    held_out: bool
    about: dict[str, Any] = field(default_factory=dict)  # of a checkpoint: what it is


def rows_of(options: EvalOptions, config: EvalConfig) -> list[Row]:
    """The rows asked for, checked.

    Raises:
        ConfigError: no such driver, one is named twice, or its scenes are not held out.
        EpisodeError: episodes, data set or checkpoint cannot be read.
    """
    names = options.policies
    if doubled := [name for name in names if names.count(name) > 1]:
        raise ConfigError(f"'{doubled[0]}' is there twice", remedy="name each driver once")
    return [_row(name, options, config) for name in names]


def episodes_of(row: Row) -> list[Path]:
    """Folders of the episodes that a row replays."""
    return find_episodes([Path(row.path)])


def check_held_out(
    seeds: Collection[int], learnt: Collection[int], config: EvalConfig, name: str
) -> None:
    """Refuse scenes that demonstrations may have, or that these have.

    Args:
        seeds: that are to be judged in.
        learnt: of the scenes that the driver knows.
        config: tells from where on seeds are for judging.
        name: of the driver.

    Raises:
        ConfigError: tells which.
    """
    if min(seeds) < config.held_out_from:
        raise ConfigError(
            f"seeds below {config.held_out_from} are for demonstrations",
            where=f"seed={min(seeds)}",
            remedy=f"seed={config.held_out_from}",
        )
    if both := sorted(set(seeds) & set(learnt)):
        more = " .." if len(both) > _TOLD else ""
        raise ConfigError(
            f"learnt from {len(both)} of these scenes: seeds "
            + ", ".join(str(seed) for seed in both[:_TOLD])
            + more,
            where=name,
            remedy=f"seed={max(*learnt, max(seeds)) + 1}",
        )


def _row(name: str, options: EvalOptions, config: EvalConfig) -> Row:
    kind, _, path = name.partition(":")
    seeds = tuple(range(options.seed, options.seed + options.episodes))
    if name in PLAIN:
        check_held_out(seeds, (), config, name)
        return Row(name, kind, "", seeds, held_out=True)
    if kind in REPLAYED and path:
        recorded = _recorded_seeds(Path(path), options.task, config.robot)
        if kind == "replay":
            return Row(name, kind, path, recorded[: options.episodes], held_out=False)
        check_held_out(seeds, recorded, config, name)
        return Row(name, kind, path, seeds, held_out=True)
    if not name.endswith(".safetensors"):
        known = [*PLAIN, *(f"{kind}:EPISODES" for kind in REPLAYED), "PATH.safetensors"]
        raise ConfigError(f"unknown policy '{name}'", remedy=did_you_mean(name, known))
    from brs_cli.eval_policy import load_card

    card = load_card(name)
    learnt = _learnt_seeds(card.data, options)
    check_held_out(seeds, learnt or (), config, name)
    data = f"{card.data.name} {card.data.checksum}"
    about = {"sha256": sha256(Path(name)), "steps": card.steps, "seed": card.seed, "data": data}
    return Row(name, CHECKPOINT, name, seeds, learnt is not None, about)


def _recorded_seeds(folder: Path, task: str, robot: str) -> tuple[int, ...]:
    found = []
    for episode in find_episodes([folder]):
        info = EpisodeReader(episode).info
        if not info.task:
            raise ConfigError(
                "does not tell of what task it is; is its episode.json damaged?",
                where=str(episode),
                remedy="`brs dataset check` names what is wrong; leave the episode out",
            )
        if (info.task, info.robot or robot) != (task, robot):
            raise ConfigError(
                f"is of task '{info.task}' and robot '{info.robot}', not of {task} and {robot}",
                where=str(episode),
                remedy=f"replay episodes of {task}",
            )
        found.append(info.seed)
    return tuple(found)


def _learnt_seeds(data: DataCard, options: EvalOptions) -> set[int] | None:
    """Seeds of the task's scenes that a checkpoint learnt from; None if nobody knows."""
    scenes = set(data.scenes)
    if options.data:
        index = read_index(Path(options.data))
        if sha256(Path(options.data) / INDEX) != data.checksum:
            raise ConfigError(
                f"is not the data set '{data.name}' that it learnt from",
                where=options.data,
                remedy="give that one",
            )
        scenes |= {(episode.task, episode.seed) for episode in index.episodes}
    return {seed for task, seed in scenes if task == options.task} if scenes else None
