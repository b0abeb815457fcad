"""Policies that come with brs: config/policy/weights/<policy>_<task>.safetensors."""

from __future__ import annotations

from pathlib import Path

from brs_hardware.config import config_folder, did_you_mean
from brs_hardware.errors import ConfigError

SUFFIX = ".safetensors"


def shipped_policies(task: str) -> dict[str, Path]:
    """Checkpoints of a task that come with brs, by the policy's name."""
    ending = f"_{task}{SUFFIX}"
    files = sorted((config_folder() / "policy" / "weights").glob(f"*{ending}"))
    return {file.name.removesuffix(ending): file for file in files}


def checkpoint_file(name: str, task: str) -> Path:
    """The checkpoint that is meant: a path, or the name of a policy that comes with brs.

    Raises:
        ConfigError: there is no such file; or no such policy of this task.
    """
    if name.endswith(SUFFIX):
        if not Path(name).is_file():
            raise ConfigError("is no file", where=name, remedy="brs train makes a checkpoint")
        return Path(name)
    known = shipped_policies(task)
    if name not in known:
        hint = did_you_mean(name, [*known, f"PATH{SUFFIX}"])
        raise ConfigError(f"no policy '{name}' of {task} comes with brs", remedy=hint)
    return known[name]
