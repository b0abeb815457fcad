"""Furniture of homes from boxes, with drawers that slide and doors that turn.

Every piece stands at the middle of its footprint, its front towards +x, its top at its height.
"""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np

from brs_sim.geometry import shifted
from brs_sim.homes.plan import Piece
from brs_sim.model import add_floor_shade
from brs_sim.tasks import furniture as f

_BOARD_M = 0.018
_SEAM_M = 0.004  # between what moves and what does not
_PLINTH_M = 0.08
_HANDLE_M = 0.035  # how far handles stand out
_DRAWER_FRICTION_N, _DOOR_FRICTION_NM = 3.0, 0.6
_DOOR_TRAVEL_RAD = 1.9
_FABRICS = ([0.42, 0.48, 0.55], [0.62, 0.50, 0.42], [0.45, 0.52, 0.42], [0.66, 0.62, 0.56])
_WOODS = (f.PALE_WOOD, f.WOOD, f.DARK_WOOD, f.WHITE)

Builder = Callable[[mujoco.MjSpec, mujoco.MjsBody, Piece, np.random.Generator], None]


def add_piece(spec: mujoco.MjSpec, piece: Piece) -> None:
    """Adds a planned piece; its body and its moving parts have its names."""
    body = spec.worldbody.add_body(
        name=piece.name, pos=[*piece.place, 0.0], quat=f.turned(piece.yaw)
    )
    add_floor_shade(body, (piece.size[0] * 0.6, piece.size[1] * 0.6), 0.0)
    _BUILDERS[piece.kind](spec, body, piece, np.random.default_rng(piece.seed))
    for part in piece.fixtures:
        spec.add_exclude(bodyname1=piece.name, bodyname2=part)


def _carcass(
    body: mujoco.MjsBody, size: np.ndarray, rgba: list[float], plinth: float = _PLINTH_M
) -> None:
    """A case that is open at its front."""
    x, y, top = size[0] / 2, size[1] / 2, float(size[2])
    board = _BOARD_M
    front = x - _BOARD_M - _SEAM_M  # fronts of drawers and doors are within the footprint
    f.add_block(body, "", [-x, -y, plinth], [front, -y + board, top], rgba)
    f.add_block(body, "", [-x, y - board, plinth], [front, y, top], rgba)
    f.add_block(body, "", [-x, -y, plinth], [-x + board, y, top], rgba)
    f.add_block(body, "", [-x, -y, plinth], [front, y, plinth + board], rgba)
    f.add_block(body, f"{body.name}_top", [-x, -y, top - board], [x, y, top], rgba)
    f.add_block(body, "", [-x, -y, 0], [x - 0.06, y, plinth], f.STEEL)


def _drawer(
    body: mujoco.MjsBody,
    name: str,
    size: np.ndarray,
    low: tuple[float, float],
    high: tuple[float, float],
    rgba: list[float],
) -> None:
    """A drawer whose front lies between two corners (y, z) of the case."""
    x = float(size[0]) / 2
    (y0, z0), (y1, z1) = np.array(low) + _SEAM_M, np.array(high) - _SEAM_M
    deep = float(size[0]) - 3 * _BOARD_M - 0.02
    drawer = f.add_moving_part(
        body,
        name,
        [x, 0.0, 0.0],
        [1, 0, 0],
        (0.0, 0.75 * deep),
        f.SLIDE,
        friction=_DRAWER_FRICTION_N,
        damping=5.0,
    )
    f.add_block(drawer, "", [-_BOARD_M, y0, z0], [0, y1, z1], rgba, 1.0)
    aside = _BOARD_M + 0.01
    a, b, bottom, rim = y0 + aside, y1 - aside, z0 + 0.02, z1 - 0.02
    back, thin = -_BOARD_M - deep, 0.008
    for corner, other in (
        ([back, a, bottom], [-_BOARD_M, b, bottom + thin]),
        ([back, a, bottom], [-_BOARD_M, a + thin, rim]),
        ([back, b - thin, bottom], [-_BOARD_M, b, rim]),
        ([back, a, bottom], [back + thin, b, rim]),
    ):
        f.add_block(drawer, "", corner, other, f.PALE_WOOD, 0.3)
    _bar(drawer, [0.0, (y0 + y1) / 2, (z0 + z1) / 2], [0.0, 0.07, 0.0])


