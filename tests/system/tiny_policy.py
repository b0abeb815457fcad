"""Checkpoints of untrained networks for real robots: small, and the same every time."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from brs_hardware.embodiment import load_embodiment
from brs_hardware.perception.config import load_cloud
from brs_ml.dataset.robot_layout import layout_of
from brs_ml.policy.config import (
    ActConfig,
    PointNetConfig,
    PolicyConfig,
    ResNetConfig,
    TransformerConfig,
    UNetConfig,
)
from brs_ml.policy.untrained import write_untrained

SMALL: dict[str, Any] = {
    "width": 8,
    "proprioception_hidden": (6,),
    "pointnet": PointNetConfig(hidden=(7,)),
    "transformer": TransformerConfig(layers=1, heads=2, feed_forward=12, positions=16),
    "unet": UNetConfig(widths=(4, 8), kernel=3, groups=2, step_features=6),
}
ACT = ActConfig(width=16, heads=2, feed_forward=16, encoder_layers=1, latent=4)
PICTURES = {"kind": "act", "vision": "images", "act": ACT, "resnet": ResNetConfig(features=16)}


def write(path: Path, name: str = "r1", *, pictures: bool = False, **changes: Any) -> Path:
    """A WB-VMA that sees clouds, or an ACT that sees pictures."""
    robot = load_embodiment(name)
    config = PolicyConfig(**{**SMALL, **(PICTURES if pictures else {}), **changes})
    crop = load_cloud("default").crop
    cameras = tuple(robot.cameras) if pictures else ()
    box = (crop.lower.tolist(), crop.upper.tolist())
    return write_untrained(path, config, layout_of(robot), box, cameras=cameras)
