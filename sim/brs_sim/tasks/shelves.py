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

from brs_sim.geometry import shifted, tool_pose
from brs_sim.model import add_floor_shade, robot_root
from brs_sim.tasks import furniture as f
from brs_sim.tasks.config import TaskConfig
from brs_sim.tasks.registry import Deed, Grasp, Pose, Task, register
from brs_sim.tasks.room import Room, hang_pictures
from brs_sim.tasks.rules import Aloft, roots_touching

TABLE_CENTRE = np.array([0.98, 0.0])
TABLE_SIZE = np.array([0.45, 1.0, 0.74])  # depth, width, height [m]
SHELF_CENTRE = np.array([0.0, 1.45])
SHELF_SIZE = np.array([1.0, 0.32, 1.62])  # width (x), depth (y), height [m]
BOARD_HEIGHTS = (0.10, 0.50, 0.90, 1.28)  # upper faces [m]
_BOARD_THICKNESS = 0.024
_LOW, _HIGH = np.array([-2.6, -2.6]), np.array([3.8, 1.64])
_LIFTED_M = 0.03
PLACE_BOARD = 2  # the board a person would use, at elbow height
_REST_SPEED = 0.02  # [m/s], below this a box is at rest


@dataclass(frozen=True)
class Item:
    """One box to be put away; it stands upright."""

    name: str
    size: np.ndarray  # (3,) depth (x), width (y), height [m]
    mass: float  # [kg]
    colour: np.ndarray  # (3,) 0..1
    position: np.ndarray  # (2,) on the table, world [m]
    yaw: float  # [rad]


@dataclass(frozen=True)
class ShelvesConfig(TaskConfig):
    """See TaskConfig; ranges are lowest, highest."""

    box_size: np.ndarray  # (2, 3) depth, width, height [m]
    box_mass: np.ndarray  # (2,) [kg]
    box_offset: np.ndarray  # (2, 2) from its usual place on the table [m]
    box_yaw: np.ndarray  # (2,) [rad]
    box_colours: np.ndarray  # (n, 3), at least three


