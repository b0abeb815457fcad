"""Clips of alarms on disk: whole or not there, inside their folder, and never too many."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_cli.monitor_page.model import (
    Alarm,
    Clip,
    ModelConfig,
    MonitorModel,
    Picture,
    SegmentNews,
    TextScore,
)
from brs_cli.monitor_page.store import ALARM_FILE, PART, AlarmStore
from brs_cli.monitor_page.watch import Watch
from brs_hardware.errors import BrsError

PICTURE_BYTES = 1000
ROOM = 1_000_000


def clip(number: int, camera: str = "head", pictures: int = 3) -> Clip:
    shots = [
        Picture(10.0 * number + i, bytes([number, i]) * (PICTURE_BYTES // 2))
        for i in range(pictures)
    ]
    alarm = Alarm("a spill", 0.9, "it is wet", 10.0 * number + 1.0)
    return Clip(camera, 1e9 + number, (alarm,), tuple(shots))


def test_what_is_kept_is_found_again_after_a_restart(tmp_path: Path) -> None:
    store = AlarmStore(tmp_path / "alarms", ROOM)
    for number in range(3):
        store.keep(clip(number))
    again = AlarmStore(tmp_path / "alarms", ROOM)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert again.clips == store.clips
    assert again.size_bytes == store.size_bytes == sum(path.stat().st_size for path in files)
    assert [stored.began_s for stored in again.clips] == [1e9 + 2, 1e9 + 1, 1e9]
    newest = again.clips[0]
    assert newest.alarms == clip(2).alarms and newest.stamps_s == (20.0, 21.0, 22.0)
    for i, picture in enumerate(clip(2).pictures):
        assert again.picture(newest.name, i) == picture.jpeg


@settings(max_examples=30)
@given(st.lists(st.integers(0, 6), max_size=12), st.integers(0, 12_000), st.integers(0, 5))
def test_the_newest_that_fit_are_kept(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], room: int, most: int
) -> None:
    folder = tmp_path_factory.mktemp("alarms")
    store, alone = AlarmStore(folder, room, most), AlarmStore(folder / "alone", ROOM, 1)
    written: list[int] = []  # bytes of each
    for number, pictures in enumerate(sizes):
        alone.keep(clip(number, pictures=pictures))
        written.append(alone.size_bytes)
        store.keep(clip(number, pictures=pictures))
    fitting = [n for n in range(len(sizes)) if sum(written[n:]) <= room and len(sizes) - n <= most]
    assert [stored.began_s - 1e9 for stored in store.clips] == fitting[::-1]
    on_disk = {path.name for path in folder.iterdir()} - {"alone"}
    assert on_disk == {stored.name for stored in store.clips}


@pytest.mark.parametrize("camera", ["../../etc", "/root", "", "a\0b", "ü" * 300, "..", "a.part"])
def test_no_camera_leads_out_of_the_folder(tmp_path: Path, camera: str) -> None:
    store = AlarmStore(tmp_path / "alarms", ROOM)
    store.keep(clip(0, camera))
    assert [path.name for path in tmp_path.iterdir()] == ["alarms"]
    assert store.clips[0].camera == camera == AlarmStore(tmp_path / "alarms", ROOM).clips[0].camera


def test_two_alarms_of_one_moment_are_two_clips(tmp_path: Path) -> None:
    store = AlarmStore(tmp_path, ROOM)
    store.keep(clip(1))
    store.keep(clip(1))
    assert len({stored.name for stored in store.clips}) == 2


def test_nothing_but_pictures_of_clips_is_given(tmp_path: Path) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "000.jpg").write_bytes(b"mine")
    store = AlarmStore(tmp_path / "alarms", ROOM)
    store.keep(clip(0))
    name = store.clips[0].name
    assert store.picture(name, 2) and store.picture(name, 3) is None
    assert store.picture(name, -1) is None
    assert store.picture("../secret", 0) is None
    store.delete("../secret")
    assert (tmp_path / "secret" / "000.jpg").read_bytes() == b"mine"
    store.delete(name)
    assert store.picture(name, 0) is None and not list((tmp_path / "alarms").iterdir())


def test_what_a_crash_left_goes_and_what_is_foreign_stays(tmp_path: Path) -> None:
    store = AlarmStore(tmp_path, ROOM)
    for number in range(3):
        store.keep(clip(number))
    torn, whole, wrong = (stored.name for stored in store.clips)
    (tmp_path / torn).rename(tmp_path / (torn + PART))
    (tmp_path / wrong / ALARM_FILE).write_text(json.dumps({"camera": 1, "alarms": [{}]}))
    (tmp_path / "holiday.part").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    again = AlarmStore(tmp_path, ROOM)
    assert [stored.name for stored in again.clips] == [whole]
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {whole, wrong, "holiday.part", "notes.txt"}


def test_pictures_are_for_their_owner_alone(tmp_path: Path) -> None:
    store = AlarmStore(tmp_path / "alarms", ROOM)
    store.keep(clip(0))
    for path in (tmp_path / "alarms", tmp_path / "alarms" / store.clips[0].name):
        assert stat.S_IMODE(path.stat().st_mode) == 0o700


def test_no_room_is_told_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "alarms").write_text("a file where the folder should be")
    store = AlarmStore(tmp_path / "alarms", ROOM)
    with pytest.raises(BrsError, match=r"cannot be kept .* --folder"):
        store.keep(clip(0))
    assert not store.clips


def test_a_clip_that_cannot_be_kept_is_told_until_one_is(tmp_path: Path) -> None:
    folder = tmp_path / "alarms"
    folder.write_text("a file where the folder should be")
    watch = Watch(MonitorModel(ModelConfig(), 0.0), AlarmStore(folder, ROOM))

    def alarm(camera: str) -> None:
        row = TextScore("a spill", 0.9, alarm=True)
        watch.segment(SegmentNews(camera, 0.0, 1.0, (row,)), 0.0, 1e9)
        watch.keep(0.0, all_now=True)

    alarm("head")
    assert "cannot be kept" in watch.view(0.0)[2]
    folder.unlink()
    alarm("wrist")
    _, clips, complaint = watch.view(0.0)
    assert [clip.camera for clip in clips] == ["wrist"] and not complaint
