"""Floor plans by seed: rooms, doorways, where furniture stands, where the robot can drive.

    a rectangle --> split into rooms --> doorways join them --> furniture, piece by piece;
                                                                a piece that would cut off a
                                                                station or room is left out

A station is where the robot stands to use a piece that can be used. All stations, all doorways and
the start lie in one stretch of floor in which a disc as wide as the robot can move.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np

from brs_sim.homes.catalogue import KINDS, ROOMS
from brs_sim.homes.floor import Floor, Rectangle

WALL_M = 0.10
_SPLIT_TRIES = 50
_PLACE_TRIES = 20
_DOOR_APPROACH_M = 1.05  # kept free of furniture on both sides of a doorway
_DOOR_MARGIN_M = 0.30  # between a doorway and the next corner
_FROM_WALL_M = 0.02
_STANCE_M = 0.62  # the robot's middle from the front of what it uses
_START_SPARE_M = 0.12  # more than the robot's width is free around the start
_LEAF_M = 0.04


@dataclass(frozen=True)
class HomeShape:
    """What a plan is drawn from; ranges are lowest, highest."""

    rooms: tuple[int, int]  # fewest and most
    size: np.ndarray  # (2, 2) of the whole home along x and y [m]
    shortest_side_m: float  # of a room
    doorway_m: np.ndarray  # (2,) width of a doorway
    door_open_rad: np.ndarray  # (2,) how far doors stand open at first
    robot_width_m: float  # of the disc that must pass everywhere
    pieces: tuple[int, int]  # of furniture in a room

    def __post_init__(self) -> None:
        if not 1 <= self.rooms[0] <= self.rooms[1]:
            raise ValueError("'rooms' needs a fewest and a most, from 1 on")
        if not 1 <= self.pieces[0] <= self.pieces[1]:
            raise ValueError("'pieces' needs a fewest and a most, from 1 on")
        if np.min(self.doorway_m) < self.robot_width_m + _LEAF_M + 0.1:
            raise ValueError("'doorway_m' is too narrow for 'robot_width_m' and an open door")
        if np.min(self.size) < self.shortest_side_m:
            raise ValueError("'size' is less than 'shortest_side_m'")


@dataclass(frozen=True)
class RoomPlan:
    """One room."""

    kind: str  # of those in the catalogue
    area: Rectangle  # between the inner faces of its walls


@dataclass(frozen=True, eq=False)
class Doorway:
    """A gap in an inner wall, and its door."""

    name: str
    middle: np.ndarray  # (2,) [m]
    normal: np.ndarray  # (2,) across the wall, towards where the door opens
    width: float  # [m]
    hinge: float  # +1 or -1: on which side, seen along the normal turned by 90 degrees
    open_rad: float  # of the door at first

    @property
    def along(self) -> np.ndarray:
        """(2,) direction of the wall."""
        return np.array([-self.normal[1], self.normal[0]])

    def approach(self) -> Rectangle:
        """The floor on both sides that stays free."""
        half = np.abs(self.along) * (self.width / 2 + 0.12) + np.abs(self.normal) * (
            WALL_M / 2 + _DOOR_APPROACH_M
        )
        return Rectangle(self.middle - half, self.middle + half)

    def leaf(self) -> Rectangle:
        """The floor under the open door."""
        edge = self.middle + self.along * self.hinge * self.width / 2 + self.normal * WALL_M / 2
        # From closed, the leaf turns by its angle away from the wall.
        tip = -self.along * self.hinge * np.cos(self.open_rad) + self.normal * np.sin(
            self.open_rad
        )
        ends = np.array([edge, edge + tip * self.width])
        return Rectangle(ends.min(axis=0) - _LEAF_M, ends.max(axis=0) + _LEAF_M)


@dataclass(frozen=True)
class Piece:
    """One piece of furniture; its x axis points to whoever uses it."""

    name: str
    kind: str  # of those in the catalogue
    room: int
    place: np.ndarray  # (2,) middle of its footprint [m]
    yaw: float  # [rad], a multiple of 90 degrees
    size: np.ndarray  # (3,) depth, width, height [m]
    seed: int  # of its looks

    @property
    def front(self) -> np.ndarray:
        """(2,) direction to whoever uses it."""
        return np.round(np.array([np.cos(self.yaw), np.sin(self.yaw)]))

    @property
    def footprint(self) -> Rectangle:
        """The floor that it covers."""
        along = np.abs(self.front) * self.size[0] + np.abs(self.front[::-1]) * self.size[1]
        return Rectangle(self.place - along / 2, self.place + along / 2)

    @property
    def station(self) -> np.ndarray:
        """(3,) x, y [m], yaw [rad] of a robot that uses it."""
        spot = self.place + self.front * (self.size[0] / 2 + _STANCE_M)
        return np.append(spot, np.arctan2(-self.front[1], -self.front[0]))

    @property
    def fixtures(self) -> tuple[str, ...]:
        """Names of its doors and drawers."""
        return tuple(f"{self.name}_{part}" for part in KINDS[self.kind].parts)


@dataclass(frozen=True)
class Plan:
    """A whole home, in the world's frame."""

    area: Rectangle  # between the outer walls
    rooms: tuple[RoomPlan, ...]
    walls: tuple[Rectangle, ...]  # inner ones, without their doorways
    doorways: tuple[Doorway, ...]
    pieces: tuple[Piece, ...]
    start: np.ndarray  # (2,) where the robot may be, whichever way it looks [m]
    robot_width_m: float
    _floors: dict[float, Floor] = field(default_factory=dict, compare=False, repr=False)

    @property
    def stations(self) -> dict[str, np.ndarray]:
        """Piece -> station, of all pieces with which a robot has to do."""
        used = (piece for piece in self.pieces if KINDS[piece.kind].is_used)
        return {piece.name: piece.station for piece in used}

    @property
    def obstacles(self) -> tuple[Rectangle, ...]:
        """All that stands on the floor, doors as they stand at first."""
        leaves = tuple(door.leaf() for door in self.doorways)
        return (*self.walls, *leaves, *(piece.footprint for piece in self.pieces))

    def floor(self, width_m: float | None = None) -> Floor:
        """Where the middle of a disc so wide can be; the robot's width unless told."""
        width = self.robot_width_m if width_m is None else width_m
        if width not in self._floors:
            self._floors[width] = Floor(self.area, self.obstacles, width / 2)
        return self._floors[width]

    def joined(self) -> np.ndarray:
        """(n, 2) what must hang together: all stations, and both sides of all doorways."""
        spots = [station[:2] for station in self.stations.values()]
        for door in self.doorways:
            reach = (WALL_M / 2 + self.robot_width_m / 2 + 0.05) * door.normal
            spots += [door.middle + reach, door.middle - reach]
        return np.reshape(spots, (-1, 2))

    def is_drivable(self) -> bool:
        """Whether the start and all that is joined hang together."""
        return self.floor().joins(np.vstack([self.start, self.joined()]))


