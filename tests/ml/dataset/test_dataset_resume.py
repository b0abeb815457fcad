"""Builds that break off, by a full disk, a signal or a person, and how they go on."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from synthetic_episodes import (
    Recipe,
    TellingClouds,
    layout,
    made,
    record,
    settings,
)

from brs_ml.dataset import Dataset, DatasetError, Outcome, build, find_episodes
from brs_ml.dataset.format import INDEX
from brs_ml.dataset.writer import PartWriter
from brs_ml.episode import (
    DiskFullError,
)


def killed() -> TellingClouds:
    os.kill(os.getpid(), signal.SIGKILL)
    return TellingClouds()


def test_a_killed_worker_ends_the_build_with_a_clear_error(tmp_path: Path) -> None:
    folders = [record(tmp_path / "episodes" / name, Recipe(seconds=0.3)) for name in "ab"]
    with pytest.raises(DatasetError, match="a worker was killed"):
        build(folders, tmp_path / "set", layout(), settings(), clouds=killed, workers=2)
    assert not (tmp_path / "set").exists()


def test_a_broken_off_build_goes_on_and_does_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = {name: Recipe(seconds=0.6) for name in ("a", "b", "c")}

    def stop(outcome: Outcome, done: int, count: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    for name, recipe in recipes.items():
        record(tmp_path / "episodes" / name, recipe)
    episodes = find_episodes([tmp_path / "episodes"])
    arguments: tuple[Any, ...] = (episodes, tmp_path / "set", layout(), settings())
    with pytest.raises(KeyboardInterrupt):
        build(*arguments, clouds=TellingClouds, progress=stop)
    assert not (tmp_path / "set").exists()
    written: list[str] = []
    finish = PartWriter.finish
    monkeypatch.setattr(
        PartWriter,
        "finish",
        lambda self, *a, **k: (written.append(self._target.name), finish(self, *a, **k))[1],
    )
    index = build(*arguments, clouds=TellingClouds)
    assert written == ["c"]
    assert [entry.name for entry in index.episodes] == ["a", "b", "c"]
    assert not (tmp_path / "set.part").exists()
    Dataset(tmp_path / "set", verify=True)


def test_other_settings_or_a_changed_bag_are_built_anew(tmp_path: Path) -> None:
    record(tmp_path / "episodes" / "a", Recipe(seconds=0.6))
    episodes = find_episodes([tmp_path / "episodes"])

    def broken_off(**changes: Any) -> float:
        def stop(*_: object) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            build(
                episodes,
                tmp_path / "set",
                layout(),
                settings(**changes),
                clouds=TellingClouds,
                progress=stop,
            )
        return (tmp_path / "set.part/parts/a/part.json").stat().st_mtime_ns

    first = broken_off()
    assert broken_off() == first
    # How episodes are divided is settled at the end, and does not undo what was done.
    assert broken_off(validation_share=0.1) == first
    second = broken_off(jpeg_quality=50)
    assert second != first
    shutil.rmtree(tmp_path / "episodes" / "a")
    record(tmp_path / "episodes" / "a", Recipe(seconds=0.7))
    assert broken_off(jpeg_quality=50) != second


@pytest.mark.parametrize("stage", ["blob", "columns"])
def test_a_full_disk_leaves_no_half_data_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        if stage == "blob":
            patch.setattr(PartWriter, "add", full)
        else:
            patch.setattr("brs_ml.dataset.writer._concatenate", full)
        with pytest.raises(DiskFullError, match="disk is full"):
            made(tmp_path)
    assert not (tmp_path / "set").exists()
    assert not list((tmp_path / "set.part").rglob(".*.new"))
    assert made(tmp_path).episodes[0].name == "one"


def test_what_exists_or_is_in_work_is_not_touched(tmp_path: Path) -> None:
    made(tmp_path)
    with pytest.raises(DatasetError, match="exists"):
        made(tmp_path)

    def again(*_: object) -> None:
        with pytest.raises(DatasetError, match="another build"):
            build(episodes, tmp_path / "new", layout(), settings(), clouds=TellingClouds)

    episodes = find_episodes([tmp_path / "episodes"])
    build(episodes, tmp_path / "new", layout(), settings(), clouds=TellingClouds, progress=again)


HERE = Path(__file__).parent
# Builds the episodes of a folder, with what `{change}` does to it.
SCRIPT = """
import os, resource, signal, sys
from pathlib import Path
from synthetic_episodes import TellingClouds, layout, settings
from brs_ml.dataset import build, find_episodes

