"""A checkpoint at the wheel: fair scenes, the training set's clouds, and a whole trial."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fpsample", reason="clouds need brs[perception]")

import torch

from brs_cli.dataset_build import recipe
from brs_cli.dataset_clouds import FusedClouds
from brs_cli.eval_config import EvalConfig, EvalOptions, parse
from brs_cli.eval_policy import PolicyOnRobot, cloud_config, load_card
from brs_cli.eval_rows import Row, rows_of
from brs_cli.eval_trials import Item, Job, TrialRunner
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.perception.config import load_cloud
from brs_hardware.perception.fuser import make_fusion
from brs_ml.dataset import EpisodeEntry, Frame, Index
from brs_ml.dataset.clouds import CloudCodec
from brs_ml.dataset.format import write_index
from brs_ml.dataset.robot_layout import layout_of
from brs_ml.policy.checkpoint import DataCard, PolicyCard, save_policy
from brs_ml.policy.config import PointNetConfig, PolicyConfig, TransformerConfig, UNetConfig
from brs_ml.policy.model import build_model
from brs_ml.policy.normalisation import Normalisation
from brs_ml.policy.policy import Policy
from brs_ml.policy.run import card_of
from brs_sim.cameras import CameraRenderer
from brs_sim.world import World

R1 = load_embodiment("r1")
LAYOUT = layout_of(R1)
CLOUD = load_cloud("shelves")
DATA = DataCard(
    "shelves", 1, "0" * 64, 10.0, ("shelves",), (("shelves", 1003), ("trash", 1001)),
    json.dumps(recipe(CLOUD)),
)  # fmt: skip


def untrained(path: Path, data: DataCard = DATA) -> Path:
    """A tiny WB-VMA of the real robot that has learnt nothing."""
    config = PolicyConfig(
        width=8,
        proprioception_hidden=(6,),
        pointnet=PointNetConfig(hidden=(7,)),
        transformer=TransformerConfig(layers=1, heads=2, feed_forward=12, positions=16),
        unet=UNetConfig(widths=(4, 8), kernel=3, groups=2, step_features=6),
    )
    normalisation = Normalisation(
        LAYOUT.lower,
        LAYOUT.upper,
        clipped=tuple(i < 3 for i in range(LAYOUT.size)),
        binary=tuple("gripper" in name for name in LAYOUT.names),
        cloud_lower=tuple(CLOUD.crop.lower.tolist()),
        cloud_upper=tuple(CLOUD.crop.upper.tolist()),
    )
    torch.manual_seed(0)
    model = build_model(config, LAYOUT)
    card = PolicyCard(config, LAYOUT, (), normalisation, data, steps=0, seed=0)
    save_policy(path, model, model.state_dict(), card)
    return path


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.set_num_threads(1)
    return untrained(tmp_path_factory.mktemp("policy") / "policy.safetensors")


def asked(checkpoint: Path, *arguments: str) -> tuple[EvalOptions, EvalConfig]:
    return parse([f"policy={checkpoint}", "episodes=2", "limits_s.shelves=1.2", *arguments])


def test_scenes_of_a_checkpoint_are_refused_and_those_of_other_tasks_are_not(
    checkpoint: Path,
) -> None:
    row = rows_of(*asked(checkpoint))[0]
    assert row.seeds == (1000, 1001) and row.held_out
    assert row.about["steps"] == 0 and row.about["data"] == f"shelves {'0' * 64}"
    with pytest.raises(ConfigError, match=r"learnt from 1 .* seeds 1003\. Try: seed=1004"):
        rows_of(*asked(checkpoint, "seed=1002"))


def test_who_does_not_tell_its_scenes_is_not_known_to_be_fair(tmp_path: Path) -> None:
    episode = EpisodeEntry("a", 0, 5, "train", task="shelves", seed=1001)
    index = Index("r1", 10.0, {}, (episode,), {})
    write_index(tmp_path, index)
    told = card_of(index, tmp_path)
    assert told.scenes == (("shelves", 1001),)
    silent = untrained(tmp_path / "silent.safetensors", replace(told, scenes=()))
    assert not rows_of(*asked(silent))[0].held_out
    with pytest.raises(ConfigError, match="seeds 1001"):
        rows_of(*asked(silent, f"data={tmp_path}"))
    assert rows_of(*asked(silent, f"data={tmp_path}", "seed=1002"))[0].held_out
    with pytest.raises(ConfigError, match="is not the data set 'shelves'"):
        other = untrained(tmp_path / "other.safetensors")
        rows_of(*asked(other, f"data={tmp_path}", "seed=1010"))


def test_a_data_set_tells_the_checkpoint_how_its_clouds_were_made(tmp_path: Path) -> None:
    build = {"config": {"cloud_recipe": recipe(CLOUD), "jpeg_quality": 77}}
    index = Index("r1", 10.0, {}, (), {}, build=build)
    write_index(tmp_path, index)
    told = card_of(index, tmp_path)
    assert told.jpeg_quality == 77
    card = load_card(str(untrained(tmp_path / "a.safetensors", told)))
    found = cloud_config(card, asked(tmp_path)[1])
    assert found is not None and recipe(found) == recipe(CLOUD)
    silent = replace(card, data=replace(told, cloud_recipe=""))
    with pytest.raises(ConfigError, match="cloud=NAME"):
        cloud_config(silent, asked(tmp_path)[1])
    assert cloud_config(silent, asked(tmp_path, "cloud=shelves")[1]) is not None
    with pytest.raises(ConfigError, match="clouds of the box"):
        cloud_config(silent, asked(tmp_path, "cloud=default")[1])


def frames_of(world: World) -> list[Frame]:
    """What a recorder would have kept of this moment."""
    state, snapshot, frames = world.whole_body_state(), world.snapshot(), []
    joints = {name: getattr(state, name).position for name in R1.GROUPS}
    joints |= {name: np.array([getattr(state, name)]) for name in R1.GRIPPERS}
    with CameraRenderer(world) as renderer:
        for camera in R1.cameras:
            drawn = renderer.render(snapshot, camera)
            matrix = np.array([[drawn.fx, 0, drawn.cx], [0, drawn.fy, drawn.cy], [0, 0, 1.0]])
            depth = np.where(drawn.depth > 0.0, drawn.depth, np.float32(np.nan))
            stamp_ns = round(state.stamp_s * 1e9)
            frames.append(
                Frame(camera, stamp_ns, drawn.color, depth, matrix, (), joints, state.base_pose)
            )
    return frames


def test_an_untrained_policy_rolls_out_on_the_training_sets_clouds(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options, config = asked(checkpoint)
    seen: list[Any] = []
    chunk = Policy.chunk

    def watched(self: Policy, observation: Any, noise: np.ndarray) -> Any:
        seen.append(observation)
        return chunk(self, observation, noise)

    monkeypatch.setattr(Policy, "chunk", watched)
    rows = rows_of(options, config)
    runner = TrialRunner(Job(options.task, tuple(rows), config))
    trials = [runner.run(Item(0, seed), lambda: None) for seed in (1000, 1001, 1000)]
    runner.close()
    assert trials[0] == trials[2] and trials[0] != trials[1]
    assert all(trial.ended == "time" and trial.length_s == 1.2 for trial in trials)
    assert [o.stamps_ns for o in seen[:2]] == [(0, 0), (700_000_000, 800_000_000)]

    world = World(R1, "shelves", 1000)
    codec = CloudCodec(CLOUD.crop.lower.tolist(), CLOUD.crop.upper.tolist())
    kept = codec.pack(*FusedClouds(make_fusion(R1, CLOUD))(frames_of(world)))
    learnt = codec.points(kept, CLOUD.points)
    assert learnt.shape == (4096, 6) and len(np.unique(learnt, axis=0)) > 1000
    assert np.array_equal(seen[0].cloud[1], learnt)
    vector = LAYOUT.vector(world.whole_body_state()).astype(np.float32)
    assert np.array_equal(seen[0].proprioception[1], vector)


def test_a_checkpoint_of_another_robot_is_refused(checkpoint: Path) -> None:
    config = asked(checkpoint)[1]
    with pytest.raises(Exception, match="is a policy of another robot: robot is 'r1'"):
        PolicyOnRobot(load_embodiment("r1_lite"), str(checkpoint), config)
    with pytest.raises(Exception, match="has none for a delay of 8 steps"):
        PolicyOnRobot(R1, str(checkpoint), replace(config, delay=8))
    assert Row("p", "checkpoint", "p", (), True).about == {}