def draw_plan(random: np.random.Generator, shape: HomeShape) -> Plan:
    """A home that can be driven through.

    Raises:
        ValueError: the shape leaves no room for so many rooms.
    """
    for _ in range(_SPLIT_TRIES):
        size = random.uniform(*shape.size)
        area = Rectangle(-size / 2, size / 2)
        count = int(random.integers(shape.rooms[0], shape.rooms[1] + 1))
        rectangles, lines = _split(random, area, count, shape.shortest_side_m)
        doorways = _join(random, rectangles, shape) if len(rectangles) == count else None
        if doorways is None:
            continue
        kinds = _kinds(random, rectangles)
        rooms = tuple(RoomPlan(*pair) for pair in zip(kinds, rectangles, strict=True))
        walls = tuple(part for line in lines for part in _without_gaps(line, doorways))
        width = shape.robot_width_m
        bare = Plan(area, rooms, walls, tuple(doorways), (), rooms[0].area.middle, width)
        if bare.is_drivable():
            return _furnish(random, bare, shape)
    raise ValueError("no home of so many rooms fits; make 'size' larger or 'rooms' fewer")


def _split(
    random: np.random.Generator, area: Rectangle, count: int, shortest: float
) -> tuple[list[Rectangle], list[Rectangle]]:
    """Rooms, and the walls that separate them; fewer than `count` where there is no space."""
    rooms, lines = [area], list[Rectangle]()
    while len(rooms) < count:
        rooms.sort(key=lambda room: float(np.prod(room.size)))
        room = rooms.pop()
        axis = int(np.argmax(room.size))
        low, high = room.low[axis] + shortest, room.high[axis] - shortest - WALL_M
        if low >= high:
            return [*rooms, room], lines
        cut = random.uniform(low, high)
        first_high, second_low = room.high.copy(), room.low.copy()
        first_high[axis], second_low[axis] = cut, cut + WALL_M
        rooms += [Rectangle(room.low, first_high), Rectangle(second_low, room.high)]
        line_low, line_high = room.low.copy(), room.high.copy()
        line_low[axis], line_high[axis] = cut, cut + WALL_M
        lines.append(Rectangle(line_low, line_high))
    return rooms, lines


def _join(
    random: np.random.Generator, rooms: list[Rectangle], shape: HomeShape
) -> list[Doorway] | None:
    """Doorways by which every room is reached; None where neighbours share too little wall."""
    group = list(range(len(rooms)))
    doorways: list[Doorway] = []
    pairs = list(combinations(range(len(rooms)), 2))
    for pick in random.permutation(len(pairs)):
        first, second = pairs[int(pick)]
        if group[first] == group[second]:
            continue
        width = float(random.uniform(*shape.doorway_m))
        found = _shared_wall(rooms[first], rooms[second], width / 2 + _DOOR_MARGIN_M)
        if found is None:
            continue
        axis, across, low, high = found
        middle = np.empty(2)
        middle[axis], middle[1 - axis] = across, random.uniform(low, high)
        normal = np.zeros(2)
        normal[axis] = random.choice([-1.0, 1.0])
        doorways.append(
            Doorway(
                f"door{len(doorways)}",
                middle,
                normal,
                width,
                float(random.choice([-1.0, 1.0])),
                float(random.uniform(*shape.door_open_rad)),
            )
        )
        group = [group[first] if g == group[second] else g for g in group]
    return doorways if len(set(group)) == 1 else None


