"""What killed processes left in shared memory goes; what anybody uses stays."""

from __future__ import annotations

import fcntl
import mmap
import subprocess
import sys
import time
from pathlib import Path

import pytest

from brs_launch.shared_memory import left_behind, tidy

SEGMENT = "fastdds_0123456789abcdef"
PORT = "fastdds_port7411"
ALL = (SEGMENT, f"{SEGMENT}_el", PORT, f"{PORT}_el", f"{PORT}_sl", f"sem.{PORT}_mutex")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A segment, a port, and what is none of ours."""
    for name in (*ALL, "fastdds_notes.txt", "sem.other", "fastdds_0123_el"):
        (tmp_path / name).write_bytes(bytes(4096))
    return tmp_path


def ours(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()} & set(ALL)


def test_the_dead_go_and_what_is_not_ours_stays(folder: Path) -> None:
    assert [group.name for group in left_behind(folder, 0.0)] == ["0123456789abcdef", "port7411"]
    assert tidy(folder, min_age_s=0.0) == 6 * 4096
    assert {path.name for path in folder.iterdir()} == {
        "fastdds_notes.txt",
        "sem.other",
        "fastdds_0123_el",
    }
    assert tidy(folder, min_age_s=0.0) == 0


def test_ports_stay_while_nodes_start(folder: Path) -> None:
    assert tidy(folder, ports=False, min_age_s=0.0) == 2 * 4096
    assert ours(folder) == set(ALL[2:])


def test_what_is_new_stays(folder: Path) -> None:
    assert tidy(folder, min_age_s=60.0) == 0
    assert ours(folder) == set(ALL)


@pytest.mark.parametrize("name", [SEGMENT, PORT])
def test_what_is_mapped_stays(folder: Path, name: str) -> None:
    with (folder / name).open("r+b") as file, mmap.mmap(file.fileno(), 4096):
        tidy(folder, min_age_s=0.0)
        assert ours(folder) == {other for other in ALL if name in other}
    tidy(folder, min_age_s=0.0)
    assert not ours(folder)


@pytest.mark.parametrize("lock", [f"{SEGMENT}_el", f"{PORT}_el", f"{PORT}_sl"])
def test_what_another_process_locks_stays(folder: Path, lock: str) -> None:
    code = (
        "import fcntl, sys; file = open(sys.argv[1]); fcntl.flock(file, fcntl.LOCK_SH);"
        "print('held', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(folder / lock)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == b"held\n"
        tidy(folder, min_age_s=0.0)
        kept = SEGMENT if SEGMENT in lock else PORT
        assert ours(folder) == {name for name in ALL if kept in name}
        holder.kill()
    tidy(folder, min_age_s=0.0)
    assert not ours(folder)


def test_our_own_look_leaves_no_lock(folder: Path) -> None:
    left_behind(folder, 0.0)
    with (folder / f"{SEGMENT}_el").open() as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # raises if it is held


def test_no_folder_is_no_error(tmp_path: Path) -> None:
    assert tidy(tmp_path / "none") == 0


def test_age_is_of_the_last_change(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    time.sleep(0.2)
    (folder / SEGMENT).chmod(0o600)
    changed = (folder / SEGMENT).stat().st_ctime
    monkeypatch.setattr("brs_launch.shared_memory.time.time", lambda: changed + 0.05)
    left = left_behind(folder, 0.15)
    assert [group.name for group in left] == ["port7411"]
