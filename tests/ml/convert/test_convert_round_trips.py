"""There and back: what a data set holds is the same after a way through another format."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pyarrow.parquet as pq
import pytest
import yaml
from ml.convert.samples import assert_same, link_poses, robot_of

from brs_ml.convert import ConvertOptions, LeRobotOptions, convert, kind_of
from brs_ml.convert.kept import steps_of
from brs_ml.convert.recovered import STEP_FEATURES, Recovered, Source, step_columns, write_set
from brs_ml.dataset import Dataset, DatasetError, EpisodeEntry, Feature
from brs_ml.dataset.images import pack_image
from brs_ml.dataset.layout import PARTS
from brs_ml.episode import DiskFullError


def to_lerobot(pictures: str, **changes: object) -> ConvertOptions:
    return ConvertOptions(LeRobotOptions(pictures, **changes))  # type: ignore[arg-type]


def test_the_sample_has_what_other_formats_do_not(ours: Dataset) -> None:
    assert {episode.split for episode in ours.episodes} == {"train", "validation"}
    assert sum(episode.invalid_steps for episode in ours.episodes) == (~ours.column("valid")).sum()
    for key in ("proprioception", "action", "image_age"):
        assert np.isnan(ours.column(key)).any()
    assert len(set(ours.column("driver").tolist())) == 4


@pytest.mark.parametrize("name", ["files", "merged.hdf5"])
def test_hdf5_and_back_is_the_same(ours: Dataset, tmp_path: Path, name: str) -> None:
    notes = convert(ours.root, tmp_path / name, "brs-hdf5", robot_of)
    assert any("depth" in note for note in notes)
    assert any(f"{(~ours.column('valid')).sum()} steps" in note for note in notes)
    assert not convert(tmp_path / name, tmp_path / "back", "brs", robot_of)
    assert_same(ours, Dataset(tmp_path / "back", verify=True))


@pytest.mark.parametrize("pictures", ["jpeg", "h264", "av1", "lossless"])
def test_lerobot_and_back_is_the_same(ours: Dataset, tmp_path: Path, pictures: str) -> None:
    clouds = pictures != "av1"
    notes = convert(
        ours.root, tmp_path / "there", "lerobot", robot_of, to_lerobot(pictures, clouds=clouds)
    )
    assert any("clouds are left out" in note for note in notes) != clouds
    notes = convert(tmp_path / "there", tmp_path / "back", "brs", robot_of)
    assert notes == ([] if clouds else ["not in it any more: cloud"])
    back = Dataset(tmp_path / "back", verify=True)
    without = () if clouds else ("cloud",)
    assert_same(ours, back, without=without, pictures=pictures == "jpeg")
    for step in np.flatnonzero(ours.column("valid")):
        for key in ("image.head", "image.wrist"):
            first, second = ours.image(key, int(step)), back.image(key, int(step))
            assert np.abs(first.astype(int) - second).max() <= 6  # of one colour each


def test_a_chain_of_formats_loses_no_number(ours: Dataset, tmp_path: Path) -> None:
    convert(ours.root, tmp_path / "a", "brs-hdf5", robot_of)
    convert(tmp_path / "a", tmp_path / "b", "lerobot", robot_of, to_lerobot("jpeg", clouds=True))
    convert(tmp_path / "b", tmp_path / "c.h5", "brs-hdf5", robot_of)
    convert(tmp_path / "c.h5", tmp_path / "d", "brs", robot_of)
    assert_same(ours, Dataset(tmp_path / "d", verify=True))


def test_hdf5_is_what_the_loader_of_brs_reads(ours: Dataset, tmp_path: Path) -> None:
    """Paths, shapes and units as BRS's training takes them from a merged file."""
    convert(ours.root, tmp_path / "merged.hdf5", "brs-hdf5", robot_of)
    layout = robot_of("r1").layout
    with h5py.File(tmp_path / "merged.hdf5", "r", swmr=True, libver="latest") as file:
        assert list(file) == ["demo_0", "demo_1", "demo_2"]
        for number, episode in enumerate(ours.episodes):
            demo, steps = (
                file[f"demo_{number}"],
                slice(episode.first, episode.first + episode.steps),
            )
            assert demo.attrs["horizon"] == episode.steps
            valid = ours.column("valid")[steps]
            state, action = ours.column("proprioception")[steps], ours.column("action")[steps]
            actions = {part: f"action/{part}" for part in PARTS[1:]} | {
                "base": "action/mobile_base"
            }
            for part, path in actions.items():
                numbers = action[:, layout.slice_of(part)]
                found = demo[path][:]
                if part.endswith("gripper"):
                    numbers, found = 90.0 - 89.0 * numbers.astype(float), found[:, None]
                np.testing.assert_array_equal(found[valid], numbers[valid])
            arm = demo["obs/joint_state/left_arm/joint_position"][:, :6].astype(np.float32)
            np.testing.assert_array_equal(arm[valid], state[valid][:, layout.slice_of("left_arm")])
            assert np.isfinite(arm).all()  # BRS's loader knows of no step that is not valid
            torso = state[valid][:, layout.slice_of("torso")]
            for link, pose in link_poses({"torso": torso[0]}).items():
                first = demo[f"obs/link_poses/{link}"][np.flatnonzero(valid)[0]]
                np.testing.assert_array_equal(first, pose.astype(np.float32))
            mask = demo["obs/point_cloud/fused/padding_mask"][:].astype(bool)
            for step in np.flatnonzero(valid):
                rgb = demo["obs/rgb/head/img"][step]
                np.testing.assert_array_equal(rgb, ours.image("image.head", episode.first + step))
                real = demo["obs/point_cloud/fused/xyz"][step][mask[step]]
                cloud = ours.cloud(episode.first + step)
                np.testing.assert_array_equal(real, cloud[: len(real), :3])


