"""From noise to a chunk: step by step as the algorithm is written, and the same sooner."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from brs_ml.policy.schedules import SamplerStep, plan, sampling_scheduler
from brs_ml.policy.unet import FilmUNet

try:
    from brs_ml.policy.kernels import CompiledUNet

    _COMPILES = True
except ModuleNotFoundError:  # no numba: slower, all the same
    _COMPILES = False

if TYPE_CHECKING:
    from brs_ml.policy.diffusion import DiffusionPolicy

Batch = Mapping[str, Tensor]


def sample(model: DiffusionPolicy, readout: Tensor, noise: Tensor) -> Tensor:
    """(b, T_a, d) normalised actions of (b, width) readouts and (b, T_a, d) normal noise."""
    actions = torch.zeros_like(noise)
    for denoiser, stage in zip(model.denoisers, model.stages, strict=True):
        told = model.condition(stage, readout, actions)
        actions[..., stage] = _denoised(model, denoiser, noise[..., stage], told)
    return actions


def _denoised(
    model: DiffusionPolicy, denoiser: torch.nn.Module, x: Tensor, told: Tensor
) -> Tensor:
    config = model.config.diffusion
    if config.objective == "epsilon":
        scheduler = sampling_scheduler(config)
        for step in scheduler.timesteps:
            answer = denoiser(x, step.to(x.device).expand(len(x)), told)
            x = scheduler.step(answer, step, x).prev_sample
        return x
    for step in plan(config):
        time = torch.full((len(x),), step.step, device=x.device)
        window = torch.full((len(x),), step.window, device=x.device)
        x = step.next(x, denoiser(x, time, told, window))
    return x


class FastSampler:
    """The same chunks of one observation after another, sooner.

    What the denoisers are told of time is computed once, what they are told of the observation
    once a chunk, not once a step; a cloud that was seen before (the newest one becomes the older
    one) is not encoded again; on a CPU the denoisers are compiled (`kernels`).

    Args:
        model: the network as it is now; on the CPU its weights are copied.
    """

    def __init__(self, model: DiffusionPolicy) -> None:
        self._model = model.eval()
        self._steps = plan(model.config.diffusion)
        self._stages = [_Stage(net, self._steps) for net in model.denoisers]
        self._seen: OrderedDict[object, Tensor] = OrderedDict()

    @torch.inference_mode()
    def __call__(
        self, batch: Batch, noise: Tensor, stamps: Sequence[object] | None = None
    ) -> Tensor:
        """(1, T_a, d) normalised actions.

        Args:
            batch: proprioception (1, T_o, d), and cloud or pictures, normalised.
            noise: (1, T_a, d) normal.
            stamps: (T_o,) names of the observations, equal only if these are; None: unknown.
        """
        readout = self._model.encoder.fused(self._tokens(batch, stamps))[:, -1]
        actions = torch.zeros_like(noise)
        for stage, part in zip(self._stages, self._model.stages, strict=True):
            told = self._model.condition(part, readout, actions)
            actions[..., part] = stage(noise[..., part], told)
        return actions

    def forget(self) -> None:
        """Nothing was seen before: stamps may come again with other observations."""
        self._seen.clear()

    def _tokens(self, batch: Batch, stamps: Sequence[object] | None) -> Tensor:
        """Tokens of all observations; those of the past are remembered by their stamps."""
        encoder, observed = self._model.encoder, []
        if stamps is None:
            return encoder.tokens(batch)
        for i, stamp in enumerate(stamps):
            if stamp not in self._seen:
                one = {key: value[:, i : i + 1] for key, value in batch.items()}
                self._seen[stamp] = encoder.tokens(one)
            self._seen.move_to_end(stamp)
            observed.append(self._seen[stamp])
        while len(self._seen) > len(stamps):
            self._seen.popitem(last=False)
        return torch.cat(observed, dim=1)


class _Stage:
    """One denoiser with what it is told of time, for all steps of a plan."""

    def __init__(self, net: FilmUNet, steps: Sequence[SamplerStep]) -> None:
        self._net, self._steps = net, steps
        device = net.film.weight.device
        times = torch.tensor([step.step for step in steps], device=device)
        windows = torch.tensor([step.window for step in steps], device=device)
        with torch.inference_mode():
            weight = net.film.weight
            split = net.step.features
            features = functional.mish(net.step(times, windows))
            self._films = functional.linear(features, weight[:, :split], net.film.bias)
            self._weight = weight[:, split:].contiguous()
        self._compiled = CompiledUNet(net) if device.type == "cpu" and _COMPILES else None

    def __call__(self, noise: Tensor, told: Tensor) -> Tensor:
        films = self._films + functional.linear(functional.mish(told), self._weight)
        if self._compiled is None:
            x = noise
            for step, film in zip(self._steps, films, strict=True):
                x = step.next(x, self._net.denoise(x, film[None]))
            return x
        path = np.ascontiguousarray(noise[0].numpy())
        for step, film in zip(self._steps, films.numpy(), strict=True):
            path = step.next(path, self._compiled(path, film))
        return torch.from_numpy(path)[None]
