"""Furniture and household things from simple shapes."""

from __future__ import annotations

import mujoco
import numpy as np

from brs_sim.model import add_floor_shade

BOX, CYLINDER = mujoco.mjtGeom.mjGEOM_BOX, mujoco.mjtGeom.mjGEOM_CYLINDER
CAPSULE, ELLIPSOID = mujoco.mjtGeom.mjGEOM_CAPSULE, mujoco.mjtGeom.mjGEOM_ELLIPSOID
HINGE, SLIDE = mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_SLIDE
FRICTION = (0.9, 0.01, 0.0005)
WOOD, PALE_WOOD, DARK_WOOD = [0.55, 0.40, 0.26, 1], [0.80, 0.68, 0.52, 1], [0.36, 0.26, 0.18, 1]
STEEL, CHROME = [0.24, 0.25, 0.27, 1], [0.72, 0.74, 0.76, 1]
WHITE, PALE = [0.95, 0.95, 0.94, 1], [0.90, 0.88, 0.84, 1]


def turned(yaw: float) -> np.ndarray:
    """Quaternion wxyz of a turn about z [rad]."""
    return np.array([np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)])


def add_block(
    body: mujoco.MjsBody,
    name: str,
    low: np.ndarray | list[float],
    high: np.ndarray | list[float],
    rgba: list[float],
    mass: float | None = None,
    solid: bool = True,
) -> None:
    """A box between two corners (3,) of the body [m].

    Args:
        body: it belongs to.
        name: of the shape; "" for none.
        low, high: corners.
        rgba: colour.
        mass: [kg]; None where the body does not move.
        solid: whether it collides.
    """
    first, second = np.asarray(low, dtype=float), np.asarray(high, dtype=float)
    middle, half = (first + second) / 2, (second - first) / 2
    add_shape(body, BOX, middle, half, rgba, name, mass, solid)


def add_shape(
    body: mujoco.MjsBody,
    kind: mujoco.mjtGeom,
    position: np.ndarray | list[float],
    size: np.ndarray | list[float],
    rgba: list[float],
    name: str = "",
    mass: float | None = None,
    solid: bool = True,
) -> mujoco.MjsGeom:
    """A shape of the body; see `add_block`. Sizes are MuJoCo's half sizes [m]."""
    geom = body.add_geom(
        type=kind,
        pos=position,
        size=np.pad(np.asarray(size, dtype=float), (0, 3 - len(size))),
        rgba=rgba,
        friction=FRICTION,
        contype=int(solid),
        conaffinity=int(solid),
    )
    if name:
        geom.name = name
    if mass is not None or not solid:
        geom.mass = mass or 0.0
    return geom


def add_rod(
    body: mujoco.MjsBody,
    ends: np.ndarray | list[list[float]],
    radius: float,
    rgba: list[float],
    mass: float | None = None,
    solid: bool = True,
) -> None:
    """A capsule between two points (2, 3) of the body [m]."""
    geom = add_shape(body, CAPSULE, [0, 0, 0], [radius, 0.1], rgba, "", mass, solid)
    geom.fromto = np.asarray(ends, dtype=float).flatten()


def add_thing(
    spec: mujoco.MjSpec, name: str, position: np.ndarray, yaw: float = 0.0
) -> mujoco.MjsBody:
    """A body that moves freely."""
    body = spec.worldbody.add_body(name=name, pos=position, quat=turned(yaw))
    body.add_freejoint(name=name)
    return body


def add_moving_part(
    parent: mujoco.MjsBody,
    name: str,
    position: np.ndarray | list[float],
    axis: list[float],
    travel: tuple[float, float],
    kind: mujoco.mjtJoint = HINGE,
    friction: float = 0.0,
    damping: float = 0.1,
    stiffness: float = 0.0,
    rest: float = 0.0,
    floats: bool = True,
) -> mujoco.MjsBody:
    """A part that turns or slides on its parent; its joint has its name.

    Args:
        parent: what carries it.
        name: of body and joint.
        position: of the joint in the parent [m].
        axis: of the joint.
        travel: lowest and highest [rad] or [m].
        kind: hinge or slide.
        friction: that keeps it where it is [N m] or [N].
        damping: [N m s/rad] or [N s/m].
        stiffness: of a spring [N m/rad] or [N/m].
        rest: where the spring pulls to.
        floats: balanced against gravity, as good doors are.
    """
    body = parent.add_body(name=name, pos=position)
    body.gravcomp = float(floats)
    body.add_joint(
        name=name,
        type=kind,
        axis=axis,
        range=travel,
        limited=True,
        frictionloss=friction,
        damping=damping,
        stiffness=stiffness,
        springref=rest,
        armature=0.002,
    )
    return body


