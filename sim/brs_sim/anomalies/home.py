"""A room seen by a camera on its ceiling: a robot, furniture, and what anomalies need.

Nothing here obeys physics: clips place everything for each frame, so any frame can be drawn by
itself and the truth is exact.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np

from brs_hardware.embodiment import Embodiment
from brs_sim.geometry import shifted
from brs_sim.model import build_model
from brs_sim.tasks.config import RoomConfig
from brs_sim.tasks.furniture import (
    CYLINDER,
    DARK_WOOD,
    ELLIPSOID,
    HINGE,
    PALE_WOOD,
    SLIDE,
    add_block,
    add_moving_part,
    add_plant,
    add_rod,
    add_rug,
    add_shape,
    add_sofa,
    add_table,
    add_thing,
)
from brs_sim.tasks.room import Decoration, Room

LOW, HIGH = np.array([-2.0, -2.0]), np.array([2.2, 2.2])  # of the room [m]
CAMERA = np.array([-1.85, -1.85, 2.25])  # [m]
LOOKS_AT = np.array([0.6, 0.35, 0.4])  # [m]
VERTICAL_FOV = 60.0  # [degrees]
AWAY_M = 30.0  # along x, of what is not there
VASE = np.array([0.10, 0.16])  # radius and half height [m]
TABLE = np.array([1.1, 0.6, 0.72])  # [m]
CABINET = np.array([0.45, 0.7, 0.8])  # [m]
DRAWER_TRAVEL_M = 0.34
DRAWER = "drawer"
SPILL_RINGS = 4
_ROOM = RoomConfig(
    brightness=np.array([0.75, 1.2]),
    warmth=np.array([0.0, 1.0]),
    wall_colours=np.array([[0.88, 0.86, 0.82], [0.80, 0.85, 0.86], [0.83, 0.80, 0.84]]),
    floor_colours=np.array([[0.71, 0.62, 0.51], [0.60, 0.48, 0.36], [0.55, 0.52, 0.49]]),
    distractors=(0, 0),
)


@dataclass(frozen=True)
class Home:
    """A furnished room."""

    embodiment: Embodiment
    model: mujoco.MjModel
    table: np.ndarray  # (2,) middle [m]
    cabinet: np.ndarray  # (2,) middle [m]
    drawer_height: float  # [m], its middle
    vase: np.ndarray  # (2,) where it stands on the table [m]


def build_home(embodiment: Embodiment, random: np.random.Generator) -> Home:
    """A room of its own for each state of `random`."""
    decoration = Decoration.drawn(random, _ROOM)
    table = np.array([random.uniform(-0.2, 0.7), HIGH[1] - TABLE[1] / 2 - 0.05])
    cabinet = np.array([HIGH[0] - CABINET[0] / 2 - 0.02, random.uniform(0.2, 0.9)])
    vase = shifted(table, random.uniform(-0.4, 0.4), -TABLE[1] / 2 + 0.12)
    drawer_height = float(random.choice([0.28, 0.58]))
    colours = random.uniform(0.15, 0.95, (6, 3))
    extras = random.random(3) < 0.6

    def furnish(spec: mujoco.MjSpec) -> None:
        Room(LOW, HIGH, CAMERA, LOOKS_AT, view_fov=VERTICAL_FOV).build(spec, decoration)
        add_table(spec, "table", table, TABLE)
        _add_cabinet(spec, cabinet, drawer_height)
        _add_vase(spec, vase, colours[0])
        _add_person(spec, colours[1], colours[2])
        _add_spill(spec, colours[3])
        if extras[0]:
            size = random.uniform(0.5, 1.1, 2)
            add_rug(spec, random.uniform([-0.4, -0.9], [1.0, 0.6]), size, colours[4])
        if extras[1]:
            add_plant(spec, "plant", np.array([HIGH[0] - 0.3, HIGH[1] - 0.3]))
        if extras[2]:
            place = np.array([HIGH[0] - 0.45, random.uniform(-1.5, -1.0)])
            sofa = [*(colours[5] * 0.7 + 0.1), 1.0]
            add_sofa(spec, "sofa", place, np.array([0.6, 1.0, 0.4]), (1.0, 0.0), sofa)
        _add_toys(spec, random)

    model = build_model(embodiment, furnish)
    return Home(embodiment, model, table, cabinet, drawer_height, vase)


def _add_cabinet(spec: mujoco.MjSpec, centre: np.ndarray, drawer_height: float) -> None:
    body = spec.worldbody.add_body(name="cabinet", pos=[*centre, 0.0])
    depth, width, height = CABINET
    low = np.array([-depth / 2, -width / 2, 0.0])
    add_block(body, "", low, -low + [0, 0, height], PALE_WOOD)
    front = -depth / 2
    for z in (0.28, 0.58):
        parent = body
        if z == drawer_height:
            parent = add_moving_part(
                body, DRAWER, [0, 0, 0], [-1, 0, 0], (0.0, DRAWER_TRAVEL_M), SLIDE
            )
            inside = [[front + 0.005, -0.28, z - 0.1], [depth / 2 - 0.06, 0.28, z + 0.06]]
            add_block(parent, "", inside[0], inside[1], DARK_WOOD, 0.1, solid=False)
        face = [[front - 0.02, -0.31, z - 0.125], [front, 0.31, z + 0.125]]
        add_block(parent, "", face[0], face[1], [0.9, 0.84, 0.74, 1], 0.1, solid=False)
        knob = [front - 0.03, 0.0, z]
        add_shape(parent, ELLIPSOID, knob, [0.02] * 3, DARK_WOOD, "", 0.01, solid=False)


def _add_vase(spec: mujoco.MjSpec, place: np.ndarray, colour: np.ndarray) -> None:
    body = add_thing(spec, "vase", np.array([*place, TABLE[2] + VASE[1]]))
    add_shape(body, CYLINDER, [0, 0, 0], VASE, [*colour, 1.0], mass=0.5)
    rim = [0, 0, VASE[1] - 0.03]
    add_shape(body, CYLINDER, rim, [VASE[0] * 1.12, 0.03], [*(colour * 0.6), 1.0], mass=0.1)


def _add_person(spec: mujoco.MjSpec, clothes: np.ndarray, trousers: np.ndarray) -> None:
    """Origin on the floor between the feet, x ahead; joints named person_*."""
    root = spec.worldbody.add_body(name="person")
    for name, kind, axis in (
        ("person_x", SLIDE, [1, 0, 0]),
        ("person_y", SLIDE, [0, 1, 0]),
        ("person_yaw", HINGE, [0, 0, 1]),
    ):
        root.add_joint(name=name, type=kind, axis=axis)
    shirt, skin = [*clothes, 1.0], [0.82, 0.62, 0.5, 1.0]
    add_rod(root, [[0, 0, 0.95], [0, 0, 1.35]], 0.16, shirt, 20.0, solid=False)
    add_shape(root, ELLIPSOID, [0, 0, 1.66], [0.1, 0.09, 0.13], skin, "", 4.0, solid=False)
    for side, y in (("left", 0.1), ("right", -0.1)):
        leg = root.add_body(name=f"person_{side}_leg", pos=[0, y, 0.88])
        leg.add_joint(name=f"person_{side}_leg", type=HINGE, axis=[0, 1, 0])
        add_rod(leg, [[0, 0, 0], [0, 0, -0.8]], 0.075, [*trousers, 1.0], 8.0, solid=False)
        arm = root.add_body(name=f"person_{side}_arm", pos=[0, 2.2 * y, 1.36])
        arm.add_joint(name=f"person_{side}_arm", type=HINGE, axis=[0, 1, 0])
        add_rod(arm, [[0, 0, 0], [0, 0, -0.55]], 0.05, shirt, 3.0, solid=False)


def _add_spill(spec: mujoco.MjSpec, colour: np.ndarray) -> None:
    """Rings on a body that goes anywhere; each rises through the floor by its own joint."""
    body = spec.worldbody.add_body(name="spill", pos=[0.0, 0.0, -0.1])
    for axis, name in (([1, 0, 0], "spill_x"), ([0, 1, 0], "spill_y")):
        body.add_joint(name=name, type=SLIDE, axis=axis)
    add_shape(body, ELLIPSOID, [0, 0, 0], [0.01] * 3, [0, 0, 0, 0], "", 0.1, solid=False)
    wet = [*(colour * 0.6), 0.9]
    for i in range(SPILL_RINGS):
        ring = body.add_body(name=f"spill_{i}")
        ring.add_joint(name=f"spill_{i}", type=SLIDE, axis=[0, 0, 1])
        reach = 0.4 * (i + 1) / SPILL_RINGS
        add_shape(ring, ELLIPSOID, [0, 0, 0], [reach, reach * 0.8, 0.003], wet, "", 0.1, False)


def _add_toys(spec: mujoco.MjSpec, random: np.random.Generator) -> None:
    """Things that lie on the floor and are no anomaly."""
    for i in range(random.integers(0, 4)):
        x, y = random.uniform([-0.9, 0.7], [1.6, 1.3]) if i % 2 else random.uniform(-1.1, 1.3, 2)
        body = spec.worldbody.add_body(name=f"toy{i}", pos=[x, y, 0.08])
        size = [float(random.uniform(0.05, 0.09))] * 3
        kind = ELLIPSOID if random.random() < 0.5 else mujoco.mjtGeom.mjGEOM_BOX
        colour = [*random.uniform(0.2, 0.95, 3), 1.0]
        add_shape(body, kind, [0, 0, size[2] - 0.08], size, colour, "", 0.1, solid=False)
