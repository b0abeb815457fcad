"""ResNet-18: as large as published, with the names of published weights, and their use."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from brs_ml.policy.errors import PolicyError
from brs_ml.policy.resnet import FrozenNorm, ResNet18


def test_it_is_as_large_as_published() -> None:
    """11,689,512 with the classifier of 1,000 classes, which is not here."""
    torch.set_num_threads(1)
    net = ResNet18()
    classifier = 512 * 1000 + 1000
    assert sum(p.numel() for p in net.parameters()) == 11_689_512 - classifier
    assert net(torch.rand(1, 3, 64, 96)).shape == (1, 512, 2, 3)


def test_a_frozen_norm_is_batch_normalisation_in_use() -> None:
    theirs, ours = nn.BatchNorm2d(4).eval(), FrozenNorm(4)
    for value in (theirs.weight, theirs.bias, theirs.running_mean, theirs.running_var):
        nn.init.uniform_(value, 0.5, 2.0)
    state = {k: v for k, v in theirs.state_dict().items() if k != "num_batches_tracked"}
    ours.load_state_dict(state)
    x = torch.randn(2, 4, 3, 3)
    torch.testing.assert_close(ours(x), theirs(x))


def test_published_weights_can_be_loaded(tmp_path: Path) -> None:
    net = ResNet18("frozen")
    state = dict(net.state_dict())
    assert {"conv1.weight", "layer1.0.bn2.running_var", "layer4.0.downsample.1.bias"} <= set(state)
    state["conv1.weight"] = torch.full_like(state["conv1.weight"], 0.5)
    extra = {"fc.weight": torch.zeros(3, 512), "bn1.num_batches_tracked": torch.tensor(5)}
    save_file({**state, **extra}, tmp_path / "resnet.safetensors")
    loaded = ResNet18("frozen", str(tmp_path / "resnet.safetensors"))
    assert loaded.conv1.weight.eq(0.5).all()
    with pytest.raises(PolicyError, match="norm=frozen"):
        ResNet18("group", str(tmp_path / "resnet.safetensors"))
    (tmp_path / "no.safetensors").write_bytes(b"nothing")
    with pytest.raises(PolicyError, match="cannot be read"):
        ResNet18("frozen", str(tmp_path / "no.safetensors"))
