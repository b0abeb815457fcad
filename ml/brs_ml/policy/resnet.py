"""ResNet-18, with the names of torchvision's weights, so that these can be loaded."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from brs_ml.policy.errors import PolicyError

_CHANNELS = (64, 128, 256, 512)


class FrozenNorm(nn.Module):
    """Batch normalisation by the statistics it came with."""

    weight: Tensor
    bias: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0)):
            self.register_buffer(name, torch.full((channels,), value))
        for name, value in (("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x: Tensor) -> Tensor:
        """(b, channels, h, w)."""
        return functional.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            self.weight,
            self.bias,
        )


def _norm(kind: str, channels: int) -> nn.Module:
    return FrozenNorm(channels) if kind == "frozen" else nn.GroupNorm(channels // 16, channels)


class _Block(nn.Module):
    def __init__(self, inputs: int, outputs: int, stride: int, norm: str) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = _norm(norm, outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = _norm(norm, outputs)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or inputs != outputs:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, _norm(norm, outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(out + self.downsample(x))


class ResNet18(nn.Module):
    """The network up to its last feature map.

    Args:
        norm: group, or frozen (see `ResNetConfig`).
        weights: safetensors file; empty: from scratch.

    Raises:
        PolicyError: the file is missing or holds another network.
    """

    features = _CHANNELS[-1]

    def __init__(self, norm: str = "group", weights: str = "") -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = _norm(norm, 64)
        before = 64
        for number, channels in enumerate(_CHANNELS, 1):
            stride = 1 if number == 1 else 2
            blocks = (
                _Block(before, channels, stride, norm),
                _Block(channels, channels, 1, norm),
            )
            self.add_module(f"layer{number}", nn.Sequential(*blocks))
            before = channels
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
        if weights:
            self._load(Path(weights))

    def forward(self, images: Tensor) -> Tensor:
        """(b, 512, h / 32, w / 32) of (b, 3, h, w)."""
        x = functional.relu(self.bn1(self.conv1(images)))
        x = functional.max_pool2d(x, 3, 2, 1)
        for number in range(1, len(_CHANNELS) + 1):
            x = self.get_submodule(f"layer{number}")(x)
        return x

    def _load(self, path: Path) -> None:
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            found = load_file(path)
        except (OSError, SafetensorError) as error:
            raise PolicyError(
                f"cannot be read ({error})",
                where=str(path),
                remedy="give weights of a ResNet-18 as safetensors, or none",
            ) from None
        # What only the classifier and the counting of batches need is left out.
        kept = {
            k: v for k, v in found.items() if not k.startswith("fc.") and "num_batches" not in k
        }
        try:
            self.load_state_dict(kept)
        except RuntimeError as error:
            raise PolicyError(
                "holds other weights than a ResNet-18's: " + str(error).splitlines()[1].strip(),
                where=str(path),
                remedy="batch-normalised weights need resnet.norm=frozen",
            ) from None
