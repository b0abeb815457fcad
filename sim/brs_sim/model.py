"""The MuJoCo model of one robot in one scene, generated from its URDF and embodiment file.

URDF: links, shapes, masses -----+
                                 +--> robot on a planar base, with the vendor's servos
embodiment: joints, cameras -----+                      |
                                                        v
room: floor, light, sky (here) -----------------> one MuJoCo model
                                                        ^
furniture and objects (the task) -----------------------+
"""

from __future__ import annotations

import math
from collections.abc import Callable

import mujoco
import numpy as np

from brs_hardware.description import Description, describe
from brs_hardware.embodiment import Camera, Embodiment
from brs_hardware.errors import ConfigError

TIMESTEP_S = 0.002
BASE_JOINTS = ("base_x", "base_y", "base_yaw")
THIRD_PERSON = "third_person"
# Group of shapes that only collide; pictures leave it out.
COLLISION_GROUP = 3

# Stiffness [N m/rad] and damping [N m s/rad] of the position servos, in the spirit of the
# impedance controllers of the robot; gravity is compensated there and here.
_TORSO_GAINS = (8000.0, 500.0)
_ARM_GAINS = ((500.0, 35.0),) * 2 + ((400.0, 25.0),) + ((120.0, 6.0),) * 3
_ARM_ARMATURE = (0.1, 0.1, 0.05, 0.01, 0.01, 0.01)  # [kg m^2], rotors seen through the gears
_GRIPPER_GAINS = (2500.0, 60.0)  # [N/m], [N s/m] a finger
_GRIPPER_FORCE_N = 50.0  # a finger, so that the grasp has the vendor's 100 N
_BASE_GAINS = ((60000.0, 6000.0), (60000.0, 6000.0), (8000.0, 800.0))
_BASE_GRIP = (600.0, 600.0, 200.0)  # [N, N, N m] at which wheels of this robot would slip


def build_model(
    embodiment: Embodiment, furnish: Callable[[mujoco.MjSpec], None] | None = None
) -> mujoco.MjModel:
    """The compiled model.

    Args:
        embodiment: the robot.
        furnish: adds the task's furniture and objects to the scene.

    Raises:
        ConfigError: the URDF is malformed or lacks what the embodiment names.
    """
    spec = build_spec(embodiment)
    if furnish is not None:
        furnish(spec)
    return spec.compile()


def build_spec(embodiment: Embodiment) -> mujoco.MjSpec:
    """The robot in an empty room, to be furnished; see `build_model`."""
    description = describe(embodiment)
    try:
        spec = mujoco.MjSpec.from_file(str(embodiment.urdf_path))
    except ValueError as error:
        raise ConfigError(
            f"malformed URDF: {error}", where=str(embodiment.urdf_path), remedy="mend it"
        ) from None
    _set_options(spec)
    _add_room(spec)
    _sort_shapes(spec)
    _put_on_wheels(spec, embodiment, description)
    _add_servos(spec, embodiment)
    _exclude_neighbours(spec, embodiment)
    for name, camera in embodiment.cameras.items():
        _add_camera(spec, name, camera)
    return spec


def floor_to_base(embodiment: Embodiment) -> float:
    """Height [m] of base_link above the floor, from the wheels of the description."""
    spec = mujoco.MjSpec.from_file(str(embodiment.urdf_path))
    model = spec.compile()
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    wheels = [i for i in range(model.nbody) if "wheel" in model.body(i).name]
    lowest = min((data.xpos[i][2] for i in wheels), default=embodiment.base.wheel_radius)
    return embodiment.base.wheel_radius - float(lowest)


def _set_options(spec: mujoco.MjSpec) -> None:
    option = spec.option
    option.timestep = TIMESTEP_S
    option.integrator = mujoco.mjtIntegrator.mjINT_IMPLICITFAST
    option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    option.impratio = 10.0  # firm friction, so that held things do not creep out of the grippers
    # Seldom needed, but a solver stopped early feeds energy into free things.
    option.iterations = 100
    option.ls_iterations = 50
    # Shadows and multisampling cost ten times the rest of a frame without a graphics card.
    spec.visual.quality.shadowsize = 0
    spec.visual.quality.offsamples = 0
    spec.visual.quality.numslices = 20
    spec.visual.quality.numstacks = 8
    spec.visual.headlight.ambient = [0.42, 0.42, 0.42]
    spec.visual.headlight.diffuse = [0.28, 0.28, 0.28]
    spec.visual.headlight.specular = [0.0, 0.0, 0.0]
    spec.visual.global_.offwidth = 1920
    spec.visual.global_.offheight = 1080
    spec.stat.extent = 2.0
    spec.stat.center = [0.5, 0.5, 0.8]
    spec.visual.map.znear = 0.01  # x extent: 2 cm, nearer than any camera measures
    spec.visual.map.zfar = 20.0


