"""What stands in homes: kinds of furniture, their sizes, and which room has them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Kind:
    """A kind of furniture."""

    size: np.ndarray  # (2, 3) least and greatest depth, width, height [m]
    parts: tuple[str, ...] = ()  # its doors and drawers
    surface: bool = False  # its top is for things
    stands_free: bool = False  # in the middle of the room

    @property
    def is_used(self) -> bool:
        """Whether a robot has anything to do there."""
        return self.surface or bool(self.parts)


def _kind(
    least: tuple[float, float, float],
    greatest: tuple[float, float, float],
    *parts: str,
    surface: bool = False,
    stands_free: bool = False,
) -> Kind:
    return Kind(np.array([least, greatest]), parts, surface, stands_free)


# Heights of tops are those of usual furniture, all within the robot's reach.
KINDS = {
    "counter": _kind(
        (0.58, 1.30, 0.86), (0.62, 1.70, 0.92), "drawer_left", "drawer_right", "door", surface=True
    ),
    "fridge": _kind((0.60, 0.58, 1.40), (0.66, 0.64, 1.85), "door"),
    "table": _kind((0.75, 1.10, 0.71), (0.90, 1.50, 0.76), surface=True, stands_free=True),
    "side_table": _kind((0.40, 0.70, 0.68), (0.50, 1.10, 0.76), surface=True),
    "sofa": _kind((0.84, 1.50, 0.80), (0.92, 1.95, 0.86)),
    "sideboard": _kind(
        (0.38, 0.90, 0.50), (0.45, 1.40, 0.80), "drawer_left", "drawer_right", surface=True
    ),
    "bookcase": _kind((0.28, 0.70, 1.50), (0.34, 1.10, 1.95)),
    "bed": _kind((1.95, 0.95, 0.48), (2.05, 1.45, 0.56)),
    "nightstand": _kind((0.38, 0.40, 0.48), (0.44, 0.50, 0.60), "drawer", surface=True),
    "wardrobe": _kind((0.54, 0.95, 1.80), (0.60, 1.30, 2.05), "door_left", "door_right"),
    "desk": _kind((0.60, 1.05, 0.71), (0.72, 1.40, 0.76), "drawer", surface=True),
    "basin": _kind((0.45, 0.60, 0.80), (0.52, 0.90, 0.86), "door", surface=True),
    "bath": _kind((0.72, 1.50, 0.54), (0.78, 1.70, 0.60)),
    "plant": _kind((0.30, 0.30, 0.90), (0.34, 0.34, 1.10)),
}
# The first of a room is what makes it that room.
ROOMS = {
    "living": ("sofa", "sideboard", "bookcase", "side_table", "table", "plant"),
    "kitchen": ("counter", "fridge", "table", "sideboard", "plant"),
    "bedroom": ("bed", "nightstand", "wardrobe", "side_table", "bookcase"),
    "study": ("desk", "bookcase", "sideboard", "plant", "side_table"),
    "bathroom": ("basin", "bath", "side_table", "plant"),
}
