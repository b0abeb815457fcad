"""Lay clothes out: a jacket on a hanger from a wardrobe onto a sofa bed.

Seen from above; the robot starts near the origin and looks along x:

        y    +-----------+
        ^    | sofa bed  |
        |    +-----------+    +-- wardrobe --+
        |                     |  | | | |     |    The jackets hang on a rod along y, behind
        +--> x         door \\ |              |    a door that opens towards the robot.

The cloth is simplified: upper part, lower part and sleeves are stiff panels on hinges, the
upper part is fast to its hanger. The hook holds by contact alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import mujoco
import numpy as np

from brs_sim.geometry import shifted, tool_pose
from brs_sim.model import add_floor_shade
from brs_sim.tasks import furniture as f
from brs_sim.tasks.config import TaskConfig
from brs_sim.tasks.registry import Deed, Grasp, Pose, register
from brs_sim.tasks.room import Room, hang_pictures
from brs_sim.tasks.rules import Aloft, Closed, Opened, StagedTask, both, is_let_go

_LOW, _HIGH = np.array([-1.7, -1.9]), np.array([2.08, 2.35])
_FRONT_X = 1.42  # of the wardrobe [m]
_WARDROBE = np.array([0.64, 1.10, 1.75])  # depth, width, height
_WALL = 0.02
_ROD_FROM_FRONT, _ROD_HEIGHT, _ROD_RADIUS = 0.315, 1.45, 0.012
_HANDLE_HEIGHT = 0.95
_HINGE = np.array([-0.01, _WARDROBE[1] / 2, 0.0])  # from the middle of the front, on the floor
_DOOR_TRAVEL = 2.3  # [rad], so that elbows have room beside the jackets
# The jacket in its own frame: x across the shoulders, z up, its origin at the hanger's middle.
_HOOK = np.array(
    [
        [0.0, 0.0, 0.0],
        [0.0, 0.0, 0.045],
        [-0.022, 0.0, 0.062],
        [-0.026, 0.0, 0.085],
        [-0.012, 0.0, 0.1045],
        [0.012, 0.0, 0.1045],
        [0.026, 0.0, 0.085],
    ]
)
_HOOK_RADIUS = 0.003
_ROD_IN_HOOK = 0.1045 - _HOOK_RADIUS - _ROD_RADIUS  # height of the rod's middle in the jacket
_SHOULDER_DROP = 0.05
_UPPER, _LOWER = 0.30, 0.26  # heights of the panels [m]
_THICK = 0.018
_HEM_FRICTION = 0.45
_SOFA = np.array([1.7, 0.95, 0.45])  # x, y, height of its seat
_MARGIN = 0.10  # the middle of a laid panel is at least so far within the edges
_FLAT_RAD = 0.6


@dataclass(frozen=True)
class ClothesConfig(TaskConfig):
    """See TaskConfig; ranges are lowest, highest."""

    jacket_place: np.ndarray  # (2,) along the rod, from the middle of the door [m]
    jacket_width: np.ndarray  # (2,) [m]
    jacket_mass: np.ndarray  # (2,) [kg]
    jacket_colours: np.ndarray  # (n, 3)
    wardrobe_side: np.ndarray  # (2,) y of its middle [m]
    sofa_place: np.ndarray  # (2, 2) middle of the sofa bed [m]
    open_rad: float  # door angle that counts as open
    closed_rad: float  # and as closed


@register
class Clothes(StagedTask):
    """Lay clothes out; see the module."""

    name = "clothes"
    instruction = "take the jacket out of the wardrobe and lay it on the sofa bed"
    config_type = ClothesConfig
    config: ClothesConfig
    objects = ("jacket",)
    fixtures = ("door", "jacket_lower", "left_sleeve", "right_sleeve")
    subtasks = (
        "wardrobe opened",
        "jacket picked up",
        "jacket laid on the sofa bed",
        "wardrobe closed",
    )

    def draw(self, random: np.random.Generator) -> None:
        """See Task."""
        config = self.config
        self.side = float(random.uniform(*config.wardrobe_side))
        self.half_width = float(random.uniform(*config.jacket_width)) / 2
        self.mass = float(random.uniform(*config.jacket_mass))
        self.colour = random.choice(config.jacket_colours)
        along = self.side + _WARDROBE[1] / 4 + random.uniform(*config.jacket_place)
        self.hanging = np.array([_FRONT_X + _ROD_FROM_FRONT, along, _ROD_HEIGHT - _ROD_IN_HOOK])
        self.sofa = random.uniform(*config.sofa_place)
        self.sofa_size = _SOFA
        self.handle_height = _HANDLE_HEIGHT
        self.handle_on_door = self._handle() - _HINGE
        self.shoulder = np.array([0.04 - self.half_width, 0.0, -_SHOULDER_DROP - 0.01])
        closed = Closed("door", config.closed_rad)
        self.rules = (
            Opened("door", config.open_rad),
            Aloft("jacket"),
            self._is_laid,
            both(closed, self._is_laid),
        )

    def furnish(self, spec: mujoco.MjSpec) -> None:
        """See Task."""
        view_from, view_at = np.array([-1.5, -1.7, 2.05]), np.array([0.9, 0.5, 0.7])
        window = np.array([0.8, _HIGH[1], 1.5]), np.array([0, -1, 0])
        Room(_LOW, _HIGH, view_from, view_at, window=window).build(spec, self.decoration)
        self._add_wardrobe(spec)
        self._add_jacket(spec)
        random = np.random.default_rng(self.decoration.seed)
        self._add_others(spec, random)
        cloth = [*random.uniform(0.35, 0.75, 3), 1.0]
        f.add_sofa(spec, "sofa_bed", self.sofa, _SOFA, (0, 1), cloth)
        f.add_rug(spec, np.array([0.1, 0.2]), np.array([1.8, 1.5]), random.uniform(0.3, 0.8, 3))
        f.add_plant(spec, "plant", np.array([1.7, -1.6]))
        places = [(np.array([-0.3, _HIGH[1], 1.6]), np.array([0, -1, 0]))]
        hang_pictures(spec, places, self.decoration)

    def solution(self) -> tuple[Deed, ...]:
        """See Task."""
        out: dict[str, Pose] = {"jacket": (shifted(self.hanging, -0.7, 0.0, 0.05), f.turned(0.0))}
        # On its back: its z axis along the sofa bed, and its y axis up.
        flat = np.zeros(4)
        mujoco.mju_mat2Quat(flat, np.array([0, 0, 1, 1, 0, 0, 0, 1, 0], dtype=float))
        laid: dict[str, Pose] = {
            "jacket": (np.append(shifted(self.sofa, 0.28, -0.02), _SOFA[2] + 0.02), flat)
        }
        straight = dict.fromkeys(("jacket_lower", "left_sleeve", "right_sleeve"), 0.0)
        opened = self.config.open_rad + 0.1
        return (
            Deed(fixtures={"door": opened}),
            Deed(out, hold_s=0.6),
            Deed(laid, straight, hold_s=0.04),
            Deed(hold_s=1.0),
            Deed(fixtures={"door": 0.0}),
        )

    def grasps(self) -> tuple[Grasp, ...]:
        """See Task."""
        handle = shifted(self._handle(), _FRONT_X, self.side, 0.0)
        shoulder = self.hanging + self.shoulder
        before = np.array([_FRONT_X - 0.72, self.side - 0.2, 0.0])
        middle = np.append(shifted(self.sofa, 0.0, -0.1), _SOFA[2] + 0.06)
        at_sofa = np.array([middle[0] + 0.2, middle[1] - 0.42 - 0.55, np.pi / 2])
        return (
            Grasp("handle of the wardrobe", tool_pose(handle, 0.0, 0.1), before),
            Grasp(
                "shoulder of the jacket",
                tool_pose(shoulder, 0.0, 0.2),
                np.array([shoulder[0] - 0.72, shoulder[1] - 0.2, 0.0]),
                Deed(fixtures={"door": _DOOR_TRAVEL}),
            ),
            Grasp("middle of the sofa bed", tool_pose(middle, np.pi / 2, 0.5), at_sofa),
        )

    def _is_laid(self, model: mujoco.MjModel, data: mujoco.MjData) -> bool:
        """Both panels on the seat, the upper one flat, at rest and let go of."""
        within = np.array([_SOFA[0], _SOFA[1]]) / 2 - _MARGIN
        for name in ("jacket", "jacket_lower"):
            centre = data.xipos[model.body(name).id]
            low = _SOFA[2] - 0.02 < centre[2] < _SOFA[2] + 0.15
            if not (low and np.all(np.abs(centre[:2] - self.sofa) < within)):
                return False
        across = data.xmat[model.body("jacket").id].reshape(3, 3)[2, 1]
        return bool(abs(across) > np.cos(_FLAT_RAD)) and is_let_go(model, data, "jacket")

    def _handle(self) -> np.ndarray:
        """(3,) grip of the handle from the middle of the wardrobe's front, on the left door."""
        return np.array([-0.055, 0.06, _HANDLE_HEIGHT])

    def _add_wardrobe(self, spec: mujoco.MjSpec) -> None:
        """Its origin is the middle of its front, on the floor."""
        body = spec.worldbody.add_body(name="wardrobe", pos=[_FRONT_X, self.side, 0.0])
        depth, width, height = _WARDROBE
        half = width / 2
        stand = body.add_body(name="wardrobe_shade", pos=[depth / 2, 0, 0])
        add_floor_shade(stand, (depth * 0.7, half * 1.2), 0.0)
        for name, low, high in (
            ("left", [0, half - _WALL, 0], [depth, half, height]),
            ("right", [0, -half, 0], [depth, _WALL - half, height]),
            ("back", [depth - _WALL, -half, 0], [depth, half, height]),
            ("bottom", [0, -half, 0], [depth, half, 0.08]),
            ("top", [0, -half, height - _WALL], [depth, half, height]),
            ("middle", [0.02, -_WALL - 0.02, 0.08], [depth, -0.02, height]),
            ("fixed_door", [-0.02, -half, 0.02], [0.0, -0.003, height]),
        ):
            shade = f.WOOD if name != "back" else [0.66, 0.53, 0.38, 1]
            f.add_block(body, f"wardrobe_{name}", low, high, shade)
        rod = [[_ROD_FROM_FRONT, -0.02, _ROD_HEIGHT], [_ROD_FROM_FRONT, half, _ROD_HEIGHT]]
        f.add_rod(body, rod, _ROD_RADIUS, f.CHROME)
        f.add_rod(body, [[-0.045, -0.06, 0.85], [-0.045, -0.06, 1.05]], 0.009, f.CHROME)
        door = f.add_moving_part(
            body,
            "door",
            _HINGE,
            [0, 0, -1],
            (0.0, _DOOR_TRAVEL),
            friction=0.6,
            damping=1.0,
        )
        low, high = [-0.01, -half + 0.003, 0.02], [0.008, 0.0, height]
        f.add_block(door, "door_panel", low, high, f.WOOD, mass=7.0)
        x, y, z = self.handle_on_door
        f.add_rod(door, [[x, y, z - 0.11], [x, y, z + 0.11]], 0.009, f.CHROME, 0.1)
        for end in (z - 0.10, z + 0.10):
            f.add_rod(door, [[-0.01, y, end], [x, y, end]], 0.007, f.CHROME, 0.02)

    def _add_jacket(self, spec: mujoco.MjSpec) -> None:
        jacket = f.add_thing(spec, "jacket", self.hanging)
        for ends in pairwise(_HOOK):
            f.add_rod(jacket, np.array(ends), _HOOK_RADIUS, f.CHROME, 0.001)
        half, rgba = self.half_width, [*self.colour, 1.0]
        dark = [*(self.colour * 0.82), 1.0]
        for x in (-half + 0.02, half - 0.02):
            f.add_rod(jacket, [[0, 0, 0], [x, 0, -_SHOULDER_DROP]], 0.007, f.PALE_WOOD, 0.02)
        top = -_SHOULDER_DROP + 0.01
        bottom = top - _UPPER
        f.add_block(
            jacket,
            "jacket_upper",
            [-half, -_THICK / 2, bottom],
            [half, _THICK / 2, top],
            rgba,
            mass=self.mass * 0.5,
        )
        f.add_block(
            jacket,
            "",
            [-0.004, -_THICK / 2 - 0.001, bottom],
            [0.004, _THICK / 2 + 0.001, top],
            dark,
            solid=False,
        )  # where it is buttoned
        lower = f.add_moving_part(
            jacket,
            "jacket_lower",
            [0, 0, bottom],
            [1, 0, 0],
            (-2.6, 2.6),
            damping=0.01,
            stiffness=0.02,
            floats=False,
        )
        f.add_block(
            lower,
            "jacket_lower",
            [-half, -_THICK / 2, -_LOWER],
            [half, _THICK / 2, 0.0],
            rgba,
            mass=self.mass * 0.26,
        )
        _make_slide(lower)
        for name, x in (("left_sleeve", half + 0.032), ("right_sleeve", -half - 0.032)):
            sleeve = f.add_moving_part(
                jacket,
                name,
                [x, 0, top - 0.10],
                [1, 0, 0],
                (-2.6, 2.6),
                damping=0.01,
                stiffness=0.02,
                floats=False,
            )
            f.add_block(
                sleeve,
                name,
                [-0.03, -_THICK / 2, -0.38],
                [0.03, _THICK / 2, 0.02],
                dark,
                mass=self.mass * 0.12,
            )
            spec.add_exclude(bodyname1=name, bodyname2="jacket_lower")
            _make_slide(sleeve)

    def _add_others(self, spec: mujoco.MjSpec, random: np.random.Generator) -> None:
        """Other garments, which hang firmly at the far end of the rod."""
        body = spec.body("wardrobe")
        for i in range(self.decoration.distractors):
            y = _WARDROBE[1] / 2 - 0.05 - 0.055 * i
            colour = [*random.uniform(0.15, 0.85, 3), 1.0]
            x, drop = _ROD_FROM_FRONT, random.uniform(0.4, 0.7)
            low = [x - 0.17, y - 0.012, _ROD_HEIGHT - 0.12 - drop]
            f.add_block(
                body, f"garment{i}", low, [x + 0.17, y + 0.012, _ROD_HEIGHT - 0.12], colour
            )
            f.add_rod(body, [[x, y, _ROD_HEIGHT - 0.12], [x, y, _ROD_HEIGHT]], 0.004, f.CHROME)


def _make_slide(part: mujoco.MjsBody) -> None:
    """Hem and sleeves slide where they touch down; cloth would fold, and a stiff panel jams."""
    for geom in part.geoms:
        geom.friction, geom.priority = [_HEM_FRICTION, 0.005, 0.0001], 1
