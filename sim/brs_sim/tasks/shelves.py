"""Put items onto shelves: three boxes from a table onto the boards of a shelf unit.

Seen from above; the robot starts at the origin and looks along x:

        +-- shelf --+        y
        +-----------+        ^
                             |
        robot ->  | table |  +--> x
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_sim.model import add_floor_shade
from brs_sim.tasks.registry import Pose, Start, Task, register

TABLE_CENTRE = np.array([0.98, 0.0])
TABLE_SIZE = np.array([0.45, 1.0, 0.74])  # depth, width, height [m]
SHELF_CENTRE = np.array([0.0, 1.45])
SHELF_SIZE = np.array([1.0, 0.32, 1.62])  # width (x), depth (y), height [m]
BOARD_HEIGHTS = (0.10, 0.50, 0.90, 1.28)  # upper faces [m]
_BOARD_THICKNESS = 0.024
PLACE_BOARD = 2  # the board a person would use, at elbow height
_COLOURS = np.array(
    [[0.84, 0.26, 0.21], [0.17, 0.52, 0.79], [0.95, 0.70, 0.16], [0.25, 0.62, 0.36]]
)
_REST_SPEED = 0.02  # [m/s], below this a box is at rest
_WOOD, _PALE_WOOD, _STEEL = [0.55, 0.40, 0.26, 1], [0.80, 0.68, 0.52, 1], [0.24, 0.25, 0.27, 1]


@dataclass(frozen=True)
class Item:
    """One box to be put away; it stands upright."""

    name: str
    size: np.ndarray  # (3,) depth (x), width (y), height [m]
    mass: float  # [kg]
    colour: np.ndarray  # (3,) 0..1
    position: np.ndarray  # (2,) on the table, world [m]
    yaw: float  # [rad]


@register
class Shelves(Task):
    """Put items onto shelves; see the module."""

    name = "shelves"
    instruction = "put the boxes from the table onto the shelf"

    def __init__(self, embodiment: Embodiment, seed: int) -> None:
        random = np.random.default_rng([seed, 1])
        colours = random.permutation(_COLOURS)
        self.items = tuple(
            Item(
                name=f"box_{place}",
                size=random.uniform([0.048, 0.040, 0.13], [0.060, 0.048, 0.17]),
                mass=float(random.uniform(0.15, 0.35)),
                colour=colours[i],
                position=np.array([0.87, across]) + random.uniform([-0.03, -0.03], [0.03, 0.03]),
                yaw=float(random.uniform(-0.12, 0.12)),
            )
            for i, (place, across) in enumerate([("left", 0.25), ("right", -0.25), ("middle", 0)])
        )
        self.objects = tuple(item.name for item in self.items)
        self.subtasks = tuple(f"{item.name} on shelf" for item in self.items)
        pose = embodiment.poses.get("ready", {})
        joints = {
            name: np.array(pose.get(name, np.zeros(len(embodiment.group(name).joints))))
            for name in embodiment.GROUPS
        }
        self.start = Start(
            base_pose=random.uniform([-0.05, -0.05, -0.06], [0.05, 0.05, 0.06]), joints=joints
        )

    def furnish(self, spec: mujoco.MjSpec) -> None:
        """See Task."""
        _add_table(spec)
        _add_shelf(spec)
        for item in self.items:
            body = spec.worldbody.add_body(
                name=item.name, pos=[*item.position, self._height(item)]
            )
            body.quat = _turned(item.yaw)
            body.add_freejoint(name=item.name)
            body.add_geom(
                name=item.name,
                type=mujoco.mjtGeom.mjGEOM_BOX,
                size=item.size / 2,
                mass=item.mass,
                rgba=[*item.colour, 1.0],
                friction=[0.9, 0.01, 0.0005],
            )
            # A pale label, so that pictures show which way a box is turned.
            body.add_geom(
                type=mujoco.mjtGeom.mjGEOM_BOX,
                pos=[-item.size[0] / 2, 0.0, item.size[2] * 0.12],
                size=[0.0006, item.size[1] * 0.34, item.size[2] * 0.2],
                mass=0.0,
                contype=0,
                conaffinity=0,
                rgba=[0.96, 0.95, 0.92, 1.0],
            )

    def done(self, model: mujoco.MjModel, data: mujoco.MjData) -> tuple[bool, ...]:
        """See Task: within the shelf, standing on a board, at rest, let go of."""
        return tuple(self._is_put_away(item, model, data) for item in self.items)

    def solution(self) -> dict[str, Pose]:
        """See Task: side by side on the board at elbow height."""
        places = {"box_left": -0.25, "box_middle": 0.0, "box_right": 0.25}
        height = BOARD_HEIGHTS[PLACE_BOARD]
        return {
            item.name: (
                np.append(
                    SHELF_CENTRE + np.array([places[item.name], 0.0]), height + item.size[2] / 2
                ),
                _turned(0.0),
            )
            for item in self.items
        }

    def _height(self, item: Item) -> float:
        return float(TABLE_SIZE[2] + item.size[2] / 2)

    def _is_put_away(self, item: Item, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        body = data.body(item.name)
        inside = np.all(np.abs(body.xpos[:2] - SHELF_CENTRE) < SHELF_SIZE[:2] / 2)
        at_rest = np.linalg.norm(data.joint(item.name).qvel[:3]) < _REST_SPEED
        if not (inside and at_rest and 0.0 < body.xpos[2] < SHELF_SIZE[2]):
            return False
        touching = _touching(model, data, model.geom(item.name).id)
        on_board = any(model.geom(geom).name.startswith("board") for geom in touching)
        return on_board and all(
            model.body(model.body_rootid[model.geom_bodyid[geom]]).name != "base_link"
            for geom in touching
        )


def _touching(model: mujoco.MjModel, data: mujoco.MjData, geom: int) -> set[int]:
    """Geoms in contact with `geom`."""
    pairs = data.contact.geom
    return {int(b if a == geom else a) for a, b in pairs if geom in (a, b)}


def _turned(yaw: float) -> np.ndarray:
    """Quaternion wxyz of a turn about z [rad]."""
    return np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])


def _add_block(
    body: mujoco.MjsBody, name: str, low: np.ndarray, high: np.ndarray, rgba: list[float]
) -> None:
    """A box between two corners [m]."""
    body.add_geom(
        name=name,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        pos=(low + high) / 2,
        size=(high - low) / 2,
        rgba=rgba,
        friction=[0.9, 0.01, 0.0005],
    )


def _add_table(spec: mujoco.MjSpec) -> None:
    body = spec.worldbody.add_body(name="table", pos=[*TABLE_CENTRE, 0.0])
    depth, width, height = TABLE_SIZE
    half = np.array([depth, width, 0.0]) / 2
    add_floor_shade(body, (depth * 0.62, width * 0.6), 0.0)
    top = np.array([0.0, 0.0, height])
    _add_block(body, "table_top", top - half - np.array([0, 0, 0.03]), half + top, _PALE_WOOD)
    for i, (x, y) in enumerate([(-1, -1), (-1, 1), (1, -1), (1, 1)]):
        corner = np.array([x, y, 0.0]) * (half - [0.04, 0.04, 0.0])
        low = corner - np.array([0.02, 0.02, 0.0])
        high = corner + np.array([0.02, 0.02, height - 0.03])
        _add_block(body, f"table_leg{i}", low, high, _STEEL)


def _add_shelf(spec: mujoco.MjSpec) -> None:
    body = spec.worldbody.add_body(name="shelf", pos=[*SHELF_CENTRE, 0.0])
    width, depth, height = SHELF_SIZE
    half = np.array([width, depth, 0.0]) / 2
    wall = 0.02
    add_floor_shade(body, (width * 0.65, depth * 0.95), 0.0)
    for i, board in enumerate(BOARD_HEIGHTS):
        low = np.array([-half[0], -half[1], board - _BOARD_THICKNESS])
        _add_block(body, f"board{i}", low, np.array([half[0], half[1], board]), _PALE_WOOD)
    top = np.array([0.0, 0.0, height])
    _add_block(body, "shelf_top", top - half - np.array([0, 0, 0.02]), half + top, _WOOD)
    for name, x in (("left", -half[0] - wall), ("right", half[0])):
        low, high = np.array([x, -half[1], 0.0]), np.array([x + wall, half[1], height])
        _add_block(body, f"shelf_{name}", low, high, _WOOD)
    back_low, back_high = (
        np.array([-half[0], half[1], 0.0]),
        np.array([half[0], half[1] + wall, height]),
    )
    _add_block(body, "shelf_back", back_low, back_high, [0.66, 0.53, 0.38, 1])
