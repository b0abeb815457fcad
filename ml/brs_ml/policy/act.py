"""ACT, the action chunking transformer, as a baseline.

A style variable is learnt from the actions in training and is zero when the policy runs. Places
are added to the tokens once, not in each layer; T_o observations are tokens side by side.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from brs_ml.dataset.layout import RobotLayout
from brs_ml.policy.config import ActConfig, PolicyConfig
from brs_ml.policy.model import Batch, PolicyModel
from brs_ml.policy.pointnet import PointNet
from brs_ml.policy.resnet import ResNet18
from brs_ml.policy.unet import sinusoids


class ActPolicy(PolicyModel):
    """See the module. Args: see `PolicyModel`."""

    def __init__(
        self, config: PolicyConfig, layout: RobotLayout, cameras: Sequence[str] = ()
    ) -> None:
        super().__init__(config, layout, cameras)
        act, size = config.act, layout.size
        self.vision = _Vision(config, self.cameras)
        self.proprioception = nn.Linear(size, act.width)
        self.latent = nn.Linear(act.latent, act.width)
        self.seen_places = nn.Embedding(config.observations, act.width)
        self.kinds = nn.Embedding(3, act.width)  # style, proprioception, what is seen
        self.encoder = _encoder(act)
        self.style = _Style(act, size, config.actions)
        self.queries = nn.Embedding(config.actions, act.width)
        layer = nn.TransformerDecoderLayer(
            act.width, act.heads, act.feed_forward, act.dropout, batch_first=True
        )
        self.decoder = nn.TransformerDecoder(layer, act.decoder_layers, nn.LayerNorm(act.width))
        self.out = nn.Linear(act.width, size)

    def loss(self, batch: Batch) -> Tensor:
        """L1 of the actions that are there, and how far the style is from a normal one."""
        action, mask = batch["action"], batch["action_mask"]
        mean, log_variance = self.style(batch["proprioception"][:, -1], action, mask)
        latent = mean + torch.randn_like(mean) * (log_variance / 2.0).exp()
        errors = (self._chunk(batch, latent) - action).abs().mean(dim=-1)
        far = (mean.square() + log_variance.exp() - log_variance - 1.0).sum(dim=-1).mean() / 2.0
        error = (errors * mask).sum() / mask.sum().clamp(min=1)
        return error + self.config.act.kl_weight * far

    @torch.no_grad()
    def predict(self, batch: Batch, noise: Tensor) -> Tensor:
        """See `PolicyModel.predict`; nothing is random, noise is not looked at."""
        return self._chunk(batch, noise.new_zeros(len(noise), self.config.act.latent))

    def _chunk(self, batch: Batch, latent: Tensor) -> Tensor:
        steps = self.seen_places.weight[:, None]
        kinds = self.kinds.weight
        own = self.proprioception(batch["proprioception"])[:, :, None] + steps + kinds[1]
        seen = self.vision(batch) + steps + kinds[2]
        tokens = torch.cat([own, seen], dim=2).flatten(1, 2)
        style = self.latent(latent)[:, None] + kinds[0]
        memory = self.encoder(torch.cat([style, tokens], dim=1))
        queries = self.queries.weight.expand(len(latent), -1, -1)
        out: Tensor = self.out(self.decoder(queries, memory))
        return out


class _Style(nn.Module):
    """Mean and logarithm of the variance of the style, of posture and actions."""

    def __init__(self, act: ActConfig, size: int, actions: int) -> None:
        super().__init__()
        self.start = nn.Parameter(torch.randn(act.width) * 0.02)
        self.proprioception = nn.Linear(size, act.width)
        self.action = nn.Linear(size, act.width)
        places = sinusoids(torch.arange(actions + 2), act.width)
        self.places: Tensor
        self.register_buffer("places", places, persistent=False)
        self.encoder = _encoder(act)
        self.out = nn.Linear(act.width, 2 * act.latent)

    def forward(self, own: Tensor, action: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """(b, latent) each of (b, d), (b, T_a, d) and (b, T_a) bool."""
        start = self.start.expand(len(own), 1, -1)
        tokens = [start, self.proprioception(own)[:, None], self.action(action)]
        hidden = torch.cat(tokens, dim=1) + self.places
        hidden = self.encoder(
            hidden, src_key_padding_mask=nn.functional.pad(~mask, (2, 0), value=False)
        )
        mean, log_variance = self.out(hidden[:, 0]).chunk(2, dim=-1)
        return mean, log_variance


class _Vision(nn.Module):
    """A token of each cloud, or one of each place in the feature maps of all cameras."""

    def __init__(self, config: PolicyConfig, cameras: Sequence[str]) -> None:
        super().__init__()
        width = config.act.width
        self.keys = [f"image.{camera}" for camera in cameras]
        self.images = config.vision == "images"
        if self.images:
            self.resnet = ResNet18(config.resnet.norm, config.resnet.weights)
            self.out = nn.Conv2d(ResNet18.features, width, 1)
            self.camera = nn.Embedding(len(cameras), width)
        else:
            self.pointnet = PointNet(config.pointnet, width)

    def forward(self, batch: Batch) -> Tensor:
        """(b, T_o, tokens, width)."""
        if not self.images:
            clouds = batch["cloud"]
            return self.pointnet(clouds.flatten(0, 1)).unflatten(0, clouds.shape[:2])[:, :, None]
        tokens = []
        for number, key in enumerate(self.keys):
            images = batch[key]
            features = self.out(self.resnet(images.flatten(0, 1)))
            features = features + _places(features) + self.camera.weight[number][:, None, None]
            tokens.append(features.flatten(2).mT.unflatten(0, images.shape[:2]))
        return torch.cat(tokens, dim=2)


def _places(features: Tensor) -> Tensor:
    """(width, h, w): half the features tell the row, half the column."""
    _, width, height, columns = features.shape
    rows = sinusoids(torch.arange(height, device=features.device), width // 2)
    across = sinusoids(torch.arange(columns, device=features.device), width // 2)
    both = (rows[:, None].expand(-1, columns, -1), across[None].expand(height, -1, -1))
    return torch.cat(both, dim=-1).permute(2, 0, 1)


def _encoder(act: ActConfig) -> nn.TransformerEncoder:
    layer = nn.TransformerEncoderLayer(
        act.width, act.heads, act.feed_forward, act.dropout, batch_first=True
    )
    return nn.TransformerEncoder(layer, act.encoder_layers, enable_nested_tensor=False)
