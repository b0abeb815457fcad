"""The robot's URDF as Isaac Sim's importer wants it: on three joints in place of its wheels."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

from brs_hardware.embodiment import Embodiment
from brs_sim.external.contract import servo_joints
from brs_sim.external.parts import CARRIER_INERTIA, CARRIER_MASS, WORLD, Assembly, is_base

_FARTHEST = 1000.0  # of a joint without limits, as URDF wants some [m] or [rad]


def planar_urdf(embodiment: Embodiment, robot: Assembly) -> str:
    """The description with joints base_x, base_y and base_yaw below its root.

    Joints that nobody drives are fixed, as in MuJoCo.

    Args:
        embodiment: names the description and the joints that are driven.
        robot: taken apart, for the base's joints and its height.
    """
    tree = ElementTree.parse(embodiment.urdf_path).getroot()
    for element in tree.findall("mujoco"):
        tree.remove(element)
    driven = servo_joints(embodiment)
    for element in tree.findall("joint"):
        if element.attrib["name"] not in driven:
            element.attrib["type"] = "fixed"
            for tag in ("axis", "limit"):
                for part in element.findall(tag):
                    element.remove(part)
    ElementTree.SubElement(tree, "link", name=WORLD)
    base = [joint for joint in robot.joints if is_base(joint.name)]
    for joint in base:
        last = joint is base[-1]
        if not last:
            _add_carrier(tree, joint.child)
        element = ElementTree.SubElement(tree, "joint", name=joint.name, type=joint.kind)
        ElementTree.SubElement(element, "parent", link=joint.parent)
        ElementTree.SubElement(element, "child", link=joint.child)
        height = float(robot.links[0].place.position[2]) if joint is base[0] else 0.0
        ElementTree.SubElement(element, "origin", xyz=f"0 0 {height:.10g}")
        xyz = " ".join(f"{value:g}" for value in joint.axis)
        ElementTree.SubElement(element, "axis", xyz=xyz)
        ElementTree.SubElement(
            element,
            "limit",
            lower=f"{-_FARTHEST:g}",
            upper=f"{_FARTHEST:g}",
            effort=f"{joint.effort:g}",
            velocity=f"{_FARTHEST:g}",
        )
    ElementTree.indent(tree)
    return ElementTree.tostring(tree, encoding="unicode", xml_declaration=True)


def _add_carrier(tree: ElementTree.Element, name: str) -> None:
    inertial = ElementTree.SubElement(ElementTree.SubElement(tree, "link", name=name), "inertial")
    ElementTree.SubElement(inertial, "mass", value=f"{CARRIER_MASS:g}")
    moments = dict.fromkeys(("ixx", "iyy", "izz"), f"{CARRIER_INERTIA:g}")
    products = dict.fromkeys(("ixy", "ixz", "iyz"), "0")
    ElementTree.SubElement(inertial, "inertia", moments | products)
