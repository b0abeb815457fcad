"""What the collision guard keeps apart: config/robots/*_collisions.yaml, and keep-out boxes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from brs_hardware import config as yaml_config
from brs_hardware.embodiment import Embodiment


@dataclass(frozen=True)
class Shape:
    """A box that belongs to a link, for parts that the URDF draws but gives no collision shape."""

    link: str
    position: np.ndarray  # (3,) centre in the link [m]
    half_size: np.ndarray  # (3,) [m]
    stands_for: tuple[str, ...] = ()  # moving links, in whichever place they are

    def __post_init__(self) -> None:
        if np.shape(self.position) != (3,) or np.shape(self.half_size) != (3,):
            raise ValueError(f"shape of '{self.link}': position and half_size need 3 numbers each")
        yaml_config.positive(self, "half_size")


@dataclass(frozen=True)
class CollisionConfig:
    """What may come how near to what; config/robots/*_collisions.yaml."""

    stop_distance_m: float  # nothing comes nearer than this
    slow_distance_m: float  # nearer than this, the speed of approach is limited
    approach_speed_m_s: float  # allowed at slow_distance_m, falling to 0 at stop_distance_m
    braking_share: float  # of the joints' deceleration that slowing down may plan with, 0..1
    floor_height_m: float  # z of the floor in base_link
    shapes: tuple[Shape, ...] = ()
    left_out: tuple[str, ...] = ()  # links whose URDF shapes are not used
    floor_exempt: tuple[str, ...] = ()  # links that may touch the floor
    keep_out_exempt: tuple[str, ...] = ()  # links that no joint moves
    # reason -> link -> links that are not checked against it; `brs_hardware.collision_pairs`
    disabled: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not 0.0 < self.stop_distance_m < self.slow_distance_m:
            raise ValueError("needs 0 < stop_distance_m < slow_distance_m")
        if not (self.approach_speed_m_s > 0.0 and 0.0 < self.braking_share <= 1.0):
            raise ValueError("needs approach_speed_m_s > 0 and 0 < braking_share <= 1")

    def disabled_pairs(self) -> set[frozenset[str]]:
        """Pairs of links that are not checked against each other."""
        return {
            frozenset((first, second))
            for links in self.disabled.values()
            for first, others in links.items()
            for second in others
        }


@dataclass(frozen=True)
class KeepOut:
    """An upright box where the robot must not be, such as a table."""

    name: str
    centre: np.ndarray  # (3,) [m]
    half_size: np.ndarray  # (3,) [m]
    yaw_rad: float = 0.0  # about z
    frame: str = "base_link"  # or `odom`: then it stays behind when the base drives

    def __post_init__(self) -> None:
        if np.shape(self.centre) != (3,) or np.shape(self.half_size) != (3,):
            raise ValueError(f"keep-out '{self.name}': centre and half_size need 3 numbers each")
        if not np.all(np.asarray(self.half_size) > 0.0):
            raise ValueError(f"keep-out '{self.name}': half_size must be positive")
        if self.frame not in ("base_link", "odom"):
            raise ValueError(f"keep-out '{self.name}': frame is 'base_link' or 'odom'")


def load_collision_config(embodiment: Embodiment) -> CollisionConfig:
    """`<robot>_collisions.yaml` beside the robot's YAML.

    Raises:
        ConfigError: no such file, or what `brs_hardware.config.load` refuses.
    """
    robot = Path(embodiment.path)
    return yaml_config.load(CollisionConfig, robot.with_name(f"{robot.stem}_collisions.yaml"))
