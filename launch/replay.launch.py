"""Replay: a bag's commands drive the robot node, or its sensor topics any other node."""

from launch import LaunchDescription
from launch.actions import (
    DeclareLaunchArgument,
    EmitEvent,
    GroupAction,
    IncludeLaunchDescription,
    RegisterEventHandler,
    TimerAction,
)
from launch.conditions import IfCondition
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

SETTLE_S = 6.0
RESPAWN = {"respawn": True, "respawn_delay": 1.0}


def typed(name, kind):
    """A launch argument as a parameter of one type, whatever its text looks like."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def node(executable, parameters=None, **options):
    """A node of brs_nodes with what all of them take."""
    return Node(
        package="brs_nodes",
        executable=executable,
        name=executable,
        output="screen",
        parameters=[
            LaunchConfiguration("params_file"),
            {
                "robot": typed("robot", str),
                "use_sim_time": typed("use_sim_time", bool),
                **(parameters or {}),
            },
        ],
        ros_arguments=[
            "--log-level",
            LaunchConfiguration("log_level"),
            "--enclave",
            f"/brs/{executable}",
        ],
        **options,
    )


def generate_launch_description():
    share = FindPackageShare("brs")
    arguments = [
        DeclareLaunchArgument("bag", description="folder of the episode to replay"),
        DeclareLaunchArgument(
            "sim",
            default_value="true",
            choices=["true", "false"],
            description="start the simulator; otherwise a real robot moves",
        ),
        DeclareLaunchArgument(
            "robot", default_value="r1", description="robot description in config/robots"
        ),
        DeclareLaunchArgument(
            "task", default_value="shelves", description="scene and success rule"
        ),
        DeclareLaunchArgument("seed", default_value="0", description="of the scene"),
        DeclareLaunchArgument("rate", default_value="1.0", description="bag seconds a second"),
        DeclareLaunchArgument(
            "start_s", default_value="0.0", description="where in the bag to begin [s]"
        ),
        DeclareLaunchArgument(
            "topics",
            default_value="",
            description="sensor topics to play too: from or from:=to, comma-separated",
        ),
        DeclareLaunchArgument(
            "arm",
            default_value="false",
            choices=["true", "false"],
            description="arm the robot without asking a person (in simulation)",
        ),
        DeclareLaunchArgument(
            "record",
            default_value="false",
            choices=["true", "false"],
            description="start the recorder, which waits for a button or a service call",
        ),
        DeclareLaunchArgument(
            "tf",
            default_value="true",
            choices=["true", "false"],
            description="publish what RViz and Foxglove show the robot by: frames, joints, URDF",
        ),
        DeclareLaunchArgument(
            "episodes", default_value="out/episodes", description="folder of recorded episodes"
        ),
        DeclareLaunchArgument("namespace", default_value="", description="of all nodes"),
        DeclareLaunchArgument(
            "use_sim_time", default_value="false", description="follow /clock: true, false"
        ),
        DeclareLaunchArgument(
            "params_file",
            default_value=PathJoinSubstitution([share, "config", "nodes", "default.yaml"]),
            description="YAML of parameters",
        ),
        DeclareLaunchArgument(
            "log_level", default_value="info", description="debug, info, warn, error or fatal"
        ),
    ]
    passed_on = ("robot", "task", "seed", "tf", "namespace", "use_sim_time", "params_file")
    passed_on += ("log_level",)
    # It enters the namespace by itself, so it stands outside of the group.
    simulator = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([share, "launch", "sim.launch.py"])),
        launch_arguments=[(name, LaunchConfiguration(name)) for name in passed_on],
        condition=IfCondition(LaunchConfiguration("sim")),
    )
    replay = node(
        "replay",
        {
            "bag": typed("bag", str),
            "rate": typed("rate", float),
            "start_s": typed("start_s", float),
            "topics": typed("topics", str),
            "arm": typed("arm", bool),
        },
    )
    # With a simulator, its launch file starts it.
    sim, tf = LaunchConfiguration("sim"), LaunchConfiguration("tf")
    described = PythonExpression(["'", tf, "' == 'true' and '", sim, "' == 'false'"])
    nodes = GroupAction(
        [
            PushRosNamespace(LaunchConfiguration("namespace")),
            node("robot", {"source": "replay"}, **RESPAWN),
            replay,
            node(
                "recorder",
                {"folder": typed("episodes", str), "task": typed("task", str)},
                condition=IfCondition(LaunchConfiguration("record")),
            ),
            node(
                "description",
                {"measured_mounts": True},
                condition=IfCondition(described),
                **RESPAWN,
            ),
        ]
    )
    # Things come to rest, and whoever watches can look, before everything ends.
    ending = RegisterEventHandler(
        OnProcessExit(
            target_action=replay,
            on_exit=[TimerAction(period=SETTLE_S, actions=[EmitEvent(event=Shutdown())])],
        )
    )
    return LaunchDescription([*arguments, simulator, nodes, ending])
