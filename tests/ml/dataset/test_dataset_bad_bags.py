"""Bags that are torn, damaged or hostile: used as far as they are sound, or left out."""

from __future__ import annotations

import os
import re
import struct
import tracemalloc
import zlib
from pathlib import Path

import lz4.frame
import numpy as np
import pytest
import synthetic_episodes
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from mcap.records import ChunkIndex
from synthetic_episodes import (
    Recipe,
    TellingClouds,
    layout,
    made,
    record,
    settings,
)

from brs_ml.dataset import DatasetError, build, find_episodes
from brs_ml.dataset.messages import Decoder
from brs_ml.episode import Topic
from brs_ml.episode.chunks import unpack
from brs_ml.episode.reader import BagMessage
from brs_ml.episode.scan import DAMAGE, scan


def test_clocks_that_step_back_or_jump_are_failures_and_others_go_on(tmp_path: Path) -> None:
    recipes = {
        "back": Recipe(clock=lambda s: s if s < 1 else s - 0.5),
        "good": Recipe(),
        "jump": Recipe(clock=lambda s: s if s < 1 else s + 9e4),
    }
    dataset = made(tmp_path, recipes)
    assert [entry.name for entry in dataset.episodes] == ["good"]
    assert "stepped back by 0.49" in dataset.index.left_out["back"]
    assert "90000.0 s from the recorder's clock" in dataset.index.left_out["jump"]


