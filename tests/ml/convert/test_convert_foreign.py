"""Data of others: as BRS's recorder and LeRobot write it, without anything of ours."""

from __future__ import annotations

import json
from pathlib import Path

import h5py
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from ml.convert.samples import robot_of

from brs_ml.convert import ConvertOptions, convert
from brs_ml.convert.video import CODECS, VideoWriter
from brs_ml.dataset import Dataset, DatasetError, WindowReader, WindowSpec
from brs_ml.dataset.images import pack_image

STEPS = 6


def write_brs(path: Path, seed: int = 0, arm: int = 8) -> dict[str, np.ndarray]:
    """A file as BRS's recorder and its post-processing leave it; gives all its arrays."""
    random = np.random.default_rng(seed)
    arrays = {
        f"obs/joint_state/{name}/{kind}": random.normal(size=(STEPS, size))
        for name, size in (("left_arm", arm), ("right_arm", arm), ("torso", 4))
        for kind in ("joint_position", "joint_velocity", "joint_effort")
    }
    for side in ("left", "right"):
        arrays[f"obs/gripper_state/{side}_gripper/gripper_position"] = random.uniform(
            0, 100, STEPS
        )
        arrays[f"action/{side}_gripper"] = random.uniform(0, 100, STEPS)
        arrays[f"action/{side}_arm"] = random.normal(size=(STEPS, 6))
    arrays["action/torso"] = random.normal(size=(STEPS, 4))
    arrays["action/mobile_base"] = random.normal(size=(STEPS, 3))
    arrays["obs/odom/base_velocity"] = random.normal(size=(STEPS, 3))
    arrays["obs/odom/position"] = random.normal(size=(STEPS, 3))
    arrays["obs/depth/head/depth"] = np.ones((STEPS, 4, 6), np.float32)
    shades = random.integers(0, 255, (STEPS, 1, 1, 3), dtype=np.uint8)
    arrays["obs/rgb/head/img"] = np.tile(shades, (1, 16, 16, 1))
    arrays["obs/point_cloud/fused/xyz"] = random.uniform(-1, 2, (STEPS, 10, 3)).astype(np.float32)
    arrays["obs/point_cloud/fused/rgb"] = random.integers(0, 255, (STEPS, 10, 3), dtype=np.uint8)
    arrays["obs/point_cloud/fused/padding_mask"] = np.arange(10) < np.full((STEPS, 1), 7)
    with h5py.File(path, "w") as file:
        for name, values in arrays.items():
            file[name] = values
        file.attrs["recording_freq"] = 10
        file.attrs["collected_time"] = "2025-01-02-03-04-05"
    return arrays


