"""What `brs dataset check --json` found of each episode."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brs_hardware.errors import ConfigError

LARGEST_BYTES = 64 << 20
MOST_LINES = 3  # that are shown in one row


class Findings:
    """Lines by episode; none of any where there is no report.

    Args:
        lines: of each episode that was checked.
    """

    def __init__(self, lines: Mapping[str, list[str]] | None = None) -> None:
        self._lines = lines

    @classmethod
    def of(cls, report: Path) -> Findings:
        """Read a report.

        Raises:
            ConfigError: it cannot be read, or is none.
        """
        remedy = "make it with `brs dataset check FOLDER --json FILE`"
        try:
            if report.stat().st_size > LARGEST_BYTES:
                raise ValueError("it is too large")
            return cls(_lines(json.loads(report.read_text(encoding="utf-8"))))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ConfigError(
                f"is no quality report ({error})", where=str(report), remedy=remedy
            ) from None

    def count(self, name: str) -> int | None:
        """Findings of an episode; None if it was not checked."""
        if self._lines is None or name not in self._lines:
            return None
        return len(self._lines[name])

    def lines(self, name: str) -> list[str]:
        """The first findings of an episode, a line each, and how many more there are."""
        lines = (self._lines or {}).get(name, [])
        more = [f"{len(lines) - MOST_LINES} more findings"] if len(lines) > MOST_LINES else []
        return lines[:MOST_LINES] + more


def _lines(report: Any) -> dict[str, list[str]]:
    """Lines by episode of what `brs_ml.quality.report.write_json` wrote."""
    lines = {
        str(episode["name"]): list(map(_line, episode["findings"]))
        for episode in report["episodes"]
    }
    for finding in report["together"]:
        lines.setdefault(str(finding["episode"]), []).append(_line(finding))
    return lines


def _line(finding: Any) -> str:
    return f"{finding['severity']}: {finding['rule']}: {finding['where']} {finding['text']}"
