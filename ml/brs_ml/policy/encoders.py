"""From observations to readouts: tokens of each observation, then attention or one MLP."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from brs_ml.policy.config import PolicyConfig
from brs_ml.policy.hands import SIDES
from brs_ml.policy.pointnet import PointNet
from brs_ml.policy.resnet import ResNet18
from brs_ml.policy.transformer import ObservationTransformer


def rectified(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers, each with a ReLU behind it."""
    pairs = itertools.pairwise(widths)
    return nn.Sequential(
        *(layer for before, after in pairs for layer in (nn.Linear(before, after), nn.ReLU()))
    )


class CloudVision(nn.Module):
    """One token of each observation's cloud, and one of what is near each hand if that is seen."""

    def __init__(self, config: PolicyConfig) -> None:
        super().__init__()
        self.points = config.pointnet.points
        self.pointnet = PointNet(config.pointnet, config.width)
        sides = SIDES if config.pointnet.hand_points else ()
        self.hands: Any = nn.ModuleList(PointNet(config.pointnet, config.width) for _ in sides)
        self.tokens = 1 + len(self.hands)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(b, T_o, tokens, width)."""
        tokens = [self.encoded(self.pointnet, _thinned(batch["cloud"], self.points))]
        for i, pointnet in enumerate(self.hands):
            tokens.append(self.encoded(pointnet, batch["hands"][:, :, i]))
        return torch.stack(tokens, dim=2)

    def encoded(self, pointnet: PointNet, clouds: Tensor) -> Tensor:
        """(b, T_o, width) of (b, T_o, points, 6)."""
        features: Tensor = pointnet(clouds.flatten(0, 1))
        return features.unflatten(0, clouds.shape[:2])


def _thinned(clouds: Tensor, points: int | None) -> Tensor:
    """At most so many points, evenly of those there are."""
    found = clouds.shape[-2]
    if points is None or found <= points:
        return clouds
    return clouds[..., torch.arange(points, device=clouds.device) * found // points, :]


class ImageVision(nn.Module):
    """One token of each camera; all cameras share the network."""

    def __init__(self, config: PolicyConfig, cameras: Sequence[str]) -> None:
        super().__init__()
        self.keys = [f"image.{camera}" for camera in cameras]
        self.tokens = len(cameras)
        self.resnet = ResNet18(config.resnet.norm, config.resnet.weights)
        self.features = nn.Linear(ResNet18.features, config.resnet.features)
        self.out = nn.Linear(config.resnet.features, config.width)

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(b, T_o, cameras, width)."""
        tokens = []
        for key in self.keys:
            images = batch[key]
            features = self.resnet(images.flatten(0, 1)).mean(dim=(-2, -1))
            tokens.append(self.out(self.features(features)).unflatten(0, images.shape[:2]))
        return torch.stack(tokens, dim=2)


class Encoder(nn.Module):
    """What the denoisers are told about the observations.

    Args:
        config: sizes.
        size: numbers of proprioception.
        cameras: whose pictures are seen, if pictures are.

    Attributes:
        readouts: that come out in training; the last one is of the newest observation.
    """

    def __init__(self, config: PolicyConfig, size: int, cameras: Sequence[str]) -> None:
        super().__init__()
        width, seen = config.width, config.observations
        self.proprioception = rectified((size, *config.proprioception_hidden, width))
        images = config.vision == "images"
        self.vision = ImageVision(config, cameras) if images else CloudVision(config)
        tokens = 1 + self.vision.tokens
        self.readouts = seen if config.every_observation else 1
        self.fusion: nn.Module
        if config.fusion == "attention":
            self.fusion = ObservationTransformer(width, tokens, config.transformer)
        else:
            hidden = (seen * tokens * width, *config.fusion_hidden)
            self.fusion = nn.Sequential(
                nn.Flatten(), rectified(hidden), nn.Linear(hidden[-1], width)
            )

    def forward(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(b, readouts, width) of a normalised batch."""
        return self.fused(self.tokens(batch))

    def tokens(self, batch: Mapping[str, Tensor]) -> Tensor:
        """(b, T_o, tokens, width), without the readouts: proprioception, then what is seen."""
        own = self.proprioception(batch["proprioception"])
        return torch.cat([own[:, :, None], self.vision(batch)], dim=2)

    def fused(self, tokens: Tensor) -> Tensor:
        """(b, readouts, width) of (b, T_o, tokens, width)."""
        return self.fusion(tokens).view(len(tokens), self.readouts, -1)