def test_a_torn_bag_gives_what_was_whole_and_is_marked(tmp_path: Path) -> None:
    bag = record(tmp_path / "episodes" / "torn") / "torn_0.mcap"
    bag.write_bytes(bag.read_bytes()[: bag.stat().st_size // 2])
    dataset = made(tmp_path, {"whole": Recipe()})
    torn, whole = dataset.episodes
    assert (torn.torn, whole.torn) == (True, False)
    assert 3 <= torn.steps < whole.steps


@pytest.mark.parametrize("damage", ["empty", "garbage", "short"])
def test_a_bag_that_cannot_be_used_is_listed(tmp_path: Path, damage: str) -> None:
    bag = record(tmp_path / "episodes" / "bad") / "bad_0.mcap"
    data = {"empty": b"", "garbage": b"x" * 5000, "short": bag.read_bytes()[:500]}
    bag.write_bytes(data[damage])
    dataset = made(tmp_path, {"good": Recipe()})
    assert [entry.name for entry in dataset.episodes] == ["good"]
    assert dataset.index.left_out["bad"]


def test_a_picture_of_another_size_than_told_is_a_failure(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"a picture is 32 x 24, camera_info tells of 32 x 48"):
        made(tmp_path, {"odd": Recipe(told_height=48)})
    with pytest.raises(DatasetError, match="picture size of head is 32 x 48"):
        made(tmp_path, {"first": Recipe()}, differences=("calibration",))


@pytest.mark.parametrize("kind", ["state", "command", "head", "depth"])
def test_an_episode_without_a_topic_is_left_out_by_its_name(tmp_path: Path, kind: str) -> None:
    bad = Recipe(gap=lambda name, _: name == kind, depth=kind != "depth")
    dataset = made(tmp_path, {"bad": bad, "good": Recipe()})
    assert [entry.name for entry in dataset.episodes] == ["good"]
    topic = {"head": "camera/head/c", "depth": "camera/head/depth"}.get(kind, f"robot/{kind}")
    assert f"has no topic '{topic}" in dataset.index.left_out["bad"]


def chunks_of(folder: Path) -> list[ChunkIndex]:
    return scan(folder / f"{folder.name}_0.mcap").summary.chunk_indexes


@pytest.mark.parametrize("place", [0, 3, -1])
def test_a_damaged_chunk_is_left_out_and_the_rest_is_as_it_was(tmp_path: Path, place: int) -> None:
    folder = record(tmp_path / "episodes" / "bad")
    whole = made(tmp_path, {"bad": Recipe()}, out="whole")
    chunk = chunks_of(folder)[place]
    change(folder, chunk.chunk_start_offset + chunk.chunk_length // 2, b"????")
    dataset = made(tmp_path, {"bad": Recipe()})
    entry = dataset.episodes[0]
    assert entry.torn
    assert entry.source["damaged_chunks"] == 1
    assert entry.source["missing"]["proprioception"] > 0
    stamps, valid = dataset.column("stamp_ns"), dataset.column("valid")
    assert 5 < valid.sum() < len(whole)
    hole = (stamps > chunk.message_start_time) & (stamps < chunk.message_end_time)
    assert not valid[hole].any()
    # Nearer to the hole a step may hold an older picture or command, as the rules allow.
    edges = (chunk.message_start_time, chunk.message_end_time)
    far = valid & (np.min([np.abs(stamps - edge) for edge in edges], axis=0) > 3e8)
    same = np.searchsorted(whole.column("stamp_ns"), stamps[far])
    assert far.sum() > 5
    for name in ("proprioception", "action", "image_age"):
        assert np.array_equal(dataset.column(name)[far], whole.column(name)[same])


def change(folder: Path, at: int, data: bytes) -> None:
    path = folder / f"{folder.name}_0.mcap"
    with path.open("r+b") as file:
        file.seek(at)
        file.write(data)


def frame_that_claims(size: int) -> bytes:
    """The head of a zstd frame."""
    return b"\x28\xb5\x2f\xfd\xe0" + struct.pack("<Q", size) + b"\x01\x00\x00"


def endless(size: int) -> bytes:
    """Zeros, without a word about how many."""
    return zstandard.ZstdCompressor(write_content_size=False).compress(bytes(size))


@pytest.mark.parametrize(
    ("compression", "packed", "size", "message"),
    [
        ("zstd", frame_that_claims(10), 1 << 40, "claims 1099511627776 bytes"),
        ("zstd", frame_that_claims(1 << 40), 1000, "not of the size"),
        ("zstd", endless(20_000_000), 1000, None),
        ("zstd", endless(10), 0, None),
        ("zstd", zstandard.compress(b""), 300_000_000, "claims 300000000 bytes"),
        ("lz4", lz4.frame.compress(bytes(20_000_000)), 1000, None),
        ("lz4", b"no lz4", 1000, None),
        ("", b"x" * 10, 1000, "size or checksum"),
        ("brotli", b"x" * 10, 10, "'brotli' is not known"),
    ],
    ids=range(9),
)
def test_no_chunk_takes_more_memory_than_chunks_have(
    compression: str, packed: bytes, size: int, message: str | None
) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(DAMAGE, match=message):
            unpack(compression, packed, size, 0)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("compression", ["zstd", "lz4", ""])
@given(st.binary(max_size=200), st.booleans())
def test_a_sound_chunk_is_unpacked_and_a_changed_one_refused(
    compression: str, data: bytes, checked: bool
) -> None:
    pack = {"zstd": zstandard.compress, "lz4": lz4.frame.compress, "": bytes}[compression]
    checksum = zlib.crc32(data) if checked else 0
    assert unpack(compression, pack(data), len(data), checksum) == data
    with pytest.raises(ValueError, match="size"):
        unpack(compression, pack(data), len(data) + 1, checksum)
    if checksum and data:
        with pytest.raises(ValueError, match="checksum"):
            unpack(compression, pack(data), len(data), checksum ^ 1)


@pytest.mark.parametrize("torn", [False, True])
def test_a_chunk_that_claims_to_be_huge_is_left_out(tmp_path: Path, torn: bool) -> None:
    folder = record(tmp_path / "episodes" / "bomb")
    chunk = chunks_of(folder)[2]
    change(folder, chunk.chunk_start_offset + 9 + 16, struct.pack("<Q", 1 << 40))
    if torn:  # without a summary, the file is walked
        bag = folder / "bomb_0.mcap"
        bag.write_bytes(bag.read_bytes()[:-50])
    entry = made(tmp_path, {"bomb": Recipe()}).episodes[0]
    assert entry.torn
    assert entry.source["damaged_chunks"] == 1


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        ("Foo foo", "recursion"),
        ("float64[99999999999] x", "buffer is smaller|of 'x'"),
        ("string[99999999] x", "of 'x'"),
        ("float64 x=__import__('os').system('touch stolen')", "not defined"),
        ("float64 x\nfloat64 x", "not defined"),
        ("other/Thing x", "not defined"),
        ("uint8[", "not defined"),
        ("float64[] x", "SerdeError"),
        ("", "SerdeError"),
    ],
)
def test_a_hostile_definition_is_one_clear_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, schema: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    decode = Decoder({"/a": Topic("/a", "p/msg/Foo", schema)})
    with pytest.raises(DatasetError, match=message):
        decode(BagMessage("/a", "p/msg/Foo", 0, 0, b"\0\1\0\0" + b"\xff" * 64, 0))
    assert not list(tmp_path.iterdir())


def test_an_episode_with_a_message_cut_off_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = synthetic_episodes._state

    def cut_off(seconds: float, recipe: Recipe) -> tuple[str, bytes]:
        kind, data = make(seconds, recipe)
        return kind, data[:-16] if seconds > 1.0 else data

    with monkeypatch.context() as patch:
        patch.setattr(synthetic_episodes, "_state", cut_off)
        record(tmp_path / "episodes" / "bad")
    dataset = made(tmp_path, {"good": Recipe()})
    assert "/robot/state: a message cannot be read" in dataset.index.left_out["bad"]


def test_no_pipe_is_waited_for_and_no_name_leads_out(tmp_path: Path) -> None:
    (tmp_path / "episodes/pipe").mkdir(parents=True)
    os.mkfifo(tmp_path / "episodes/pipe/pipe_0.mcap")
    good = record(tmp_path / "episodes" / "good")
    episodes = [*find_episodes([tmp_path / "episodes"]), good / ".."]
    index = build(episodes, tmp_path / "set", layout(), settings(), clouds=TellingClouds)
    assert [entry.name for entry in index.episodes] == ["good"]
    assert "is no file" in index.left_out["pipe"]
    assert "'..' is no name" in index.left_out[".."]


def test_a_link_to_an_episode_is_read_under_its_own_name(tmp_path: Path) -> None:
    record(tmp_path / "elsewhere" / "one")
    (tmp_path / "episodes").mkdir()
    (tmp_path / "episodes" / "other").symlink_to(tmp_path / "elsewhere" / "one")
    before = {path: path.read_bytes() for path in (tmp_path / "elsewhere/one").iterdir()}
    dataset = made(tmp_path, {"other": Recipe()})
    assert [entry.name for entry in dataset.episodes] == ["other"]
    after = {path: path.read_bytes() for path in (tmp_path / "elsewhere/one").iterdir()}
    assert after == before


@pytest.mark.parametrize(("height", "matrix"), [(0, 30.0), (70_000, 30.0), (24, 0.0)])
def test_cameras_that_cannot_be_are_left_out(tmp_path: Path, height: int, matrix: float) -> None:
    bad = Recipe(told_height=height, focal=matrix)
    dataset = made(tmp_path, {"bad": bad, "good": Recipe()})
    assert re.search(r"pictures of 32 x|focal length", dataset.index.left_out["bad"])