def test_whoever_changed_a_file_is_believed(ours: Dataset, tmp_path: Path) -> None:
    """What is kept beside BRS's arrays counts only where they still say the same."""
    convert(ours.root, tmp_path / "files", "brs-hdf5", robot_of)
    name = ours.episodes[0].name
    with h5py.File(tmp_path / "files" / f"{name}.hdf5", "r+") as file:
        file["action/left_gripper"][1] = 45.5
        file["action/torso"][2, 3] = 0.25
        file["obs/rgb/head/img"][3] = 77
    convert(tmp_path / "files", tmp_path / "back", "brs", robot_of)
    back = Dataset(tmp_path / "back")
    changed = back.column("action") != ours.column("action")
    assert back.column("action")[1, 13] == np.float32(0.5)
    assert back.column("action")[2, 6] == np.float32(0.25)
    known = ~np.isnan(ours.column("action"))
    assert sorted(map(tuple, np.argwhere(changed & known).tolist())) == [(1, 13), (2, 6)]
    assert np.abs(back.image("image.head", 3).astype(int) - 77).max() <= 2


def test_videos_look_like_the_pictures(tmp_path: Path) -> None:
    """At least 38 dB (h264) of moving texture, and each frame is that of its own step."""
    steps, shape = 12, (48, 64, 3)
    rows, columns = np.mgrid[: shape[0], : shape[1]]
    pictures = [
        np.stack(
            [128 + 90 * np.sin((columns + 3 * t) / 9 + c) * np.cos(rows / 7) for c in range(3)]
        )
        for t in range(steps)
    ]
    rgb = [np.moveaxis(picture, 0, -1).astype(np.uint8) for picture in pictures]
    vector = Feature("<f4", (2,), names=("x", "y"))
    features = {"proprioception": vector, "action": vector, **STEP_FEATURES}
    features["image.head"] = Feature("|u1", shape, "jpeg")
    episodes = []
    for name in ("a", "b"):
        numbers = np.zeros((steps, 2), np.float32)
        columns_ = {"proprioception": numbers, "action": numbers, **step_columns(steps, 10.0)}
        blobs = [("image.head", t, pack_image(picture, 100)) for t, picture in enumerate(rgb)]
        rgb = rgb[::-1]  # the other way round in the second
        episodes.append(Recovered(EpisodeEntry(name, 0, steps, "train"), columns_, blobs))
    write_set(Source("r1", 10.0, features, episodes), tmp_path / "set")
    ours = Dataset(tmp_path / "set")
    for pictures_, least in (("h264", 38.0), ("av1", 33.0), ("lossless", 42.0)):
        options = to_lerobot(pictures_)
        convert(ours.root, tmp_path / pictures_, "lerobot", robot_of, options)
        convert(tmp_path / pictures_, tmp_path / f"{pictures_}.back", "brs", robot_of)
        back = Dataset(tmp_path / f"{pictures_}.back")
        for step in range(2 * steps):
            error = ours.image("image.head", step).astype(float) - back.image("image.head", step)
            assert 10 * np.log10(255**2 / np.mean(error**2)) > least, (pictures_, step)
    files = [*(tmp_path / "h264" / "videos").rglob("*.mp4")]
    assert len(files) == 1  # both episodes


