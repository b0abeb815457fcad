"""The 1-D U-Net of Diffusion Policy, told what to do by scale and shift of its features (FiLM)."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from brs_ml.policy.config import UNetConfig


class ConvBlock(nn.Module):
    """Convolution, group normalisation, Mish."""

    def __init__(self, inputs: int, outputs: int, config: UNetConfig) -> None:
        super().__init__()
        self.conv = nn.Conv1d(inputs, outputs, config.kernel, padding=config.kernel // 2)
        self.norm = nn.GroupNorm(config.groups, outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(b, outputs, t) of (b, inputs, t)."""
        return functional.mish(self.norm(self.conv(x)))


class FilmBlock(nn.Module):
    """Two convolutions around a scale and shift, and a way past them."""

    def __init__(self, inputs: int, outputs: int, config: UNetConfig) -> None:
        super().__init__()
        self.outputs = outputs
        self.first = ConvBlock(inputs, outputs, config)
        self.second = ConvBlock(outputs, outputs, config)
        self.past = nn.Conv1d(inputs, outputs, 1) if inputs != outputs else nn.Identity()

    def forward(self, x: Tensor, film: Tensor) -> Tensor:
        """(b, outputs, t) of x (b, inputs, t) and film (b, 2 * outputs): scales, then shifts."""
        scale, shift = film[..., None].chunk(2, dim=1)
        out: Tensor = self.second(scale * self.first(x) + shift) + self.past(x)
        return out


class StepEncoder(nn.Module):
    """Features of the time of diffusion.

    Args:
        features: numbers that come out.
        windows: of time that are told apart; 1 tells none.
    """

    def __init__(self, features: int, windows: int = 1) -> None:
        super().__init__()
        self.features = features
        self.expand = nn.Linear(features, 4 * features)
        self.contract = nn.Linear(4 * features, features)
        self.window = nn.Embedding(windows, features) if windows > 1 else None
        if self.window is not None:
            nn.init.zeros_(self.window.weight)

    def forward(self, step: Tensor, window: Tensor | None = None) -> Tensor:
        """(b, features) of steps (b,), in steps of training, and windows (b,) int64."""
        hidden = sinusoids(step, self.features).to(self.expand.weight.dtype)
        out: Tensor = self.contract(functional.mish(self.expand(hidden)))
        if self.window is None:
            return out
        if window is None:
            raise ValueError("this network needs to know the window")
        return out + self.window(window)


def sinusoids(step: Tensor, features: int) -> Tensor:
    """(b, features): sines, then cosines of (b,) steps, of wavelengths 2 pi to 20,000 pi."""
    half = features // 2
    exponents = torch.arange(half, device=step.device, dtype=torch.float32) / (half - 1)
    angles = step[:, None].float() * torch.exp(-math.log(10000.0) * exponents)
    return torch.cat([angles.sin(), angles.cos()], dim=-1)


class FilmUNet(nn.Module):
    """Denoiser of a short path, down to half its length a level and back.

    What the blocks are told comes of one linear layer for all of them; that is as many matrices,
    one for each block, one above the other.

    Args:
        size: numbers of an action.
        condition: numbers the network is told.
        config: sizes.
        windows: of time that it tells apart.
    """

    def __init__(self, size: int, condition: int, config: UNetConfig, windows: int = 1) -> None:
        super().__init__()
        widths = config.widths
        self.step = StepEncoder(config.step_features, windows)

        def pair(inputs: int, outputs: int) -> nn.ModuleList:
            blocks = ((inputs, outputs), (outputs, outputs))
            return nn.ModuleList(FilmBlock(before, after, config) for before, after in blocks)

        levels = list(zip((size, *widths[:-1]), widths, strict=True))
        self.down: Any = nn.ModuleList(pair(before, after) for before, after in levels)
        self.shrink: Any = nn.ModuleList(
            nn.Conv1d(w, w, 3, stride=2, padding=1) for w in widths[:-1]
        )
        self.middle: Any = pair(widths[-1], widths[-1])
        back = levels[:0:-1]  # but the first, from the deepest up
        self.up: Any = nn.ModuleList(pair(2 * after, before) for before, after in back)
        self.grow: Any = nn.ModuleList(
            nn.ConvTranspose1d(before, before, 4, stride=2, padding=1) for before, _ in back
        )
        self.last = ConvBlock(widths[0], widths[0], config)
        self.out = nn.Conv1d(widths[0], size, 1)
        told = [2 * block.outputs for block in self.modules() if isinstance(block, FilmBlock)]
        self.film = nn.Linear(config.step_features + condition, sum(told))

    def forward(
        self, x: Tensor, step: Tensor, condition: Tensor, window: Tensor | None = None
    ) -> Tensor:
        """What is asked of it: noise, or a velocity.

        Args:
            x: (b, T_a, size) noisy actions.
            step: (b,) time, in steps of training.
            condition: (b, condition).
            window: (b,) int64 of time, if it tells windows apart.

        Returns:
            (b, T_a, size).
        """
        told = torch.cat([self.step(step, window), condition], dim=-1)
        return self.denoise(x, self.film(functional.mish(told)))

    def denoise(self, x: Tensor, film: Tensor) -> Tensor:
        """The same, told by (b, all blocks) scales and shifts."""
        films = iter(film.split([2 * block.outputs for block in self.blocks()], dim=-1))
        x = x.transpose(1, 2)
        skipped = []
        for level, (first, second) in enumerate(self.down):
            x = second(first(x, next(films)), next(films))
            skipped.append(x)
            if level < len(self.shrink):
                x = self.shrink[level](x)
        for block in self.middle:
            x = block(x, next(films))
        for (first, second), grow in zip(self.up, self.grow, strict=True):
            x = torch.cat([x, skipped.pop()], dim=1)
            x = grow(second(first(x, next(films)), next(films)))
        return self.out(self.last(x)).transpose(1, 2)

    def blocks(self) -> list[FilmBlock]:
        """All blocks, in the order in which they work."""
        pairs = (*self.down, self.middle, *self.up)
        return [block for pair in pairs for block in pair]
