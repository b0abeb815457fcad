"""Data sets that are damaged or hostile are refused."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st
from synthetic_episodes import (
    made,
)

from brs_ml.dataset import Dataset, DatasetError
from brs_ml.dataset.clouds import CloudCodec
from brs_ml.dataset.format import INDEX, LARGEST_INDEX
from brs_ml.dataset.images import jpeg_size, pack_image, unpack_image
from brs_ml.episode import (
    EpisodeError,
)


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """One plain episode."""
    return made(tmp_path_factory.mktemp("one"))


Damage = Callable[[Path], None]


def flip(path: str) -> Damage:
    """Change one bit in the middle of a file, not its size."""

    def damage(root: Path) -> None:
        data = bytearray((root / path).read_bytes())
        data[len(data) // 2] ^= 1
        (root / path).write_bytes(data)

    return damage


def in_index(change: Callable[[dict[str, Any]], object]) -> Damage:
    def damage(root: Path) -> None:
        values = json.loads((root / INDEX).read_text())
        change(values)
        (root / INDEX).write_text(json.dumps(values))

    return damage


def named_file(path: str) -> Damage:
    return in_index(lambda values: values["files"].update({path: values["files"].popitem()[1]}))


def linked_out(root: Path) -> None:
    target = root.parent / "elsewhere"
    (root / "columns/action.npy").rename(target)
    (root / "columns/action.npy").symlink_to(target)


@pytest.mark.parametrize(
    ("damage", "message", "verify"),
    [
        (flip("columns/action.npy"), "checksum", True),
        (flip("blobs/one/cloud.bin"), "checksum", True),
        (flip("blobs/one/image.head.bin"), "checksum", True),
        (lambda root: (root / "columns/valid.npy").unlink(), "0 bytes of", False),
        (lambda root: (root / "blobs/one/cloud.bin").write_bytes(b"x"), "1 bytes of", False),
        (lambda root: (root / INDEX).unlink(), "no data set", False),
        (lambda root: (root / INDEX).write_text("{"), "damaged", False),
        (in_index(lambda v: v.update(version=99)), "version 99", False),
        (in_index(lambda v: v.update(format="zip")), "is no brs-dataset", False),
        (in_index(lambda v: v["episodes"][0].update(name="../x")), "no name", False),
        (in_index(lambda v: v["episodes"][0].update(steps="9")), "damaged", False),
        (in_index(lambda v: v["episodes"][0].update(first=3)), "begins at 3", False),
        (
            in_index(lambda v: v["files"].update({"../../x": v["files"].popitem()[1]})),
            "no name",
            0,
        ),
        (in_index(lambda v: v["files"].update({"/etc/x": v["files"].popitem()[1]})), "no name", 0),
        (in_index(lambda v: v["features"].update({"a/../b": {}})), "damaged", False),
        (in_index(lambda v: v["features"]["action"].update(dtype="|O")), "plain numbers", False),
        (linked_out, "leads out", False),
        (in_index(lambda v: v["features"]["cloud"].update(shape=[10**12, 6])), "cannot hold", 0),
        (in_index(lambda v: v["features"]["action"].update(shape=[-1])), "cannot hold", False),
        (in_index(lambda v: v["features"]["action"].update(shape=[10**7])), "is \\(19, 21", False),
        (in_index(lambda v: v["episodes"][0].update(steps=10**15)), "is \\(19,", False),
        (lambda root: (root / INDEX).write_text("[" * 100_000), "damaged", False),
        (lambda root: os.truncate(root / INDEX, LARGEST_INDEX + 1), "larger than", False),
    ],
)
def test_damage_and_malice_are_found(
    one: Dataset, tmp_path: Path, damage: Damage, message: str, verify: bool
) -> None:
    root = tmp_path / "copy"
    shutil.copytree(one.root, root)
    Dataset(root, verify=True)
    damage(root)
    with pytest.raises(EpisodeError, match=message):
        Dataset(root, verify=verify)


def test_a_damaged_cloud_is_found_when_it_is_read(one: Dataset, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(one.root, root)
    path = root / "blobs/one/cloud.bin"
    data = bytearray(path.read_bytes())
    data[12] ^= 0x10
    path.write_bytes(data)
    with pytest.raises(DatasetError, match="a cloud is damaged"):
        Dataset(root).cloud(0)


def test_what_is_asked_for_and_not_there_is_named(one: Dataset) -> None:
    with pytest.raises(DatasetError, match="no column 'actoin'"):
        one.column("actoin")
    with pytest.raises(DatasetError, match=r"no 'image\.tail'"):
        one.image("image.tail", 0)


def place(dataset: Dataset, feature: str, offset: int, length: int) -> Path:
    """A data set of the same files, in which the first step's place in the blob is this one."""
    path = dataset.root / f"columns/{feature}.span.npy"
    spans = np.load(path)
    spans[0] = (offset, length)
    np.save(path, spans)
    return dataset.root


@pytest.mark.parametrize(
    ("offset", "length"),
    [(0, 2**40), (2**40, 10), (2**63 + 5, 10), (0, 2**64 - 1), (2**64 - 1, 2**64 - 1)],
)
def test_no_place_leads_behind_the_file(
    one: Dataset, tmp_path: Path, offset: int, length: int
) -> None:
    shutil.copytree(one.root, tmp_path / "copy")
    root = place(Dataset(tmp_path / "copy"), "cloud", offset, length)
    with pytest.raises(DatasetError, match="ends before"):
        Dataset(root).cloud(0)
    with pytest.raises(DatasetError, match="ends before"):
        Dataset(root).clouds((0, 1))


def test_a_blob_that_the_index_does_not_know_is_not_read(one: Dataset, tmp_path: Path) -> None:
    root = tmp_path / "copy"
    shutil.copytree(one.root, root)
    in_index(lambda values: values["files"].pop("blobs/one/cloud.bin"))(root)
    with pytest.raises(DatasetError, match="ends before"):
        Dataset(root).cloud(0)


def test_a_cloud_that_claims_to_be_huge_is_not_unpacked() -> None:
    codec = CloudCodec((0, 0, 0), (1, 1, 1))
    for told in (True, False):
        compressor = zstandard.ZstdCompressor(write_content_size=told)
        bomb = compressor.compress(bytes(90_000_000))
        assert len(bomb) < 20_000
        with pytest.raises(DatasetError, match="more points than a cloud can have"):
            codec.unpack(bomb)


def test_a_picture_of_another_size_is_not_unpacked(monkeypatch: pytest.MonkeyPatch) -> None:
    data = pack_image(np.zeros((48, 64, 3), np.uint8), 90)
    assert unpack_image(data, (48, 64, 3)).shape == (48, 64, 3)
    monkeypatch.setattr("cv2.imdecode", lambda *_: pytest.fail("it was unpacked"))
    with pytest.raises(DatasetError, match="damaged"):
        unpack_image(data, (24, 32, 3))


@given(st.binary(max_size=40))
def test_the_size_of_any_bytes_is_told_or_none(data: bytes) -> None:
    for bytes_ in (data, b"\xff\xd8" + data, b"\xff\xd8\xff\xc0" + data):
        size = jpeg_size(bytes_)
        assert size is None or len(size) == 2


@given(st.integers(1, 40), st.integers(1, 40), st.integers(1, 100))
def test_the_size_of_a_jpeg_is_that_of_the_picture(height: int, width: int, quality: int) -> None:
    picture = np.full((height, width, 3), 99, np.uint8)
    assert jpeg_size(pack_image(picture, quality)) == (height, width)
