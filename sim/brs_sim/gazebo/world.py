"""A scene as a world of Gazebo Sim, in SDF 1.9.

The robot stands on three joints (x, y, yaw) instead of on wheels, as it does in MuJoCo. Servos go
to positions, and the base's joints to velocities, no faster than the description and no harder
than the efforts allow.
"""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from brs_hardware.embodiment import Camera, Embodiment
from brs_hardware.kinematics import optical_frame
from brs_sim.external.contract import servo_joints
from brs_sim.external.parts import WORLD, Assembly, Joint, Link, Place, Scene, Shape, is_base
from brs_sim.gazebo.bridge import JOINT_STATES, camera_topic, target_topic

VERSION = "1.9"
WORLD_NAME = "brs"
_SYSTEMS = (
    ("physics", "Physics"),
    ("user-commands", "UserCommands"),
    ("scene-broadcaster", "SceneBroadcaster"),
    ("contact", "Contact"),
)
_NO_LIMIT = 1e16  # what SDF takes for none


def world_sdf(
    embodiment: Embodiment,
    scene: Scene,
    model: mujoco.MjModel,
    start: np.ndarray,
    posture: Mapping[str, float],
    camera_hz: float,
) -> str:
    """The whole world.

    Args:
        embodiment: the robot.
        scene: `model` in parts.
        model: the compiled scene; its lights and its time step are taken.
        start: (3,) x, y [m], yaw [rad] of the robot.
        posture: joint -> position at first [rad] or [m]; others are at zero.
        camera_hz: of every camera; 0 leaves them out.
    """
    root = ElementTree.Element("sdf", version=VERSION)
    world = _add(root, "world", name=WORLD_NAME)
    physics = _add(world, "physics", name="step", type="ignored")
    _add(physics, "max_step_size", model.opt.timestep)
    _add(physics, "real_time_factor", 1.0)
    for library, name in _SYSTEMS:
        _plugin(world, library, name)
    if camera_hz > 0:
        sensors = _plugin(world, "sensors", "Sensors")
        _add(sensors, "render_engine", "ogre2")
    _add(world, "gravity", *model.opt.gravity)
    _add_lights(world, model)
    for assembly in scene.others:
        _add_model(world, assembly)
    robot = _add_model(world, scene.robot, _planar(start))
    if camera_hz > 0:
        for name, camera in embodiment.cameras.items():
            _add_camera(robot, scene, name, camera, camera_hz)
    _add_control(robot, embodiment, scene.robot.joints, posture)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def _add_lights(world: ElementTree.Element, model: mujoco.MjModel) -> None:
    look = _add(world, "scene")
    ambient = model.vis.headlight.ambient
    _add(look, "ambient", *np.clip(ambient, 0, 1), 1.0)
    _add(look, "background", 0.85, 0.87, 0.88, 1.0)
    _add(look, "shadows", "false")
    for i in range(model.nlight):
        light = _add(world, "light", name=f"light{i}", type="directional")
        _add(light, "pose", *model.light_pos[i], 0, 0, 0)
        _add(light, "diffuse", *np.clip(model.light_diffuse[i] + 0.3, 0, 1), 1.0)
        _add(light, "specular", 0.1, 0.1, 0.1, 1.0)
        _add(light, "direction", *model.light_dir[i])
        _add(light, "cast_shadows", "false")


def _add_model(
    world: ElementTree.Element, assembly: Assembly, place: Place | None = None
) -> ElementTree.Element:
    # `world` names the world itself.
    name = "floor" if assembly.name == WORLD else assembly.name
    model = _add(world, "model", name=name)
    if place is not None:
        _add_pose(model, place)
    if assembly.stands:
        _add(model, "static", "true")
    for link in assembly.links:
        _add_link(model, link, name if link.name == WORLD else link.name, assembly.stands)
    taken = {link.name for link in assembly.links}
    for joint in assembly.joints:  # links and joints share their names' space
        _add_joint(model, joint, f"{joint.name}_joint" if joint.name in taken else joint.name)
    return model


def _add_link(model: ElementTree.Element, link: Link, name: str, stands: bool) -> None:
    element = _add(model, "link", name=name)
    _add_pose(element, link.place)
    if not stands:
        inertial = _add(element, "inertial")
        _add_pose(inertial, link.centre)
        # What stands fast in the world weighs nothing in MuJoCo, and must weigh something here.
        weightless = link.mass <= 0.0
        _add(inertial, "mass", 1.0 if weightless else link.mass)
        inertia = _add(inertial, "inertia")
        for axis, value in zip("xyz", link.inertia, strict=True):
            _add(inertia, f"i{axis}{axis}", 1.0 if weightless else value)
        for pair in ("xy", "xz", "yz"):
            _add(inertia, f"i{pair}", 0)
        if link.floats:
            _add(element, "gravity", "false")
    for number, shape in enumerate(link.shapes):
        if shape.drawn:
            visual = _add(element, "visual", name=f"{shape.name}_{number}_visual")
            _add_shape(visual, shape)
            material = _add(visual, "material")
            for light in ("ambient", "diffuse"):
                _add(material, light, *shape.rgba)
            if shape.rgba[3] < 1.0:
                _add(visual, "transparency", 1.0 - shape.rgba[3])
        if shape.solid:
            collision = _add(element, "collision", name=f"{shape.name}_{number}")
            _add_shape(collision, shape)
            friction = _add(_add(_add(collision, "surface"), "friction"), "ode")
            _add(friction, "mu", shape.friction)
            _add(friction, "mu2", shape.friction)