def _shared_wall(
    one: Rectangle, other: Rectangle, margin: float
) -> tuple[int, float, float, float] | None:
    """Normal axis, place across, and where along the wall a doorway's middle may be."""
    for axis in (0, 1):
        for near, far in ((one, other), (other, one)):
            if abs(far.low[axis] - near.high[axis] - WALL_M) < 1e-9:
                low = max(one.low[1 - axis], other.low[1 - axis]) + margin
                high = min(one.high[1 - axis], other.high[1 - axis]) - margin
                if low < high:
                    return axis, float(near.high[axis] + WALL_M / 2), low, high
    return None


def _without_gaps(line: Rectangle, doorways: list[Doorway]) -> list[Rectangle]:
    """A wall cut by the doorways that lie on it."""
    parts = [line]
    for door in doorways:
        half = np.abs(door.along) * door.width / 2
        axis = int(np.argmax(half))
        cut: list[Rectangle] = []
        for part in parts:
            if part.contains(door.middle):
                before, after = part.high.copy(), part.low.copy()
                before[axis], after[axis] = (door.middle - half)[axis], (door.middle + half)[axis]
                cut += [Rectangle(part.low, before), Rectangle(after, part.high)]
            else:
                cut.append(part)
        parts = cut
    return parts


def _kinds(random: np.random.Generator, rooms: list[Rectangle]) -> list[str]:
    """Kitchen and living room first, as every home has them; the largest room is lived in."""
    order = np.argsort([-np.prod(room.size) for room in rooms])
    extra = list(random.permutation([kind for kind in ROOMS if kind not in ("living", "kitchen")]))
    wanted = ["living", "kitchen", *extra, *extra]
    kinds = [""] * len(rooms)
    for kind, room in zip(wanted, order, strict=False):
        kinds[int(room)] = str(kind)
    return kinds


def _furnish(random: np.random.Generator, plan: Plan, shape: HomeShape) -> Plan:
    """The plan with furniture, as much as leaves it drivable, and a start that is clear of it."""
    for number, room in enumerate(plan.rooms):
        usual = ROOMS[room.kind]
        count = int(random.integers(shape.pieces[0], shape.pieces[1] + 1))
        others = random.permutation(usual[1:])[: max(count - 1, 0)]
        for kind in (usual[0], *others):
            for _ in range(_PLACE_TRIES if kind != usual[0] else 3 * _PLACE_TRIES):
                piece = _drawn_piece(random, plan, number, str(kind))
                if _fits(plan, piece):
                    plan = replace(plan, pieces=(*plan.pieces, piece), _floors={})
                    break
    spare = plan.floor(plan.robot_width_m + 2 * _START_SPARE_M)
    free = plan.floor().those_joined_to(plan.joined(), spare.spots())
    return replace(plan, start=free[int(random.integers(len(free)))], _floors={})


def _drawn_piece(random: np.random.Generator, plan: Plan, room: int, kind: str) -> Piece:
    """Somewhere in the room, its back to a wall unless it stands free."""
    what, area = KINDS[kind], plan.rooms[room].area
    size = random.uniform(*what.size)
    side = int(random.integers(4))  # west, east, south, north
    axis, outward = side // 2, 1.0 if side % 2 == 0 else -1.0
    front = np.zeros(2)
    front[axis] = outward
    room_for = area.size[1 - axis] - size[1] - 2 * _FROM_WALL_M
    place = area.middle.copy()
    if what.stands_free:
        place += random.uniform(-0.3, 0.3, 2)
    else:
        face = area.low[axis] if outward > 0 else area.high[axis]
        place[axis] = face + outward * (size[0] / 2 + _FROM_WALL_M)
        place[1 - axis] += random.uniform(-0.5, 0.5) * max(room_for, 0.0)
    yaw = float(np.arctan2(front[1], front[0]))
    name = f"{kind}{sum(piece.kind == kind for piece in plan.pieces)}"
    return Piece(name, kind, room, place, yaw, size, int(random.integers(2**31)))


def _fits(plan: Plan, piece: Piece) -> bool:
    """Within its room, clear of doorways and of other furniture, nothing cut off."""
    area, footprint = plan.rooms[piece.room].area, piece.footprint
    if not (area.contains(footprint.low) and area.contains(footprint.high)):
        return False
    taken = [part for door in plan.doorways for part in (door.approach(), door.leaf())]
    taken += [other.footprint.grown(0.03) for other in plan.pieces]
    if any(footprint.overlaps(other) for other in taken):
        return False
    fuller = replace(plan, pieces=(*plan.pieces, piece), _floors={})
    return fuller.floor().joins(fuller.joined())
