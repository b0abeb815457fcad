"""A training run from a data set to checkpoints."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from brs_ml.dataset.format import INDEX, Index, sha256
from brs_ml.dataset.layout import RobotLayout
from brs_ml.dataset.loader import WindowReader
from brs_ml.dataset.reader import Dataset
from brs_ml.dataset.torch_loader import Samples
from brs_ml.dataset.windows import WindowSpec
from brs_ml.policy.checkpoint import DataCard, PolicyCard
from brs_ml.policy.corrections import (
    begun,
    check_alike,
    corrected_card,
    corrected_steps,
    mixture,
    narrowed,
)
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.fewstep import distilled
from brs_ml.policy.hands import HandFrame
from brs_ml.policy.model import PolicyModel, build_model
from brs_ml.policy.normalisation import normalisation_of
from brs_ml.policy.trainer import STATE_FILE, Report, Rollouts, Trainer
from brs_ml.policy.training_config import RunConfig

# The network, its loss if that is not its own, what its checkpoints tell, and windows: for
# training, and by name for validation.
Parts = tuple[
    PolicyModel,
    torch.nn.Module | None,
    PolicyCard,
    tuple[Samples, Mapping[str, Samples]],
]


def train(
    config: RunConfig,
    data: Path,
    layout: RobotLayout,
    out: Path,
    report: Report,
    *,
    resume: bool = False,
    rollouts: Rollouts | None = None,
    hands: tuple[HandFrame, ...] = (),
) -> Path:
    """Train a policy; on several processes if torchrun started this one.

    Args:
        config: network, recipe, and teacher or corrections if there are any.
        data: a data set's folder.
        layout: the robot that it is of.
        out: folder of checkpoints; made here.
        report: told of losses and errors, of the first process.
        resume: go on with the run that is there.
        rollouts: tries the policy now and then.
        hands: where the robot's are; of policies that see what is near them.

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
        trainer = make_trainer(config, data, layout, out, report, device, rollouts, hands)
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
    rollouts: Rollouts | None = None,
    hands: tuple[HandFrame, ...] = (),
) -> Trainer:
    """The trainer of a run, at its start; see `train`."""
    torch.manual_seed(config.training.seed)
    if config.corrections.data:
        model, loss, card, readers = _corrected(config, data, layout, hands)
    else:
        model, loss, card, readers = _from_data(config, data, layout, hands)
    return Trainer(
        *(model, card, readers, config.training, out, report),
        loss=loss,
        device=device,
        rollouts=rollouts,
    )


def _from_data(
    config: RunConfig, data: Path, layout: RobotLayout, hands: tuple[HandFrame, ...]
) -> Parts:
    """A run that learns from a data set alone, perhaps with a teacher."""
    dataset = Dataset(data)
    index = dataset.index
    cameras = tuple(
        key.removeprefix("image.") for key in index.features if key.startswith("image.")
    )
    model, loss = _model(config, layout, cameras)
    _check_features(model, index, data)
    normalisation = normalisation_of(config.policy, layout, index, hands)
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
    readers = {"val": _reader(dataset, model, config, False)} if _is_split(dataset) else {}
    return model, loss, card, (_reader(dataset, model, config, True), readers)


def _corrected(
    config: RunConfig, data: Path, layout: RobotLayout, hands: tuple[HandFrame, ...]
) -> Parts:
    """A run that goes on from a policy, with corrections of it mixed into the original data."""
    where = Path(config.corrections.data)
    sets = Dataset(data), Dataset(where)
    original, corrections = (dataset.index for dataset in sets)
    model, card = begun(config.corrections, config.policy, layout, hands)
    _check_features(model, original, data)
    check_alike(original, corrections, str(where))
    if card.config.vision == "cloud":
        told, box = card.normalisation, original.features["cloud"]
        if (told.cloud_lower, told.cloud_upper) != (box.lower[:3], box.upper[:3]):
            raise PolicyError(
                f"has another box of clouds than {config.corrections.checkpoint}",
                where=str(data),
                remedy="build the data set with the box that the policy learnt with",
            )
    cards = card_of(original, data), card_of(corrections, where)
    card = replace(
        corrected_card(card, *cards, config.corrections),
        seed=config.training.seed,
        image_crop=config.training.augmentation.crop,
    )
    demonstrated, corrected = (_reader(dataset, model, config, True) for dataset in sets)
    readers: dict[str, Samples] = {}
    if _is_split(sets[0]):
        readers["val"] = _reader(sets[0], model, config, False)
    if _is_split(sets[1]):
        unseen = narrowed(_reader(sets[1], model, config, False), corrected_steps(sets[1]))
        if len(unseen):
            readers["corrections"] = unseen
    return model, None, card, (mixture(demonstrated, corrected, config.corrections), readers)


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
        points=policy.cloud_points,
        augmentation=config.training.augmentation,
        seed=config.training.seed,
        training=training,
    )


def _is_split(dataset: Dataset) -> bool:
    return any(episode.split == "validation" for episode in dataset.episodes)


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
