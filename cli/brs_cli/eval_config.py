"""What `brs eval` is asked for, and how it judges: config/eval/*.yaml."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from brs_cli.assignments import assignments
from brs_hardware.config import build, did_you_mean, load_yaml, named_file, positive
from brs_hardware.errors import ConfigError
from brs_sim.evaluation import TrialConfig


@dataclass(frozen=True)
class VideoConfig:
    """Films of failures, ten pictures a second."""

    most: int  # failures of each row that are filmed; 0: none
    width: int  # [px]
    height: int  # [px]
    crf: int  # quality, 0 the best

    def __post_init__(self) -> None:
        if min(self.width, self.height) < 2 or self.width % 2 or self.height % 2:
            raise ValueError("'width' and 'height' must be even")


@dataclass(frozen=True)
class EvalConfig:
    """How trials are held; see config/eval/default.yaml."""

    robot: str
    held_out_from: int
    limits_s: dict[str, float]
    limit_s: float
    settle_s: float
    after_s: float
    guarded: bool
    execute: int
    delay: int
    interpolate: bool
    cloud: str
    silence_s: float
    confidence: float
    video: VideoConfig

    def __post_init__(self) -> None:
        positive(self, "limit_s", "settle_s", "after_s", "silence_s")
        if min(self.limits_s.values(), default=1.0) <= 0.0:
            raise ValueError("'limits_s' must be positive")
        if not 0.0 < self.confidence < 1.0:
            raise ValueError("'confidence' must lie between 0 and 1")

    def trial(self, task: str) -> TrialConfig:
        """What holds for a trial of a task."""
        limit_s = self.limits_s.get(task, self.limit_s)
        return TrialConfig(limit_s, self.settle_s, self.after_s, self.guarded)


@dataclass(frozen=True)
class EvalOptions:
    """What is said on the command line beside the settings."""

    policy: str  # one, or several with commas
    task: str = "shelves"
    episodes: int = 100
    seed: int = 1000  # of the first scene
    workers: int = 2  # processes; with ray: at most so many trials at a time
    out: str = ""  # folder; empty: out/eval/<task>
    data: str = ""  # data set that a checkpoint learnt from, where it does not tell its scenes
    config: str = "default"  # of config/eval, or a path
    ray: bool = False

    def __post_init__(self) -> None:
        if self.episodes < 1 or self.workers < 1 or self.seed < 0:
            raise ValueError("'episodes' and 'workers' must be positive, 'seed' not negative")

    @property
    def policies(self) -> list[str]:
        """What each row is said to be."""
        return [name.strip() for name in self.policy.split(",")]

    @property
    def folder(self) -> Path:
        """Where results go."""
        return Path(self.out or f"out/eval/{self.task}")


def parse(arguments: Sequence[str]) -> tuple[EvalOptions, EvalConfig]:
    """Options and settings; any setting may be given anew, such as limits_s.shelves=60.

    Raises:
        ConfigError: an argument is no KEY=VALUE, or a key or value is wrong.
    """
    given = ["ray=true" if argument == "--ray" else argument for argument in arguments]
    known = {field.name for field in fields(EvalOptions)}
    settable = {field.name for field in fields(EvalConfig)}
    plain: dict[str, Any] = {}
    changes: dict[str, Any] = {}
    for key, value in assignments(given, "brs eval").items():
        name = key.split(".")[0]
        if name not in known | settable:
            raise ConfigError(f"unknown key '{name}'", remedy=did_you_mean(name, known | settable))
        (plain if key in known else changes)[key] = value
    options = build(EvalOptions, plain, "command line")
    file = named_file("eval", options.config, "evaluation")
    settings = load_yaml(file)
    for key, value in changes.items():
        name, dot, inner = key.partition(".")
        if not dot:
            settings[name] = value
        elif isinstance(settings.get(name), dict):
            settings[name][inner] = value
        else:
            raise ConfigError(f"'{name}' has no values in it", remedy="give it one value")
    return options, build(EvalConfig, settings, str(file))
