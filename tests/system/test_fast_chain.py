"""From a fast episode to what a policy learns from: checked, built, read as windows."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import tiny_policy
import torch
from rich.console import Console

from brs_cli import dataset_build, dataset_check
from brs_cli.fast_episode import FastOptions, record_episode
from brs_hardware.embodiment import load_embodiment
from brs_ml.dataset import Dataset, WindowReader, WindowSpec
from brs_ml.dataset.messages import Decoder
from brs_ml.dataset.robot_layout import layout_of
from brs_ml.episode import EpisodeReader
from brs_ml.policy.checkpoint import load_policy
from brs_ml.policy.corrections import corrected_steps
from brs_ml.policy.run import train
from brs_ml.policy.training_config import CorrectionConfig, RunConfig, TrainConfig

# The operator is stopped soon, so it cannot succeed.
FILMED = FastOptions(camera_hz=10.0, limit_s=2.0, keep_failures=True)
# What is wrong with an episode because it is that short.
SHORT = {"balance", "idle"}


def test_a_fast_episode_is_fit_to_learn_from(tmp_path: Path) -> None:
    made = record_episode(tmp_path / "episodes", "shelves", 3, 1e9, FILMED)
    assert made.folder is not None

    options = dataset_check.parse([str(tmp_path / "episodes")])
    report = dataset_check.run(options, Console(quiet=True))
    assert {str(found) for found in report.findings if found.rule not in SHORT} == set()

    target = ["--out", str(tmp_path / "set"), "--failures", "--validation", "0"]
    source = ["--clouds", "fused", "--cloud", "shelves"]
    dataset_build.main([str(tmp_path / "episodes"), *target, *source])

    data = Dataset(tmp_path / "set")
    assert set(data.index.left_out) == set()
    assert data.column("valid").mean() > 0.8
    reader = WindowReader(data, WindowSpec(), training=False)
    sample = reader.sample(len(reader) - 1)
    step = int(reader.windows.now[-1])
    begin_ns = int(data.column("stamp_ns")[step])
    arm = layout_of(load_embodiment("r1")).slice_of("left_arm")
    seen, action = sample["proprioception"][-1, arm], sample["action"][0, arm]

    assert np.isfinite(sample["cloud"]).all() and sample["cloud"].std(axis=1).min() > 0.0
    pictures = [value for name, value in sample.items() if name.startswith("image.")]
    assert len(pictures) == 3 and all(picture.std() > 10.0 for picture in pictures)
    states = arms(made.folder, "/robot/state", begin_ns - 20_000_000, begin_ns + 20_000_000)
    assert (states.min(0) - 1e-6 <= seen).all() and (seen <= states.max(0) + 1e-6).all()
    sent = arms(made.folder, "/robot/command", begin_ns, begin_ns + 100_000_000)
    assert (sent.min(0) - 1e-6 <= action).all() and (action <= sent.max(0) + 1e-6).all()
    assert np.abs(sent - arms(made.folder, "/robot/command", 0, begin_ns)[0]).max() > 0.1


def test_what_a_person_corrects_is_learnt(tmp_path: Path) -> None:
    first = tiny_policy.write(tmp_path / "first.safetensors", pictures=True)
    corrected = replace(FILMED, policy=str(first), takeover_s=(0.8, 0.8), limit_s=3.0)
    for name, options, seed in (("shown", FILMED, 3), ("taken_over", corrected, 4)):
        record_episode(tmp_path / "episodes" / name, "shelves", seed, 1e9, options)
        given = ["--no-clouds", "--failures", "--validation", "0"]
        dataset_build.main(
            [str(tmp_path / "episodes" / name), "--out", str(tmp_path / name), *given]
        )

    data = Dataset(tmp_path / "taken_over")
    after = corrected_steps(data)
    assert 5 <= np.argmax(after) <= 9 and after[9:-1].all() and after[9:].sum() > 10

    model, card = load_policy(first)
    config = RunConfig(
        card.config,
        TrainConfig(steps=2, batch_size=4, warm_up=1),
        corrections=CorrectionConfig(str(tmp_path / "taken_over"), str(first)),
    )
    layout = layout_of(load_embodiment("r1"))
    better = train(config, tmp_path / "shown", layout, tmp_path / "out", lambda *_: None)
    learnt, told = load_policy(better)
    assert told.steps == 2 and told.origin is not None
    assert told.origin.corrections.scenes == (("shelves", 4),)
    before = model.state_dict()
    assert any(not torch.equal(value, before[key]) for key, value in learnt.state_dict().items())


def arms(folder: Path, topic: str, begin_ns: int, end_ns: int) -> np.ndarray:
    """(n, 6) of the left arm in the messages of a span [rad]."""
    episode = EpisodeReader(folder)
    decode = Decoder(episode.topics)
    spans = [m for m in episode.messages([topic]) if begin_ns <= m.log_time_ns <= end_ns]
    told = [decode(message).left_arm for message in spans]
    return np.array([each.position if topic == "/robot/state" else each for each in told])