class Clouds(TellingClouds):
    def __call__(self, frames):
        before_cloud()
        return super().__call__(frames)

def before_cloud(): pass
def told(*_): pass
{change}
root = Path({root!r})
build(find_episodes([root / "episodes"]), root / "set", layout(), settings(), clouds=Clouds,
      progress=told)
"""


def in_process(root: Path, change: str) -> subprocess.Popen[str]:
    """A process of its own that builds `root/episodes` to `root/set`."""
    code = SCRIPT.format(change=change, root=str(root))
    paths = (str(HERE), os.environ.get("PYTHONPATH", ""))
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    pipe = subprocess.PIPE
    command = [sys.executable, "-c", code]
    return subprocess.Popen(
        command, env=environment, text=True, stdin=pipe, stdout=pipe, stderr=pipe
    )


KILLED_LATER = """
calls = []
def before_cloud():
    calls.append(0)
    if len(calls) == 8: os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_build_killed_in_the_middle_goes_on_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipes = {name: Recipe(seconds=0.6) for name in ("a", "b", "c")}
    whole = made(tmp_path, recipes, out="whole")
    process = in_process(tmp_path, KILLED_LATER)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert not (tmp_path / "set").exists()
    # The second episode was being written: its half is there, and not among the finished ones.
    parts = tmp_path / "set.part/parts"
    assert sorted(path.name for path in parts.iterdir()) == [".b.new", "a"]
    begun: list[str] = []
    make = PartWriter.__init__

    def watch(self: PartWriter, parts: Path, name: str, *rest: Any) -> None:
        begun.append(name)
        make(self, parts, name, *rest)

    monkeypatch.setattr(PartWriter, "__init__", watch)
    resumed = made(tmp_path, recipes)
    assert begun == ["b", "c"]
    assert (resumed.root / INDEX).read_bytes() == (whole.root / INDEX).read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["episodes", "set", "whole"]


def test_a_disk_that_takes_no_more_is_told_and_the_build_goes_on(tmp_path: Path) -> None:
    recipes = {name: Recipe(seconds=seconds) for name, seconds in (("a", 0.6), ("b", 3.0))}
    for name, recipe in recipes.items():
        record(tmp_path / "episodes" / name, recipe)
    limit = "resource.setrlimit(resource.RLIMIT_FSIZE, (9_000, 9_000))"
    process = in_process(tmp_path, limit)
    _, told = process.communicate()
    assert process.returncode == 1
    last = told.strip().splitlines()[-1]
    assert "DiskFullError" in last
    assert "free space and start the same build again" in last
    assert [path.name for path in (tmp_path / "set.part/parts").iterdir()] == ["a"]
    assert [entry.name for entry in made(tmp_path, recipes).episodes] == ["a", "b"]


def test_of_two_processes_one_builds_and_the_other_is_told(tmp_path: Path) -> None:
    record(tmp_path / "episodes" / "a", Recipe(seconds=0.6))
    first = in_process(tmp_path, "def told(*_):\n    print('at it', flush=True)\n    input()")
    assert first.stdout is not None
    assert first.stdout.readline() == "at it\n"
    with pytest.raises(DatasetError, match="another build is at it"):
        made(tmp_path)
    _, told = first.communicate("\n")
    assert first.returncode == 0, told
    assert len(Dataset(tmp_path / "set", verify=True)) > 0


@pytest.mark.parametrize("place", ["set.part", "set.part/parts"])
def test_a_working_folder_that_leads_elsewhere_is_refused(tmp_path: Path, place: str) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / place).parent.mkdir(exist_ok=True)
    (tmp_path / place).symlink_to(elsewhere)
    with pytest.raises(DatasetError, match="leads elsewhere"):
        made(tmp_path)
    assert not list(elsewhere.iterdir())
