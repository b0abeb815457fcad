"""A training run from a data set to checkpoints."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from brs_ml.dataset.format import INDEX, Index, sha256
from brs_ml.dataset.layout import RobotLayout
from brs_ml.dataset.loader import WindowReader
from brs_ml.dataset.reader import Dataset
from brs_ml.dataset.windows import WindowSpec
from brs_ml.policy.checkpoint import DataCard, PolicyCard
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.fewstep import distilled
from brs_ml.policy.model import PolicyModel, build_model
from brs_ml.policy.normalisation import normalisation_of
from brs_ml.policy.trainer import STATE_FILE, Report, Trainer
from brs_ml.policy.training_config import RunConfig


def train(
    config: RunConfig,
    data: Path,
    layout: RobotLayout,
    out: Path,
    report: Report,
    *,
    resume: bool = False,
) -> Path:
    """Train a policy; on several processes if torchrun started this one.

    Args:
        config: network, recipe, and teacher if there is one.
        data: a data set's folder.
        layout: the robot that it is of.
        out: folder of checkpoints; made here.
        report: told of losses and errors, of the first process.
        resume: go on with the run that is there.

    Returns:
        The last checkpoint.

    Raises:
        PolicyError: data, robot, settings or a checkpoint do not fit, or training fails.
        DatasetError: the data set cannot be read.
    """
    if (out / STATE_FILE).exists() and not resume:
        raise PolicyError(
            "has a run already", where=str(out), remedy="resume=true goes on with it"
        )
    with _processes() as device:
        trainer = make_trainer(config, data, layout, out, report, device)
        if resume:
            trainer.resume()
        trainer.run()
    return trainer.policy_path


def make_trainer(
    config: RunConfig,
    data: Path,
    layout: RobotLayout,
    out: Path,
    report: Report,
    device: torch.device | str = "cpu",
) -> Trainer:
    """The trainer of a run, at its start; see `train`."""
    dataset = Dataset(data)
    index = dataset.index
    cameras = tuple(
        key.removeprefix("image.") for key in index.features if key.startswith("image.")
    )
    torch.manual_seed(config.training.seed)
    model, loss = _model(config, layout, cameras)
    _check_features(model, index, data)
    normalisation = normalisation_of(config.policy.normalisation, layout, index)
    card = PolicyCard(
        config.policy,
        layout,
        cameras if config.policy.vision == "images" else (),
        normalisation,
        card_of(index, data),
        steps=0,
        seed=config.training.seed,
        image_crop=config.training.augmentation.crop,
    )
    readers = (_reader(dataset, model, config, True), _validation(dataset, model, config))
    return Trainer(model, card, readers, config.training, out, report, loss=loss, device=device)


def card_of(index: Index, path: Path) -> DataCard:
    """What a checkpoint tells of a data set."""
    build = index.build.get("config", {})
    recipe = build.get("cloud_recipe")
    return DataCard(
        path.resolve().name,
        index.version,
        checksum=sha256(path / INDEX),
        rate_hz=index.rate_hz,
        tasks=tuple(sorted({episode.task for episode in index.episodes})),
        scenes=tuple(sorted({(episode.task, episode.seed) for episode in index.episodes})),
        cloud_recipe=json.dumps(recipe) if recipe else "",
        jpeg_quality=build.get("jpeg_quality"),
    )


def _check_features(model: PolicyModel, index: Index, data: Path) -> None:
    for key in model.features:
        if key not in index.features:
            raise PolicyError(
                f"has no '{key}', which this policy sees",
                where=str(data),
                remedy="build the data set with it, or train another policy",
            )


def _reader(
    dataset: Dataset, model: PolicyModel, config: RunConfig, training: bool
) -> WindowReader:
    policy = config.policy
    spec = WindowSpec(policy.observations, policy.actions, policy.every_observation)
    return WindowReader(
        dataset,
        spec,
        "train" if training else "validation",
        features=model.features,
        points=policy.pointnet.points,
        augmentation=config.training.augmentation,
        seed=config.training.seed,
        training=training,
    )


def _validation(dataset: Dataset, model: PolicyModel, config: RunConfig) -> WindowReader | None:
    if not any(episode.split == "validation" for episode in dataset.episodes):
        return None
    return _reader(dataset, model, config, False)


def _model(
    config: RunConfig, layout: RobotLayout, cameras: tuple[str, ...]
) -> tuple[PolicyModel, torch.nn.Module | None]:
    """The network as it begins, and its loss if that is not its own."""
    seen = cameras if config.policy.vision == "images" else ()
    if config.distillation.teacher:
        return distilled(config.policy, config.distillation, layout)
    return build_model(config.policy, layout, seen), None


@contextmanager
def _processes() -> Iterator[torch.device]:
    """The device of this process, joined with the others that torchrun started."""
    gpu = torch.cuda.is_available()
    local = int(os.environ.get("LOCAL_RANK", "0"))
    device = torch.device("cuda", local) if gpu else torch.device("cpu")
    if "WORLD_SIZE" not in os.environ:
        yield device
        return
    if gpu:
        torch.cuda.set_device(device)
    torch.distributed.init_process_group("nccl" if gpu else "gloo")
    try:
        yield device
    finally:
        torch.distributed.destroy_process_group()
