"""What the file system refuses is told in one line; what is our fault keeps its traceback."""

from __future__ import annotations

import errno
import sys

import pytest

from brs_cli import doctor, main
from brs_cli.environment import MARK


def run(monkeypatch: pytest.MonkeyPatch, error: OSError) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setenv(MARK, "1")
    monkeypatch.setattr(sys, "argv", ["brs", "doctor"])
    monkeypatch.setattr(doctor, "main", fail)
    main.main()


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (FileExistsError(errno.EEXIST, "File exists", "out"), "brs doctor: out: File exists"),
        (OSError(errno.ENOSPC, "No space left"), "brs doctor: No space left"),
    ],
)
def test_a_refusal_is_one_line(monkeypatch: pytest.MonkeyPatch, error: OSError, line: str) -> None:
    with pytest.raises(SystemExit) as ended:
        run(monkeypatch, error)
    assert ended.value.code == line


def test_other_errors_keep_their_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConnectionRefusedError):
        run(monkeypatch, ConnectionRefusedError(errno.ECONNREFUSED, "refused"))
