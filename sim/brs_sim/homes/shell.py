"""Walls, floors, doors and windows of a planned home."""

from __future__ import annotations

import mujoco
import numpy as np

from brs_sim.homes.floor import Rectangle
from brs_sim.homes.plan import WALL_M, Doorway, Plan
from brs_sim.model import THIRD_PERSON, looking_at
from brs_sim.tasks import furniture as f

_HEIGHT_M = 2.4
_DOOR_TOP_M, _DOOR_THICK_M, _GAP_M = 2.0, 0.036, 0.012
_LEVER_M = 1.02  # height of the handle
_DOOR_TRAVEL_RAD = 2.0
_VIEW_FOV = 50.0  # [degrees]
_DOOR_COLOUR = [0.86, 0.84, 0.80, 1]


def add_shell(
    spec: mujoco.MjSpec, plan: Plan, wall: np.ndarray, floors: np.ndarray, inner: np.ndarray
) -> None:
    """Adds everything but the furniture, and looks at it from above.

    Args:
        spec: of the scene.
        plan: of the home.
        wall: (3,) RGB 0..1 of the outer walls.
        floors: (rooms, 3) RGB of each room's floor.
        inner: (3,) RGB of the inner walls.
    """
    walls = spec.worldbody.add_body(name="walls")
    for side in _outer_walls(plan.area):
        f.add_block(walls, "", [*side.low, 0.0], [*side.high, _HEIGHT_M], [*wall, 1.0])
    for part in plan.walls:
        f.add_block(walls, "", [*part.low, 0.0], [*part.high, _HEIGHT_M], [*inner, 1.0])
    for room, colour in zip(plan.rooms, floors, strict=True):
        low, high = [*room.area.low, 0.0], [*room.area.high, 0.001]
        f.add_block(walls, "", low, high, [*colour, 1.0], solid=False)
    for door in plan.doorways:
        _add_door(spec, walls, door, inner)
    for number, (middle, normal) in enumerate(_window_places(plan)):
        f.add_window(spec, f"window{number}", middle, normal, np.array([1.1, 1.0]))
    _look_from_above(spec, plan.area.grown(2 * WALL_M).size)


def _look_from_above(spec: mujoco.MjSpec, size: np.ndarray) -> None:
    """Nothing is hidden by a roof, as there is none; pictures are at least 3:2."""
    half = max(size[1] / 2, size[0] / 3)
    above = _HEIGHT_M + half / np.tan(np.radians(_VIEW_FOV / 2))
    camera = spec.camera(THIRD_PERSON)
    camera.pos = [0.0, -0.2 * half, above]
    camera.quat = looking_at(camera.pos, np.array([0.0, -0.02, 0.0]))
    camera.fovy = _VIEW_FOV


def _outer_walls(area: Rectangle) -> list[Rectangle]:
    outside = area.grown(WALL_M)
    walls = []
    for axis in (0, 1):
        for edge, beyond in ((area.low, outside.low), (area.high, outside.high)):
            low, high = outside.low.copy(), outside.high.copy()
            low[axis], high[axis] = sorted((edge[axis], beyond[axis]))
            walls.append(Rectangle(low, high))
    return walls


def _window_places(plan: Plan) -> list[tuple[np.ndarray, np.ndarray]]:
    """One in each room, middle (3,) and normal (3,), in its longest outer wall."""
    places = []
    for room in plan.rooms:
        found = []
        for axis in (0, 1):
            for own, outer, inwards in (
                (room.area.low, plan.area.low, 1.0),
                (room.area.high, plan.area.high, -1.0),
            ):
                if abs(own[axis] - outer[axis]) < 1e-9:
                    middle, normal = np.append(room.area.middle, 1.5), np.zeros(3)
                    middle[axis], normal[axis] = own[axis], inwards
                    found.append((float(room.area.size[1 - axis]), middle, normal))
        if found:
            places.append(max(found, key=lambda place: place[0])[1:])
    return places


def _add_door(
    spec: mujoco.MjSpec, walls: mujoco.MjsBody, door: Doorway, colour: np.ndarray
) -> None:
    """A lintel, and a leaf on a hinge that stands open at first; zero is closed."""
    half = np.abs(door.along) * door.width / 2 + np.abs(door.normal) * WALL_M / 2
    low, high = door.middle - half, door.middle + half
    f.add_block(walls, "", [*low, _DOOR_TOP_M], [*high, _HEIGHT_M], [*colour, 1.0])
    edge = door.along * door.hinge * (door.width / 2 - _GAP_M) + door.normal * WALL_M / 2
    leaf = f.add_moving_part(
        spec.worldbody,
        door.name,
        [*(door.middle + edge), 0.0],
        [0, 0, door.hinge],
        (0.0, _DOOR_TRAVEL_RAD),
        friction=1.0,
        damping=2.0,
    )
    # In the frame of the leaf x runs along the closed door from its hinge, y away from the wall.
    heading = float(np.arctan2(*(-door.along * door.hinge)[::-1]))
    leaf.quat = f.turned(heading + door.hinge * door.open_rad)
    leaf.joints[0].ref = door.open_rad
    side = door.hinge
    width = door.width - 2 * _GAP_M
    edges = sorted((-side * _DOOR_THICK_M, 0.0))
    low, high = [0.0, edges[0], _GAP_M], [width, edges[1], _DOOR_TOP_M - _GAP_M]
    f.add_block(leaf, "", low, high, _DOOR_COLOUR, 14.0)
    for y in (edges[0] - 0.05, edges[1] + 0.05):
        ends = [[width - 0.07, y, _LEVER_M], [width - 0.19, y, _LEVER_M]]
        f.add_rod(leaf, ends, 0.009, f.CHROME, 0.1)
        stem = [[width - 0.07, sum(edges) / 2, _LEVER_M], ends[0]]
        f.add_rod(leaf, stem, 0.009, f.CHROME, 0.05)
    spec.add_exclude(bodyname1="walls", bodyname2=door.name)
