"""Labels, marks, parts and the trash: whole or not at all, and only of what is finished."""

from __future__ import annotations

import json
import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader

from brs_ml.episode import (
    EpisodeError,
    EpisodeInfo,
    EpisodeReader,
    EpisodeWriter,
    Qos,
    Topic,
    edit,
)
from brs_ml.episode import writer as episode_writer
from brs_ml.episode.folder import make_working_folder, recover_all, save

STEP_NS = 10_000_000
START_NS = 50 * 10**9
TEXT = "string data\n"
LATCHED = (Qos(durability="transient_local", depth=1),)
TOPICS = [
    Topic("/moves", "std_msgs/msg/String", TEXT),
    Topic("/r/robot_description", "std_msgs/msg/String", TEXT, LATCHED),
    Topic("/tf_static", "std_msgs/msg/String", TEXT, LATCHED * 2),
]


def cdr(text: str) -> bytes:
    """A serialized std_msgs/String."""
    data = text.encode() + b"\0"
    return b"\0\1\0\0" + len(data).to_bytes(4, "little") + data


def make(root: Path, count: int = 100, **changes: object) -> Path:
    """A saved episode: `count` moves at 100 Hz, latched topics at moments of their own."""
    writer = EpisodeWriter(
        make_working_folder(root, "t", 1e9),
        EpisodeInfo(task="t", seed=3, start_ns=START_NS),
        TOPICS,
        custom_data={"task": "t"},
        distro="kilted",
        chunk_bytes=700,
    )
    for text, at in (("base", 0), ("camera", 0), ("base", 40)):
        writer.write("/tf_static", START_NS + at * STEP_NS, 7, cdr(text))
    for number in range(count):
        now_ns = START_NS + number * STEP_NS
        if number in (0, 30, 60):
            writer.write("/r/robot_description", now_ns, 5, cdr(f"urdf{number}"))
        writer.write("/moves", now_ns, now_ns - 9, cdr(str(number)), number + 1)
    writer.close(status="saved", stop_ns=START_NS + count * STEP_NS, **changes)
    return save(writer.folder)


