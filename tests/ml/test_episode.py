"""Episodes are written, read by another library, and survive what happens to disks."""

from __future__ import annotations

import errno
import io
import os
import random
import shutil
import sys
import tempfile
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from rosbags.rosbag2 import Reader
from rosbags.typesys import Stores, get_typestore

from brs_ml.episode import (
    DiskFullError,
    EpisodeError,
    EpisodeInfo,
    EpisodeReader,
    EpisodeWriter,
    MessageDefinitions,
    Qos,
    Topic,
    recover,
    recover_all,
    share_folders,
)
from brs_ml.episode.folder import discard, make_working_folder, save

STORE = get_typestore(Stores.ROS2_JAZZY)
DEFINITIONS = MessageDefinitions(share_folders(os.environ.get("AMENT_PREFIX_PATH", sys.prefix)))
JOINTS = Topic(
    "/joints",
    "sensor_msgs/msg/JointState",
    DEFINITIONS.text("sensor_msgs/msg/JointState"),
    (Qos(reliability="best_effort", depth=5),),
    "RIHS01_" + "a" * 64,
)
STATE = Topic("/state", "std_msgs/msg/String", "string data\n")


def joint_state(number: int) -> bytes:
    """A serialized JointState whose stamp counts, with numbers that do not compress."""
    types = STORE.types
    stamp = types["builtin_interfaces/msg/Time"](sec=1, nanosec=number)
    header = types["std_msgs/msg/Header"](stamp=stamp, frame_id="f")
    values = np.random.default_rng(number).normal(size=20)
    message = types[JOINTS.type](header, ["j"] * 20, values, values, values)
    return bytes(STORE.serialize_cdr(message, JOINTS.type))


def episode(root: Path, count: int, **options: object) -> EpisodeWriter:
    """An episode in progress; a chunk is closed about every ten messages."""
    folder = make_working_folder(root, "Put items onto shelves!", 1e9)
    writer = EpisodeWriter(folder, EpisodeInfo(task="shelf"), [JOINTS], **options)  # type: ignore[arg-type]
    for number in range(count):
        writer.write("/joints", 10**9 + number, 10**9, joint_state(number), number + 1)
        writer.tick(number * 0.11)
    return writer


def numbers(bag: Path) -> list[int]:
    return [decoded.header.stamp.nanosec for _, decoded in EpisodeReader(bag).decoded()]


