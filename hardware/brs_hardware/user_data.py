"""The user's data folder, and files in it that a crash never leaves half written."""

from __future__ import annotations

import os
from pathlib import Path

from brs_hardware.errors import ConfigError


def data_folder() -> Path:
    """The user's data: $BRS_DATA, else `brs` in the XDG data home. Not made here."""
    if override := os.environ.get("BRS_DATA"):
        return Path(override)
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "brs"


def write_calibration(path: Path, text: str) -> None:
    """Write a file; a crash leaves the old one or the new one, never a part.

    Raises:
        ConfigError: no room or no permission.
    """
    try:
        _write(path, text)
    except OSError as error:
        raise ConfigError(
            f"the calibration cannot be written: {error.strerror}",
            where=str(path),
            remedy="make room or set BRS_DATA to a folder of yours",
        ) from None


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # the new name too
    finally:
        os.close(folder)
