"""Sensor replay: what an episode's sensors told, played into whatever nodes listen; no command."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, EmitEvent, GroupAction, RegisterEventHandler
from launch.event_handlers import OnProcessExit
from launch.events import Shutdown
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def typed(name, kind):
    """A launch argument as a parameter of one type, whatever its text looks like."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def generate_launch_description():
    default_parameters = PathJoinSubstitution(
        [FindPackageShare("brs"), "config", "nodes", "default.yaml"]
    )
    arguments = [
        DeclareLaunchArgument("bag", description="folder of the episode to replay"),
        DeclareLaunchArgument(
            "robot", default_value="r1", description="robot description in config/robots"
        ),
        DeclareLaunchArgument(
            "topics",
            default_value="",
            description="from or from:=to, comma-separated; empty: all sensors",
        ),
        DeclareLaunchArgument("rate", default_value="1.0", description="bag seconds a second"),
        DeclareLaunchArgument(
            "start_s", default_value="0.0", description="where in the bag to begin [s]"
        ),
        DeclareLaunchArgument(
            "stamps",
            default_value="now",
            choices=["now", "recorded"],
            description="moved to now, so that live nodes take them, or as recorded",
        ),
        DeclareLaunchArgument(
            "clock",
            default_value="false",
            choices=["true", "false"],
            description="tell the bag's time on /clock, for nodes with use_sim_time",
        ),
        DeclareLaunchArgument(
            "loop",
            default_value="false",
            choices=["true", "false"],
            description="again and again",
        ),
        DeclareLaunchArgument("namespace", default_value="", description="of the node"),
        DeclareLaunchArgument(
            "params_file", default_value=default_parameters, description="YAML of parameters"
        ),
        DeclareLaunchArgument(
            "log_level", default_value="info", description="debug, info, warn, error or fatal"
        ),
    ]
    everything = PythonExpression(["'", LaunchConfiguration("topics"), "' == ''"])
    replay = Node(
        package="brs_nodes",
        executable="replay",
        name="replay",
        output="screen",
        parameters=[
            LaunchConfiguration("params_file"),
            {
                "bag": typed("bag", str),
                "robot": typed("robot", str),
                "commands": False,
                "sensors": ParameterValue(everything, value_type=bool),
                "topics": typed("topics", str),
                "rate": typed("rate", float),
                "start_s": typed("start_s", float),
                "stamps": typed("stamps", str),
                "clock": typed("clock", bool),
                "loop": typed("loop", bool),
            },
        ],
        # Under SROS2 it may not publish what sensors do: who deceives a robot is no part of it.
        ros_arguments=[
            "--log-level",
            LaunchConfiguration("log_level"),
            "--enclave",
            "/brs/replay",
        ],
    )
    ending = RegisterEventHandler(
        OnProcessExit(target_action=replay, on_exit=[EmitEvent(event=Shutdown())])
    )
    return LaunchDescription(
        [
            *arguments,
            GroupAction([PushRosNamespace(LaunchConfiguration("namespace")), replay]),
            ending,
        ]
    )