def test_lerobot_has_what_its_readers_expect(ours: Dataset, tmp_path: Path) -> None:
    root = tmp_path / "there"
    convert(ours.root, root, "lerobot", robot_of)
    info = json.loads((root / "meta/info.json").read_text())
    assert (info["codebase_version"], info["fps"], info["robot_type"]) == ("v3.0", 10, "r1")
    assert info["splits"] == {"train": "0:2", "val": "2:3"}
    assert info["features"]["observation.images.head"]["shape"] == [24, 32, 3]
    assert info["features"]["action"]["names"] == list(ours.index.features["action"].names)
    table = pq.read_table(root / "data/chunk-000/file-000.parquet")
    assert table["index"].to_pylist() == list(range(len(ours)))
    assert table["timestamp"].to_pylist()[:3] == pytest.approx([0.0, 0.1, 0.2])
    episodes = pq.read_table(root / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    ends = np.cumsum([row["length"] for row in episodes])
    assert [row["dataset_to_index"] for row in episodes] == ends.tolist()
    starts = [row["videos/observation.images.head/from_timestamp"] for row in episodes]
    assert starts == pytest.approx([0.0, *(ends[:-1] / 10)])
    assert [row["tasks"] for row in episodes] == [["put the box away"]] * 3
    statistics = json.loads((root / "meta/stats.json").read_text())
    training = np.concatenate(
        [range(len(ours))[steps_of(e)] for e in ours.episodes if e.split == "train"]
    )
    valid = training[ours.column("valid")[training]]
    assert statistics["action"]["q10"] == pytest.approx(
        np.quantile(ours.column("action")[valid], 0.1, axis=0)
    )
    assert np.shape(statistics["observation.images.head"]["mean"]) == (3, 1, 1)


def test_the_hub_gets_a_card(ours: Dataset, tmp_path: Path) -> None:
    options = ConvertOptions(licence="cc-by-4.0")
    convert(ours.root, tmp_path / "hub", "hub", robot_of, options)
    text = (tmp_path / "hub" / "README.md").read_text()
    header = yaml.safe_load(text.split("---")[1])
    assert header["license"] == "cc-by-4.0"
    assert header["size_categories"] == ["n<1K"]
    assert header["configs"] == [{"config_name": "default", "data_files": "data/*/*.parquet"}]
    assert "*.mp4 filter=lfs" in (tmp_path / "hub" / ".gitattributes").read_text()
    # A LeRobot set gets the card as it is.
    convert(ours.root, tmp_path / "plain", "lerobot", robot_of)
    convert(tmp_path / "plain", tmp_path / "card", "hub", robot_of, options)
    video = "videos/observation.images.head/chunk-000/file-000.mp4"
    first, second = (tmp_path / name / video for name in ("plain", "card"))
    assert first.read_bytes() == second.read_bytes()
    with pytest.raises(DatasetError, match="names the licence"):
        convert(tmp_path / "plain", tmp_path / "none", "hub", robot_of)
    assert not (tmp_path / "none").exists()


def test_a_kind_is_found_by_looking(ours: Dataset, tmp_path: Path) -> None:
    assert kind_of(ours.root) == "brs"
    with pytest.raises(DatasetError, match="no data set that is known"):
        kind_of(tmp_path)
    (tmp_path / "x.hdf5").touch()
    assert kind_of(tmp_path) == kind_of(tmp_path / "x.hdf5") == "brs-hdf5"
    (tmp_path / "dataset.json").touch()
    with pytest.raises(DatasetError, match="holds brs and brs-hdf5"):
        kind_of(tmp_path)
    with pytest.raises(DatasetError, match="is brs already"):
        convert(ours.root, tmp_path / "out", "brs", robot_of)


FULL = """
import resource, signal, sys
from pathlib import Path
from ml.convert.samples import robot_of
from brs_ml.convert import ConvertOptions, LeRobotOptions, convert
from brs_ml.episode import DiskFullError

source, out, pictures = sys.argv[1:]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))
try:
    options = ConvertOptions(LeRobotOptions(pictures))
    convert(Path(source), Path(out), "lerobot", robot_of, options)
except DiskFullError as error:
    print("full:", error)
"""


@pytest.mark.parametrize("pictures", ["h264", "jpeg"])
def test_nothing_is_left_where_the_disk_is_full(ours: Dataset, out: Path, pictures: str) -> None:
    out.parent.joinpath("bystander").touch()
    roots = Path(__file__).parents[3]
    path = os.pathsep.join(str(roots / name) for name in ("ml", "tests"))
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(ours.root), str(out), pictures],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert "full:" in done.stdout, done.stderr
    assert [path.name for path in out.parent.iterdir()] == ["bystander"]


def test_hdf5_is_not_begun_without_room(
    ours: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The room asked for is what the files take, and no more than twice that."""
    convert(ours.root, tmp_path / "files", "brs-hdf5", robot_of)
    taken = sum(file.stat().st_size for file in (tmp_path / "files").iterdir())
    module = "brs_ml.convert.brs_hdf5_export.free_bytes"
    monkeypatch.setattr(module, lambda folder: taken // 2)
    with pytest.raises(DiskFullError, match="are free"):
        convert(ours.root, tmp_path / "more", "brs-hdf5", robot_of)
    assert [path.name for path in tmp_path.iterdir()] == ["files"]
    monkeypatch.setattr(module, lambda folder: 2 * taken)
    convert(ours.root, tmp_path / "more", "brs-hdf5", robot_of)


def test_each_episode_is_told_of(ours: Dataset, tmp_path: Path) -> None:
    told: list[str] = []
    convert(ours.root, tmp_path / "a.hdf5", "brs-hdf5", robot_of, None, told.append)
    names = sorted(episode.name for episode in ours.episodes)
    assert sorted(told) == names
    convert(tmp_path / "a.hdf5", tmp_path / "b", "lerobot", robot_of, None, told.append)
    assert sorted(told) == sorted(names * 3)  # read, then written


def test_what_exists_is_left_alone(ours: Dataset, out: Path) -> None:
    out.mkdir()
    (out / "precious").touch()
    with pytest.raises(DatasetError, match="exists"):
        convert(ours.root, out, "lerobot", robot_of)
    assert (out / "precious").exists()
