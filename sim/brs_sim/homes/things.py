"""Small household things from simple shapes, each with a flat bottom at its origin."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from brs_sim.tasks import furniture as f

# kind -> least and greatest radius (or half depth), half width (or unused), height [m]
_SIZES = {
    "box": ((0.020, 0.030, 0.08), (0.035, 0.060, 0.18)),
    "can": ((0.028, 0.0, 0.09), (0.036, 0.0, 0.13)),
    "bottle": ((0.028, 0.0, 0.16), (0.038, 0.0, 0.22)),
    "book": ((0.070, 0.100, 0.02), (0.090, 0.125, 0.045)),
    "mug": ((0.036, 0.0, 0.08), (0.042, 0.0, 0.10)),
}
GRASPABLE = ("can", "bottle")  # by one gripper, from any side
_DENSITY = 260.0  # [kg/m^3], packages that are not quite full


@dataclass(frozen=True)
class Thing:
    """One thing that can be moved."""

    name: str
    kind: str
    size: np.ndarray  # (3,) see _SIZES [m]
    colour: np.ndarray  # (3,) RGB 0..1
    place: np.ndarray  # (3,) of the middle of its bottom [m]
    yaw: float  # [rad]

    @property
    def radius(self) -> float:
        """Of the circle around it, seen from above [m]."""
        return float(np.hypot(self.size[0], self.size[1]))


def draw_thing(
    random: np.random.Generator, name: str, kinds: tuple[str, ...] = tuple(_SIZES)
) -> Thing:
    """A thing that lies nowhere yet."""
    kind = kinds[int(random.integers(len(kinds)))]
    colour = random.uniform(0.1, 0.95, 3)
    size = random.uniform(*_SIZES[kind])
    return Thing(name, kind, size, colour, np.zeros(3), float(random.uniform(-np.pi, np.pi)))


def add_thing(spec: mujoco.MjSpec, thing: Thing) -> None:
    """Adds it; its body and free joint have its name."""
    body = f.add_thing(spec, thing.name, thing.place, thing.yaw)
    x, y, height = (float(value) for value in thing.size)
    rgba, dark = [*thing.colour, 1.0], [*(thing.colour * 0.6), 1.0]
    if thing.kind in ("box", "book"):
        mass = 4 * x * y * height * _DENSITY
        f.add_block(body, "", [-x, -y, 0], [x, y, height], rgba, mass)
        return
    tall = height * 0.7 if thing.kind == "bottle" else height
    mass = np.pi * x * x * tall * _DENSITY
    f.add_shape(body, f.CYLINDER, [0, 0, tall / 2], [x, tall / 2], rgba, "", mass)
    if thing.kind == "bottle":
        neck = height - tall
        at = [0, 0, tall + neck / 2]
        f.add_shape(body, f.CYLINDER, at, [x * 0.4, neck / 2], dark, "", 0.02)
    if thing.kind == "mug":
        handle = [[x, 0, height * 0.25], [x + 0.018, 0, height * 0.5], [x, 0, height * 0.75]]
        for ends in (handle[:2], handle[1:]):
            f.add_rod(body, ends, 0.005, dark, 0.01)
