"""The calibration files of this machine, to be kept beside what was recorded with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from brs_hardware.config import load_yaml
from brs_hardware.errors import ConfigError
from brs_hardware.user_data import data_folder


def calibration_snapshot() -> dict[str, Any]:
    """Contents of all calibration files in the user's data.

    Returns:
        Name below `calibration/` -> values as JSON has them; empty where nothing is calibrated.

    Raises:
        ConfigError: a file is damaged or may not be read.
    """
    root = data_folder() / "calibration"
    paths = sorted([*root.rglob("*.json"), *root.rglob("*.yaml")])
    return {str(path.relative_to(root)): _values(path) for path in paths}


def _values(path: Path) -> Any:
    if path.suffix == ".yaml":
        # Dates, which JSON lacks, become text.
        return json.loads(json.dumps(load_yaml(path), default=str))
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"is no calibration ({error})", where=str(path), remedy="calibrate anew, or remove it"
        ) from None