def contents(path: Path) -> list[tuple[str, int, str]]:
    """Topic, milliseconds since the first move of the whole, text; by another library."""
    with AnyReader([path]) as reader:
        return [
            (c.topic, (t - START_NS) // 1_000_000, reader.deserialize(d, c.msgtype).data)
            for c, t, d in reader.messages()
        ]


def test_labels_change_and_all_else_stays(tmp_path: Path) -> None:
    path = make(tmp_path, success=False)
    told = path / "episode.json"
    told.write_text(json.dumps({**json.loads(told.read_text()), "of_tomorrow": [1]}))
    before = json.loads(told.read_text())
    edit.relabel(path, success=True, instruction="put them away", notes="good")
    after = json.loads(told.read_text())
    changed = {"success": True, "instruction": "put them away", "notes": "good"}
    assert after == {**before, **changed}
    edit.relabel(path)
    assert json.loads(told.read_text()) == after


def test_a_foreign_bag_gets_labels_and_a_damaged_file_is_not_written_over(tmp_path: Path) -> None:
    path = make(tmp_path)
    (path / "episode.json").unlink()
    edit.relabel(path, success=True)
    info = EpisodeReader(path).info
    assert (info.name, info.status, info.success) == (path.name, "saved", True)
    (path / "episode.json").write_text('{"task": "t"')
    with pytest.raises(EpisodeError, match=r"episode.json: is damaged"):
        edit.relabel(path, success=False)
    assert (path / "episode.json").read_text() == '{"task": "t"'


def test_marks_come_in_order_and_go_by_name(tmp_path: Path) -> None:
    path = make(tmp_path)
    edit.mark(path, 0.5, " grasp ")
    edit.mark(path, 0.0, "begin")
    edit.mark(path, 0.99, "grasp")
    ns = {name: START_NS + at for name, at in (("begin", 0), ("one", 5 * 10**8))}
    assert EpisodeReader(path).info.marks == [
        {"name": "begin", "at_ns": ns["begin"]},
        {"name": "grasp", "at_ns": ns["one"]},
        {"name": "grasp", "at_ns": START_NS + 990_000_000},
    ]
    assert edit.unmark(path, "grasp") == 2 and edit.unmark(path, "grasp") == 0
    assert [each["name"] for each in EpisodeReader(path).info.marks] == ["begin"]
    for at_s, name in ((-0.01, "x"), (0.991, "x"), (float("nan"), "x"), (0.5, " "), (0.5, "a\nb")):
        with pytest.raises(EpisodeError):
            edit.mark(path, at_s, name)


@settings(max_examples=40, deadline=None)
@given(start=st.integers(0, 99), length=st.integers(1, 120), data=st.data())
def test_a_part_is_what_lies_in_it_and_what_was_latched_before(
    start: int, length: int, data: st.DataObject
) -> None:
    spans = st.tuples(st.integers(-20, 120), st.integers(0, 60))
    drawn = data.draw(st.lists(spans, max_size=4))
    told = [
        {"start_ns": START_NS + a * STEP_NS, "stop_ns": START_NS + (a + n) * STEP_NS}
        for a, n in drawn
    ]
    marks = [{"name": "m", "at_ns": span["start_ns"]} for span in told]
    with tempfile.TemporaryDirectory() as name:
        path = make(Path(name), pauses=told, marks=marks, drivers=[])
        whole = contents(path)
        before = {file: file.read_bytes() for file in path.iterdir()}
        part = edit.trim(path, start * 0.01, (start + length) * 0.01)
        assert {file: file.read_bytes() for file in path.iterdir()} == before
        assert sorted(each.name for each in Path(name).iterdir()) == [path.name, part.name]

        end = min(start + length, 100)
        begin_ms, end_ms = start * 10, end * 10
        expected = [entry for entry in whole if begin_ms <= entry[1] < end_ms]
        for topic, text in (("/tf_static", "base"), ("/tf_static", "camera")):
            if any(e[0] == topic and e[2] == text and e[1] < begin_ms for e in whole):
                expected.append((topic, begin_ms, text))
        urdfs = [e for e in whole if e[0] == "/r/robot_description" and e[1] < begin_ms]
        expected += [(topic, begin_ms, text) for topic, _, text in urdfs[-1:]]
        assert sorted(contents(part)) == sorted(expected)
        assert not EpisodeReader(part).torn
        assert {t.name: t for t in EpisodeReader(part).topics.values()} == {
            t.name: t for t in EpisodeReader(path).topics.values()
        }

        info = EpisodeReader(part).info
        moments = range(start, end)
        inside = [any(a <= moment < a + n for a, n in drawn) for moment in moments]
        kept = [
            any(p["start_ns"] <= START_NS + m * STEP_NS < p["stop_ns"] for p in info.pauses)
            for m in moments
        ]
        assert kept == inside
        assert len(info.marks) == sum(start <= a < end for a, _ in drawn)
        assert info.trimmed_from["name"] == path.name and info.task == "t" and info.seed == 3


def test_a_part_of_a_part_keeps_what_was_latched_in_the_whole(tmp_path: Path) -> None:
    part = edit.trim(edit.trim(make(tmp_path), 0.35, 0.9), 0.1, 0.2)
    expected = [("/moves", 450 + 10 * i, str(45 + i)) for i in range(10)]
    expected += [("/tf_static", 450, "base"), ("/tf_static", 450, "camera")]
    expected += [("/r/robot_description", 450, "urdf30")]
    assert sorted(contents(part)) == sorted(expected)


def test_an_episode_json_of_another_kind_is_read_as_far_as_it_fits(tmp_path: Path) -> None:
    path = make(tmp_path)
    wrong = {"task": 3, "success": "yes", "marks": [{"at_ns": "x"}], "pauses": 1, "versions": []}
    (path / "episode.json").write_text(json.dumps({**wrong, "seed": 5, "drivers": [7]}))
    assert EpisodeReader(path).info == EpisodeInfo(seed=5)
    edit.mark(path, 0.1, "m")
    assert len(EpisodeReader(path).info.marks) == 1


@pytest.mark.parametrize(
    ("start_s", "end_s"),
    [(-0.1, 0.5), (1.0, 2.0), (0.5, 0.5), (0.6, 0.5), (float("nan"), 1), (0.1, float("nan"))],
)
def test_parts_that_are_none_are_refused(tmp_path: Path, start_s: float, end_s: float) -> None:
    path = make(tmp_path)
    with pytest.raises(EpisodeError, match="Try: "):
        edit.trim(path, start_s, end_s)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


@pytest.mark.parametrize("dies_after", [0, 3, 60])
def test_a_trim_that_dies_leaves_nothing_that_counts_as_an_episode(
    tmp_path: Path, dies_after: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make(tmp_path)

    class Killed(BaseException):
        pass

    written = 0

    def write(self: EpisodeWriter, *arguments: object) -> None:
        nonlocal written
        if written == dies_after:
            raise Killed
        written += 1
        original(self, *arguments)  # type: ignore[arg-type]

    original = EpisodeWriter.write
    with monkeypatch.context() as patched:
        patched.setattr(episode_writer.EpisodeWriter, "write", write)
        # As SIGKILL does: nothing is tidied up.
        patched.setattr(edit.shutil, "rmtree", lambda *_, **__: None)
        patched.setattr(EpisodeWriter, "close", lambda *_, **__: None)
        with pytest.raises(Killed):
            edit.trim(path, 0.0, 1.0)
    assert (tmp_path / edit.UNFINISHED).is_dir()
    assert not recover_all(tmp_path)
    part = edit.trim(path, 0.0, 1.0)
    assert len(contents(part)) == len(contents(path))
    assert sorted(each.name for each in tmp_path.iterdir()) == [path.name, part.name]


def test_the_trash_gives_back_what_it_got(tmp_path: Path) -> None:
    path = make(tmp_path)
    before = contents(path)
    trashed = edit.move_to_trash(path)
    assert trashed == tmp_path / "trash" / path.name and not path.exists()
    for action in (
        lambda: edit.relabel(trashed, success=True),
        lambda: edit.trim(trashed, 0.0, 1.0),
        lambda: edit.move_to_trash(trashed),
    ):
        with pytest.raises(EpisodeError, match="restore it first"):
            action()
    other = tmp_path / path.name
    shutil.copytree(trashed, other)  # its name has been taken meanwhile
    restored = edit.restore(trashed)
    assert restored == tmp_path / f"{path.name}-2" and contents(restored) == before
    with pytest.raises(EpisodeError, match="not in the trash"):
        edit.restore(restored)


def test_what_was_discarded_counts_again_once_it_is_restored(tmp_path: Path) -> None:
    path = make(tmp_path)
    trashed = edit.move_to_trash(path)
    told = json.loads((trashed / "episode.json").read_text())
    (trashed / "episode.json").write_text(json.dumps({**told, "status": "discarded"}))
    assert EpisodeReader(edit.restore(trashed)).info.status == "saved"


def test_nothing_is_changed_while_it_is_recorded(tmp_path: Path) -> None:
    writer = EpisodeWriter(make_working_folder(tmp_path, "t", 1e9), EpisodeInfo(), TOPICS)
    writer.write("/moves", START_NS, 0, cdr("0"))
    # Under its final name, too: the lock tells, not the name alone.
    moved = writer.folder.rename(tmp_path / "alive")
    for path, said in ((writer.folder, "is being recorded"), (moved, "is in use")):
        for action in (
            lambda p=path: edit.relabel(p, success=True),
            lambda p=path: edit.mark(p, 0.0, "m"),
            lambda p=path: edit.trim(p, 0.0, 1.0),
            lambda p=path: edit.move_to_trash(p),
        ):
            with pytest.raises(EpisodeError, match=said):
                action()
    moved.rename(writer.folder)
    writer.close()


def test_paths_that_lead_elsewhere_are_refused(tmp_path: Path) -> None:
    root, outside = tmp_path / "episodes", make(tmp_path / "outside")
    inside = make(root)
    (root / "link").symlink_to(outside)
    linked = root / "linked_file"
    linked.mkdir()
    (linked / "x_0.mcap").symlink_to(next(outside.glob("*.mcap")))
    for name in ("../outside", "..", ".", "", "a/b", "/etc", "trash", "link", "none", "a\0b"):
        with pytest.raises(EpisodeError):
            edit.episode_folder(root, name)
    assert edit.episode_folder(root, inside.name) == inside
    for path in (root / "link", linked, root, root / "none"):
        with pytest.raises(EpisodeError):
            edit.relabel(path, success=True)
        with pytest.raises(EpisodeError):
            edit.move_to_trash(path)
    assert EpisodeReader(outside).info.success is None
