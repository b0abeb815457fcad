"""Files that are damaged, or made to do harm: told of in one line, never followed, no crash."""

from __future__ import annotations

import os
import random
import shutil
import struct
from pathlib import Path

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from mcap.writer import CompressionType, Writer
from quality_episodes import COLOR, DEPTH, GOOD, INFO, checked, entries, serialized, write
from synthetic_episodes import STORE

from brs_cli.dataset_quality import judge_of
from brs_ml.episode import EpisodeError, EpisodeReader, EpisodeWriter, Topic
from brs_ml.quality import repair_bag
from brs_ml.quality.bounds import sizes
from brs_ml.quality.config import FileLimits

CAMERA = entries(2.0)
SMALL = [m for m in CAMERA if m.topic not in (COLOR, DEPTH, INFO)]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An episode of 400 messages without pictures."""
    return write(tmp_path_factory.mktemp("small") / "e", SMALL)


def errors(root: Path) -> set[str]:
    return {finding.rule for finding in checked(root) if finding.severity == "error"}


def copied(source: Path, root: Path) -> Path:
    shutil.rmtree(root, ignore_errors=True)
    return Path(shutil.copytree(source, root / "e"))


USUAL = {"missing_topic"}  # of the camera


@settings(deadline=None, max_examples=20)
@given(share=st.floats(0, 0.999))
def test_a_bag_cut_anywhere_is_found_and_repaired(
    share: float, small: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    root = tmp_path_factory.mktemp("cut")
    folder = copied(small, root / "episodes")
    bag = folder / "e_0.mcap"
    os.truncate(bag, int(bag.stat().st_size * share))
    found = errors(folder.parent)
    assert found & {"torn", "unreadable"}
    try:
        held = len(list(EpisodeReader(folder).messages()))
    except EpisodeError:
        held = 0
    if not held:
        with pytest.raises(EpisodeError):
            repair_bag(folder)
        assert bag.exists()
        return
    original, kept = repair_bag(folder)
    assert kept == held
    assert original == folder.parent / "torn" / "e"
    assert (original / "e_0.mcap").stat().st_size == int(
        (small / "e_0.mcap").stat().st_size * share
    )
    assert not errors(folder.parent) & {"torn", "unreadable", "metadata"}
    assert sorted(path.name for path in folder.parent.iterdir()) == ["e", "torn"]


@settings(deadline=None, max_examples=40)
@given(seed=st.integers(0, 2**32), count=st.integers(1, 30))
def test_flipped_bytes_never_crash_the_check(
    seed: int, count: int, small: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = copied(small, tmp_path_factory.mktemp("flip") / "episodes")
    rng = random.Random(seed)
    every = sorted(path.name for path in folder.iterdir())
    for name in rng.choice([*([name] for name in every), every]):
        data = bytearray((folder / name).read_bytes())
        for _ in range(count):
            data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        (folder / name).write_bytes(data)
    checked(folder.parent)


@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32))
def test_messages_and_definitions_of_nonsense_never_crash_the_check(
    seed: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Whole chunks with right checksums, whose messages are not what they say."""
    rng, folder = random.Random(seed), tmp_path_factory.mktemp("nonsense") / "episodes" / "e"
    folder.mkdir(parents=True)
    writer = EpisodeWriter(folder, GOOD)
    kinds: dict[str, Topic] = {}
    for message in rng.sample(CAMERA, 60):
        kind, data = serialized(message)
        text = STORE.generate_msgdef(kind, ros_version=2)[0]
        if rng.random() < 0.3:
            text = "".join(rng.sample(text, len(text)) if rng.random() < 0.3 else text[9:])
        topic = kinds.setdefault(message.topic, Topic(message.topic, kind, text))
        writer.add_topic(topic)
        spoiled = bytearray(data)
        for _ in range(rng.choice([0, 1, 8])):
            spoiled[rng.randrange(min(len(spoiled), 80))] = rng.randrange(256)
        cut = rng.choice([len(spoiled), rng.randrange(len(spoiled))])
        log_ns = rng.choice([message.log_ns, rng.randrange(2**64)])
        writer.write(message.topic, log_ns, message.stamp_ns, bytes(spoiled[:cut]), 1)
    writer.close(status="saved")
    checked(folder.parent, judge_of)


