"""What of a robot description is drawn: boxes, cylinders and spheres of each link, and its joints.

The browser turns the joints itself, so that no pose is computed or sent while it plays.
"""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass

import numpy as np

from brs_hardware.description import Description, describe
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError

GREY = "#a8adb5"


@dataclass(frozen=True)
class Shape:
    """A body of a link."""

    kind: str  # box, cylinder or sphere
    size: tuple[float, ...]  # edges; radius and length; radius [m]
    position: np.ndarray  # (3,) in the link [m]
    rotation: np.ndarray  # (3, 3) in the link
    color: str  # #rrggbb


@dataclass(frozen=True)
class Hinge:
    """A joint between two links, as the URDF has it."""

    name: str
    kind: str  # revolute, continuous, prismatic or fixed
    parent: str
    child: str
    position: np.ndarray  # (3,) in the parent [m]
    rotation: np.ndarray  # (3, 3) in the parent
    axis: np.ndarray  # (3,) in the joint


@dataclass(frozen=True)
class Drawing:
    """A robot to be drawn."""

    root: str
    shapes: dict[str, list[Shape]]  # by link
    joints: list[Hinge]  # parents come before their children
    left_out: int  # meshes, which are not drawn
    height_m: float  # of the root above the lowest point, with all joints at zero


def drawing_of(robot: Embodiment) -> Drawing:
    """Shapes and joints of a robot's URDF.

    Raises:
        ConfigError: the URDF is wrong.
    """
    description = describe(robot)
    try:
        return _read(description)
    except (KeyError, ValueError, AttributeError) as error:
        where = str(robot.urdf_path)
        raise ConfigError(f"malformed URDF: {error}", where=where, remedy="mend it") from None


def _read(description: Description) -> Drawing:
    tree = ElementTree.parse(description.path).getroot()
    colors = {
        material.attrib["name"]: _hex(color)
        for material in tree.findall("material")
        if (color := material.find("color")) is not None
    }
    shapes: dict[str, list[Shape]] = {}
    left_out = 0
    for link in tree.findall("link"):
        drawn = [_shape(visual, colors) for visual in link.findall("visual")]
        shapes[link.attrib["name"]] = [shape for shape in drawn if shape is not None]
        left_out += drawn.count(None)
    turned = {
        element.attrib["name"]: _rotation(element.find("origin"))
        for element in tree.findall("joint")
    }
    waiting = list(description.joints.values())
    joints: list[Hinge] = []
    placed = {description.root}
    while waiting:
        joint = next(each for each in waiting if each.parent in placed)
        waiting.remove(joint)
        placed.add(joint.child)
        place, axis = joint.origin, joint.axis
        joints.append(
            Hinge(
                joint.name, joint.kind, joint.parent, joint.child, place, turned[joint.name], axis
            )
        )
    height_m = _height(description.root, shapes, joints)
    return Drawing(description.root, shapes, joints, left_out, height_m)


def _height(root: str, shapes: dict[str, list[Shape]], joints: list[Hinge]) -> float:
    poses = {root: (np.zeros(3), np.eye(3))}
    for joint in joints:
        place, turn = poses[joint.parent]
        poses[joint.child] = (place + turn @ joint.position, turn @ joint.rotation)
    lowest = [
        (place + turn @ shape.position)[2] - np.abs((turn @ shape.rotation)[2]) @ _half(shape)
        for link, (place, turn) in poses.items()
        for shape in shapes[link]
    ]
    return -float(min(lowest, default=0.0))


def _half(shape: Shape) -> np.ndarray:
    """(3,) half of the edges of the box around a shape [m]."""
    if shape.kind == "box":
        return np.array(shape.size) / 2
    if shape.kind == "cylinder":
        radius, length = shape.size
        return np.array([radius, radius, length / 2])
    return np.full(3, shape.size[0])


def _shape(visual: ElementTree.Element, colors: dict[str, str]) -> Shape | None:
    geometry, origin = visual.find("geometry"), visual.find("origin")
    body = None if geometry is None else next(iter(geometry), None)
    if body is None or body.tag not in ("box", "cylinder", "sphere"):
        return None
    if body.tag == "box":
        size: tuple[float, ...] = tuple(_numbers(body.attrib["size"]).tolist())
    elif body.tag == "cylinder":
        size = (float(body.attrib["radius"]), float(body.attrib["length"]))
    else:
        size = (float(body.attrib["radius"]),)
    material = visual.find("material")
    own = None if material is None else material.find("color")
    named = "" if material is None else material.attrib.get("name", "")
    color = colors.get(named, GREY) if own is None else _hex(own)
    xyz = "0 0 0" if origin is None else origin.attrib.get("xyz", "0 0 0")
    return Shape(body.tag, size, _numbers(xyz), _rotation(origin), color)


def _rotation(origin: ElementTree.Element | None) -> np.ndarray:
    """(3, 3) of an origin's roll, pitch and yaw, about fixed axes."""
    roll, pitch, yaw = _numbers("0 0 0" if origin is None else origin.attrib.get("rpy", "0 0 0"))
    cr, sr, cp, sp, cy, sy = (f(a) for a in (roll, pitch, yaw) for f in (np.cos, np.sin))
    return np.array(
        [
            [cy * cp, cy * sp * sr - sy * cr, cy * sp * cr + sy * sr],
            [sy * cp, sy * sp * sr + cy * cr, sy * sp * cr - cy * sr],
            [-sp, cp * sr, cp * cr],
        ]
    )


def _numbers(text: str) -> np.ndarray:
    return np.array([float(number) for number in text.split()])


def _hex(color: ElementTree.Element) -> str:
    red, green, blue = _numbers(color.attrib["rgba"])[:3]
    return "#" + "".join(f"{round(255 * min(1.0, max(0.0, c))):02x}" for c in (red, green, blue))
