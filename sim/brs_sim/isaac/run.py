"""Runs one exported scene in Isaac Sim 5, behind the plain topics of its ROS 2 bridge.

For Isaac Sim's own Python, which has nothing of this project: the folder that
`brs_sim.isaac.export` wrote says everything, topics too.

    $ISAACSIM_PATH/python.sh run.py --folder out/isaac [--headless]

plan.json, robot.urdf, scene.usda --> stage: scene, robot, cameras --> OmniGraph:
    clock, joint states, cameras out; positions of servos and velocities of the base in
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from typing import Any

SCENE, GRAPH, STEP = "/World/scene", "/World/ros", "on_playback_tick"
_APERTURE_MM = 20.955  # of a USD camera; only its ratio to the focal length counts
_CORE, _BRIDGE = "isaacsim.core.nodes", "isaacsim.ros2.bridge"


def main() -> None:
    """Starts the application and plays until it is closed."""
    parser = argparse.ArgumentParser(description="Run an exported scene in Isaac Sim.")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--headless", action="store_true")
    options = parser.parse_args()
    plan = json.loads((options.folder / "plan.json").read_text())
    try:
        from isaacsim import SimulationApp
    except ImportError:
        parser.exit(1, "this is not Isaac Sim's Python. Try: $ISAACSIM_PATH/python.sh run.py\n")
    # Before anything else of Isaac Sim may be imported.
    app = SimulationApp({"headless": options.headless})
    try:
        play(app, plan, options.folder.resolve())
    finally:
        app.close()


def play(app: Any, plan: dict[str, Any], folder: Path) -> None:
    """Builds the stage and steps it."""
    from isaacsim.core.api import World
    from isaacsim.core.utils.extensions import enable_extension
    from isaacsim.core.utils.stage import add_reference_to_stage

    for extension in (_BRIDGE, "isaacsim.asset.importer.urdf"):
        enable_extension(extension)
    app.update()
    world = World(physics_dt=plan["step_s"], rendering_dt=1.0 / 60.0, stage_units_in_meters=1.0)
    add_reference_to_stage(str(folder / "scene.usda"), SCENE)
    articulation = import_robot(folder / "robot.urdf", plan)
    cameras = {camera["name"]: add_camera(camera) for camera in plan["cameras"]}
    world.reset()
    set_posture(articulation, plan)
    build_graph(articulation, plan)
    if plan["camera_hz"] > 0:
        for camera in plan["cameras"]:
            publish_camera(camera, cameras[camera["name"]], plan["camera_hz"])
    world.play()
    while app.is_running():
        world.step(render=True)


def import_robot(path: Path, plan: dict[str, Any]) -> str:
    """Imports the URDF at its start and gives its drives gains; returns the articulation."""
    import omni.kit.commands
    from isaacsim.core.utils.stage import get_current_stage
    from pxr import Gf, UsdGeom, UsdPhysics

    _, config = omni.kit.commands.execute("URDFCreateImportConfig")
    config.merge_fixed_joints = False
    config.fix_base = True
    config.make_default_prim = False
    config.import_inertia_tensor = True
    config.self_collision = False
    config.create_physics_scene = True
    _, prim_path = omni.kit.commands.execute(
        "URDFParseAndImportFile",
        urdf_path=str(path),
        import_config=config,
        get_articulation_root=True,
    )
    stage = get_current_stage()
    root = stage.GetPrimAtPath("/" + prim_path.strip("/").split("/")[0])
    x, y, yaw = plan["start"]
    place = UsdGeom.XformCommonAPI(root)
    place.SetTranslate(Gf.Vec3d(x, y, 0.0))
    place.SetRotate(Gf.Vec3f(0.0, 0.0, math.degrees(yaw)))
    servos = {**plan["servos"], **plan["base"]}
    for prim in stage.Traverse():
        if prim.GetName() not in servos or not prim.IsA(UsdPhysics.Joint):
            continue
        gains = servos[prim.GetName()]
        turning = prim.IsA(UsdPhysics.RevoluteJoint)
        drive = UsdPhysics.DriveAPI.Apply(prim, "angular" if turning else "linear")
        unit = math.radians(1.0) if turning else 1.0  # drives that turn count degrees
        # The base follows velocities: nothing pulls it to a place.
        pull = 0.0 if prim.GetName() in plan["base"] else gains["stiffness"]
        drive.CreateStiffnessAttr(pull * unit)
        drive.CreateDampingAttr(gains["damping"] * unit)
        drive.CreateMaxForceAttr(gains["effort"])
    return str(prim_path)


def set_posture(articulation: str, plan: dict[str, Any]) -> None:
    """Stands the joints where the episode begins."""
    import numpy as np
    from isaacsim.core.prims import SingleArticulation

    robot = SingleArticulation(articulation)
    robot.initialize()
    names = [name for name in robot.dof_names if name in plan["positions"]]
    indices = np.array([robot.get_dof_index(name) for name in names])
    robot.set_joint_positions(np.array([plan["positions"][n] for n in names]), indices)


def add_camera(camera: dict[str, Any]) -> str:
    """A camera prim below its link, which looks along -z with y up; returns its path."""
    from isaacsim.core.utils.stage import get_current_stage
    from pxr import Gf, UsdGeom

    stage = get_current_stage()
    link = next(p for p in stage.Traverse() if p.GetName() == camera["link"])
    path = f"{link.GetPath()}/{camera['name']}_camera"
    prim = UsdGeom.Camera.Define(stage, path)
    prim.CreateHorizontalApertureAttr(_APERTURE_MM)
    prim.CreateVerticalApertureAttr(_APERTURE_MM * camera["height"] / camera["width"])
    prim.CreateFocalLengthAttr(_APERTURE_MM / 2 / math.tan(camera["horizontal_fov"] / 2))
    prim.CreateClippingRangeAttr(Gf.Vec2f(0.02, 20.0))
    roll, pitch, yaw = (math.degrees(angle) for angle in camera["rpy"])
    mount = Gf.Rotation(Gf.Vec3d(1, 0, 0), roll) * Gf.Rotation(Gf.Vec3d(0, 1, 0), pitch)
    mount = mount * Gf.Rotation(Gf.Vec3d(0, 0, 1), yaw)
    # From x forward, y left, z up to -z forward, y up.
    look = Gf.Rotation(Gf.Vec3d(1, 0, 0), 90.0) * Gf.Rotation(Gf.Vec3d(0, 0, 1), -90.0)
    matrix = Gf.Matrix4d().SetTransform(look * mount, Gf.Vec3d(*camera["position"]))
    UsdGeom.Xformable(prim).MakeMatrixXform().Set(matrix)
    return str(path)


def build_graph(articulation: str, plan: dict[str, Any]) -> None:
    """Clock and joint states out; positions and velocities in, each to joints of its own."""
    import omni.graph.core as og
    import usdrt.Sdf

    topics, keys = plan["topics"], og.Controller.Keys
    target = [usdrt.Sdf.Path(articulation)]
    nodes = {
        STEP: "omni.graph.action.OnPlaybackTick",
        "time": f"{_CORE}.IsaacReadSimulationTime",
        "clock": f"{_BRIDGE}.ROS2PublishClock",
        "states": f"{_BRIDGE}.ROS2PublishJointState",
        "hear_positions": f"{_BRIDGE}.ROS2SubscribeJointState",
        "hear_velocities": f"{_BRIDGE}.ROS2SubscribeJointState",
        "move_servos": f"{_CORE}.IsaacArticulationController",
        "move_base": f"{_CORE}.IsaacArticulationController",
    }
    wires = [(f"{STEP}.outputs:tick", f"{name}.inputs:execIn") for name in list(nodes)[2:]]
    wires += [
        ("time.outputs:simulationTime", f"{name}.inputs:timeStamp") for name in ("clock", "states")
    ]
    for heard, moved, command in (
        ("hear_positions", "move_servos", "positionCommand"),
        ("hear_velocities", "move_base", "velocityCommand"),
    ):
        wires += [
            (f"{heard}.outputs:jointNames", f"{moved}.inputs:jointNames"),
            (f"{heard}.outputs:{command}", f"{moved}.inputs:{command}"),
        ]
    og.Controller.edit(
        {"graph_path": GRAPH, "evaluator_name": "execution"},
        {
            keys.CREATE_NODES: list(nodes.items()),
            keys.CONNECT: wires,
            keys.SET_VALUES: [
                ("clock.inputs:topicName", topics["clock"]),
                ("states.inputs:topicName", topics["joint_states"]),
                ("states.inputs:targetPrim", target),
                ("hear_positions.inputs:topicName", topics["positions"]),
                ("hear_velocities.inputs:topicName", topics["velocities"]),
                ("move_servos.inputs:targetPrim", target),
                ("move_base.inputs:targetPrim", target),
            ],
        },
    )


def publish_camera(camera: dict[str, Any], prim: str, hz: float) -> None:
    """Colour, depth and intrinsics of one camera, skipping frames down to about its rate."""
    import omni.graph.core as og
    import usdrt.Sdf

    keys, name = og.Controller.Keys, camera["name"]
    skip = max(round(60.0 / hz) - 1, 0)
    nodes = {STEP: "omni.graph.action.OnPlaybackTick"}
    nodes["picture"] = f"{_CORE}.IsaacCreateRenderProduct"
    wires = [(f"{STEP}.outputs:tick", "picture.inputs:execIn")]
    values: list[tuple[str, Any]] = [
        ("picture.inputs:cameraPrim", [usdrt.Sdf.Path(prim)]),
        ("picture.inputs:width", camera["width"]),
        ("picture.inputs:height", camera["height"]),
    ]
    for kind, topic in camera["topics"].items():
        helper = "ROS2CameraInfoHelper" if kind == "info" else "ROS2CameraHelper"
        nodes[kind] = f"{_BRIDGE}.{helper}"
        wires.append(("picture.outputs:execOut", f"{kind}.inputs:execIn"))
        wires.append(("picture.outputs:renderProductPath", f"{kind}.inputs:renderProductPath"))
        values += [
            (f"{kind}.inputs:topicName", topic),
            (f"{kind}.inputs:frameId", camera["frame"]),
            (f"{kind}.inputs:frameSkipCount", skip),
        ]
        if kind != "info":
            values.append((f"{kind}.inputs:type", kind))
    og.Controller.edit(
        {"graph_path": f"{GRAPH}_{name}", "evaluator_name": "execution"},
        {
            keys.CREATE_NODES: list(nodes.items()),
            keys.CONNECT: wires,
            keys.SET_VALUES: values,
        },
    )


if __name__ == "__main__":
    main()