def _add_shape(parent: ElementTree.Element, shape: Shape) -> None:
    _add_pose(parent, shape.place)
    solid = _add(_add(parent, "geometry"), shape.kind)
    if shape.kind == "box":
        _add(solid, "size", *(2 * shape.size))
    elif shape.kind == "ellipsoid":
        _add(solid, "radii", *shape.size)
    elif shape.kind == "plane":
        _add(solid, "normal", 0, 0, 1)
        _add(solid, "size", *(2 * shape.size[:2]))
    else:
        _add(solid, "radius", shape.size[0])
        if shape.kind != "sphere":
            _add(solid, "length", 2 * shape.size[1])


def _add_joint(model: ElementTree.Element, joint: Joint, name: str) -> None:
    element = _add(model, "joint", name=name, type=joint.kind)
    _add(element, "parent", joint.parent)
    _add(element, "child", joint.child)
    if joint.kind == "fixed":
        return
    axis = _add(element, "axis")
    _add(axis, "xyz", *joint.axis)
    limit = _add(axis, "limit")
    for bound in ("lower", "upper", "effort", "velocity"):
        value = getattr(joint, bound)
        if math.isfinite(value):
            _add(limit, bound, value)
        elif bound in ("lower", "upper"):
            _add(limit, bound, math.copysign(_NO_LIMIT, value))
    dynamics = _add(axis, "dynamics")
    _add(dynamics, "damping", joint.damping)
    _add(dynamics, "friction", joint.friction)
    _add(dynamics, "spring_reference", joint.rest)
    _add(dynamics, "spring_stiffness", joint.stiffness)


def _add_camera(
    robot: ElementTree.Element, scene: Scene, name: str, camera: Camera, hz: float
) -> None:
    carrier, place = scene.frames.get(
        camera.link, (camera.link, Place(np.zeros(3), Rotation.identity()))
    )
    mount = Place(np.array(camera.position), Rotation.from_euler("xyz", np.array(camera.rpy)))
    link = robot.find(f"link[@name='{carrier}']")
    assert link is not None, carrier
    sensor = _add(link, "sensor", name=name, type="rgbd_camera")
    _add_pose(sensor, place.of(mount))
    _add(sensor, "topic", camera_topic(name))
    _add(sensor, "update_rate", hz)
    _add(sensor, "always_on", "true")
    lens = _add(sensor, "camera")
    aspect = camera.width / camera.height
    _add(lens, "horizontal_fov", 2 * math.atan(math.tan(camera.vertical_fov / 2) * aspect))
    image = _add(lens, "image")
    _add(image, "width", camera.width)
    _add(image, "height", camera.height)
    _add(image, "format", "R8G8B8")
    clip = _add(lens, "clip")
    _add(clip, "near", 0.02)
    _add(clip, "far", 20.0)
    depth = _add(_add(lens, "depth_camera"), "clip")
    _add(depth, "near", camera.depth_range[0])
    _add(depth, "far", camera.depth_range[1])
    _add(lens, "optical_frame_id", optical_frame(name))


def _add_control(
    robot: ElementTree.Element,
    embodiment: Embodiment,
    joints: Iterable[Joint],
    posture: Mapping[str, float],
) -> None:
    """A controller for every driven joint, and one publisher of all their states."""
    driven = {j.name: j for j in joints if is_base(j.name) or j.name in servo_joints(embodiment)}
    for name, joint in driven.items():
        if is_base(name):
            control = _plugin(robot, "joint-controller", "JointController")
        else:
            control = _plugin(robot, "joint-position-controller", "JointPositionController")
            _add(control, "use_velocity_commands", "true")
            _add(control, "cmd_max", joint.velocity)
            _add(control, "initial_position", posture.get(name, 0.0))
        _add(control, "joint_name", name)
        _add(control, "topic", target_topic(name))
    states = _plugin(robot, "joint-state-publisher", "JointStatePublisher")
    _add(states, "topic", JOINT_STATES)
    for name in driven:
        _add(states, "joint_name", name)


def _plugin(parent: ElementTree.Element, library: str, name: str) -> ElementTree.Element:
    return _add(
        parent,
        "plugin",
        filename=f"gz-sim-{library}-system",
        name=f"gz::sim::systems::{name}",
    )


def _planar(pose: np.ndarray) -> Place:
    return Place(np.append(pose[:2], 0.0), Rotation.from_euler("z", pose[2]))


def _add_pose(parent: ElementTree.Element, place: Place) -> None:
    if np.any(place.position) or place.rotation.magnitude() > 0.0:
        _add(parent, "pose", *place.position, *place.rpy)


def _add(
    parent: ElementTree.Element, tag: str, *values: object, **attributes: str
) -> ElementTree.Element:
    element = ElementTree.SubElement(parent, tag, attributes)
    if values:
        element.text = " ".join(v if isinstance(v, str) else _number(v) for v in values)
    return element


def _number(value: object) -> str:
    """Short, and exact to a tenth of a nanometre."""
    return f"{float(value):.10g}"  # type: ignore[arg-type]
