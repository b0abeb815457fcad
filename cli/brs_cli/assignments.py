"""Arguments of the form KEY=VALUE, the value as in YAML."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import yaml

from brs_hardware.errors import ConfigError


def assignments(arguments: Sequence[str], command: str) -> dict[str, Any]:
    """Key -> value.

    Args:
        arguments: as given.
        command: whose help tells the keys.

    Raises:
        ConfigError: an argument is no KEY=VALUE.
    """
    found: dict[str, Any] = {}
    for argument in arguments:
        key, equals, text = argument.partition("=")
        if not equals:
            raise ConfigError(f"'{argument}' is not KEY=VALUE", remedy=f"{command} --help")
        try:
            found[key] = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"'{argument}': no such value", remedy="quote it") from None
    return found
