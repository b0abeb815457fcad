"""Files that were made to do harm are refused in one clear line, and nothing is written."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from ml.convert.samples import robot_of
from ml.convert.test_convert_foreign import write_brs, write_lerobot

from brs_ml.convert import ConvertOptions, LeRobotOptions, convert
from brs_ml.convert.hdf5_files import opened
from brs_ml.dataset import Dataset, DatasetError

Harm = Callable[[Any, Path], None]


def external(file: Any, folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["secret"] = np.ones(3)
    file["obs/rgb/tail"] = h5py.ExternalLink("other.h5", "/secret")


def soft(file: Any, folder: Path) -> None:
    file["obs/rgb/tail"] = h5py.SoftLink("/action/torso")


def text_objects(file: Any, folder: Path) -> None:
    file["obs/note"] = np.array(["a", "b"], dtype=h5py.string_dtype())


def opaque(file: Any, folder: Path) -> None:
    file["obs/note"] = np.void(b"\x80\x04pickled")


def opaque_attribute(file: Any, folder: Path) -> None:
    file["obs"].attrs["state"] = np.void(b"\x80\x04pickled")


def references(file: Any, folder: Path) -> None:
    file["obs/note"] = np.array([file["obs"].ref], dtype=h5py.ref_dtype)


def huge(file: Any, folder: Path) -> None:
    file.create_dataset("obs/rgb/tail/img", (6, 60_000, 60_000, 3), "u1", chunks=True)


def hollow(file: Any, folder: Path) -> None:
    file.create_dataset("obs/rgb/tail/img", (6, 100, 100, 3), "u1")


def virtual(file: Any, folder: Path) -> None:
    layout = h5py.VirtualLayout((6, 4), "f8")
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "secret", (6, 4))
    file.create_virtual_dataset("obs/more", layout)


def outside(file: Any, folder: Path) -> None:
    (folder / "raw").write_bytes(bytes(48))
    file.create_dataset("obs/more", (6,), "f8", external=[(str(folder / "raw"), 0, 48)])


@pytest.mark.parametrize(
    ("harm", "text"),
    [
        (external, "is a link to elsewhere"),
        (soft, "is a link to elsewhere"),
        (text_objects, "not plain numbers"),
        (opaque, "not plain numbers"),
        (opaque_attribute, "is neither numbers nor text"),
        (references, "not plain numbers"),
        (huge, "declares 6 x 60000 x 60000 x 3"),
        (hollow, "declares 180000 bytes and holds 0"),
        (virtual, "has its content in another file"),
        (outside, "has its content in another file"),
    ],
)
def test_hostile_hdf5_is_refused(tmp_path: Path, harm: Harm, text: str) -> None:
    write_brs(tmp_path / "x.hdf5")
    with h5py.File(tmp_path / "x.hdf5", "r+") as file:
        harm(file, tmp_path)
    with pytest.raises(DatasetError, match=text) as told:
        convert(tmp_path / "x.hdf5", tmp_path / "out", "brs", robot_of)
    assert "\n" not in str(told.value)
    assert not (tmp_path / "out").exists()


def test_rings_of_groups_end(tmp_path: Path) -> None:
    write_brs(tmp_path / "x.hdf5")
    with h5py.File(tmp_path / "x.hdf5", "r+") as file:
        file["obs/again"] = file["obs"]
    with opened(tmp_path / "x.hdf5") as file:
        assert "again" in file["obs"]


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(st.integers(0, 20_000), st.binary(min_size=1, max_size=8), st.booleans())
def test_damaged_hdf5_is_one_clear_line(
    tmp_path: Path, place: int, data: bytes, cut: bool
) -> None:
    """Whatever is overwritten or cut off: it is read, or refused with a DatasetError."""
    path = tmp_path / "x.hdf5"
    if not path.exists():
        write_brs(path)
    whole = path.read_bytes()
    place %= len(whole)
    damaged = whole[:place] if cut else whole[:place] + data + whole[place + len(data) :]
    broken = tmp_path / "broken.hdf5"
    broken.write_bytes(damaged)
    try:
        convert(broken, tmp_path / "out", "brs", robot_of)
        shutil.rmtree(tmp_path / "out")
    except DatasetError as error:
        assert "\n" not in str(error)
        assert not (tmp_path / "out").exists()


def exported(ours: Dataset, folder: Path, target: str) -> Path:
    options = ConvertOptions(LeRobotOptions("jpeg", clouds=True))
    convert(ours.root, folder / target, target, robot_of, options)
    return folder / target


def changed(file: Path, change: Callable[[dict[str, Any]], None]) -> None:
    values = json.loads(file.read_text())
    change(values)
    file.write_text(json.dumps(values))


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda kept: kept["episodes"][0].update(name="../../up"), "is no name"),
        (lambda kept: kept["episodes"][0].update(split="test"), "is none of"),
        (lambda kept: kept["episodes"][0].update(steps=10**9), "other episodes"),
        (lambda kept: kept["episodes"].pop(), "other episodes"),
        (lambda kept: kept.update(robot="/etc/passwd"), "is no name"),
        (lambda kept: kept.update(version=9), "version 9"),
        (lambda kept: kept["features"]["action"].update(shape=[3]), "does not fit"),
        (lambda kept: kept["features"]["action"].update(dtype="|O"), "plain numbers"),
        (lambda kept: kept["features"].pop("action"), "'action'"),
        (lambda kept: kept["features"].update({"a/b": {}}), "is no name"),
        (lambda kept: kept["episodes"][1].update(name=kept["episodes"][0]["name"]), "twice"),
    ],
)
def test_what_was_kept_is_not_trusted(
    ours: Dataset, tmp_path: Path, change: Callable[[dict[str, Any]], None], text: str
) -> None:
    root = exported(ours, tmp_path, "lerobot")
    changed(root / "meta/brs/kept.json", change)
    with pytest.raises(DatasetError, match=text):
        convert(root, tmp_path / "out", "brs", robot_of)
    assert not (tmp_path / "out").exists()


def test_masks_of_another_shape_are_refused(ours: Dataset, tmp_path: Path) -> None:
    root = exported(ours, tmp_path, "lerobot")
    np.save(root / "meta/brs/unknown.action.npy", np.ones((len(ours), 7), bool))
    with pytest.raises(DatasetError, match=r"unknown.action.npy: is damaged"):
        convert(root, tmp_path / "out", "brs", robot_of)
    np.save(root / "meta/brs/unknown.action.npy", np.zeros(3, [("any", bool)]))
    with pytest.raises(DatasetError, match=r"unknown.action.npy: is damaged"):
        convert(root, tmp_path / "out", "brs", robot_of)


@pytest.mark.parametrize(
    "name",
    ["meta/info.json", "data/chunk-000/file-000.parquet", "meta/brs/kept.json", "videos"],
)
def test_links_out_of_the_folder_are_refused(tmp_path: Path, name: str) -> None:
    root = tmp_path / "there"
    write_lerobot(root)
    (tmp_path / "elsewhere").mkdir()
    target = root / name
    outside = tmp_path / "elsewhere" / "it"
    target.parent.mkdir(exist_ok=True)
    if target.exists():
        shutil.move(target, outside)
    else:
        outside.write_text("{}")
    target.symlink_to(outside)
    for target_kind in ("brs", "hub"):
        with pytest.raises(DatasetError, match="leads out of the data set"):
            convert(
                root, tmp_path / "out", target_kind, robot_of, ConvertOptions(licence="cc0-1.0")
            )
    assert not (tmp_path / "out").exists()


def test_files_that_are_none_are_refused(tmp_path: Path) -> None:
    for name, text in (
        ("data/chunk-000/file-000.parquet", "is damaged"),
        ("meta/episodes/chunk-000/file-000.parquet", "is damaged"),
        ("videos/observation.images.top/chunk-000/file-000.mp4", "Invalid data"),
        ("meta/info.json", "is damaged"),
    ):
        root = tmp_path / text.replace(" ", "") / str(len(name))
        write_lerobot(root)
        (root / name).write_bytes(b"PAR1 nothing of the kind PAR1")
        with pytest.raises(DatasetError, match=text):
            convert(root, tmp_path / "out", "brs", robot_of)
    (tmp_path / "x.hdf5").write_bytes(b"no HDF5")
    with pytest.raises(DatasetError, match="cannot be read as HDF5"):
        convert(tmp_path / "x.hdf5", tmp_path / "out", "brs", robot_of)
    assert not (tmp_path / "out").exists()