def _door(
    body: mujoco.MjsBody,
    name: str,
    size: np.ndarray,
    low: tuple[float, float],
    high: tuple[float, float],
    hinge: int,
    rgba: list[float],
) -> None:
    """A door between two corners (y, z) of the case, its hinge at the least or greatest y."""
    x = float(size[0]) / 2
    (y0, z0), (y1, z1) = np.array(low) + _SEAM_M, np.array(high) - _SEAM_M
    width, at = y1 - y0, y1 if hinge > 0 else y0
    door = f.add_moving_part(
        body,
        name,
        [x, at, 0.0],
        [0, 0, float(hinge)],
        (0.0, _DOOR_TRAVEL_RAD),
        friction=_DOOR_FRICTION_NM,
        damping=0.8,
    )
    edges = sorted((0.0, -hinge * width))
    mass = 9.0 * width * (z1 - z0)
    f.add_block(door, "", [-_BOARD_M, edges[0], z0], [0, edges[1], z1], rgba, mass)
    _bar(door, [0.0, -hinge * (width - 0.05), (z0 + z1) / 2], [0.0, 0.0, 0.08])


def _bar(part: mujoco.MjsBody, middle: list[float], half: list[float]) -> None:
    """A handle: a rod in front of a panel, on two short ones."""
    at, reach = np.array(middle), np.array(half)
    out = np.array([_HANDLE_M, 0.0, 0.0])
    f.add_rod(part, np.array([at - reach, at + reach]) + out, 0.007, f.CHROME, 0.06)
    for end in (-0.85, 0.85):
        foot = at + end * reach
        f.add_rod(part, np.array([foot, foot + out]), 0.005, f.CHROME, 0.02)


def _counter(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, piece: Piece, random: np.random.Generator
) -> None:
    size, rgba = piece.size, _wood(random)
    _carcass(body, size, rgba)
    half, top, shelf = size[1] / 2, size[2] - 0.03, size[2] - 0.24
    _drawer(body, f"{piece.name}_drawer_left", size, (0.0, shelf), (half, top), rgba)
    _drawer(body, f"{piece.name}_drawer_right", size, (-half, shelf), (0.0, top), rgba)
    _door(body, f"{piece.name}_door", size, (-half, _PLINTH_M), (0.0, shelf), -1, rgba)
    low = [size[0] / 2 - _BOARD_M, _SEAM_M, _PLINTH_M]  # a blind front beside the door
    f.add_block(body, "", low, [size[0] / 2, half, shelf - _SEAM_M], rgba)


def _fridge(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, piece: Piece, random: np.random.Generator
) -> None:
    size, half = piece.size, piece.size[1] / 2
    rgba = [*(random.choice([[0.93, 0.93, 0.92], [0.70, 0.72, 0.74], [0.55, 0.66, 0.64]])), 1.0]
    _carcass(body, size, rgba, 0.04)
    for share in (0.25, 0.5, 0.75):
        z, back = share * size[2], -size[0] / 2
        low = [back, -half, z]
        f.add_block(body, "", low, [size[0] / 2 - 0.08, half, z + 0.008], [0.8, 0.86, 0.9, 1])
    hinge = int(random.choice([-1, 1]))
    top = (half, size[2] - _BOARD_M)
    _door(body, f"{piece.name}_door", size, (-half, 0.04), top, hinge, rgba)


def _sideboard(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, piece: Piece, random: np.random.Generator
) -> None:
    size, rgba, half = piece.size, _wood(random), piece.size[1] / 2
    _carcass(body, size, rgba)
    top = size[2] - _BOARD_M
    _drawer(body, f"{piece.name}_drawer_left", size, (0.0, _PLINTH_M), (half, top), rgba)
    _drawer(body, f"{piece.name}_drawer_right", size, (-half, _PLINTH_M), (0.0, top), rgba)


