"""Files in config/perception are read strictly."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from brs_hardware.config import config_folder
from brs_hardware.errors import ConfigError
from brs_hardware.perception.config import CloudConfig, CropBox, load_cloud

NAMES = sorted(file.stem for file in (config_folder() / "perception").glob("*.yaml"))
CROP = "crop: {lower: [0, 0, 0], upper: [1, 1, 1]}\n"


def read(tmp_path: Path, text: str) -> CloudConfig:
    path = tmp_path / "cloud.yaml"
    path.write_text(text)
    return load_cloud(str(path))


@pytest.mark.parametrize("name", NAMES)
def test_every_file_is_sound_and_alike_but_for_what_it_is_about(name: str) -> None:
    config = load_cloud(name)
    assert np.all(config.crop.lower < config.crop.upper)
    fields = {field.name for field in dataclasses.fields(CloudConfig)}
    for other in fields - {"crop", "voxel_m"}:
        assert getattr(config, other) == getattr(load_cloud(), other)


def test_the_tasks_of_brs_are_there() -> None:
    assert {"default", "party", "toilet", "clothes", "shelves", "trash"} <= set(NAMES)
    assert np.array_equal(load_cloud("trash").crop.upper, [4.0, 1.0, 1.6])


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("{}", "crop"),
        (CROP + "voxle_m: 0.01", "voxel_m"),
        (CROP + "voxel_m: 0", "voxel_m"),
        (CROP + "voxel_m: .nan", "voxel_m"),
        (CROP + "points: 1.5", "int"),
        (CROP + "points: 0", "points"),
        (CROP + "sampling: farest", "farthest"),
        (CROP + "min_neighbours: 27", "min_neighbours"),
        (CROP + "min_grazing_rad: 2", "min_grazing_rad"),
        (CROP + "hold_s: -1", "hold_s"),
        (CROP + "self_filter_padding_m: -0.1", "padding"),
        (CROP + "wait_s: .inf", "wait_s"),
        ("crop: {lower: [0, 0], upper: [1, 1, 1]}", "x, y, z"),
        ("crop: {lower: [0, 2, 0], upper: [1, 1, 1]}", "below"),
        ("crop: {lower: [0, .nan, 0], upper: [1, 1, 1]}", "expected finite numbers"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        read(tmp_path, text)


def test_unknown_name_tells_the_nearest() -> None:
    with pytest.raises(ConfigError, match="shelves"):
        load_cloud("shelfs")


def test_self_filter_can_be_left_out(tmp_path: Path) -> None:
    assert read(tmp_path, CROP + "self_filter_padding_m: null").self_filter_padding_m is None
    assert isinstance(read(tmp_path, CROP).crop, CropBox)