def add_table(
    spec: mujoco.MjSpec,
    name: str,
    centre: np.ndarray,
    size: np.ndarray,
    rgba: list[float] | None = None,
) -> None:
    """A table of size (depth x, width y, height) [m] that stands at `centre` (2,)."""
    body = spec.worldbody.add_body(name=name, pos=[*centre, 0.0])
    depth, width, height = size
    half = np.array([depth, width, 0.0]) / 2
    add_floor_shade(body, (depth * 0.62, width * 0.6), 0.0)
    top = np.array([0.0, 0.0, height])
    thick = np.array([0.0, 0.0, 0.03])
    add_block(body, f"{name}_top", top - half - thick, half + top, rgba or PALE_WOOD)
    for i, (x, y) in enumerate([(-1, -1), (-1, 1), (1, -1), (1, 1)]):
        corner = np.array([x, y, 0.0]) * (half - [0.04, 0.04, 0.0])
        low = corner - np.array([0.02, 0.02, 0.0])
        high = corner + np.array([0.02, 0.02, height - 0.03])
        add_block(body, f"{name}_leg{i}", low, high, STEEL)


def add_sofa(
    spec: mujoco.MjSpec,
    name: str,
    centre: np.ndarray,
    size: np.ndarray,
    back: tuple[float, float],
    rgba: list[float],
) -> None:
    """A sofa: a seat of size (x, y, height) [m] at `centre` (2,), its back towards `back`."""
    body = spec.worldbody.add_body(name=name, pos=[*centre, 0.0])
    half = np.array([size[0], size[1]]) / 2
    add_floor_shade(body, (half[0] * 1.2, half[1] * 1.2), 0.0)
    height = float(size[2])
    add_block(body, "", [*(-half + 0.05), 0.0], [*(half - 0.05), 0.08], DARK_WOOD)
    add_block(body, f"{name}_seat", [*-half, 0.08], [*half, height], rgba)
    towards = np.array(back)
    low = np.where(towards > 0, half, -half - 0.14 * (towards < 0))
    high = np.where(towards > 0, half + 0.14, np.where(towards < 0, -half, half))
    shade = [*(np.array(rgba[:3]) * 0.88), 1.0]
    add_block(body, f"{name}_back", [*low, 0.08], [*high, height + 0.38], shade)


def add_picture(
    spec: mujoco.MjSpec,
    name: str,
    middle: np.ndarray,
    normal: np.ndarray,
    size: np.ndarray,
    colour: np.ndarray,
) -> None:
    """A framed picture (width, height) [m] on a wall with that normal (3,); only looks."""
    body = spec.worldbody.add_body(name=name, pos=middle)
    across = np.abs(np.cross(normal, [0, 0, 1]))
    for share, depth, tint in ((1.0, 0.012, np.array(DARK_WOOD[:3])), (0.88, 0.016, colour)):
        half = across * size[0] / 2 * share + np.array([0, 0, size[1] / 2 * share])
        half = half + np.abs(normal) * depth
        add_block(body, "", -half, half, [*tint, 1.0], solid=False)
    spot = np.array([0, 0, size[1] * 0.1]) + np.asarray(normal) * 0.016
    half = across * size[0] * 0.22 + np.array([0, 0, size[1] * 0.2]) + np.abs(normal) * 0.002
    add_shape(body, ELLIPSOID, spot, half, [*(1.0 - 0.7 * colour), 1.0], solid=False)


def add_window(
    spec: mujoco.MjSpec, name: str, middle: np.ndarray, normal: np.ndarray, size: np.ndarray
) -> None:
    """A window (width, height) [m] in a wall with that normal (3,); only looks."""
    body = spec.worldbody.add_body(name=name, pos=middle)
    across, up, out = np.abs(np.cross(normal, [0, 0, 1])), np.array([0, 0, 1.0]), np.abs(normal)
    width, height = size / 2
    half = across * width + up * height + out * 0.01
    add_block(body, "", -half, half, [0.70, 0.84, 0.95, 1], solid=False)
    bars = [(across * x, up * height + across * 0.025) for x in (-width, 0.0, width)]
    bars += [(up * z, across * width + up * 0.025) for z in (-height, height)]
    for place, reach in bars:
        thick = reach + out * 0.025
        add_block(body, "", place - thick, place + thick, WHITE, solid=False)


def add_rug(spec: mujoco.MjSpec, centre: np.ndarray, size: np.ndarray, colour: np.ndarray) -> None:
    """A flat rug (x, y) [m] that wheels do not notice."""
    body = spec.worldbody.add_body(name="rug", pos=[*centre, 0.0])
    for share, height, tint in ((1.0, 0.0012, colour * 0.75), (0.9, 0.0018, colour)):
        half = np.array([size[0] / 2 * share, size[1] / 2 * share, height])
        add_shape(body, BOX, [0, 0, 0], half, [*tint, 1.0], solid=False)


def add_plant(spec: mujoco.MjSpec, name: str, centre: np.ndarray) -> None:
    """A plant in a pot, which stands firmly."""
    body = spec.worldbody.add_body(name=name, pos=[*centre, 0.0])
    add_floor_shade(body, (0.24, 0.24), 0.0)
    add_shape(body, CYLINDER, [0, 0, 0.16], [0.14, 0.16], [0.70, 0.42, 0.30, 1])
    for x, y, z, r in ((0, 0, 0.72, 0.2), (0.1, 0.06, 0.52, 0.16), (-0.1, -0.05, 0.55, 0.17)):
        size = [r, r, r * 1.35]
        add_shape(body, ELLIPSOID, [x, y, z], size, [0.24, 0.46 + r / 2, 0.26, 1], solid=False)
    add_rod(body, [[0, 0, 0.32], [0, 0, 0.6]], 0.02, DARK_WOOD, solid=False)