def _add_room(spec: mujoco.MjSpec) -> None:
    spec.add_texture(
        name="sky",
        type=mujoco.mjtTexture.mjTEXTURE_SKYBOX,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.93, 0.92, 0.89],
        rgb2=[0.74, 0.79, 0.83],
        width=64,
        height=384,
    )
    spec.add_texture(
        name="floor",
        type=mujoco.mjtTexture.mjTEXTURE_2D,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_CHECKER,
        rgb1=[0.71, 0.62, 0.51],
        rgb2=[0.67, 0.58, 0.47],
        width=128,
        height=128,
    )
    floor = spec.add_material(name="floor", texrepeat=[2.0, 2.0], texuniform=True)
    textures = list(floor.textures)
    textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "floor"
    floor.textures = textures
    world = spec.worldbody
    world.add_geom(
        name="floor",
        type=mujoco.mjtGeom.mjGEOM_PLANE,
        size=[6.0, 6.0, 0.1],
        material="floor",
        contype=1,
        conaffinity=1,
    )
    for place, brightness in (([-1.5, -2.0, 3.5], 0.42), ([2.5, 2.5, 3.0], 0.22)):
        world.add_light(
            pos=place,
            dir=[-place[0], -place[1], -2.5],
            type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
            diffuse=[brightness] * 3,
            specular=[0.1] * 3,
            castshadow=False,
        )
    position, target = np.array([-1.15, -1.75, 1.85]), np.array([0.42, 0.5, 0.72])
    world.add_camera(name=THIRD_PERSON, pos=position, quat=looking_at(position, target), fovy=48.0)


def robot_root(model: mujoco.MjModel) -> str:
    """Name of the robot's outermost body: the one that the base joints move."""
    return str(model.body(model.jnt_bodyid[model.joint(BASE_JOINTS[0]).id]).name)


def add_floor_shade(body: mujoco.MjsBody, half_size: tuple[float, float], height: float) -> None:
    """A soft dark patch on the floor under a thing, in place of a costly shadow.

    Args:
        body: what stands there.
        half_size: along x and y of the body [m].
        height: of the body's origin above the floor [m].
    """
    for i in range(3):  # overlapping patches fade outwards
        body.add_geom(
            type=mujoco.mjtGeom.mjGEOM_ELLIPSOID,
            pos=[0.0, 0.0, 0.0005 * (i + 1) - height],
            size=[half_size[0] * (0.8 + 0.1 * i), half_size[1] * (0.8 + 0.1 * i), 0.0004],
            rgba=[0.1, 0.07, 0.05, 0.09],
            mass=0.0,
            contype=0,
            conaffinity=0,
        )


def _sort_shapes(spec: mujoco.MjSpec) -> None:
    """Tells drawn shapes from colliding ones; the URDF reader gives only the latter a contype."""
    for geom in spec.geoms:
        if geom.name == "floor":
            continue
        if geom.contype:
            geom.group = COLLISION_GROUP
            geom.condim = 3
        else:
            geom.group = 0
            geom.mass = 0.0


def _put_on_wheels(spec: mujoco.MjSpec, embodiment: Embodiment, description: Description) -> None:
    """Frees base_link in the plane and fixes every joint that no group of the embodiment names."""
    base = spec.body(description.root)
    height = floor_to_base(embodiment)
    base.pos = [0.0, 0.0, height]
    add_floor_shade(base, (0.42, 0.42), height)
    slide, hinge = mujoco.mjtJoint.mjJNT_SLIDE, mujoco.mjtJoint.mjJNT_HINGE
    for name, kind, axis in zip(
        BASE_JOINTS, (slide, slide, hinge), ([1, 0, 0], [0, 1, 0], [0, 0, 1]), strict=True
    ):
        base.add_joint(name=name, type=kind, axis=axis)
    driven = {joint for name in embodiment.GROUPS for joint in embodiment.group(name).joints}
    driven |= {j for name in embodiment.GRIPPERS for j in embodiment.gripper(name).joints}
    for joint in description.joints.values():
        if joint.kind != "fixed" and joint.name not in driven:
            spec.delete(spec.joint(joint.name))
    for body in spec.bodies:
        body.gravcomp = 1.0  # all that is here yet is the robot


