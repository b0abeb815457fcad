"""Figures are judged by their targets."""

from __future__ import annotations

from pathlib import Path

import pytest

from brs_cli.bench import figure
from brs_cli.environment import prepend


@pytest.mark.parametrize(
    ("value", "target", "passed"),
    [
        (5, ">= 5", True),
        (4.9, ">= 5", False),
        (0, "== 0", True),
        (3, "<= 2", False),
        (3, "", None),
    ],
)
def test_figure_is_judged_by_its_target(value: float, target: str, passed: bool | None) -> None:
    assert figure("name", value, "ms", target).passed is passed


def test_prepend_puts_each_folder_once_and_first() -> None:
    env = {"PATH": "/a:/b"}
    prepend(env, "PATH", Path("/b"), None, Path("/c"))
    assert env["PATH"] == "/c:/b:/a"