def numbers_by_rosbags(bag: Path) -> list[int]:
    with Reader(bag) as reader:
        return [
            STORE.deserialize_cdr(data, connection.msgtype).header.stamp.nanosec
            for connection, _, data in reader.messages()
        ]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A saved episode of 200 messages."""
    writer = episode(tmp_path_factory.mktemp("episodes"), 200)
    writer.close(status="saved", success=True)
    return save(writer.folder)


def test_another_library_reads_what_was_written(tmp_path: Path) -> None:
    writer = episode(tmp_path, 200, custom_data={"task": "shelf"}, distro="kilted")
    writer.add_topic(STATE)
    text = STORE.types[STATE.type]("on")
    writer.write("/state", 2 * 10**9, 0, bytes(STORE.serialize_cdr(text, STATE.type)))
    writer.close(status="saved", success=True)
    folder = save(writer.folder)
    with Reader(folder) as reader:
        assert reader.message_count == 201
        assert (reader.start_time, reader.duration) == (10**9, 10**9 + 1)
        connections = {connection.topic: connection for connection in reader.connections}
        joints = connections["/joints"]
        assert (joints.msgcount, joints.digest) == (200, JOINTS.type_hash)
        qos = joints.ext.offered_qos_profiles[0]  # type: ignore[union-attr]
        assert (qos.reliability.name, qos.durability.name, qos.depth) == (
            "BEST_EFFORT",
            "VOLATILE",
            5,
        )
        # The file's own definitions, dependencies included, are enough to read it.
        assert "MSG: builtin_interfaces/Time" in joints.msgdef.data
        read = [STORE.deserialize_cdr(data, c.msgtype) for c, _, data in reader.messages()]
    assert [message.header.stamp.nanosec for message in read[:200]] == list(range(200))
    assert read[200].data == "on"


def test_metadata_says_what_rosbag2_wants(finished: Path) -> None:
    information = yaml.safe_load((finished / "metadata.yaml").read_text())
    information = information["rosbag2_bagfile_information"]
    assert information["version"] == 9
    assert information["storage_identifier"] == "mcap"
    assert information["relative_file_paths"] == [f"{finished.name}_0.mcap"]
    assert information["files"][0]["message_count"] == information["message_count"] == 200
    assert information["duration"] == {"nanoseconds": 199}
    assert information["starting_time"] == {"nanoseconds_since_epoch": 10**9}
    info = EpisodeReader(finished).info
    assert (info.status, info.success, info.messages) == ("saved", True, 200)
    assert sorted(path.name for path in finished.iterdir()) == sorted(
        ["episode.json", "metadata.yaml", f"{finished.name}_0.mcap"]
    )


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["/a", "/b"]),
            st.integers(0, 2**62),
            st.binary(max_size=3000),
            st.booleans(),
        ),
        max_size=40,
    ),
    st.integers(0, 2**62),
    st.integers(0, 2**62),
)
def test_messages_come_back_in_time_order(
    sent: list[tuple[str, int, bytes, bool]], one: int, other: int
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = make_working_folder(Path(name), "t", 0.0)
        topics = [Topic(topic, "std_msgs/msg/String", "string data") for topic in ("/a", "/b")]
        writer = EpisodeWriter(folder, EpisodeInfo(), topics, chunk_bytes=4000)
        now_s = 0.0
        for number, (topic, time_ns, data, flush) in enumerate(sent):
            writer.write(topic, time_ns, number, data, number)
            now_s += 2.0 if flush else 0.0
            writer.tick(now_s)
        writer.close()
        reader = EpisodeReader(folder)
        expected = sorted(
            ((t, i, topic, data) for i, (topic, t, data, _) in enumerate(sent)), key=lambda e: e[0]
        )
        got = [(m.log_time_ns, m.sequence, m.topic, m.data) for m in reader.messages()]
        assert [entry[0] for entry in got] == [entry[0] for entry in expected]
        assert sorted(got) == sorted(expected)
        start, end = sorted((one, other))
        part = [m.log_time_ns for m in reader.messages(["/a"], start, end)]
        assert part == [t for t, _, topic, _ in expected if topic == "/a" and start <= t < end]
        assert {t.name: n for t, n in reader.counts.items() if n} == {
            name: sum(topic == name for topic, *_ in sent)
            for name in {topic for topic, *_ in sent}
        }


def test_a_killed_recorder_leaves_all_but_the_last_second(tmp_path: Path) -> None:
    """No close, as after SIGKILL: the provisional files are there, the summary is not."""
    writer = episode(tmp_path, 205)
    reader = EpisodeReader(writer.folder)
    assert reader.torn
    read = numbers(writer.folder)
    assert read == list(range(len(read)))
    assert len(read) >= 195
    assert reader.info.status == "recording"
    assert yaml.safe_load((writer.folder / "metadata.yaml").read_text())


def test_a_file_cut_anywhere_keeps_what_lies_before(finished: Path, tmp_path: Path) -> None:
    whole = next(finished.glob("*.mcap")).read_bytes()
    ends = [
        index.chunk_start_offset + index.chunk_length
        for index in EpisodeReader(finished)._scans[0].summary.chunk_indexes
    ]
    random.seed(1)
    for cut in [8, 9, 40, len(whole) - 1, *random.sample(range(8, len(whole)), 30)]:
        folder = tmp_path / f"cut{cut}.part"
        folder.mkdir()
        (folder / f"cut{cut}_0.mcap").write_bytes(whole[:cut])
        before = numbers(folder)
        # Chunks hold ten messages each, the first one because time starts with it.
        assert len(before) == min(
            200,
            1 + 10 * (whole_chunks - 1)
            if (whole_chunks := sum(end <= cut for end in ends))
            else 0,
        )
        recover(folder)
        assert before == numbers(folder) == list(range(len(before)))
        assert numbers_by_rosbags(folder) == before
        assert not EpisodeReader(folder).torn


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_damaged_bytes_give_messages_or_one_clear_error(
    finished: Path, data: st.DataObject
) -> None:
    whole = bytearray(next(finished.glob("*.mcap")).read_bytes())
    last = len(whole) - 1
    for _ in range(data.draw(st.integers(1, 4))):
        # The last kilobytes are the summary, which leads the reader.
        place = data.draw(st.integers(0, last) | st.integers(last - 3000, last))
        whole[place] = data.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as name:
        bag = Path(name) / "x.mcap"
        bag.write_bytes(whole)
        try:
            assert len(list(EpisodeReader(bag).messages())) <= 200
        except EpisodeError as error:
            assert "\n" not in str(error) and "Try: " in str(error)


@settings(deadline=None)
@given(st.binary(max_size=300))
def test_garbage_is_named_as_such(garbage: bytes) -> None:
    with tempfile.TemporaryDirectory() as name:
        bag = Path(name) / "x.mcap"
        bag.write_bytes(b"G" + garbage)
        with pytest.raises(EpisodeError, match="is not an MCAP file"):
            EpisodeReader(bag)


@pytest.mark.parametrize("path", ["missing", "empty"])
def test_no_bag_is_named_as_such(tmp_path: Path, path: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(EpisodeError, match=r"no such bag|holds no \.mcap"):
        EpisodeReader(tmp_path / path)


class SmallDisk(io.RawIOBase):
    """A file on a disk with room for `room` bytes; it takes a part of a write, as disks do."""

    def __init__(self, path: Path, room: int) -> None:
        self._file = path.open("xb", buffering=0)
        self.room = room

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        if not self.room:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        taken = self._file.write(data[: self.room])
        self.room -= taken
        return taken

    def fileno(self) -> int:
        return self._file.fileno()


@settings(max_examples=25, deadline=None)
@given(st.integers(4_000, 60_000))
def test_a_full_disk_closes_the_episode_with_what_fits(room: int) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = make_working_folder(Path(name), "t", 0.0)
        writer = None
        written = 0
        with pytest.raises(DiskFullError, match="the disk is full") as caught:
            writer = EpisodeWriter(
                folder, EpisodeInfo(), [JOINTS], opener=lambda path: SmallDisk(path, room)
            )
            for number in range(10**6):
                writer.write("/joints", number, number, joint_state(number))
                written += 1
                writer.tick(number * 0.11)
        assert "\n" not in str(caught.value)
        assert writer is not None
        info = writer.close(status="disk_full")
        read = numbers_by_rosbags(folder)
        assert read == list(range(len(read)))
        # At most the chunk that did not fit is gone.
        assert written - len(read) <= 11
        assert info.messages == len(read)


def test_too_little_free_space_closes_the_episode_whole(tmp_path: Path) -> None:
    free = iter([10**9, 10**9, 50 * 2**20])
    folder = make_working_folder(tmp_path, "t", 0.0)
    writer = EpisodeWriter(
        folder,
        EpisodeInfo(),
        [JOINTS],
        min_free_bytes=100 * 2**20,
        free=lambda _: next(free),
    )
    with pytest.raises(DiskFullError, match="only 50 MB are free"):
        for number in range(100):
            writer.write("/joints", number, number, joint_state(number))
            writer.tick(float(number))
    writer.close(status="disk_full")
    assert numbers_by_rosbags(folder) == [0, 1, 2]


def test_names_never_collide_and_nothing_is_deleted(tmp_path: Path) -> None:
    folders = []
    for number in range(4):
        writer = episode(tmp_path, number + 1)
        writer.close()
        folders.append((save if number % 2 else discard)(writer.folder))
    assert len(set(folders)) == 4
    assert [folder.parent.name == "trash" for folder in folders] == [True, False, True, False]
    assert [len(numbers(folder)) for folder in folders] == [1, 2, 3, 4]
    assert folders[1].name.endswith("put-items-onto-shelves-2")


def test_start_up_recovers_what_a_crash_left_but_not_what_is_in_use(tmp_path: Path) -> None:
    alive = episode(tmp_path, 20)
    torn = tmp_path / "20200101-000000_t.part"
    shutil.copytree(alive.folder, torn)
    next(torn.glob("*.mcap")).rename(torn / "20200101-000000_t_0.mcap")
    (tmp_path / "20200101-000001_t.part").mkdir()
    results = dict(recover_all(tmp_path))
    info = results.pop(tmp_path / "20200101-000000_t")
    assert isinstance(info, EpisodeInfo)
    assert (info.status, info.interrupted, info.messages) == ("recovered", True, 11)
    assert isinstance(results.pop(tmp_path / "20200101-000001_t.part"), EpisodeError)
    assert not results
    assert numbers_by_rosbags(tmp_path / "20200101-000000_t") == list(range(11))
    alive.close()
    assert numbers(alive.folder) == list(range(20))


def test_a_definition_holds_all_it_is_made_of(tmp_path: Path) -> None:
    share = tmp_path / "share"
    for name, text in {
        "one/msg/Outer": "uint8 A=1  # Fake/No x\nInner[<=3] inner\nstring<=5[] names\ntwo/Leaf x",
        "one/msg/Inner": "two/Leaf[2] leaf\nOuter2 again",
        "one/msg/Outer2": "float64 value 1.5",
        "two/msg/Leaf": "bool yes",
    }.items():
        (share / f"{name}.msg").parent.mkdir(parents=True, exist_ok=True)
        (share / f"{name}.msg").write_text(text)
    text = MessageDefinitions([share]).text("one/msg/Outer")
    headings = [line for line in text.splitlines() if line.startswith("MSG: ")]
    assert headings == ["MSG: one/Inner", "MSG: two/Leaf", "MSG: one/Outer2"]
    assert text.count("=" * 80) == 3
    with pytest.raises(EpisodeError, match="no definition of message two/Missing"):
        MessageDefinitions([share]).text("two/msg/Missing")
    with pytest.raises(EpisodeError, match="is no message type"):
        MessageDefinitions([share]).text("String")
