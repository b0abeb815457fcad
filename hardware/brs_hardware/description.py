"""What the robot description (URDF) says of links and joints, without shapes or kinematics."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brs_hardware.config import did_you_mean
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import ConfigError


@dataclass(frozen=True)
class Joint:
    """One joint; lengths in metres and angles in radians, whichever the kind moves in."""

    name: str
    kind: str  # revolute, continuous, prismatic or fixed
    parent: str
    child: str
    origin: np.ndarray  # (3,) [m] in the parent link
    axis: np.ndarray  # (3,) unit vector in the joint's own frame
    lower: float  # -inf where there is no limit
    upper: float  # inf where there is no limit
    effort: float  # [N m] or [N], inf where not given
    velocity: float  # [rad/s] or [m/s], inf where not given


@dataclass(frozen=True)
class Description:
    """Links and joints of one URDF."""

    name: str
    path: Path
    links: tuple[str, ...]  # in the order of the file
    joints: dict[str, Joint]
    mass: float  # of all links [kg]

    @property
    def root(self) -> str:
        """The link that is nobody's child."""
        children = {joint.child for joint in self.joints.values()}
        return next(link for link in self.links if link not in children)

    def joint(self, name: str) -> Joint:
        """The joint `name`. Raises ConfigError that names the nearest."""
        if name not in self.joints:
            raise ConfigError(
                f"no joint '{name}'", where=str(self.path), remedy=did_you_mean(name, self.joints)
            )
        return self.joints[name]


def load_description(path: Path) -> Description:
    """Reads a URDF.

    Raises:
        ConfigError: no such file, not XML, not a tree of links, or a number that is none.
    """
    try:
        robot = ElementTree.parse(path).getroot()
    except FileNotFoundError:
        raise ConfigError(
            "no such robot description", where=str(path), remedy="correct 'urdf:'"
        ) from None
    except ElementTree.ParseError as error:
        raise ConfigError(f"malformed URDF: {error}", where=str(path), remedy="mend it") from None
    try:
        joints = {joint.name: joint for joint in map(_joint, robot.findall("joint"))}
        links = tuple(link.attrib["name"] for link in robot.findall("link"))
        mass = sum(float(element.attrib["value"]) for element in robot.iter("mass"))
    except (KeyError, ValueError, AttributeError) as error:
        raise ConfigError(f"malformed URDF: {error}", where=str(path), remedy="mend it") from None
    children = [joint.child for joint in joints.values()]
    named = set(children) | {joint.parent for joint in joints.values()}
    if len(set(links)) - len(set(children)) != 1 or not named <= set(links):
        raise ConfigError(
            "the links are no tree", where=str(path), remedy="give every link but one a parent"
        )
    return Description(robot.attrib.get("name", path.stem), path, links, joints, mass)


def describe(embodiment: Embodiment) -> Description:
    """The description of an embodiment, checked to have its joints and camera links.

    Raises:
        ConfigError: as `load_description`, or the embodiment names what the URDF lacks.
    """
    description = load_description(embodiment.urdf_path)
    groups = [embodiment.group(name).joints for name in embodiment.GROUPS]
    groups += [embodiment.gripper(name).joints for name in embodiment.GRIPPERS]
    for joint in (name for group in groups for name in group):
        description.joint(joint)
    for camera in embodiment.cameras.values():
        if camera.link not in description.links:
            raise ConfigError(
                f"no link '{camera.link}'",
                where=str(description.path),
                remedy=did_you_mean(camera.link, description.links),
            )
    return description


def _joint(element: ElementTree.Element) -> Joint:
    limit = element.find("limit")
    given = {} if limit is None else limit.attrib
    turning_freely = element.attrib["type"] == "continuous"
    parent, child = element.find("parent"), element.find("child")
    if parent is None or child is None:
        raise ValueError(f"joint '{element.attrib['name']}' lacks parent or child")
    origin, axis = element.find("origin"), element.find("axis")
    return Joint(
        name=element.attrib["name"],
        kind=element.attrib["type"],
        parent=parent.attrib["link"],
        child=child.attrib["link"],
        origin=_vector(origin, "xyz", "0 0 0"),
        axis=_vector(axis, "xyz", "1 0 0"),
        lower=-math.inf if turning_freely else float(given.get("lower", -math.inf)),
        upper=math.inf if turning_freely else float(given.get("upper", math.inf)),
        effort=float(given.get("effort", math.inf)),
        velocity=float(given.get("velocity", math.inf)),
    )


def _vector(element: ElementTree.Element | None, attribute: str, default: str) -> np.ndarray:
    given = default if element is None else element.attrib.get(attribute, default)
    vector = np.array([float(number) for number in given.split()])
    if vector.shape != (3,):
        raise ValueError(f"'{attribute}' has {vector.size} numbers instead of 3")
    vector.setflags(write=False)
    return vector
