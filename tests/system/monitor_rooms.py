"""Rooms of the simulator for the picture of the monitor's page; scores in them are made up."""

from __future__ import annotations

import numpy as np

from brs_hardware.embodiment import load_embodiment
from brs_ml.anomaly.shown import heated
from brs_sim.anomalies.clip import Clip
from brs_sim.cameras import CameraRenderer

TEXTS = ("a vase lying on the floor", "a puddle", "a person", "a drawer left open")
SEGMENTS = 40
FRAMES = 24  # of a segment
KINDS = ("fallen_object", "spill", None)  # what happens in each room
BEGIN = (30, 18, SEGMENTS)  # segment in which it does


class Rooms:
    """Three rooms of the simulator, in two of which something happens."""

    def __init__(self) -> None:
        robot = load_embodiment("r1")
        self._noise = np.random.default_rng(0).normal(0.0, 0.03, (3, 4, SEGMENTS))
        self._pictures: list[list[tuple[np.ndarray, np.ndarray]]] = []
        for i, kind in enumerate(KINDS):
            clip = Clip(robot, kind, 3 + i, frames=1200)
            with CameraRenderer(clip) as renderer:
                numbers = range(SEGMENTS)
                self._pictures.append([self._drawn(clip, renderer, i, n) for n in numbers])

    def score(self, camera: int, text: int, number: int) -> float | None:
        """A made-up score; None where the third camera sees nothing for a while."""
        if camera == 2 and 12 <= number < 16:
            return None
        seen = text == camera and number >= BEGIN[camera]
        level = 0.86 if seen else 0.12 + 0.05 * np.sin(0.3 * number + 2.0 * text + camera)
        return float(np.clip(level + self._noise[camera, text, number], 0.0, 1.0))

    def draw(self, camera: int, number: int) -> tuple[np.ndarray, np.ndarray]:
        """Key frame and heat map, (240, 240, 3) uint8 RGB; the heat is where the truth is."""
        return self._pictures[camera][number]

    def _drawn(
        self, clip: Clip, renderer: CameraRenderer, camera: int, number: int
    ) -> tuple[np.ndarray, np.ndarray]:
        shift = clip.begin // FRAMES - BEGIN[camera] if clip.kind else 0
        frame = int(np.clip((number + shift) * FRAMES + 12, 0, clip.frames - 1))
        picture = clip.draw(renderer, frame)
        sight = clip.sight(frame) or clip.robot_sight(frame)
        rows, columns = np.mgrid[: picture.shape[0], : picture.shape[1]]
        away = np.hypot(rows - sight.row, columns - sight.column) / (1.5 * sight.radius)
        strength = 1.0 if clip.sight(frame) else 0.35
        return picture, heated(picture, (strength * np.exp(-(away**2))).astype(np.float32))
