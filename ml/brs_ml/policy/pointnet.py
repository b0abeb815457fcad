"""PointNet without its transforms: one MLP for all points, then the largest of each feature."""

from __future__ import annotations

import itertools
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from brs_ml.policy.config import PointNetConfig

# Points that go through the MLP at once: their hidden features stay in a core's cache.
_BLOCK = 512


class PointNet(nn.Module):
    """Features of a cloud (BRS; GELU, orthogonal weights, zero biases).

    The largest value of a feature hangs on one point, so only that one has a gradient. Training
    therefore looks for these points first, without a graph, and then computes with a graph what
    they are: the same gradients at a fraction of the work and memory.

    Args:
        config: hidden widths, and whether colours are seen.
        features: numbers that come out.
    """

    def __init__(self, config: PointNetConfig, features: int) -> None:
        super().__init__()
        widths = (6 if config.colors else 3, *config.hidden, features)
        self.inputs = widths[0]
        layers = [nn.Linear(before, after) for before, after in itertools.pairwise(widths)]
        for layer in layers:
            nn.init.orthogonal_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.layers: Any = nn.ModuleList(layers)

    def forward(self, clouds: Tensor) -> Tensor:
        """(b, features) of (b, points, 6) clouds: x, y, z within -1 and 1, colours from 0 to 1."""
        clouds = clouds[..., : self.inputs]
        if not torch.is_grad_enabled():
            blocks = clouds.split(_BLOCK, dim=1)
            return torch.stack([self.points(block).amax(dim=1) for block in blocks]).amax(dim=0)
        with torch.no_grad():
            chosen = self._largest(clouds)
        return self._at(clouds, chosen)

    def plain(self, clouds: Tensor) -> Tensor:
        """The same, the usual way: every point with a graph."""
        return self.points(clouds[..., : self.inputs]).max(dim=-2).values

    def points(self, points: Tensor) -> Tensor:
        """(..., features) of (..., inputs) points."""
        return self._last(self._hidden(points))

    def _hidden(self, points: Tensor) -> Tensor:
        for layer in self.layers[:-1]:
            points = functional.gelu(layer(points))
        return points

    def _last(self, hidden: Tensor) -> Tensor:
        last: Tensor = self.layers[-1](hidden)
        return last

    def _largest(self, clouds: Tensor) -> Tensor:
        """Numbers of the points that have the largest features, (b, features)."""
        best = clouds.new_full((), -torch.inf)
        index = torch.zeros((), dtype=torch.long, device=clouds.device)
        for start in range(0, clouds.shape[1], _BLOCK):
            features = self.points(clouds[:, start : start + _BLOCK])
            highest, place = features.max(dim=1)
            index = torch.where(highest > best, place + start, index)
            best = torch.maximum(best, highest)
        return index

    def _at(self, clouds: Tensor, chosen: Tensor) -> Tensor:
        """Feature i of point chosen[:, i], (b, features), with a graph."""
        points = clouds.gather(1, chosen[..., None].expand(-1, -1, clouds.shape[-1]))
        last = self.layers[-1]
        return (self._hidden(points) * last.weight).sum(dim=-1) + last.bias