def test_files_of_brs_become_a_data_set(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    arrays = [write_brs(tmp_path / "files" / f"traj {i}.hdf5", i) for i in range(2)]
    notes = convert(tmp_path / "files", tmp_path / "set", "brs", robot_of)
    assert any("stamps count from 0" in note for note in notes)
    assert any("depth is left out" in note for note in notes)
    found = Dataset(tmp_path / "set", verify=True)
    assert [episode.name for episode in found.episodes] == ["traj_0", "traj_1"]
    assert found.index.rate_hz == 10.0
    assert found.column("stamp_ns")[:STEPS].tolist() == [i * 100_000_000 for i in range(STEPS)]
    assert found.column("valid").all()
    for number, source in enumerate(arrays):
        steps = slice(number * STEPS, (number + 1) * STEPS)
        state, action = found.column("proprioception")[steps], found.column("action")[steps]
        arm = source["obs/joint_state/right_arm/joint_position"][:, :6]
        np.testing.assert_allclose(state[:, 14:20], arm, rtol=1e-6)
        np.testing.assert_allclose(action[:, :3], source["action/mobile_base"], rtol=1e-6)
        closed = np.clip((90.0 - source["action/left_gripper"]) / 89.0, 0, 1)
        np.testing.assert_allclose(action[:, 13], closed, rtol=1e-5)
        for step in range(STEPS):
            points = source["obs/point_cloud/fused/xyz"][step, :7]
            cloud = found.cloud(steps.start + step)[:7, :3]
            assert sorted(cloud[:, 0].tolist()) == pytest.approx(sorted(points[:, 0]), abs=1e-4)
            rgb = source["obs/rgb/head/img"][step]
            error = np.abs(found.image("image.head", steps.start + step).astype(int) - rgb)
            assert error.max() <= 2
    assert len(WindowReader(found, WindowSpec(), None)) == 2 * (STEPS - 1)


def test_files_of_brs_that_lack_something_are_refused(tmp_path: Path) -> None:
    def refused(change: str, text: str) -> None:
        write_brs(tmp_path / "x.hdf5")
        with h5py.File(tmp_path / "x.hdf5", "r+") as file:
            if change == "rate":
                del file.attrs["recording_freq"]
            elif change == "short":
                del file["action/torso"]
                file["action/torso"] = np.zeros((STEPS - 1, 4))
            elif change == "narrow":
                del file["action/torso"]
                file["action/torso"] = np.zeros((STEPS, 3))
            else:
                del file[change]
        with pytest.raises(DatasetError, match=text):
            convert(tmp_path / "x.hdf5", tmp_path / "set", "brs", robot_of)
        assert not (tmp_path / "set").exists()

    refused("rate", "does not tell its recording_freq")
    refused("short", "steps")
    refused("narrow", r"has action/torso of \(6, 3\)")
    refused("obs/odom/base_velocity", r"has no obs/odom/base_velocity \(BRS's post_process")
    refused("action", "has no 'obs' and 'action'")


def write_lerobot(root: Path, **changes: object) -> dict[str, np.ndarray]:
    """Two episodes of 5 and 4 frames by the letter of v3.0; gives its arrays."""
    random = np.random.default_rng(0)
    lengths, frames = (5, 4), 9
    arrays = {
        "observation.state": random.normal(size=(frames, 3)).astype(np.float32),
        "action": random.normal(size=(frames, 2)).astype(np.float32),
        "next.reward": random.normal(size=frames).astype(np.float32),
        "pictures": random.integers(0, 256, (frames, 16, 16, 3), dtype=np.uint8),
    }
    columns = {
        "observation.state": pa.array(
            list(arrays["observation.state"]), pa.list_(pa.float32(), 3)
        ),
        "action": pa.array(list(arrays["action"]), pa.list_(pa.float32(), 2)),
        "next.reward": pa.array(arrays["next.reward"]),
        "timestamp": pa.array(np.float32([i / 10 for n in lengths for i in range(n)])),
        "frame_index": pa.array([i for n in lengths for i in range(n)]),
        "episode_index": pa.array([e for e, n in enumerate(lengths) for _ in range(n)]),
        "index": pa.array(range(frames)),
        "task_index": pa.array([0] * 5 + [1] * 4),
    }
    columns |= changes.pop("columns", {})  # type: ignore[call-overload]
    features = {
        "observation.state": {"dtype": "float32", "shape": [3], "names": {"motors": list("abc")}},
        "action": {"dtype": "float32", "shape": [2], "names": ["d", "e"]},
        "next.reward": {"dtype": "float32", "shape": [1], "names": None},
        "observation.images.top": {"dtype": "video", "shape": [3, 16, 16], "names": None},
        "note": {"dtype": "string", "shape": [1], "names": None},
        "depth": {"dtype": "image", "shape": [16, 16, 1], "names": None},
        "timestamp": {"dtype": "float32", "shape": [1], "names": None},
    }
    file = "chunk-{chunk_index:03d}/file-{file_index:03d}"
    info = {
        "codebase_version": "v3.0",
        "robot_type": "so101",
        "total_episodes": 2,
        "total_frames": frames,
        "fps": 10,
        "splits": {"train": "0:1", "test": "1:2"},
        "data_path": f"data/{file}.parquet",
        "video_path": f"videos/{{video_key}}/{file}.mp4",
        "features": features,
        **changes,
    }
    key = "videos/observation.images.top"
    episodes = [
        {
            "episode_index": number,
            "tasks": [("pick", "place")[number]],
            "length": length,
            "dataset_from_index": first,
            "data/chunk_index": 0,
            "data/file_index": 0,
            f"{key}/chunk_index": 0,
            f"{key}/file_index": 0,
            f"{key}/from_timestamp": first / 10,
        }
        for number, (length, first) in enumerate(zip(lengths, (0, 5), strict=True))
    ]
    for folder in ("meta/episodes/chunk-000", "data/chunk-000"):
        (root / folder).mkdir(parents=True)
    (root / "meta/info.json").write_text(json.dumps(info))
    pq.write_table(
        pa.Table.from_pylist(episodes), root / "meta/episodes/chunk-000/file-000.parquet"
    )
    pq.write_table(pa.table(columns), root / "data/chunk-000/file-000.parquet")
    path = root / key / "chunk-000/file-000.mp4"
    with VideoWriter(path, (16, 16, 3), 10.0, CODECS["lossless"]) as video:
        for picture in arrays["pictures"]:
            video.add(picture)
    return arrays


def test_a_set_of_lerobot_becomes_one_of_ours(tmp_path: Path) -> None:
    arrays = write_lerobot(tmp_path / "there")
    options = ConvertOptions(jpeg_quality=100)
    notes = convert(tmp_path / "there", tmp_path / "set", "brs", robot_of, options)
    for name in ("note", "depth"):
        assert any(f"{name} is left out" in note for note in notes)
    found = Dataset(tmp_path / "set", verify=True)
    assert [(e.split, e.task, e.steps) for e in found.episodes] == [
        ("train", "pick", 5),
        ("validation", "place", 4),
    ]
    assert found.index.robot == "so101"
    assert found.index.features["proprioception"].names == ("a", "b", "c")
    for key, name in (("proprioception", "observation.state"), ("action", "action")):
        np.testing.assert_array_equal(found.column(key), arrays[name])
    np.testing.assert_array_equal(found.column("next.reward"), arrays["next.reward"])
    assert found.column("stamp_ns")[5:].tolist() == [0, 100_000_000, 200_000_000, 300_000_000]
    for step, picture in enumerate(arrays["pictures"]):
        # The same bytes as of the frame itself: none is mistaken for a neighbour.
        assert found.packed("image.top", (step,))[0] == pack_image(picture, 100)


def test_a_set_of_lerobot_in_other_words_is_refused(tmp_path: Path) -> None:
    def refused(text: str, **changes: object) -> None:
        root = tmp_path / str(len(list(tmp_path.iterdir())))
        write_lerobot(root, **changes)
        with pytest.raises(DatasetError, match=text):
            convert(root, tmp_path / "set", "brs", robot_of)
        assert not (tmp_path / "set").exists()

    refused("is LeRobot v2.1", codebase_version="v2.1")
    refused("files at", data_path="../../{chunk_index}/{file_index}.parquet")
    refused("files at", video_path="{video_key.__class__}")
    refused("episodes of 3", total_episodes=3)
    refused("at 0.0 Hz", fps=0)
    doubles = pa.array(np.zeros((9, 3)).tolist(), pa.list_(pa.float64(), 3))
    refused("observation.state holds", columns={"observation.state": doubles})
    texts = pa.array(["x"] * 9)
    refused("action holds 5 of string", columns={"action": texts})
    holes = pa.array([None, *([[0.0, 0.0]] * 8)], pa.list_(pa.float32(), 2))
    refused("action holds", columns={"action": holes})
    ragged = pa.array([[0.0, 0.0, 0.0], [0.0], *([[0.0, 0.0]] * 7)], pa.list_(pa.float32()))
    refused("info.json says float32", columns={"observation.state": ragged})
    mixed = pa.array([0, 0, 1, 0, 0, 1, 1, 1, 1])
    refused("rows of others", columns={"episode_index": mixed})
    state = {"dtype": "float32", "shape": [3], "names": None}
    refused("has no action", features={"observation.state": state})
    refused("is no name", features={"../up": state, "action": state})
