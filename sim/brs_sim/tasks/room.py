"""Rooms: walls, light, and what hangs and stands about."""

from __future__ import annotations

from dataclasses import dataclass, field

import mujoco
import numpy as np

from brs_sim.model import THIRD_PERSON, looking_at
from brs_sim.tasks.config import RoomConfig
from brs_sim.tasks.furniture import PALE, add_block, add_picture, add_window

HEIGHT_M = 2.4
_THICK_M = 0.08
_SKIRTING_M = 0.08


@dataclass(frozen=True)
class Decoration:
    """How a room looks."""

    brightness: float
    light_colour: np.ndarray  # (3,) 0..1
    wall: np.ndarray  # (3,) RGB 0..1
    floor: np.ndarray  # (3,)
    distractors: int  # how many
    seed: int  # of the distractors

    @staticmethod
    def drawn(random: np.random.Generator, config: RoomConfig) -> Decoration:
        """One of those that the configuration allows."""
        warmth = random.uniform(*config.warmth)
        return Decoration(
            brightness=float(random.uniform(*config.brightness)),
            light_colour=np.array([1.0, 1.0 - 0.12 * warmth, 1.0 - 0.35 * warmth]),
            wall=random.choice(config.wall_colours),
            floor=random.choice(config.floor_colours),
            distractors=int(random.integers(config.distractors[0], config.distractors[1] + 1)),
            seed=int(random.integers(2**31)),
        )

    def light_up(self, spec: mujoco.MjSpec) -> None:
        """Light and floor of a room."""
        for light in spec.lights:
            light.diffuse = light.diffuse * self.brightness * self.light_colour
        head = spec.visual.headlight
        head.ambient = np.asarray(head.ambient) * self.brightness * self.light_colour
        head.diffuse = np.asarray(head.diffuse) * self.brightness
        spec.texture("floor").rgb1 = self.floor
        spec.texture("floor").rgb2 = self.floor * 0.94


@dataclass(frozen=True)
class Gap:
    """A doorway in a wall."""

    middle: float  # along the wall [m]
    width: float  # [m]
    height: float  # [m]


@dataclass(frozen=True)
class Room:
    """A rectangle with walls around it, and from where people look at it."""

    low: np.ndarray  # (2,) inner corner [m]
    high: np.ndarray  # (2,)
    view_from: np.ndarray  # (3,) of the third-person camera [m]
    view_at: np.ndarray  # (3,) [m]
    gaps: dict[str, Gap] = field(default_factory=dict)  # west, east, south, north -> doorway
    view_fov: float = 62.0  # [degrees], vertical
    window: tuple[np.ndarray, np.ndarray] | None = None  # its middle (3,) [m] and normal (3,)

    def build(self, spec: mujoco.MjSpec, decoration: Decoration) -> None:
        """Walls with skirtings, light, and a picture on the wall."""
        decoration.light_up(spec)
        walls = spec.worldbody.add_body(name="walls")
        for name in ("west", "east", "south", "north"):
            self._add_wall(walls, name, decoration.wall)
        if self.window is not None:
            add_window(spec, "window", *self.window, np.array([1.1, 1.0]))
        camera = spec.camera(THIRD_PERSON)
        camera.pos = self.view_from
        camera.quat = looking_at(self.view_from, self.view_at)
        camera.fovy = self.view_fov

    def _add_wall(self, walls: mujoco.MjsBody, name: str, colour: np.ndarray) -> None:
        """`west` is the wall of least x, `south` that of least y."""
        along = 1 if name in ("west", "east") else 0
        outward = 1.0 if name in ("east", "north") else -1.0
        face = (self.high if outward > 0 else self.low)[1 - along]
        ends = np.array([self.low[along] - _THICK_M, self.high[along] + _THICK_M])
        gap = self.gaps.get(name)
        spans = [(ends[0], ends[1], 0.0)]
        if gap is not None:
            left, right = gap.middle - gap.width / 2, gap.middle + gap.width / 2
            spans = [(ends[0], left, 0.0), (right, ends[1], 0.0), (left, right, gap.height)]
        for i, (begin, end, bottom) in enumerate(spans):
            for part, thick, top, tint in (
                ("wall", _THICK_M, HEIGHT_M, colour),
                ("skirting", -0.012, _SKIRTING_M, np.array(PALE[:3])),
            ):
                if bottom >= top:
                    continue
                low, high = np.zeros(3), np.zeros(3)
                low[along], high[along] = begin, end
                low[1 - along], high[1 - along] = sorted((face, face + outward * thick))
                low[2], high[2] = bottom, top
                add_block(walls, f"{part}_{name}{i}", low, high, [*tint, 1.0])


def hang_pictures(
    spec: mujoco.MjSpec, places: list[tuple[np.ndarray, np.ndarray]], decoration: Decoration
) -> None:
    """Pictures on walls, of random size and colour.

    Args:
        spec: of the scene.
        places: middle (3,) on the wall and its normal (3,) into the room.
        decoration: of the room.
    """
    random = np.random.default_rng([decoration.seed, 1])
    for i, (middle, normal) in enumerate(places):
        size = random.uniform([0.3, 0.3], [0.6, 0.5])
        add_picture(spec, f"picture{i}", middle, normal, size, random.uniform(0.2, 0.9, 3))