@settings(deadline=None, max_examples=25)
@given(data=st.binary(max_size=300))
def test_random_bytes_are_found(
    data: bytes, small: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = copied(small, tmp_path_factory.mktemp("random") / "episodes")
    (folder / "e_0.mcap").write_bytes(data)
    assert errors(folder.parent) & {"unreadable", "torn"}


def test_a_damaged_chunk_in_the_middle_is_told_of_and_left_out(
    small: Path, tmp_path: Path
) -> None:
    folder = copied(small, tmp_path / "episodes")
    bag = folder / "e_0.mcap"
    chunks = EpisodeReader(folder)._scans[0].summary.chunk_indexes
    middle = chunks[len(chunks) // 2]
    with bag.open("r+b") as file:
        file.seek(middle.chunk_start_offset + middle.chunk_length - 20)
        file.write(b"\xff" * 16)
    assert "unreadable" in errors(folder.parent)
    _, kept = repair_bag(folder)
    assert 0 < kept < len(SMALL)
    assert not errors(folder.parent) & {"torn", "unreadable", "metadata"}


def test_a_repaired_bag_keeps_every_byte_of_what_was_whole(small: Path, tmp_path: Path) -> None:
    folder = copied(small, tmp_path / "episodes")
    bag = folder / "e_0.mcap"
    os.truncate(bag, bag.stat().st_size // 2)
    before = list(EpisodeReader(folder).messages())
    topics = EpisodeReader(folder).counts
    original, _ = repair_bag(folder)
    assert list(EpisodeReader(folder).messages()) == before
    assert EpisodeReader(folder).counts == topics
    with pytest.raises(EpisodeError, match="was repaired before"):
        repair_bag(folder)
    assert list(EpisodeReader(original).messages()) == before


def bomb(path: Path, compression: CompressionType, megabytes: int) -> None:
    """A small file that unpacks to many megabytes of zeros."""
    with path.open("wb") as file:
        writer = Writer(file, chunk_size=1 << 40, compression=compression)
        writer.start()
        schema = writer.register_schema("std_msgs/msg/String", "ros2msg", b"string data\n")
        channel = writer.register_channel("/robot/state", "cdr", schema)
        for number in range(megabytes):
            writer.add_message(channel, number, bytes(1 << 20), number)
        writer.finish()


@pytest.mark.parametrize("compression", [CompressionType.ZSTD, CompressionType.LZ4])
def test_a_bag_that_unpacks_to_too_much_is_not_unpacked(
    compression: CompressionType, small: Path, tmp_path: Path
) -> None:
    folder = copied(small, tmp_path / "episodes")
    bag = folder / "e_0.mcap"
    bomb(bag, compression, 260)
    assert bag.stat().st_size < 3 << 20
    assert "oversized" in errors(folder.parent)
    # Nor if the chunk's head tells less than its frame will give.
    data = bytearray(bag.read_bytes())
    head = struct.pack("<Q", 260 * ((1 << 20) + 31))
    at = data.index(b"\x06", 8) + 9 + 16
    data[at : at + 8] = struct.pack("<Q", 1000)
    assert head not in data[: at + 8]
    bag.write_bytes(data)
    assert "oversized" in errors(folder.parent)


def test_many_chunks_that_unpack_to_too_much(small: Path) -> None:
    found = sizes(small / "e_0.mcap", FileLimits())
    assert found.total == sum(
        chunk.uncompressed_size for chunk in EpisodeReader(small)._scans[0].summary.chunk_indexes
    )
    assert not found.problem(FileLimits())
    assert "would unpack" in found.problem(FileLimits(largest_bag_gb=found.total / 2**31))
    assert "a chunk" in found.problem(FileLimits(largest_chunk_mb=found.largest / 2**21))


def test_a_large_text_is_not_read(small: Path, tmp_path: Path) -> None:
    folder = copied(small, tmp_path / "episodes")
    os.truncate(folder / "episode.json", 17 << 20)
    assert errors(folder.parent) == {"oversized"}


@pytest.mark.parametrize("listed", ["../x.mcap", "/etc/passwd", ".."])
def test_metadata_that_leads_out_is_told_of(listed: str, small: Path, tmp_path: Path) -> None:
    folder = copied(small, tmp_path / "episodes")
    path = folder / "metadata.yaml"
    path.write_text(path.read_text().replace("- e_0.mcap", f"- {listed}"))
    found = checked(folder.parent)
    assert [f.where for f in found if f.rule == "name"] == ["metadata.yaml"]


def test_links_that_lead_out_are_not_followed(small: Path, tmp_path: Path) -> None:
    folder = copied(small, tmp_path / "episodes")
    (folder.parent / "elsewhere").symlink_to(small)
    (folder / "e_0.mcap").unlink()
    (folder / "e_0.mcap").symlink_to(small / "e_0.mcap")
    found = checked(folder.parent)
    assert {(f.episode, f.rule) for f in found} == {("e", "link"), ("elsewhere", "link")}


def test_a_pipe_does_not_hang_the_check(small: Path, tmp_path: Path) -> None:
    folder = copied(small, tmp_path / "episodes")
    (folder / "e_0.mcap").unlink()
    os.mkfifo(folder / "e_0.mcap")
    assert errors(folder.parent) == {"unreadable"}


def test_names_cannot_move_the_cursor(small: Path, tmp_path: Path) -> None:
    folder = copied(small, tmp_path / "episodes")
    folder.rename(folder.with_name("a\x1b[2Jb"))
    found = checked(folder.parent)
    assert "name" in {finding.rule for finding in found}
    assert all(str(finding).isprintable() for finding in found)


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "null", '{"lost": "many", "drivers": [1]}'])
def test_hostile_labels_are_told_of(text: str, small: Path, tmp_path: Path) -> None:
    folder = copied(small, tmp_path / "episodes")
    (folder / "episode.json").write_text(text)
    assert "metadata" in errors(folder.parent)


def test_deep_metadata_is_told_of(small: Path, tmp_path: Path) -> None:
    folder = copied(small, tmp_path / "episodes")
    (folder / "metadata.yaml").write_text("[" * 50_000)
    assert errors(folder.parent) == {"metadata"}


def test_a_frame_that_tells_no_size_is_bounded_by_its_chunk(small: Path, tmp_path: Path) -> None:
    """zstd frames need not tell their size; then it is the chunk's word that counts."""
    frame = zstandard.ZstdCompressor(write_content_size=False).compress(bytes(1 << 20))
    body = struct.pack("<QQQII", 0, 1, 1 << 40, 0, 4) + b"zstd" + struct.pack("<Q", len(frame))
    record = struct.pack("<BQ", 6, len(body) + len(frame)) + body + frame
    bag = tmp_path / "x.mcap"
    bag.write_bytes(b"\x89MCAP0\r\n" + record)
    assert sizes(bag, FileLimits()).largest == 1 << 40


def test_nothing_there_cannot_be_checked(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "no such"):
        with pytest.raises(EpisodeError):
            checked(path)


def test_only_what_is_missing_is_told_of_a_whole_bag(small: Path) -> None:
    assert errors(small) == USUAL
