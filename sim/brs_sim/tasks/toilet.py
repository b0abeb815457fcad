"""Clean the toilet: a sponge from the closed lid, the seat, the lid, and the flush at last.

Seen from the side; the robot starts near the origin and looks along x:

        z              button
        ^              _n_
        |   sponge    |   |
        |  ____=____  |   |      The lid turns about its hinge beside the tank, and has a tab
        |  \\_______/|_|___|      at its front to lift it by.
        +--> x

What a wipe removes cannot be seen; spots on seat and lid count as clean when the sponge has
been on them.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from brs_sim.geometry import shifted, tool_pose
from brs_sim.model import add_floor_shade
from brs_sim.tasks import furniture as f
from brs_sim.tasks.config import TaskConfig
from brs_sim.tasks.registry import Deed, Grasp, register
from brs_sim.tasks.room import Room, hang_pictures
from brs_sim.tasks.rules import Aloft, Closed, Opened, StagedTask, Wiped, both

_LOW, _HIGH = np.array([-1.5, -1.35]), np.array([1.75, 1.35])
_HINGE_X = -0.42  # of the lid, from the wall behind the tank [m]
SEAT_TOP = 0.42
LID = np.array([0.43, 0.37, 0.022])  # length, width, thickness [m]
LID_UNDER = SEAT_TOP + 0.006
TAB = np.array([0.045, 0.06, 0.012])
_TANK = np.array([0.19, 0.40, 0.40])  # depth, width, height above the seat
LID_TRAVEL = 1.75  # [rad], then it leans against the tank
BUTTON_TRAVEL = 0.010  # [m]
_BUTTON_HEIGHT = 0.012
_WET_KG = 0.12  # of the sponge; one much lighter jitters out of a firm grip
SEAT_SPOTS = np.array(
    [[-0.10, 0.14], [-0.26, 0.15], [-0.375, 0.07]]
)  # from the hinge, and mirrored
LID_SPOTS = np.array([[-0.10, 0.10], [-0.22, 0.10], [-0.34, 0.08]])


@dataclass(frozen=True)
class ToiletConfig(TaskConfig):
    """See TaskConfig; ranges are lowest, highest."""

    toilet_side: np.ndarray  # (2,) y of the toilet's middle [m]
    sponge_place: np.ndarray  # (2, 3) x, y from the middle of the lid [m], yaw [rad]
    sponge_size: np.ndarray  # (2, 3) [m]
    sponge_colours: np.ndarray  # (n, 3)
    open_rad: float  # lid angle that counts as open
    closed_rad: float  # and as closed
    wipe_radius_m: float  # how near to a spot the sponge cleans it
    wipe_share: float  # of the spots that are enough
    pressed_m: float  # way of the button that flushes


@register
class Toilet(StagedTask):
    """Clean the toilet; see the module."""

    name = "toilet"
    instruction = "clean the toilet seat and the cover with the sponge, then flush"
    config_type = ToiletConfig
    config: ToiletConfig
    objects = ("sponge",)
    fixtures = ("lid", "button")
    subtasks = (
        "sponge picked up",
        "cover opened",
        "seat wiped",
        "cover closed",
        "cover wiped",
        "flushed",
    )

    def draw(self, random: np.random.Generator) -> None:
        """See Task."""
        config = self.config
        self.hinge = np.array(
            [_HIGH[0] + _HINGE_X, random.uniform(*config.toilet_side), LID_UNDER]
        )
        self.sponge_size = random.uniform(*config.sponge_size)
        place = random.uniform(*config.sponge_place)
        middle = shifted(self.hinge, -LID[0] / 2, 0.0, LID[2] + self.sponge_size[2] / 2)
        self.sponge_place = shifted(middle, *place[:2], 0.0)
        self.sponge_yaw = float(place[2])
        self.colour = random.choice(config.sponge_colours)
        lid, seat = _both_sides(LID_SPOTS, LID[2]), _both_sides(SEAT_SPOTS, 0.0)
        reach = config.wipe_radius_m + float(self.sponge_size[2]) / 2
        self.seat_wiped = Wiped("sponge", "seat", seat, reach, config.wipe_share)
        self.lid_wiped = Wiped("sponge", "lid", lid, reach, config.wipe_share)
        closed, opened = Closed("lid", config.closed_rad), Opened("lid", config.open_rad)
        self.rules = (
            Aloft("sponge"),
            opened,
            both(opened, self.seat_wiped),
            closed,
            both(closed, self.lid_wiped),
            Opened("button", config.pressed_m),
        )

    def furnish(self, spec: mujoco.MjSpec) -> None:
        """See Task."""
        view_from, view_at = np.array([-1.3, -1.15, 1.9]), np.array([0.95, 0.2, 0.55])
        Room(_LOW, _HIGH, view_from, view_at).build(spec, self.decoration)
        self._add_toilet(spec)
        sponge = f.add_thing(spec, "sponge", self.sponge_place, self.sponge_yaw)
        size = self.sponge_size / 2
        geom = f.add_shape(sponge, f.BOX, [0, 0, 0], size, [*self.colour, 1], "sponge", _WET_KG)
        geom.friction = [1.2, 0.02, 0.001]
        f.add_shape(
            sponge,
            f.BOX,
            [0, 0, size[2] * 0.72],
            [*(size[:2] * 1.005), size[2] * 0.3],
            [0.2, 0.42, 0.25, 1],
            solid=False,
        )
        self._add_bathroom(spec)

    def solution(self) -> tuple[Deed, ...]:
        """See Task."""
        away = shifted(self.hinge, -0.5, 0.0, 0.3)
        up = Deed({"sponge": (away, f.turned(0))}, hold_s=0.6)
        opened = {"lid": self.config.open_rad + 0.2}
        seat = [
            Deed({"sponge": self._on(spot, SEAT_TOP)}, opened, hold_s=0.04)
            for spot in _both_sides(SEAT_SPOTS, 0.0)
        ]
        top = LID_UNDER + LID[2]
        lid = [
            Deed({"sponge": self._on(spot, top)}, {"lid": 0.0}, hold_s=0.04)
            for spot in _both_sides(LID_SPOTS, 0.0)
        ]
        return (
            up,
            Deed({"sponge": up.objects["sponge"]}, opened, hold_s=0.1),
            *seat,
            Deed({"sponge": up.objects["sponge"]}, {"lid": 0.0}, hold_s=0.1),
            *lid,
            Deed(fixtures={"button": BUTTON_TRAVEL}, hold_s=0.1),
        )

    def grasps(self) -> tuple[Grasp, ...]:
        """See Task."""
        near = np.array([self.hinge[0] - 0.88, self.hinge[1], 0.0])
        left, right = shifted(near, 0, -0.2, 0), shifted(near, 0.0, 0.2, 0)
        tab = shifted(self.hinge, -LID[0] - TAB[0] * 0.4, 0.0, LID[2] - TAB[2] / 2)
        button = shifted(self._button(), 0.0, 0.0, 0.02)
        in_hand = (shifted(self.hinge, -0.6, 0.0, 1.0), f.turned(0.0))
        wiping = Deed({"sponge": in_hand}, {"lid": LID_TRAVEL})
        rear = shifted(self.hinge, -0.10, 0.14, -0.006 + 0.03)
        return (
            Grasp("sponge", tool_pose(self.sponge_place, 0.0, 0.9), right),
            Grasp("tab of the cover", tool_pose(tab, 0.0, 0.35, np.pi / 2), left),
            Grasp("rear of the seat", tool_pose(rear, 0.0, 0.7), right, wiping),
            Grasp("button", tool_pose(button, 0.0, 0.7), left),
        )

    def _on(self, spot: np.ndarray, height: float) -> tuple[np.ndarray, np.ndarray]:
        """Pose of the sponge that lies on a spot of the toilet, pressed down a little."""
        place = np.append(self.hinge[:2] + spot[:2], height + self.sponge_size[2] / 2 - 0.0005)
        return place, f.turned(0.0)

    def _button(self) -> np.ndarray:
        return np.array(
            [_HIGH[0] - _TANK[0] + 0.05, self.hinge[1], SEAT_TOP + _TANK[2] + _BUTTON_HEIGHT]
        )

    def _add_toilet(self, spec: mujoco.MjSpec) -> None:
        """Seat and bowl have the lid's hinge as their origin, the seat's top as their height."""
        origin = [self.hinge[0], self.hinge[1], SEAT_TOP]
        bowl = spec.worldbody.add_body(name="bowl", pos=origin)
        china = f.WHITE
        shade = bowl.add_body(name="bowl_foot", pos=[-0.12, 0, -SEAT_TOP])
        add_floor_shade(shade, (0.34, 0.26), 0.0)
        f.add_shape(bowl, f.CYLINDER, [-0.13, 0, -0.30], [0.12, 0.12], china)
        f.add_shape(bowl, f.ELLIPSOID, [-0.20, 0, -0.14], [0.22, 0.165, 0.13], china)
        f.add_block(bowl, "", [-0.05, -0.13, -0.42], [-_HINGE_X, 0.13, -0.02], china)
        low = np.array([-_HINGE_X - _TANK[0], -_TANK[1] / 2, 0.0])
        f.add_block(bowl, "tank", low, [-_HINGE_X, _TANK[1] / 2, _TANK[2] - 0.025], china)
        f.add_block(
            bowl,
            "tank_top",
            shifted(low, -0.008, -0.008, _TANK[2] - 0.025),
            [-_HINGE_X, _TANK[1] / 2 + 0.008, _TANK[2]],
            china,
        )
        self._add_seat(spec, origin)
        lid = f.add_moving_part(
            spec.worldbody,
            "lid",
            self.hinge,
            [0, 1, 0],
            (0.0, LID_TRAVEL),
            friction=0.12,
            damping=0.25,
            floats=False,
        )
        length, width, thick = LID
        f.add_block(
            lid,
            "lid_plate",
            [-length * 0.7, -width / 2, 0],
            [-0.01, width / 2, thick],
            china,
            mass=0.9,
        )
        f.add_block(
            lid,
            "lid_front",
            [-length, -width * 0.36, 0],
            [-length * 0.7, width * 0.36, thick],
            china,
            mass=0.4,
        )
        for y in (-1, 1):  # round corners, for the eye
            f.add_shape(
                lid,
                f.CYLINDER,
                [-length * 0.7, y * width * 0.2, thick / 2],
                [width * 0.3, thick / 2 * 0.99],
                china,
                solid=False,
            )
        tab = np.array([-length - TAB[0], -TAB[1] / 2, thick - TAB[2]])
        f.add_block(lid, "tab", tab, [-length, TAB[1] / 2, thick], [0.3, 0.55, 0.75, 1], mass=0.02)
        button = f.add_moving_part(
            spec.worldbody,
            "button",
            self._button(),
            [0, 0, -1],
            (0.0, BUTTON_TRAVEL),
            kind=f.SLIDE,
            damping=20.0,
            stiffness=400.0,
            rest=-0.001,
        )
        f.add_shape(
            button,
            f.CYLINDER,
            [0, 0, -_BUTTON_HEIGHT / 2 - 0.0005],
            [0.026, _BUTTON_HEIGHT / 2],
            f.CHROME,
            "button_cap",
            0.05,
        )
        spec.add_exclude(bodyname1="button", bodyname2="bowl")
        for part in ("seat", "bowl"):
            spec.add_exclude(bodyname1="lid", bodyname2=part)

    def _add_seat(self, spec: mujoco.MjSpec, origin: list[float]) -> None:
        seat = spec.worldbody.add_body(name="seat", pos=origin)
        pale, (length, width, _) = [0.99, 0.99, 0.98, 1], LID
        for name, low, high in (
            ("left", [-length * 0.8, 0.09], [-0.02, width / 2]),
            ("right", [-length * 0.8, -width / 2], [-0.02, -0.09]),
            ("rear", [-0.09, -0.09], [-0.02, 0.09]),
            ("front", [-length * 0.98, -width * 0.36], [-length * 0.8, width * 0.36]),
        ):
            f.add_block(seat, f"seat_{name}", [*low, -0.02], [*high, 0.0], pale)
        f.add_shape(
            seat,
            f.ELLIPSOID,
            [-0.22, 0, -0.012],
            [0.13, 0.09, 0.012],
            [0.55, 0.68, 0.74, 1],
            solid=False,
        )

    def _add_bathroom(self, spec: mujoco.MjSpec) -> None:
        random = np.random.default_rng(self.decoration.seed)
        tiles = spec.worldbody.add_body(name="tiles", pos=[_HIGH[0], 0.0, 0.0])
        colour = [*random.uniform(0.55, 0.85, 3), 1.0]
        f.add_block(tiles, "", [-0.006, _LOW[1], 0.0], [0.0, _HIGH[1], 1.2], colour, solid=False)
        f.add_block(tiles, "", [-0.010, _LOW[1], 1.2], [0.0, _HIGH[1], 1.23], f.WHITE, solid=False)
        joint = [*(np.array(colour[:3]) * 0.9), 1.0]
        for y in np.arange(_LOW[1] + 0.2, _HIGH[1], 0.2):
            f.add_block(tiles, "", [-0.0065, y, 0], [-0.005, y + 0.006, 1.2], joint, solid=False)
        for z in np.arange(0.2, 1.2, 0.2):
            f.add_block(
                tiles, "", [-0.0065, _LOW[1], z], [-0.005, _HIGH[1], z + 0.006], joint, solid=False
            )
        holder = spec.worldbody.add_body(name="paper", pos=[1.7, self.hinge[1] - 0.5, 0.75])
        roll = f.add_shape(holder, f.CYLINDER, [-0.06, 0, 0], [0.055, 0.05], f.WHITE)
        roll.quat = [np.sqrt(0.5), np.sqrt(0.5), 0, 0]
        basin = spec.worldbody.add_body(name="basin", pos=[0.5, _HIGH[1], 0.0])
        f.add_shape(basin, f.CYLINDER, [0, -0.22, 0.38], [0.07, 0.38], f.WHITE)
        f.add_shape(basin, f.ELLIPSOID, [0, -0.22, 0.80], [0.26, 0.20, 0.07], f.WHITE)
        f.add_rod(basin, [[0, -0.06, 0.84], [0, -0.06, 0.98]], 0.012, f.CHROME)
        f.add_rod(basin, [[0, -0.06, 0.98], [0, -0.18, 0.97]], 0.011, f.CHROME)
        f.add_block(
            basin, "", [-0.3, -0.012, 1.15], [0.3, 0.0, 1.75], [0.72, 0.82, 0.87, 1], solid=False
        )
        self._add_bottles(spec, random)
        hang_pictures(
            spec, [(np.array([0.2, _LOW[1], 1.55]), np.array([0, 1, 0]))], self.decoration
        )

    def _add_bottles(self, spec: mujoco.MjSpec, random: np.random.Generator) -> None:
        """On a stool in the corner, out of the way."""
        spot = np.array([1.45, np.copysign(1.1, -self.hinge[1]), 0.0])
        stool = spec.worldbody.add_body(name="stool", pos=spot)
        add_floor_shade(stool, (0.24, 0.24), 0.0)
        f.add_shape(stool, f.CYLINDER, [0, 0, 0.22], [0.17, 0.22], f.PALE_WOOD)
        for i in range(self.decoration.distractors):
            angle, colour = i * 2.1, [*random.uniform(0.2, 0.95, 3), 1.0]
            x, y, height = 0.09 * np.cos(angle), 0.09 * np.sin(angle), random.uniform(0.05, 0.1)
            f.add_shape(stool, f.CYLINDER, [x, y, 0.44 + height], [0.032, height], colour)
            f.add_shape(stool, f.CYLINDER, [x, y, 0.455 + 2 * height], [0.014, 0.015], f.WHITE)


def _both_sides(spots: np.ndarray, height: float) -> np.ndarray:
    """(2 n, 3) spots (n, 2) and their mirror images, at one height [m]."""
    mirrored = np.concatenate([spots, spots * [1, -1]])
    return np.column_stack([mirrored, np.full(len(mirrored), height)])
