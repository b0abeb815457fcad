"""WB-VMA: denoise the base's path, then the torso's, then the arms', each told of those before.

    observations -> encoder -> readout --+------------+------------+
                                         v            v            v
                             noise -> U-Net base   U-Net torso   U-Net arms
                                         |            ^   |        ^   ^
                                         +--- path ---+---|--------+   |
                                                          +--- path ---+

In training the paths before are the true ones (teacher forcing), and each stage has its own time.
With one stage and without attention it is Diffusion Policy: DP3 with clouds, RGB-DP with pictures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from brs_ml.dataset.layout import RobotLayout
from brs_ml.policy.config import PolicyConfig
from brs_ml.policy.encoders import Encoder
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.model import Batch, PolicyModel
from brs_ml.policy.sampling import FastSampler, sample
from brs_ml.policy.schedules import training_scheduler
from brs_ml.policy.unet import FilmUNet


@dataclass(frozen=True)
class Draws:
    """What is random in a loss, of n = b * readouts chunks."""

    noise: Tensor  # (n, T_a, d) normal
    moment: Tensor  # (n, stages) uniform within 0 and 1: the time of each stage


class DiffusionPolicy(PolicyModel):
    """See the module. Args: see `PolicyModel`."""

    def __init__(
        self, config: PolicyConfig, layout: RobotLayout, cameras: Sequence[str] = ()
    ) -> None:
        super().__init__(config, layout, cameras)
        self.encoder = Encoder(config, layout.size, cameras)
        self.stages = tuple(_slice_of(layout, stage) for stage in config.stages)
        self.windows = config.diffusion.windows if config.diffusion.objective == "reflow" else 1
        self.denoisers: Any = nn.ModuleList(
            FilmUNet(
                stage.stop - stage.start,
                config.width + config.actions * self._upstream(stage),
                config.unet,
                self.windows,
            )
            for stage in self.stages
        )
        self.scheduler = training_scheduler(config.diffusion)

    def _upstream(self, stage: slice) -> int:
        return int(stage.start) if self.config.autoregressive else 0

    def condition(self, stage: slice, readout: Tensor, actions: Tensor) -> Tensor:
        """(n, c) what a stage is told: the readout (n, width) and the paths before it.

        Args:
            stage: numbers of an action that it denoises.
            readout: (n, width).
            actions: (n, T_a, d) clean; only what is before the stage is read.
        """
        before = actions[..., : self._upstream(stage)].flatten(1)
        return torch.cat([readout, before], dim=-1)

    def loss(self, batch: Batch) -> Tensor:
        """See `PolicyModel.loss`."""
        readouts = self.encoder(batch)
        shape = (readouts.shape[0] * readouts.shape[1], self.config.actions, self.layout.size)
        draws = Draws(
            torch.randn(shape, device=readouts.device),
            torch.rand((shape[0], len(self.stages)), device=readouts.device),
        )
        return self.loss_of(readouts, batch["action"], batch["action_mask"], draws)

    def loss_of(self, readouts: Tensor, action: Tensor, mask: Tensor, draws: Draws) -> Tensor:
        """BRS's loss: squared errors summed over an action's numbers, mean over the actions that
        are there, times T_a.

        Args:
            readouts: (b, r, width).
            action: (b, r, T_a, d) normalised, or (b, T_a, d) where r = 1.
            mask: (b, r, T_a) bool, or (b, T_a).
            draws: noise and times, of b * r chunks.

        Raises:
            PolicyError: the objective is learnt from a teacher, not from data.
        """
        readout, mask = readouts.flatten(0, 1), mask.reshape(-1, mask.shape[-1])
        action = action.reshape(-1, *action.shape[-2:])
        errors = torch.zeros(mask.shape, device=action.device)
        for number, stage in enumerate(self.stages):
            clean, noise = action[..., stage], draws.noise[..., stage]
            noisy, step, target = self._noisy(clean, noise, draws.moment[:, number])
            told = self.condition(stage, readout, action)
            errors = errors + (self.denoisers[number](noisy, step, told) - target).square().sum(-1)
        return (errors * mask).sum() / mask.sum().clamp(min=1) * self.config.actions

    def _noisy(
        self, clean: Tensor, noise: Tensor, moment: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Noisy actions, their time in steps of training, and what is to be told of them."""
        config = self.config.diffusion
        if config.objective == "epsilon":
            step = (moment * config.train_steps).long().clamp(max=config.train_steps - 1)
            return self.scheduler.add_noise(clean, noise, step), step, noise
        if config.objective == "flow":
            time = (1.0 - moment)[:, None, None]
            step = (1.0 - moment) * config.train_steps - 1.0
            return torch.lerp(clean, noise, time), step, noise - clean
        raise PolicyError(
            f"'{config.objective}' is learnt from a teacher", remedy="give distillation.teacher"
        )

    @torch.no_grad()
    def predict(self, batch: Batch, noise: Tensor) -> Tensor:
        """See `PolicyModel.predict`; each step by diffusers, as the algorithm is written."""
        start = self.config.diffusion.start_noise * noise
        return sample(self, self.encoder(batch)[:, -1], start)

    def decayed(self) -> Iterator[nn.Parameter]:
        """The transformer's matrices only (BRS)."""
        layers = self.encoder.fusion.named_parameters()
        return (p for name, p in layers if p.ndim >= 2 and "places" not in name)

    def fast(self) -> FastSampler:
        """The same predictions, sooner; of the weights as they are now."""
        return FastSampler(self)


def _slice_of(layout: RobotLayout, parts: Sequence[str]) -> slice:
    return slice(layout.slice_of(parts[0]).start, layout.slice_of(parts[-1]).stop)
