"""What a foreign file claims is looked at before memory is spent on it."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.data_stream import ReadDataStream
from mcap.opcode import Opcode
from mcap.records import Chunk
from mcap.writer import CompressionType, Writer

from brs_ml.episode import EpisodeError, EpisodeReader
from brs_ml.episode.metadata import Qos, Topic, parse_yaml
from brs_ml.episode.scan import RECORD_HEAD, records, scan

LIMIT = 1 << 20


def bag_of(path: Path, compression: CompressionType, size: int = 2 * LIMIT) -> Path:
    """A file of a small chunk and one that unpacks to `size`."""
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=1, compression=compression)
        writer.start()
        schema = writer.register_schema("std_msgs/msg/String", "ros2msg", b"string data\n")
        channel = writer.register_channel("/a", "cdr", schema)
        for number, length in enumerate((10, size)):
            writer.add_message(channel, number, bytes(length), number)
        writer.finish()
    return path


@pytest.fixture
def limited(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("reader", "scan"):
        monkeypatch.setattr(f"brs_ml.episode.{module}.LARGEST_CHUNK", LIMIT)


@pytest.mark.usefixtures("limited")
@pytest.mark.parametrize("compression", list(CompressionType))
def test_a_chunk_that_unpacks_to_too_much_is_refused_by_the_reader(
    compression: CompressionType, tmp_path: Path
) -> None:
    reader = EpisodeReader(bag_of(tmp_path / "x.mcap", compression))
    with pytest.raises(EpisodeError, match=r"a chunk claims \d+ bytes, more than 1048576"):
        list(reader.messages())
    small = EpisodeReader(bag_of(tmp_path / "y.mcap", compression, LIMIT // 2))
    assert [len(message.data) for message in small.messages()] == [10, LIMIT // 2]


@pytest.mark.usefixtures("limited")
def test_a_frame_that_unpacks_to_more_than_its_chunk_tells_is_refused(tmp_path: Path) -> None:
    path = bag_of(tmp_path / "x.mcap", CompressionType.ZSTD)
    at = EpisodeReader(path)._scans[0].summary.chunk_indexes[1].chunk_start_offset
    data = bytearray(path.read_bytes())
    told = at + RECORD_HEAD.size + 16
    assert struct.unpack_from("<Q", data, told)[0] > 2 * LIMIT
    data[told : told + 8] = struct.pack("<Q", 1000)
    path.write_bytes(data)
    with pytest.raises(EpisodeError, match="a chunk claims 2097"):
        list(EpisodeReader(path).messages())


@pytest.mark.usefixtures("limited")
def test_a_record_that_is_too_large_is_passed_over_by_a_walk(tmp_path: Path) -> None:
    found = scan(bag_of(tmp_path / "x.mcap", CompressionType.NONE))
    assert found.complete and found.damaged_chunks == 1
    assert len(found.summary.chunk_indexes) == 1


def test_records_are_those_that_are_there_and_bodies_begin_where_the_file_stands(
    tmp_path: Path,
) -> None:
    path = bag_of(tmp_path / "x.mcap", CompressionType.ZSTD)
    opcodes, unpacked = [], []
    with path.open("rb") as file:
        for record in records(file, path.stat().st_size):
            opcodes.append(record.opcode)
            if record.opcode == Opcode.CHUNK:
                unpacked.append(Chunk.read(ReadDataStream(file)).uncompressed_size)
    chunk = [Opcode.CHUNK, Opcode.MESSAGE_INDEX]
    assert opcodes == [Opcode.HEADER, *chunk, *chunk, Opcode.DATA_END]
    assert unpacked[0] < 1000 and unpacked[1] > 2 * LIMIT


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None)
@given(VALUES, st.sampled_from([True, False, None]))
def test_yaml_is_read_as_the_plain_loader_reads_it(value: Any, flow: bool | None) -> None:
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    assert parse_yaml(text) == yaml.safe_load(text) == value


@pytest.mark.parametrize(
    "text",
    ["[" * 200_000, "{a: " * 200_000, "- " * 200_000, "? " * 200_000],
    ids=["lists", "maps", "dashes", "keys"],
)
def test_yaml_that_is_nested_too_deeply_ends_in_an_error(text: str) -> None:
    with pytest.raises(RecursionError):
        parse_yaml(text)


def test_quality_of_service_and_tags_of_python_are_read_safely() -> None:
    text = Topic("/a", "b", qos=(Qos(depth=3), Qos(reliability="best_effort"))).qos_yaml()
    assert parse_yaml(text) == yaml.safe_load(text)
    with pytest.raises(yaml.YAMLError):
        parse_yaml("!!python/object/apply:os.getcwd []")
