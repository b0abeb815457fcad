"""Measurements of other projects' packages, made by a Python of an environment of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from brs_hardware.errors import ConfigError


def measured_by(
    variable: str, script: Path, *arguments: object, environment: Mapping[str, str] | None = None
) -> tuple[str, float] | None:
    """What a script says of the package it measures.

    Args:
        variable: of the environment; names the Python that has the package.
        script: prints, last of all, the package's version and one number.
        arguments: of the script.
        environment: to add.

    Returns:
        Version and number; None where no such Python is named.

    Raises:
        ConfigError: the script failed.
    """
    python = os.environ.get(variable)
    if not python:
        return None
    added = {**os.environ, **(environment or {}), "OMP_NUM_THREADS": "1"}  # as ours
    added.pop("PYTHONPATH", None)  # the other environment has packages of its own
    command = [python, str(script), *map(str, arguments)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=added)
    except OSError as error:
        told = [error.strerror or str(error)]
    else:
        if not done.returncode:
            version, number = done.stdout.split()[-2:]
            return version, float(number)
        told = done.stderr.strip().splitlines() or ["nothing told"]
    raise ConfigError(
        f"{script.stem} was not measured ({told[-1]})",
        where=f"{variable}={python}",
        remedy="name the Python of an environment that has the package, or none",
    )
