"""What the bench of policies measures: our way and the plain way of the same thing."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from brs_ml.dataset.layout import RobotLayout
from brs_ml.policy.config import DiffusionConfig, PolicyConfig
from brs_ml.policy.diffusion import DiffusionPolicy
from brs_ml.policy.encoders import CloudVision
from brs_ml.policy.model import Batch
from brs_ml.policy.optimiser import make_optimiser
from brs_ml.policy.pointnet import PointNet
from brs_ml.policy.sampling import FastSampler
from brs_ml.policy.training_config import TrainConfig

POINTS = 4096
Contender = Callable[[], object]


class PlainVision(CloudVision):
    """Every point through every layer at once, all of them with a graph in training."""

    def encoded(self, pointnet: PointNet, clouds: Tensor) -> Tensor:
        """See `CloudVision`."""
        return pointnet.plain(clouds.flatten(0, 1)).unflatten(0, clouds.shape[:2])


def plain_policy(config: PolicyConfig, layout: RobotLayout) -> DiffusionPolicy:
    """The network as it is written down."""
    model = DiffusionPolicy(config, layout)
    model.encoder.vision = PlainVision(config)
    return model


def random_batch(config: PolicyConfig, layout: RobotLayout, count: int) -> dict[str, Tensor]:
    """Normalised windows of random numbers."""
    seen, told, size = config.observations, config.actions, layout.size
    chunks = (count, seen, told) if config.every_observation else (count, told)
    return {
        "proprioception": torch.rand(count, seen, size) * 2 - 1,
        "cloud": torch.rand(count, seen, POINTS, 6),
        "action": torch.rand(*chunks, size) * 2 - 1,
        "action_mask": torch.ones(chunks, dtype=torch.bool),
    }


def chunk_contenders(layout: RobotLayout) -> dict[str, Contender]:
    """One chunk of BRS's network: `plain`, `fast`, and of a policy of 2 steps `fewstep`.

    `following` ones see a window whose older observation was the newest one of the window
    before, as when a policy runs.
    """
    torch.set_num_threads(1)
    torch.manual_seed(0)
    config = PolicyConfig()
    few = replace(
        config, diffusion=DiffusionConfig(objective="reflow", windows=2, sampling_steps=2)
    )
    plain = plain_policy(config, layout).eval()
    model = DiffusionPolicy(config, layout).eval()
    model.load_state_dict(plain.state_dict())
    fast, fewstep = model.fast(), DiffusionPolicy(few, layout).eval().fast()
    batch = random_batch(config, layout, 1)
    seen = {key: batch[key] for key in ("proprioception", "cloud")}
    noise = torch.randn(1, config.actions, layout.size)
    torch.testing.assert_close(fast(seen, noise), plain.predict(seen, noise), atol=1e-4, rtol=1e-4)
    return {
        "plain": lambda: plain.predict(seen, noise),
        "fast": lambda: fast(seen, noise),
        "following": _following(fast, seen, noise),
        "fewstep": lambda: fewstep(seen, noise),
        "fewstep_following": _following(fewstep, seen, noise),
    }


def _following(fast: FastSampler, seen: Batch, noise: Tensor) -> Contender:
    moments = itertools.pairwise(itertools.count())
    return lambda: fast(seen, noise, next(moments))


def step_contenders(layout: RobotLayout, count: int) -> dict[str, Contender]:
    """One training step of a batch of `count` windows: `plain` and `ours`."""
    torch.set_num_threads(1)
    config = PolicyConfig()
    batch = random_batch(config, layout, count)
    return {
        "plain": _step(plain_policy(config, layout), batch),
        "ours": _step(DiffusionPolicy(config, layout), batch),
    }


def _step(model: DiffusionPolicy, batch: Batch) -> Contender:
    config = TrainConfig()
    optimiser = make_optimiser(model, config)

    def step() -> None:
        optimiser.zero_grad(set_to_none=True)
        model.loss(batch).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), config.clip)
        optimiser.step()

    return step
