"""A scene's furniture and things as USD text with UsdPhysics, for any program that reads it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable

import numpy as np
from scipy.spatial.transform import Rotation

from brs_sim.external.parts import WORLD, Assembly, Joint, Link, Place, Scene, Shape

_HEADER = """#usda 1.0
(
    defaultPrim = "Scene"
    metersPerUnit = 1
    kilogramsPerUnit = 1
    upAxis = "Z"
)

"""
_GROUND_HALF_M = 0.05  # planes become flat boxes, their upper face where the plane was


def scene_usda(scene: Scene) -> str:
    """Everything but the robot.

    What stands fast collides only; what moves is a rigid body with the model's mass and inertia;
    hinges and slides are joints with limits, and drives that damp them.
    """
    lines = ['def Xform "Scene"', "{"]
    for assembly in scene.others:
        lines += _indented(_assembly(assembly))
    lines += [
        '    def DistantLight "Sun"',
        "    {",
        "        float inputs:intensity = 2500",
        "        float3 xformOp:rotateXYZ = (35, 25, 0)",
        '        uniform token[] xformOpOrder = ["xformOp:rotateXYZ"]',
        "    }",
        "}",
    ]
    return _HEADER + "\n".join(lines) + "\n"


def prim_name(name: str) -> str:
    """A name as USD allows it."""
    clean = re.sub(r"\W", "_", name, flags=re.ASCII)
    return f"_{clean}" if clean[:1].isdigit() else clean


def _assembly(assembly: Assembly) -> list[str]:
    root = "floor" if assembly.name == WORLD else prim_name(assembly.name)
    lines = [f'def Xform "{root}"', "{"]
    for link in assembly.links:
        lines += _indented(_link(link, assembly.stands))
    for joint in assembly.joints:
        lines += _indented(_joint(f"/Scene/{root}", assembly.links, joint))
    return [*lines, "}"]


def _link(link: Link, stands: bool) -> list[str]:
    schemas = [] if stands else ["PhysicsRigidBodyAPI", "PhysicsMassAPI"]
    lines = [*_define("Xform", link.name, schemas), "{"]
    body = _transform(link.place)
    if not stands and link.mass > 0.0:
        body += [
            f"float physics:mass = {link.mass:.9g}",
            f"point3f physics:centerOfMass = {_tuple(link.centre.position)}",
            f"float3 physics:diagonalInertia = {_tuple(link.inertia)}",
            f"quatf physics:principalAxes = {_quaternion(link.centre)}",
        ]
    for number, shape in enumerate(link.shapes):
        body += _shape(shape, number)
    return [*lines, *_indented(body), "}"]


def _shape(shape: Shape, number: int) -> list[str]:
    kind, values, scale = _solid(shape)
    schemas = ["PhysicsCollisionAPI"] if shape.solid else []
    lines = _define(kind, f"{shape.name}_{number}", schemas)
    place = shape.place
    if shape.kind == "plane":
        place = place.of(Place(np.array([0.0, 0.0, -_GROUND_HALF_M]), Rotation.identity()))
    body = [*values, *_transform(place, scale)]
    body.append(f"color3f[] primvars:displayColor = [{_tuple(shape.rgba[:3])}]")
    body.append(f"float[] primvars:displayOpacity = [{shape.rgba[3]:.4g}]")
    if not shape.drawn:
        body.append('token visibility = "invisible"')
    return [*lines, "{", *_indented(body), "}"]


def _solid(shape: Shape) -> tuple[str, list[str], np.ndarray | None]:
    """Type of the prim, its own attributes, and a scale where it needs one."""
    radius, half = float(shape.size[0]), float(shape.size[1])
    if shape.kind == "box":
        return "Cube", ["double size = 2"], shape.size
    if shape.kind == "plane":
        return "Cube", ["double size = 2"], np.append(shape.size[:2], _GROUND_HALF_M)
    if shape.kind in ("ellipsoid", "sphere"):
        size = shape.size if shape.kind == "ellipsoid" else np.full(3, radius)
        return "Sphere", ["double radius = 1"], size
    name = "Cylinder" if shape.kind == "cylinder" else "Capsule"
    values = [f"double radius = {radius:.9g}", f"double height = {2 * half:.9g}"]
    return name, [*values, 'uniform token axis = "Z"'], None


def _joint(root: str, links: Iterable[Link], joint: Joint) -> list[str]:
    by_name = {link.name: link for link in links}
    kinds = {"revolute": "Revolute", "prismatic": "Prismatic", "fixed": "Fixed"}
    child = by_name[joint.child].place
    outer = child
    if joint.parent != WORLD:
        outer = by_name[joint.parent].place.inverse().of(child)
    kind = kinds[joint.kind]
    # USD's joints turn about or slide along an axis of their own frame: here its x.
    turn, _ = Rotation.align_vectors([joint.axis], [[1.0, 0.0, 0.0]])
    frame = Place(np.zeros(3), turn)
    drive = "angular" if kind == "Revolute" else "linear"
    driven = kind != "Fixed"
    schemas = [f"PhysicsDriveAPI:{drive}"] if driven else []
    lines = [*_define(f"Physics{kind}Joint", f"{joint.name}_joint", schemas), "{"]
    body = []
    if joint.parent != WORLD:
        body.append(f"rel physics:body0 = <{root}/{prim_name(joint.parent)}>")
    body += [
        f"rel physics:body1 = <{root}/{prim_name(joint.child)}>",
        f"point3f physics:localPos0 = {_tuple(outer.of(frame).position)}",
        f"quatf physics:localRot0 = {_quaternion(outer.of(frame))}",
        "point3f physics:localPos1 = (0, 0, 0)",
        f"quatf physics:localRot1 = {_quaternion(frame)}",
    ]
    if driven:
        unit = 180.0 / math.pi if kind == "Revolute" else 1.0  # UsdPhysics counts degrees
        body += [
            'uniform token physics:axis = "X"',
            f"float physics:lowerLimit = {_bound(joint.lower * unit)}",
            f"float physics:upperLimit = {_bound(joint.upper * unit)}",
            f"float drive:{drive}:physics:damping = {joint.damping / unit:.9g}",
            f"float drive:{drive}:physics:stiffness = {joint.stiffness / unit:.9g}",
            f"float drive:{drive}:physics:targetPosition = {joint.rest * unit:.9g}",
        ]
    return [*lines, *_indented(body), "}"]


def _define(kind: str, name: str, schemas: list[str]) -> list[str]:
    head = f'def {kind} "{prim_name(name)}"'
    if not schemas:
        return [head]
    names = ", ".join(f'"{schema}"' for schema in schemas)
    return [f"{head} (", f"    prepend apiSchemas = [{names}]", ")"]


def _transform(place: Place, scale: np.ndarray | None = None) -> list[str]:
    lines = [
        f"double3 xformOp:translate = {_tuple(place.position)}",
        f"quatd xformOp:orient = {_quaternion(place)}",
    ]
    order = ["xformOp:translate", "xformOp:orient"]
    if scale is not None:
        lines.append(f"double3 xformOp:scale = {_tuple(scale)}")
        order.append("xformOp:scale")
    names = ", ".join(f'"{name}"' for name in order)
    return [*lines, f"uniform token[] xformOpOrder = [{names}]"]


def _quaternion(place: Place) -> str:
    return _tuple(np.roll(place.rotation.as_quat(), 1))  # w first


def _tuple(values: Iterable[float]) -> str:
    return f"({', '.join(f'{float(value):.9g}' for value in values)})"


def _bound(value: float) -> str:
    return f"{value:.9g}" if math.isfinite(value) else ("inf" if value > 0 else "-inf")


def _indented(lines: Iterable[str]) -> list[str]:
    return [f"    {line}" for line in lines]