def _nightstand(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, piece: Piece, random: np.random.Generator
) -> None:
    size, rgba, half = piece.size, _wood(random), piece.size[1] / 2
    _carcass(body, size, rgba)
    low = (-half, size[2] - 0.20)
    _drawer(body, f"{piece.name}_drawer", size, low, (half, size[2] - _BOARD_M), rgba)


def _wardrobe(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, piece: Piece, random: np.random.Generator
) -> None:
    size, rgba, half = piece.size, _wood(random), piece.size[1] / 2
    _carcass(body, size, rgba)
    top = size[2] - _BOARD_M
    _door(body, f"{piece.name}_door_left", size, (0.0, _PLINTH_M), (half, top), 1, rgba)
    _door(body, f"{piece.name}_door_right", size, (-half, _PLINTH_M), (0.0, top), -1, rgba)
    rail = [[0, -half + _BOARD_M, top - 0.12], [0, half - _BOARD_M, top - 0.12]]
    f.add_rod(body, rail, 0.012, f.CHROME)


def _basin(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, piece: Piece, random: np.random.Generator
) -> None:
    size, rgba, half = piece.size, _wood(random), piece.size[1] / 2
    _carcass(body, size, rgba)
    hinge = int(random.choice([-1, 1]))
    top = (half, size[2] - _BOARD_M)
    _door(body, f"{piece.name}_door", size, (-half, _PLINTH_M), top, hinge, rgba)
    back, top_z = -size[0] / 2, float(size[2])
    for y0, y1 in ((-half, -half + 0.02), (half - 0.02, half)):
        f.add_block(body, "", [back, y0, top_z], [back + 0.30, y1, top_z + 0.03], f.WHITE)
    tap = [[back + 0.04, 0, top_z], [back + 0.04, 0, top_z + 0.16]]
    f.add_rod(body, tap, 0.012, f.CHROME)


def _desk(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, piece: Piece, random: np.random.Generator
) -> None:
    size, rgba, half = piece.size, _wood(random), piece.size[1] / 2
    x, top = size[0] / 2, float(size[2])
    f.add_block(body, f"{piece.name}_top", [-x, -half, top - 0.025], [x, half, top], rgba)
    f.add_block(body, "", [-x, half - 0.025, 0], [x, half, top - 0.025], rgba)
    case = body.name
    inner = half - 0.42  # of the case for the drawer
    for y in (-half, -inner - 0.018):
        f.add_block(body, "", [-x, y, 0], [x - 0.03, y + 0.018, top - 0.025], rgba)
    low = (-half, top - 0.20)
    _drawer(body, f"{case}_drawer", size, low, (-inner, top - 0.025), rgba)


def _table(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, piece: Piece, random: np.random.Generator
) -> None:
    size, rgba = piece.size, _wood(random)
    half, top = size[:2] / 2, float(size[2])
    f.add_block(body, f"{piece.name}_top", [*-half, top - 0.03], [*half, top], rgba)
    for x, y in ((-1, -1), (-1, 1), (1, -1), (1, 1)):
        corner = np.array([x, y]) * (half - 0.05)
        f.add_block(body, "", [*(corner - 0.02), 0.0], [*(corner + 0.02), top - 0.03], f.STEEL)


def _sofa(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, piece: Piece, random: np.random.Generator
) -> None:
    half, height = piece.size[:2] / 2, float(piece.size[2])
    colour = random.choice(_FABRICS)
    rgba, shade = [*colour, 1.0], [*(colour * 0.88), 1.0]
    f.add_block(body, "", [*(-half + 0.05), 0.0], [*(half - 0.05), 0.08], f.DARK_WOOD)
    f.add_block(body, "", [-half[0], -half[1], 0.08], [half[0], half[1], 0.42], rgba)
    f.add_block(body, "", [-half[0], -half[1], 0.42], [-half[0] + 0.2, half[1], height], shade)
    for y in (-half[1], half[1] - 0.16):
        f.add_block(body, "", [-half[0] + 0.2, y, 0.42], [half[0], y + 0.16, 0.60], shade)