@register
class Shelves(Task):
    """Put items onto shelves; see the module.

    Each box counts while it is on the shelf; one that falls off again does not. The first
    sub-task is to have lifted any of them.
    """

    name = "shelves"
    instruction = "put the boxes from the table onto the shelf"
    config_type = ShelvesConfig
    config: ShelvesConfig
    _lifted = False

    def draw(self, random: np.random.Generator) -> None:
        """See Task."""
        config = self.config
        colours = random.permutation(config.box_colours)
        self.items = tuple(
            Item(
                name=f"box_{place}",
                size=random.uniform(*config.box_size),
                mass=float(random.uniform(*config.box_mass)),
                colour=colours[i],
                position=np.array([0.87, across]) + random.uniform(*config.box_offset),
                yaw=float(random.uniform(*config.box_yaw)),
            )
            for i, (place, across) in enumerate([("left", 0.25), ("right", -0.25), ("middle", 0)])
        )
        self.objects = tuple(item.name for item in self.items)
        self._high: dict[str, Aloft] = {}  # since when; what is knocked up falls soon
        self.subtasks = ("a box lifted", *(f"{name} on shelf" for name in self.objects))

    def furnish(self, spec: mujoco.MjSpec) -> None:
        """See Task."""
        view_from, view_at = np.array([-1.15, -1.75, 1.85]), np.array([0.42, 0.5, 0.72])
        Room(_LOW, _HIGH, view_from, view_at, view_fov=48.0).build(spec, self.decoration)
        f.add_table(spec, "table", TABLE_CENTRE, TABLE_SIZE)
        _add_shelf(spec)
        self._add_books(spec)
        places = [(np.array([_HIGH[0], 0.2, 1.6]), np.array([-1, 0, 0]))]
        hang_pictures(spec, places, self.decoration)
        for item in self.items:
            body = spec.worldbody.add_body(
                name=item.name, pos=[*item.position, self._height(item)]
            )
            body.quat = f.turned(item.yaw)
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

    def watch(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """See Task."""
        for item in () if self._lifted else self.items:
            if data.body(item.name).xpos[2] <= self._height(item) + _LIFTED_M:
                self._high.pop(item.name, None)
            else:
                aloft = self._high.setdefault(item.name, Aloft(item.name))
                self._lifted |= aloft(model, data)

    def done(self, model: mujoco.MjModel, data: mujoco.MjData) -> tuple[bool, ...]:
        """See Task: within the shelf, standing on a board, at rest, let go of."""
        away = [self._is_put_away(item, model, data) for item in self.items]
        return (self._lifted or any(away), *away)

    def solution(self) -> tuple[Deed, ...]:
        """See Task: side by side on the board at elbow height."""
        across = {"box_left": -0.25, "box_middle": 0.0, "box_right": 0.25}
        places: dict[str, Pose] = {}
        for item in self.items:
            spot = SHELF_CENTRE + np.array([across[item.name], 0.0])
            height = BOARD_HEIGHTS[PLACE_BOARD] + item.size[2] / 2
            places[item.name] = np.append(spot, height), f.turned(0.0)
        return (Deed(places, hold_s=0.02), Deed(hold_s=0.3))

    def grasps(self) -> tuple[Grasp, ...]:
        """See Task."""
        boxes = tuple(
            Grasp(
                item.name,
                tool_pose(np.append(item.position, self._height(item)), item.yaw, 0.4),
                np.array([item.position[0] - 0.7, item.position[1] - 0.2, 0.0]),
            )
            for item in self.items
        )
        spot = np.append(SHELF_CENTRE, BOARD_HEIGHTS[PLACE_BOARD] + 0.1)
        stance = np.array([SHELF_CENTRE[0] + 0.2, SHELF_CENTRE[1] - 0.86, np.pi / 2])
        return (*boxes, Grasp("board", tool_pose(spot, np.pi / 2, 0.4), stance))

    def _height(self, item: Item) -> float:
        return float(TABLE_SIZE[2] + item.size[2] / 2)

    def _is_put_away(self, item: Item, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        body = data.body(item.name)
        inside = np.all(np.abs(body.xpos[:2] - SHELF_CENTRE) < SHELF_SIZE[:2] / 2)
        at_rest = np.linalg.norm(data.joint(item.name).qvel[:3]) < _REST_SPEED
        if not (inside and at_rest and 0.0 < body.xpos[2] < SHELF_SIZE[2]):
            return False
        touching = roots_touching(model, data, item.name)
        return "shelf" in touching and robot_root(model) not in touching

    def _add_books(self, spec: mujoco.MjSpec) -> None:
        """On the boards that nobody needs."""
        random = np.random.default_rng(self.decoration.seed)
        shelf = spec.body("shelf")
        for i in range(self.decoration.distractors):
            board = BOARD_HEIGHTS[(0, 1, 3)[i % 3]]
            thick, deep, tall = random.uniform([0.03, 0.16, 0.16], [0.07, 0.22, 0.26])
            x = -0.44 + 0.11 * (i // 3) + random.uniform(0.0, 0.02)
            low = np.array([x, SHELF_SIZE[1] / 2 - deep, board])
            colour = [*random.uniform(0.15, 0.85, 3), 1.0]
            f.add_block(shelf, f"book{i}", low, shifted(low, thick, deep, tall), colour)


def _add_shelf(spec: mujoco.MjSpec) -> None:
    body = spec.worldbody.add_body(name="shelf", pos=[*SHELF_CENTRE, 0.0])
    width, depth, height = SHELF_SIZE
    half = np.array([width, depth, 0.0]) / 2
    wall = 0.02
    add_floor_shade(body, (width * 0.65, depth * 0.95), 0.0)
    for i, board in enumerate(BOARD_HEIGHTS):
        low = np.array([-half[0], -half[1], board - _BOARD_THICKNESS])
        f.add_block(body, f"board{i}", low, np.array([half[0], half[1], board]), f.PALE_WOOD)
    top = np.array([0.0, 0.0, height])
    f.add_block(body, "shelf_top", top - half - np.array([0, 0, 0.02]), half + top, f.WOOD)
    for name, x in (("left", -half[0] - wall), ("right", half[0])):
        low, high = np.array([x, -half[1], 0.0]), np.array([x + wall, half[1], height])
        f.add_block(body, f"shelf_{name}", low, high, f.WOOD)
    back_low, back_high = (
        np.array([-half[0], half[1], 0.0]),
        np.array([half[0], half[1] + wall, height]),
    )
    f.add_block(body, "shelf_back", back_low, back_high, [0.66, 0.53, 0.38, 1])
