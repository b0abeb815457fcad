"""The simulated robot behind the vendor's topics: `r1_sim` on MuJoCo, Gazebo Sim or Isaac Sim."""

import os
import shutil
import tempfile
from pathlib import Path

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    ExecuteProcess,
    GroupAction,
    OpaqueFunction,
    Shutdown,
)
from launch.conditions import IfCondition
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def typed(name, kind):
    """A launch argument as a parameter of one type, whatever its text looks like."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def value(context, name):
    """What a launch argument is."""
    return LaunchConfiguration(name).perform(context)


def exported(context, backend):
    """The folder with everything that a simulator reads of this robot, task and seed."""
    if backend == "gazebo":
        from brs_sim.gazebo.export import export
    else:
        from brs_sim.isaac.export import export
    folder = Path(tempfile.mkdtemp(prefix=f"brs_{backend}_"))
    scene = [value(context, name) for name in ("robot", "task")]
    export(*scene, int(value(context, "seed")), float(value(context, "camera_hz")), folder)
    return folder


def external_sim(targets):
    """The vendor's topics in front of a simulator that knows joints only."""
    return Node(
        package="brs_nodes",
        executable="external_sim",
        name="external_sim",
        output="screen",
        parameters=[
            LaunchConfiguration("params_file"),
            {"robot": typed("robot", str), "targets": targets, "use_sim_time": True},
        ],
        ros_arguments=["--log-level", LaunchConfiguration("log_level")],
        respawn=True,
        respawn_delay=1.0,
    )


def gazebo(context):
    """Gazebo Sim on an exported world, and its bridge."""
    if value(context, "backend") != "gazebo":
        return []
    if shutil.which("gz") is None:
        raise RuntimeError("Gazebo Sim is not installed: install gz-sim and ros_gz_bridge")
    folder = exported(context, "gazebo")
    return [
        ExecuteProcess(
            cmd=["gz", "sim", "-r", str(folder / "world.sdf")],
            name="gazebo",
            output="screen",
            on_exit=Shutdown(reason="the simulator has ended"),
        ),
        Node(
            package="ros_gz_bridge",
            executable="parameter_bridge",
            name="gazebo_bridge",
            output="screen",
            parameters=[{"config_file": str(folder / "bridge.yaml"), "use_sim_time": True}],
        ),
        external_sim("single"),
    ]


def isaac(context):
    """Isaac Sim on an exported scene, by its own Python and its own bridge."""
    if value(context, "backend") != "isaac":
        return []
    home = Path(os.environ.get("ISAACSIM_PATH", ""))
    if not (home / "python.sh").is_file():
        raise RuntimeError("Isaac Sim is not found: set ISAACSIM_PATH to where its python.sh is")
    folder = exported(context, "isaac")
    from brs_sim import isaac as package

    script = Path(package.__file__).parent / "run.py"
    return [
        ExecuteProcess(
            cmd=[str(home / "python.sh"), str(script), "--folder", str(folder)],
            name="isaac",
            output="screen",
            on_exit=Shutdown(reason="the simulator has ended"),
        ),
        external_sim("arrays"),
    ]


def generate_launch_description():
    default_parameters = PathJoinSubstitution(
        [FindPackageShare("brs"), "config", "nodes", "default.yaml"]
    )
    arguments = [
        DeclareLaunchArgument(
            "backend",
            default_value="mujoco",
            choices=["mujoco", "gazebo", "isaac"],
            description="simulator; those other than MuJoCo are followed by use_sim_time:=true",
        ),
        DeclareLaunchArgument(
            "robot", default_value="r1", description="robot description in config/robots"
        ),
        DeclareLaunchArgument(
            "task", default_value="shelves", description="scene and success rule"
        ),
        DeclareLaunchArgument("seed", default_value="0", description="of the scene"),
        DeclareLaunchArgument(
            "realtime_factor", default_value="1.0", description="simulated seconds a second"
        ),
        DeclareLaunchArgument(
            "camera_hz", default_value="15.0", description="rate of every camera; 0: none"
        ),
        DeclareLaunchArgument(
            "tf",
            default_value="true",
            choices=["true", "false"],
            description="publish what RViz and Foxglove show the robot by: frames, joints, URDF",
        ),
        DeclareLaunchArgument(
            "use_sim_time",
            default_value="false",
            description="publish /clock and follow it: true, false",
        ),
        DeclareLaunchArgument("namespace", default_value="", description="of all nodes"),
        DeclareLaunchArgument(
            "params_file", default_value=default_parameters, description="YAML of parameters"
        ),
        DeclareLaunchArgument(
            "log_level", default_value="info", description="debug, info, warn, error or fatal"
        ),
    ]
    r1_sim = Node(
        package="brs_nodes",
        executable="r1_sim",
        name="r1_sim",
        output="screen",
        parameters=[
            LaunchConfiguration("params_file"),
            {
                "robot": typed("robot", str),
                "task": typed("task", str),
                "seed": typed("seed", int),
                "realtime_factor": typed("realtime_factor", float),
                "camera_hz": typed("camera_hz", float),
                "use_sim_time": typed("use_sim_time", bool),
            },
        ],
        ros_arguments=[
            "--log-level",
            LaunchConfiguration("log_level"),
            "--enclave",
            "/brs/r1_sim",
        ],
        condition=IfCondition(
            PythonExpression(["'", LaunchConfiguration("backend"), "' == 'mujoco'"])
        ),
        # Without its robot the rest has nothing to do.
        on_exit=Shutdown(reason="the simulator has ended"),
    )
    others = [OpaqueFunction(function=gazebo), OpaqueFunction(function=isaac)]
    description = Node(
        package="brs_nodes",
        executable="description",
        name="description",
        output="screen",
        parameters=[
            LaunchConfiguration("params_file"),
            {"robot": typed("robot", str), "use_sim_time": typed("use_sim_time", bool)},
        ],
        ros_arguments=[
            "--log-level",
            LaunchConfiguration("log_level"),
            "--enclave",
            "/brs/description",
        ],
        condition=IfCondition(LaunchConfiguration("tf")),
        respawn=True,
        respawn_delay=1.0,
    )
    namespace = PushRosNamespace(LaunchConfiguration("namespace"))
    return LaunchDescription([*arguments, GroupAction([namespace, r1_sim, *others, description])])
