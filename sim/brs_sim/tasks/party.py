"""Clean house after a wild party: bowls from a far table into a dishwasher.

Seen from above; the robot starts near the origin in a random direction:

        y                     +----+
        ^     robot           |dish|   built in at elbow height; its door folds down,
        |                     |wash|   and the base can stand under it
        +--> x                +----+
             +- table -+
             +---------+
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from brs_sim.geometry import shifted, tool_pose
from brs_sim.model import add_floor_shade
from brs_sim.tasks import furniture as f
from brs_sim.tasks.config import TaskConfig
from brs_sim.tasks.registry import Deed, Grasp, Pose, register
from brs_sim.tasks.room import Room, hang_pictures
from brs_sim.tasks.rules import Aloft, Closed, Near, Opened, StagedTask, both, is_let_go

_LOW, _HIGH = np.array([-1.8, -3.6]), np.array([3.6, 1.9])
_FRONT_X = 3.0  # of the kitchen [m]
_DEPTH, WIDTH, FLOOR, _CEILING, _WALL = 0.52, 0.60, 0.74, 1.18, 0.02
FRONT_FROM_HINGE = 0.005  # of the door [m]
HINGE_HEIGHT, DOOR_THICK = 0.70, 0.035
HANDLE_OUT = 0.055
RACK = 0.02  # height of the rack's floor above that of the machine
HANDLE_HEIGHT = _CEILING - 0.03
_DOOR_TRAVEL = 1.57
_TABLE = np.array([0.75, 1.2, 0.74])
_BOWL_SIDES, _BOWL_WALL = 10, 0.004


@dataclass(frozen=True)
class PartyConfig(TaskConfig):
    """See TaskConfig; ranges are lowest, highest."""

    dishwasher_side: np.ndarray  # (2,) y of its middle [m]
    table_place: np.ndarray  # (2, 2) of its middle [m]
    bowl_spacing: np.ndarray  # (2,) between the bowls [m]
    bowl_offset: np.ndarray  # (2, 2) of the bowls from their usual place on the table [m]
    bowl_size: np.ndarray  # (2, 2) radius, height [m]
    bowl_mass: np.ndarray  # (2,) [kg]
    bowl_colours: np.ndarray  # (n, 3)
    near_m: float  # distance of the base that counts as being at dishwasher or table
    facing_rad: float  # and the greatest angle off it
    open_rad: float  # door angle that counts as open
    closed_rad: float  # and as closed


@register
class Party(StagedTask):
    """Clean house after a wild party; see the module."""

    name = "party"
    instruction = "collect the bowls from the gaming table and put them into the dishwasher"
    config_type = PartyConfig
    config: PartyConfig
    objects = ("bowl_left", "bowl_right")
    fixtures = ("door",)
    subtasks = (
        "at the dishwasher",
        "dishwasher opened",
        "at the table",
        "bowls collected",
        "back at the dishwasher",
        "bowls in the dishwasher and closed",
    )

    def draw(self, random: np.random.Generator) -> None:
        """See Task."""
        config = self.config
        self.front = np.array([_FRONT_X, random.uniform(*config.dishwasher_side)])
        self.table = random.uniform(*config.table_place)
        self.bowl_radius, self.bowl_height = random.uniform(*config.bowl_size)
        self.bowl_mass = float(random.uniform(*config.bowl_mass))
        self.colours = random.permutation(config.bowl_colours)[:2]
        half = float(random.uniform(*config.bowl_spacing)) / 2
        # The robot comes from +y and looks along -y: its left is towards +x.
        edge = shifted(self.table, 0.0, _TABLE[1] / 2 - 0.16)
        offsets = [random.uniform(*config.bowl_offset) for _ in self.objects]
        self.bowls = {
            name: shifted(edge, x, 0.0) + offset
            for name, x, offset in zip(self.objects, (half, -half), offsets, strict=True)
        }
        at_machine = Near(self.front, config.near_m, config.facing_rad)
        table_edge = shifted(self.table, 0.0, _TABLE[1] / 2)
        at_table = Near(table_edge, config.near_m, config.facing_rad)
        self.rules = (
            at_machine,
            Opened("door", config.open_rad),
            at_table,
            Aloft(*self.objects),
            both(Aloft(*self.objects), at_machine),
            both(Closed("door", config.closed_rad), self._are_inside),
        )

    def furnish(self, spec: mujoco.MjSpec) -> None:
        """See Task."""
        view_from, view_at = np.array([-1.6, 1.7, 2.2]), np.array([1.2, -1.0, 0.55])
        window = np.array([2.2, _LOW[1], 1.5]), np.array([0, 1, 0])
        Room(_LOW, _HIGH, view_from, view_at, window=window).build(spec, self.decoration)
        self._add_kitchen(spec)
        f.add_table(spec, "table", self.table, _TABLE, [0.30, 0.42, 0.36, 1])
        for (name, place), colour in zip(self.bowls.items(), self.colours, strict=True):
            self._add_bowl(spec, name, place, colour)
        self._add_remains(spec)

    def solution(self) -> tuple[Deed, ...]:
        """See Task."""
        at_machine = np.array([self.front[0] - 0.8, self.front[1], 0.0])
        edge = self.table[1] + _TABLE[1] / 2
        at_table = np.array([self.table[0], edge + 0.6, -np.pi / 2])
        opened = {"door": self.config.open_rad + 0.2}
        sides = dict(zip(self.bowls, (0.13, -0.13), strict=True))

        def bowls(forward: float, height: float) -> dict[str, Pose]:
            return {
                name: (np.array([self.front[0] + forward, self.front[1] + y, height]), f.turned(0))
                for name, y in sides.items()
            }

        lifted: dict[str, Pose] = {
            name: (np.append(place, _TABLE[2] + 0.1), f.turned(0))
            for name, place in self.bowls.items()
        }
        return (
            Deed(base_pose=at_machine),
            Deed(fixtures=opened),
            Deed(base_pose=at_table),
            Deed(lifted, hold_s=0.6),
            Deed(bowls(-0.3, 1.0), base_pose=at_machine, hold_s=0.6),
            Deed(bowls(0.22, FLOOR + RACK + 0.002), hold_s=0.02),
            Deed(hold_s=0.8),
            Deed(fixtures={"door": 0.0}),
            Deed(hold_s=0.1),
        )

    def grasps(self) -> tuple[Grasp, ...]:
        """See Task."""
        handle = np.array([self.front[0] - DOOR_THICK - HANDLE_OUT, self.front[1], HANDLE_HEIGHT])
        before = np.array([self.front[0] - 0.78, self.front[1] + 0.2, 0.0])
        inside = np.array([self.front[0] + 0.15, self.front[1] - 0.1, FLOOR + RACK + 0.09])
        rim = shifted(np.zeros(3), 0.0, self.bowl_radius, _TABLE[2] + self.bowl_height + 0.012)
        at_table = np.array([self.table[0], self.table[1] + _TABLE[1] / 2 + 0.55, -np.pi / 2])
        rims = [
            Grasp(
                f"rim of {name}",
                tool_pose(np.append(place, 0.0) + rim, -np.pi / 2, 0.8, np.pi / 2),
                at_table,
            )
            for name, place in self.bowls.items()
        ]
        return (
            Grasp("handle of the dishwasher", tool_pose(handle, 0.0, 0.2, np.pi / 2), before),
            *rims,
            Grasp(
                "inside the dishwasher",
                tool_pose(inside, 0.0, 0.3, np.pi / 2),
                shifted(before, 0.06, 0.0, 0.0),
                Deed(fixtures={"door": _DOOR_TRAVEL}),
            ),
        )

    def _are_inside(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """All bowls within the machine, at rest and let go of."""
        low = np.array([self.front[0], self.front[1] - WIDTH / 2, FLOOR])
        high = np.array([self.front[0] + _DEPTH, self.front[1] + WIDTH / 2, _CEILING])
        places = [data.body(name).xpos for name in self.objects]
        inside = all(np.all((place > low) & (place < high)) for place in places)
        return inside and all(is_let_go(model, data, name) for name in self.objects)

    def _add_kitchen(self, spec: mujoco.MjSpec) -> None:
        """A tall unit with the dishwasher in it, and counters on both sides."""
        body = spec.worldbody.add_body(name="kitchen", pos=[*self.front, 0.0])
        half, depth = WIDTH / 2 + _WALL, _DEPTH + _WALL
        steel, inner = [0.62, 0.64, 0.66, 1], [0.78, 0.80, 0.82, 1]
        for name, low, high, shade in (
            ("floor", [0, -half, FLOOR - _WALL], [depth, half, FLOOR], inner),
            ("ceiling", [0, -half, _CEILING], [depth, half, _CEILING + _WALL], inner),
            ("left", [0, half - _WALL, FLOOR], [depth, half, _CEILING], inner),
            ("right", [0, -half, FLOOR], [depth, _WALL - half, _CEILING], inner),
            ("back", [_DEPTH, -half, FLOOR], [depth, half, _CEILING], inner),
            ("under", [0, -half, 0.10], [depth, half, FLOOR - _WALL], f.PALE),
            ("plinth", [0.05, -half, 0], [depth, half, 0.10], f.STEEL),
            ("above", [0, -half, _CEILING + _WALL], [depth, half, 2.0], f.PALE),
        ):
            f.add_block(body, f"kitchen_{name}", low, high, shade)
        for side in (-1, 1):
            y = sorted((side * (half + 0.004), side * (half + 1.2)))
            f.add_block(body, "", [0.02, y[0], 0.10], [depth, y[1], 0.86], f.PALE)
            f.add_block(body, "", [0.0, y[0], 0.86], [depth, y[1], 0.90], f.DARK_WOOD)
            f.add_block(body, "", [0.07, y[0], 0.0], [depth, y[1], 0.10], f.STEEL)
            f.add_block(
                body,
                "",
                [0.012, sum(y) / 2 - 0.003, 0.12],
                [0.02, sum(y) / 2 + 0.003, 0.85],
                f.STEEL,
                solid=False,
            )
        self._add_rack(body)
        door = f.add_moving_part(
            body,
            "door",
            [-FRONT_FROM_HINGE, 0, HINGE_HEIGHT],
            [0, -1, 0],
            (0.0, _DOOR_TRAVEL),
            friction=2.0,
            damping=2.0,
        )
        top = _CEILING + _WALL - HINGE_HEIGHT
        f.add_block(
            door, "door_panel", [-DOOR_THICK, -half, 0.005], [0.0, half, top], steel, mass=5.0
        )
        z, x = HANDLE_HEIGHT - HINGE_HEIGHT, -DOOR_THICK - HANDLE_OUT
        f.add_rod(door, [[x, -0.2, z], [x, 0.2, z]], 0.010, f.CHROME, 0.3)
        for end in (-0.18, 0.18):
            f.add_rod(door, [[x, end, z], [-DOOR_THICK, end, z]], 0.007, f.CHROME, 0.05)

    def _add_rack(self, body: mujoco.MjsBody) -> None:
        low, high = FLOOR, FLOOR + RACK
        f.add_block(
            body,
            "rack",
            [0.02, -WIDTH / 2 + 0.03, low],
            [_DEPTH - 0.02, WIDTH / 2 - 0.03, high],
            [0.55, 0.60, 0.68, 1],
        )
        for side in (-WIDTH / 2 + 0.03, WIDTH / 2 - 0.03):
            f.add_rod(
                body,
                [[0.03, side, high + 0.05], [_DEPTH - 0.03, side, high + 0.05]],
                0.004,
                f.CHROME,
            )

    def _add_bowl(
        self, spec: mujoco.MjSpec, name: str, place: np.ndarray, colour: np.ndarray
    ) -> None:
        """A foot, and a wall of slanting staves; its origin is its bottom."""
        bowl = f.add_thing(spec, name, np.append(place, _TABLE[2]))
        radius, height, rgba = float(self.bowl_radius), float(self.bowl_height), [*colour, 1.0]
        foot = radius * 0.62
        f.add_shape(bowl, f.CYLINDER, [0, 0, 0.004], [foot, 0.004], rgba, "", self.bowl_mass * 0.4)
        slant = np.arctan2(radius - foot, height)
        length = np.hypot(radius - foot, height)
        width = radius * np.tan(np.pi / _BOWL_SIDES)
        for i in range(_BOWL_SIDES):
            angle = 2 * np.pi * i / _BOWL_SIDES
            out = (radius + foot) / 2
            geom = f.add_shape(
                bowl,
                f.BOX,
                [out * np.cos(angle), out * np.sin(angle), height / 2 + 0.002],
                [_BOWL_WALL / 2, width, length / 2],
                rgba,
                "",
                self.bowl_mass * 0.6 / _BOWL_SIDES,
            )
            quaternion = np.zeros(4)
            mujoco.mju_euler2Quat(quaternion, np.array([0.0, slant, angle]), "XYZ")
            geom.quat = quaternion

    def _add_remains(self, spec: mujoco.MjSpec) -> None:
        """What else a party leaves behind."""
        random = np.random.default_rng(self.decoration.seed)
        table = spec.body("table")
        for i in range(self.decoration.distractors):
            place = np.array([-0.26 + 0.26 * (i % 3), -0.12 - 0.22 * (i // 3), _TABLE[2]])
            place[:2] += random.uniform(-0.05, 0.05, 2)
            height, radius = random.uniform([0.04, 0.028], [0.10, 0.036])
            colour = [*random.uniform(0.15, 0.95, 3), 1.0]
            f.add_shape(table, f.CYLINDER, shifted(place, 0, 0, height), [radius, height], colour)
            if height > 0.07:
                f.add_shape(
                    table,
                    f.CYLINDER,
                    shifted(place, 0, 0, 2 * height + 0.03),
                    [0.012, 0.03],
                    colour,
                )
        sofa = np.array([-0.6, 1.38])
        f.add_sofa(
            spec,
            "sofa",
            sofa,
            np.array([1.7, 0.75, 0.42]),
            (0, 1),
            [*random.uniform(0.3, 0.75, 3), 1.0],
        )
        f.add_rug(spec, np.array([0.2, 0.2]), np.array([2.2, 1.5]), random.uniform(0.3, 0.8, 3))
        f.add_plant(spec, "plant", np.array([-1.4, -3.2]))
        for i, place in enumerate(random.uniform([-1.2, -3.3], [3.0, 1.0], (10, 2))):
            confetti = spec.worldbody.add_body(name=f"confetti{i}", pos=[*place, 0.002])
            f.add_shape(
                confetti,
                f.BOX,
                [0, 0, 0],
                [0.03, 0.02, 0.001],
                [*random.uniform(0.2, 1.0, 3), 1.0],
                solid=False,
            )
        lamp = spec.worldbody.add_body(name="lamp", pos=[0.6, _HIGH[1] - 0.25, 0.0])
        add_floor_shade(lamp, (0.2, 0.2), 0.0)
        f.add_shape(lamp, f.CYLINDER, [0, 0, 0.01], [0.14, 0.01], f.STEEL)
        f.add_rod(lamp, [[0, 0, 0.02], [0, 0, 1.5]], 0.012, f.STEEL)
        f.add_shape(lamp, f.CYLINDER, [0, 0, 1.55], [0.16, 0.12], [0.98, 0.92, 0.75, 1])
        places = [
            (np.array([-0.6, _HIGH[1], 1.6]), np.array([0, -1, 0])),
            (np.array([0.8, _LOW[1], 1.6]), np.array([0, 1, 0])),
        ]
        hang_pictures(spec, places, self.decoration)
