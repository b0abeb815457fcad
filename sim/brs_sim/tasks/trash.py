"""Take trash outside: a full bag from the living room, through a door with a handle, into a bin.

Seen from above; the robot starts near the origin and looks along x:

        y        | wall
        ^   bag  |
        |        | door    bin       The lever unlatches the door, which opens outwards.
        +--> x   |
                 | wall

The bag is one rigid body with a tied neck to hold it by; a real one would sag.
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
from brs_sim.tasks.room import Gap, Room, hang_pictures
from brs_sim.tasks.rules import Aloft, Near, Opened, StagedTask, both, is_let_go

_WALL_X = 2.7  # inner face of the wall with the door [m]
_LOW, _HIGH = np.array([-1.8, -2.4]), np.array([_WALL_X, 2.2])
_DOOR_WIDTH, _DOOR_HEIGHT, _DOOR_THICK = 1.06, 2.02, 0.04
_GAP = 0.012
_LEVER_HEIGHT, _LEVER_FROM_EDGE, _LEVER_LENGTH, _LEVER_OUT = 1.02, 0.08, 0.14, 0.065
_LEVER_TRAVEL = 0.9  # [rad]
_BIN_HALF, _BIN_HEIGHT, _BIN_WALL = 0.24, 0.52, 0.015
_NECK_LENGTH, _KNOT = 0.10, 0.030
_NECK_RADIUS = 0.015


@dataclass(frozen=True)
class TrashConfig(TaskConfig):
    """See TaskConfig; ranges are lowest, highest."""

    bag_place: np.ndarray  # (2, 2) x, y on the floor [m]
    bag_size: np.ndarray  # (2, 2) radius, height without the neck [m]
    bag_mass: np.ndarray  # (2,) [kg]
    bag_colours: np.ndarray  # (n, 3)
    door_middle: np.ndarray  # (2,) y of the doorway [m]
    bin_place: np.ndarray  # (2, 2) of the bin outside, from the middle of the doorway [m]
    unlatched_rad: float  # lever angle beyond which the door is free
    open_rad: float  # door angle that counts as open
    at_door_m: float  # distance of the base from the doorway that counts as being there


@register
class Trash(StagedTask):
    """Take trash outside; see the module."""

    name = "trash"
    instruction = "take the trash bag outside and put it into the bin"
    config_type = TrashConfig
    config: TrashConfig
    objects = ("bag",)
    fixtures = ("door", "lever")
    subtasks = (
        "bag picked up",
        "bag carried to the door",
        "door opened",
        "bag in the bin outside",
    )

    def draw(self, random: np.random.Generator) -> None:
        """See Task."""
        config = self.config
        self.bag_place = random.uniform(*config.bag_place)
        self.radius, self.height = random.uniform(*config.bag_size)
        self.mass = float(random.uniform(*config.bag_mass))
        self.colour = random.choice(config.bag_colours)
        self.doorway = np.array([_WALL_X, random.uniform(*config.door_middle)])
        self.bin_centre = self.doorway + random.uniform(*config.bin_place)
        self.neck_height = float(self.height + _NECK_LENGTH * 0.5)  # above the bag's bottom
        to_door = Near(self.doorway, config.at_door_m)
        self.rules = (
            Aloft("bag"),
            both(Aloft("bag"), to_door),
            Opened("door", config.open_rad),
            self._is_in_bin,
        )

    def furnish(self, spec: mujoco.MjSpec) -> None:
        """See Task."""
        gap = Gap(float(self.doorway[1]), _DOOR_WIDTH, _DOOR_HEIGHT)
        view_from, view_at = np.array([-1.6, -1.9, 2.05]), np.array([1.7, 0.1, 0.6])
        window = np.array([1.9, _HIGH[1], 1.45]), np.array([0, -1, 0])
        Room(_LOW, _HIGH, view_from, view_at, {"east": gap}, window=window).build(
            spec, self.decoration
        )
        self._add_door(spec)
        self._add_bin(spec)
        self._add_bag(spec)
        self._add_living_room(spec)

    def watch(self, model: mujoco.MjModel, data: mujoco.MjData) -> None:
        """See Task: the latch holds the closed door unless the lever is pressed."""
        free = data.joint("lever").qpos[0] > self.config.unlatched_rad
        data.eq_active[model.equality("latch").id] = not free and data.joint("door").qpos[0] < 0.02
        super().watch(model, data)

    def solution(self) -> tuple[Deed, ...]:
        """See Task: lifted, carried, the lever pressed and the door pushed, put down."""
        over_bin = np.append(self.bin_centre, _BIN_HEIGHT + 0.4)
        at_door = np.array([self.doorway[0] - 0.9, self.doorway[1], 0.0])
        carried: dict[str, Pose] = {
            "bag": (np.append(shifted(at_door[:2], 0.5, 0), 0.4), f.turned(0))
        }
        lifted: dict[str, Pose] = {"bag": (np.append(self.bag_place, 0.3), f.turned(0))}
        swing = {"lever": _LEVER_TRAVEL, "door": self.config.open_rad + 0.05}
        return (
            Deed(lifted, hold_s=0.6),
            Deed(carried, base_pose=at_door, hold_s=0.6),
            Deed(carried, swing, hold_s=0.1),
            Deed({"bag": (over_bin, f.turned(0))}, {"door": swing["door"]}, hold_s=0.1),
            Deed({"bag": (np.append(self.bin_centre, 0.03), f.turned(0))}, hold_s=0.02),
            Deed(hold_s=1.0),
        )

    def grasps(self) -> tuple[Grasp, ...]:
        """See Task."""
        neck = np.append(self.bag_place, self.neck_height)
        yaw = float(np.arctan2(neck[1], neck[0]))
        along = np.array([np.cos(yaw), np.sin(yaw)])
        lever = np.array(
            [
                self.doorway[0] + _GAP - _LEVER_OUT,
                self.doorway[1] - _DOOR_WIDTH / 2 + _LEVER_FROM_EDGE + 0.08,
                _LEVER_HEIGHT + 0.03,
            ]
        )
        drop = np.append(self.bin_centre, _BIN_HEIGHT + 0.06 + self.neck_height)
        inside = np.array([lever[0] - 0.72, lever[1] + 0.24, 0.0])
        opened = Deed(fixtures={"door": 1.7})
        outside = np.array([self.bin_centre[0] - 0.85, self.bin_centre[1] + 0.1, 0.0])
        return (
            Grasp(
                "neck of the bag",
                tool_pose(neck, yaw, 0.5),
                np.append(neck[:2] - 0.70 * along + 0.2 * np.array([-along[1], along[0]]), yaw),
            ),
            Grasp("lever", tool_pose(lever, 0.0, 0.4), inside),
            Grasp("over the bin", tool_pose(drop, 0.0, 0.2), outside, opened),
        )

    def _is_in_bin(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        centre = data.xipos[model.body("bag").id]
        inside = bool(np.all(np.abs(centre[:2] - self.bin_centre) < _BIN_HALF))
        return inside and centre[2] < _BIN_HEIGHT and is_let_go(model, data, "bag")

    def _add_bag(self, spec: mujoco.MjSpec) -> None:
        """Its origin is its bottom."""
        bag = f.add_thing(spec, "bag", np.append(self.bag_place, 0.0))
        radius, height = float(self.radius), float(self.height)
        rgba, dark = [*self.colour, 1.0], [*(self.colour * 0.7), 1.0]
        body = height - 0.10
        f.add_shape(
            bag, f.CYLINDER, [0, 0, body / 2], [radius * 0.9, body / 2], rgba, "", self.mass
        )
        f.add_shape(
            bag, f.ELLIPSOID, [0, 0, body], [radius * 0.9, radius * 0.9, 0.10], rgba, "", 0.05
        )
        neck = [[0, 0, height - 0.02], [0, 0, height + _NECK_LENGTH]]
        f.add_rod(bag, neck, _NECK_RADIUS, dark, 0.02)
        f.add_shape(
            bag,
            f.ELLIPSOID,
            [0, 0, height + _NECK_LENGTH + 0.012],
            [_KNOT, _KNOT, 0.02],
            rgba,
            "",
            0.01,
        )
        for i in range(6):  # folds
            angle = i * np.pi / 3 + 0.3
            out = radius * 0.88 * np.array([np.cos(angle), np.sin(angle)])
            f.add_rod(bag, [[*(out * 0.99), 0.05], [*(out * 0.9), body]], 0.016, dark, solid=False)

    def _add_door(self, spec: mujoco.MjSpec) -> None:
        """A panel on a hinge at its left, and levers on both sides that turn together."""
        width, top = _DOOR_WIDTH - 2 * _GAP, _DOOR_HEIGHT - _GAP
        hinge = [self.doorway[0], self.doorway[1] + width / 2, 0.0]
        frame = spec.worldbody.add_body(name="door_frame")
        for y in (-1.0, 1.0):
            edge = self.doorway[1] + y * (_DOOR_WIDTH / 2 + 0.03)
            low = np.array([self.doorway[0] - 0.02, edge - 0.03, 0.0])
            high = np.array([self.doorway[0], edge + 0.03, _DOOR_HEIGHT])
            f.add_block(frame, "", low, high, f.WHITE, solid=False)
        door = f.add_moving_part(
            spec.worldbody, "door", hinge, [0, 0, 1], (0.0, 1.9), friction=0.8, damping=2.0
        )
        low, high = np.array([0.0, -width, _GAP]), np.array([_DOOR_THICK, 0.0, top])
        f.add_block(door, "door_panel", low, high, [0.62, 0.45, 0.30, 1], mass=14.0)
        for bottom in (0.15, 1.12):
            for x, y in ((-0.004, -width + 0.16), (-0.004, -0.5 * width + 0.05)):
                panel = np.array([x, y, bottom]), np.array([0.0, y + 0.32, bottom + 0.75])
                f.add_block(door, "", *panel, [0.56, 0.40, 0.26, 1], solid=False)
        pivot = [0.0, -width + _LEVER_FROM_EDGE, _LEVER_HEIGHT]
        lever = f.add_moving_part(
            door,
            "lever",
            pivot,
            [-1, 0, 0],
            (0.0, _LEVER_TRAVEL),
            damping=0.05,
            stiffness=1.5,
            rest=-0.3,
        )
        for x in (-_LEVER_OUT, _DOOR_THICK + _LEVER_OUT):
            f.add_rod(lever, [[_DOOR_THICK / 2, 0, 0], [x, 0, 0]], 0.010, f.CHROME, 0.05)
            f.add_rod(lever, [[x, 0, 0], [x, _LEVER_LENGTH, 0]], 0.010, f.CHROME, 0.1)
        spec.add_exclude(bodyname1="walls", bodyname2="door")
        spec.add_exclude(bodyname1="walls", bodyname2="lever")
        latch = spec.add_equality(name="latch", type=mujoco.mjtEq.mjEQ_JOINT, name1="door")
        latch.data[:5] = 0.0  # the door stays at angle zero

    def _add_bin(self, spec: mujoco.MjSpec) -> None:
        body = spec.worldbody.add_body(name="bin", pos=[*self.bin_centre, 0.0])
        add_floor_shade(body, (0.36, 0.36), 0.0)
        half, green = _BIN_HALF, [0.20, 0.36, 0.27, 1]
        f.add_block(body, "bin_floor", [-half, -half, 0], [half, half, 0.02], green)
        for x, y in ((1, 0), (-1, 0), (0, 1), (0, -1)):
            out = np.array([x, y]) * (half + _BIN_WALL)
            across = np.array([abs(y), abs(x)]) * (half + 2 * _BIN_WALL)
            thick = np.array([abs(x), abs(y)]) * _BIN_WALL
            low, high = out - across - thick, out + across + thick
            f.add_block(body, f"bin_wall{x}{y}", [*low, 0.0], [*high, _BIN_HEIGHT], green)

    def _add_living_room(self, spec: mujoco.MjSpec) -> None:
        random = np.random.default_rng(self.decoration.seed)
        outside = spec.worldbody.add_body(name="terrace", pos=[_WALL_X + 2.1, 0.0, 0.001])
        f.add_shape(
            outside, f.BOX, [0, 0, 0], [2.02, 4.0, 0.0012], [0.62, 0.63, 0.62, 1], solid=False
        )
        f.add_rug(spec, np.array([0.3, 0.0]), np.array([2.2, 1.7]), random.uniform(0.3, 0.8, 3))
        cloth = [*random.uniform(0.3, 0.75, 3), 1.0]
        f.add_sofa(spec, "sofa", np.array([0.2, 1.62]), np.array([1.9, 0.8, 0.42]), (0, 1), cloth)
        spots = np.array([[-1.45, 1.8], [2.3, 1.85], [-1.45, -2.0], [2.35, -2.05]])
        for i, spot in enumerate(random.permutation(spots)[: self.decoration.distractors]):
            f.add_plant(spec, f"plant{i}", spot)
        hang_pictures(
            spec,
            [
                (np.array([0.2, _HIGH[1], 1.55]), np.array([0, -1, 0])),
                (np.array([_LOW[0], 0.2, 1.5]), np.array([1, 0, 0])),
            ],
            self.decoration,
        )