def _bed(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, piece: Piece, random: np.random.Generator
) -> None:
    half, height = piece.size[:2] / 2, float(piece.size[2])
    cover = [*random.uniform(0.35, 0.85, 3), 1.0]
    f.add_block(body, "", [*-half, 0.0], [*half, height - 0.2], f.DARK_WOOD)
    f.add_block(body, "", [*(-half + 0.03), height - 0.2], [*(half - 0.03), height], f.WHITE)
    low = [-half[0] * 0.35, -half[1] + 0.01, height - 0.16]
    f.add_block(body, "", low, [half[0] - 0.01, half[1] - 0.01, height + 0.015], cover)
    f.add_block(body, "", [-half[0], -half[1], 0], [-half[0] + 0.04, half[1], 0.95], f.WOOD)
    for y in np.linspace(-half[1], half[1], 2 * round(half[1] / 0.5) + 1)[1::2]:
        low = [-half[0] + 0.08, y - 0.28, height]
        f.add_block(body, "", low, [-half[0] + 0.45, y + 0.28, height + 0.1], f.PALE)


def _bath(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, piece: Piece, random: np.random.Generator
) -> None:
    half, height, wall = piece.size[:2] / 2, float(piece.size[2]), 0.06
    f.add_block(body, "", [*-half, 0.0], [*half, 0.12], f.WHITE)
    for axis in (0, 1):
        for side in (-1, 1):
            low, high = -half.copy(), half.copy()
            edge = side * half[axis]
            low[axis], high[axis] = sorted((edge, edge - side * wall))
            f.add_block(body, "", [*low, 0.12], [*high, height], f.WHITE)


def _bookcase(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, piece: Piece, random: np.random.Generator
) -> None:
    size, rgba = piece.size, _wood(random)
    _carcass(body, size, rgba)
    half, x = size[1] / 2 - _BOARD_M, size[0] / 2
    for z in np.arange(0.40, size[2] - 0.25, 0.34):
        f.add_block(body, "", [-x, -half, z], [x - 0.02, half, z + _BOARD_M], rgba)
        y = -half + 0.01
        while y < random.uniform(-0.2, 0.9) * half:
            thick, deep, tall = random.uniform([0.02, 0.14, 0.16], [0.05, 0.2, 0.26])
            colour = [*random.uniform(0.15, 0.85, 3), 1.0]
            low = np.array([-x + 0.03, y, z + _BOARD_M])
            f.add_block(body, "", low, shifted(low, deep, thick, tall), colour)
            y += thick + 0.003


def _plant(
    spec: mujoco.MjSpec, body: mujoco.MjsBody, piece: Piece, random: np.random.Generator
) -> None:
    radius, height = float(piece.size[0]) / 2, float(piece.size[2])
    f.add_shape(body, f.CYLINDER, [0, 0, 0.16], [radius * 0.9, 0.16], [0.70, 0.42, 0.30, 1])
    f.add_rod(body, [[0, 0, 0.32], [0, 0, height - 0.2]], 0.02, f.DARK_WOOD)
    for _ in range(4):
        x, y = random.uniform(-0.3, 0.3, 2) * radius
        z, r = random.uniform(0.55, 0.8) * height, random.uniform(0.5, 0.8) * radius
        green = [0.2, random.uniform(0.42, 0.6), 0.25, 1]
        f.add_shape(body, f.ELLIPSOID, [x, y, z], [r, r, r * 1.4], green, solid=False)


def _wood(random: np.random.Generator) -> list[float]:
    shade = np.array(_WOODS[int(random.integers(len(_WOODS)))][:3])
    return [*np.clip(shade * random.uniform(0.9, 1.06), 0, 1), 1.0]


_BUILDERS: dict[str, Builder] = {
    "counter": _counter,
    "fridge": _fridge,
    "table": _table,
    "side_table": _table,
    "sofa": _sofa,
    "sideboard": _sideboard,
    "bookcase": _bookcase,
    "bed": _bed,
    "nightstand": _nightstand,
    "wardrobe": _wardrobe,
    "desk": _desk,
    "basin": _basin,
    "bath": _bath,
    "plant": _plant,
}
