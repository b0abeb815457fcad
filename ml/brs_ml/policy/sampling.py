"""From noise to a chunk: step by step as the algorithm is written, and the same sooner."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from brs_ml.policy.schedules import SamplerStep, levels_after, plan, sampling_scheduler
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
        levels = levels_after(model.config.diffusion)
        self._stages = [_Stage(net, self._steps, levels) for net in model.denoisers]
        self._seen: OrderedDict[object, Tensor] = OrderedDict()

    @torch.inference_mode()
    def __call__(
        self,
        batch: Batch,
        noise: Tensor,
        stamps: Sequence[object] | None = None,
        known: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """(1, T_a, d) normalised actions.

        Args:
            batch: proprioception (1, T_o, d), and cloud or pictures, normalised.
            noise: (1, T_a, d) normal.
            stamps: (T_o,) names of the observations, equal only if these are; None: unknown.
            known: (T_a, d) normalised actions that are settled, and (T_a,) how far, 0 to 1.
        """
        readout = self._model.encoder.fused(self._tokens(batch, stamps))[:, -1]
        noise = self._model.config.diffusion.start_noise * noise
        actions = torch.zeros_like(noise)
        for stage, part in zip(self._stages, self._model.stages, strict=True):
            told = self._model.condition(part, readout, actions)
            settled = None if known is None else (known[0][:, part], known[1][:, None])
            actions[..., part] = stage(noise[..., part], told, settled)
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

    def __init__(
        self, net: FilmUNet, steps: Sequence[SamplerStep], levels: Sequence[tuple[float, float]]
    ) -> None:
        self._net, self._steps, self._levels = net, steps, levels
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

    def __call__(
        self, noise: Tensor, told: Tensor, settled: tuple[Tensor, Tensor] | None = None
    ) -> Tensor:
        """(1, T_a, size) of noise; see `_settle` for what is settled."""
        films = self._films + functional.linear(functional.mish(told), self._weight)
        if self._compiled is None:
            x = noise
            for step, film, level in zip(self._steps, films, self._levels, strict=True):
                x = step.next(x, self._net.denoise(x, film[None]))
                if settled is not None:
                    x = _settle(x, noise, level, *settled)
            return x
        start = path = np.ascontiguousarray(noise[0].numpy())
        plain = None if settled is None else tuple(value.numpy() for value in settled)
        for step, film, level in zip(self._steps, films.numpy(), self._levels, strict=True):
            path = step.next(path, self._compiled(path, film))
            if plain is not None:
                path = _settle(path, start, level, *plain)
        return torch.from_numpy(path)[None]


def _settle(x: Any, noise: Any, level: tuple[float, float], clean: Any, known: Any) -> Any:
    """A path with what is settled put in its place, as noisy as the path is (inpainting).

    Real-time chunking's mask, 1 for what will be done before the chunk is there and less for what
    comes later; without its gradients, which compiled denoisers do not have.

    Args:
        x: (..., T_a, size) after a step.
        noise: (..., T_a, size) that it began with.
        level: signal and noise in it.
        clean: (T_a, size) what is settled.
        known: (T_a, 1) how far, 0 to 1.
    """
    return x + known * (level[0] * clean + level[1] * noise - x)
