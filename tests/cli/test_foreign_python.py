"""Figures of other projects' packages come from a Python of their own, or not at all."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from brs_cli.foreign_python import measured_by
from brs_hardware.errors import ConfigError

VARIABLE = "BRS_SOME_PYTHON"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    path = tmp_path / "counting.py"
    path.write_text(
        "import os, sys\n"
        "assert 'PYTHONPATH' not in os.environ and os.environ['OMP_NUM_THREADS'] == '1'\n"
        "if sys.argv[1] == 'fail': sys.exit('first\\nthis is why')\n"
        "print('welcome', os.environ.get('SAID', '1.2'), float(sys.argv[1]) * 2)\n"
    )
    return path


def test_nobody_is_asked_without_a_python(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert measured_by(VARIABLE, script, 3) is None


def test_version_and_number_are_what_the_script_says_last(
    script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(VARIABLE, sys.executable)
    monkeypatch.setenv("PYTHONPATH", "/of/ours")
    assert measured_by(VARIABLE, script, 3) == ("1.2", 6.0)
    assert measured_by(VARIABLE, script, 3, environment={"SAID": "9"}) == ("9", 6.0)


def test_what_went_wrong_is_told_in_a_line(script: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, sys.executable)
    with pytest.raises(ConfigError, match=rf"^{VARIABLE}=.*counting was not .*\(this is why\)"):
        measured_by(VARIABLE, script, "fail")
    monkeypatch.setenv(VARIABLE, "/no/such/python")
    with pytest.raises(ConfigError, match="No such file"):
        measured_by(VARIABLE, script, 1)