def _add_servos(spec: mujoco.MjSpec, embodiment: Embodiment) -> None:
    for name, gains, grip in zip(BASE_JOINTS, _BASE_GAINS, _BASE_GRIP, strict=True):
        _add_servo(spec, name, *gains)
        _limit_force(spec, name, grip)
    for group_name in embodiment.GROUPS:
        group = embodiment.group(group_name)
        for i, joint in enumerate(group.joints):
            arm = min(i, len(_ARM_GAINS) - 1)
            stiffness, damping = _TORSO_GAINS if group_name == "torso" else _ARM_GAINS[arm]
            _add_servo(spec, joint, stiffness, damping)
            servo = spec.joint(joint)
            servo.armature = 0.5 if group_name == "torso" else _ARM_ARMATURE[arm]
            _limit_force(spec, joint, float(group.max_effort[i]))
    for gripper_name in embodiment.GRIPPERS:
        fingers = embodiment.gripper(gripper_name).joints
        for finger in fingers:
            _add_servo(spec, finger, *_GRIPPER_GAINS)
            _limit_force(spec, finger, _GRIPPER_FORCE_N)
            spec.joint(finger).armature = 0.2
        # One spindle drives both fingers.
        equality = spec.add_equality(
            type=mujoco.mjtEq.mjEQ_JOINT, name1=fingers[0], name2=fingers[1]
        )
        equality.data[:5] = [0.0, 1.0, 0.0, 0.0, 0.0]
    for geom in (g for g in spec.geoms if g.group == COLLISION_GROUP):
        if "finger" in geom.parent.name:  # rubber pads
            geom.friction = [1.6, 0.02, 0.001]
            geom.condim = 4
            geom.priority = 1


def _add_servo(spec: mujoco.MjSpec, joint: str, stiffness: float, damping: float) -> None:
    """A position servo named after its joint."""
    actuator = spec.add_actuator(name=joint, target=joint, trntype=mujoco.mjtTrn.mjTRN_JOINT)
    actuator.set_to_position(kp=stiffness, kv=damping)


def _limit_force(spec: mujoco.MjSpec, joint: str, limit: float) -> None:
    """The joint's motor gives no more than this, [N] or [N m]."""
    spec.joint(joint).actfrclimited = True
    spec.joint(joint).actfrcrange = [-limit, limit]


def _exclude_neighbours(spec: mujoco.MjSpec, embodiment: Embodiment) -> None:
    """No contact between links joined directly or over one link in between."""

    def robot_parent(body: mujoco.MjsBody) -> mujoco.MjsBody | None:
        parent = body.parent
        return None if parent is None or parent.name == "world" else parent

    for body in spec.bodies:
        ancestor, steps = robot_parent(body) if body.name != "world" else None, 0
        while ancestor is not None and steps < 3:
            spec.add_exclude(bodyname1=ancestor.name, bodyname2=body.name)
            ancestor, steps = robot_parent(ancestor), steps + 1
    for name in embodiment.GRIPPERS:
        first, second = (spec.joint(j).parent.name for j in embodiment.gripper(name).joints)
        spec.add_exclude(bodyname1=first, bodyname2=second)


def _add_camera(spec: mujoco.MjSpec, name: str, camera: Camera) -> None:
    """A camera of the embodiment; MuJoCo's look along -z with y up."""
    turn = _quaternion_from_rpy(camera.rpy)
    optical = np.zeros(4)
    # columns: x right = -y of the body frame, y up = z, z backward = -x
    columns = np.array([[0.0, 0.0, -1.0], [-1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    mujoco.mju_mat2Quat(optical, columns.flatten())
    quaternion = np.zeros(4)
    mujoco.mju_mulQuat(quaternion, turn, optical)
    spec.body(camera.link).add_camera(
        name=name,
        pos=camera.position,
        quat=quaternion,
        fovy=math.degrees(camera.vertical_fov),
        resolution=[camera.width, camera.height],
    )


def _quaternion_from_rpy(rpy: np.ndarray) -> np.ndarray:
    """Quaternion wxyz of fixed-axis roll, pitch, yaw [rad], as URDF means them."""
    quaternion = np.zeros(4)
    mujoco.mju_euler2Quat(quaternion, np.asarray(rpy, dtype=float), "XYZ")
    return quaternion


def looking_at(position: np.ndarray, target: np.ndarray) -> np.ndarray:
    """Orientation wxyz of a MuJoCo camera at `position` that looks at `target`, z up."""
    backward = (position - target) / np.linalg.norm(position - target)
    right = np.cross([0.0, 0.0, 1.0], backward)
    right /= np.linalg.norm(right)
    matrix = np.column_stack([right, np.cross(backward, right), backward])
    quaternion = np.zeros(4)
    mujoco.mju_mat2Quat(quaternion, matrix.flatten())
    return quaternion
