"""Figures are judged by their targets."""

from __future__ import annotations

from collections import namedtuple
from pathlib import Path

import pytest

from brs_cli.bench import figure, stolen
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


def test_what_other_guests_took_is_told_where_the_system_tells_it() -> None:
    linux, other = namedtuple("linux", "user idle steal"), namedtuple("other", "user idle")
    row = stolen("sim", linux(1.0, 2.0, 3.0), linux(3.0, 4.0, 4.0))
    assert (row.name, row.value, row.unit) == ("sim_stolen_pct", 20.0, "%")
    assert stolen("sim", other(1.0, 2.0), other(2.0, 3.0)).value == 0.0
    assert stolen("sim", other(1.0, 2.0), other(1.0, 2.0)).value == 0.0


def test_prepend_puts_each_folder_once_and_first() -> None:
    env = {"PATH": "/a:/b"}
    prepend(env, "PATH", Path("/b"), None, Path("/c"))
    assert env["PATH"] == "/c:/b:/a"
