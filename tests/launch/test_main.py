"""The whole program: signals from outside, its sudden death, its terminal."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import select
import signal
import subprocess
import sys
import termios
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import ROOT

from brs_launch.main import main

Write = Callable[..., Path]

# `run` rather than `main`: the latter prefers ROS 2's own launch where it is installed.
RUN = (
    "import sys; from pathlib import Path; from brs_launch.main import parse_arguments, run;"
    "sys.exit(run(Path(sys.argv[1]), parse_arguments(sys.argv[2:])))"
)
CHILD = (
    "python('import os, time\\n"
    'try: print("pid", os.getpid(), flush=True); time.sleep(60)\\n'
    "finally: print(\"closed\", flush=True)', name='child')"
)


@pytest.fixture
def program() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """Starts brs_launch as a program; killed when the test is over."""
    started: list[subprocess.Popen[str]] = []

    def program(*arguments: object, **options: Any) -> subprocess.Popen[str]:
        paths = [str(ROOT / "ros_ws" / "src" / "brs_launch"), os.environ.get("PYTHONPATH", "")]
        process = subprocess.Popen(
            [sys.executable, "-c", RUN, *map(str, arguments)],
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            **{"stdin": subprocess.DEVNULL, **options},
        )
        started.append(process)
        return process

    yield program
    for process in started:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


def read_until(process: subprocess.Popen[str], text: str) -> str:
    assert process.stdout is not None
    for line in process.stdout:
        if text in line:
            return line
    raise AssertionError(f"it ended before {text!r}")


def child_pid(process: subprocess.Popen[str]) -> int:
    return int(read_until(process, "[child-1] pid").split()[-1])


def wait_until_gone(pid: int) -> None:
    """Return when a process has ended, whoever its parent is."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            assert select.select([handle], [], [], 30)[0], f"{pid} still runs"
        finally:
            os.close(handle)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_all_in_order(
    write: Write, program: Callable[..., subprocess.Popen[str]], number: signal.Signals
) -> None:
    process = program(write(CHILD))
    pid = child_pid(process)
    process.send_signal(number)
    read_until(process, f"stopping everything: got {number.name}")
    read_until(process, "[child-1] closed")
    assert process.wait(30) == 0
    wait_until_gone(pid)


def test_a_second_ctrl_c_hurries(
    write: Write, program: Callable[..., subprocess.Popen[str]]
) -> None:
    deaf = CHILD.replace(
        "import os, time", "import os, time, signal\\nsignal.signal(2, lambda *a: 0)"
    )
    process = program(write(deaf), "sigterm_timeout:=1000")
    child_pid(process)
    process.send_signal(signal.SIGINT)
    read_until(process, "stopping everything")
    process.send_signal(signal.SIGINT)
    read_until(process, "when hurried of SIGINT: sending SIGTERM")
    assert process.wait(30) == 0


def test_no_orphan_survives_sigkill(
    write: Write, program: Callable[..., subprocess.Popen[str]]
) -> None:
    deaf = CHILD.replace(
        "import os, time",
        "import os, time, signal\\nfor s in (1, 2, 15): signal.signal(s, signal.SIG_IGN)",
    )
    process = program(write(deaf))
    pid = child_pid(process)
    process.kill()
    wait_until_gone(pid)


def test_death_of_a_required_process_is_the_exit_status(
    write: Write, program: Callable[..., subprocess.Popen[str]]
) -> None:
    process = program(write(f"{CHILD}, python('exit(2)', on_exit=Shutdown())"))
    assert process.wait(30) == 1


def test_keys_reach_the_processes_and_ctrl_c_only_brs_launch(
    write: Write, program: Callable[..., subprocess.Popen[str]]
) -> None:
    reader = (
        "python('import sys, os\\n"
        'print("terminal", os.isatty(0), flush=True)\\n'
        'print("key", os.read(0, 1), flush=True)\\n'
        "os.read(0, 1)', name='reader')"
    )
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)

    def take_terminal() -> None:
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)

    process = program(
        write(reader), stdin=theirs, start_new_session=True, preexec_fn=take_terminal
    )
    try:
        read_until(process, "[reader-1] terminal True")
        os.write(ours, b"k")
        read_until(process, "[reader-1] key b'k'")
        os.write(ours, b"\x03")
        read_until(process, "stopping everything: got SIGINT")
        assert process.wait(30) == 0
        assert termios.tcgetattr(theirs) == before  # the terminal is as it was
    finally:
        os.close(ours)
        os.close(theirs)


@pytest.mark.parametrize(
    "words", [["sim", "--print-description", "seed:=3"], ["sim", "seed:=3", "-p"]]
)
def test_description_is_printed_wherever_the_option_stands(
    prefix: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    monkeypatch.setattr("brs_launch.main.real_launch_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 0
    assert "node /r1_sim (brs_nodes/r1_sim)" in capsys.readouterr().out


def test_error_of_the_user_is_one_line(prefix: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brs_launch.main.real_launch_available", lambda: False)
    with pytest.raises(SystemExit) as ended:
        main(["sim", "sed:=3"])
    text = str(ended.value.code)
    assert "no launch argument 'sed'. Try: did you mean seed?" in text and "\n" not in text
