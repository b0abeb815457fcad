"""Perception: the cameras of this machine onto the bus, and one cloud of what they see."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
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
        DeclareLaunchArgument(
            "robot", default_value="r1", description="robot description in config/robots"
        ),
        DeclareLaunchArgument(
            "cameras",
            default_value="",
            description="rig of this machine in config/cameras; none: pictures come by topics",
        ),
        DeclareLaunchArgument(
            "fuse",
            default_value="true",
            choices=["true", "false"],
            description="make clouds; without, the cameras are published only",
        ),
        DeclareLaunchArgument(
            "cloud", default_value="default", description="how, in config/perception"
        ),
        DeclareLaunchArgument(
            "transport",
            default_value="raw",
            choices=["raw", "compressed"],
            description="of pictures that come by topics",
        ),
        DeclareLaunchArgument(
            "measured_mounts",
            default_value="false",
            choices=["true", "false"],
            description="real cameras: they sit where `brs calibrate cameras` measured them",
        ),
        DeclareLaunchArgument("namespace", default_value="", description="of all nodes"),
        DeclareLaunchArgument(
            "use_sim_time", default_value="false", description="follow /clock: true, false"
        ),
        DeclareLaunchArgument(
            "params_file", default_value=default_parameters, description="YAML of parameters"
        ),
        DeclareLaunchArgument(
            "log_level", default_value="info", description="debug, info, warn, error or fatal"
        ),
    ]
    perception = Node(
        package="brs_nodes",
        executable="perception",
        name="perception",
        output="screen",
        parameters=[
            LaunchConfiguration("params_file"),
            {
                "robot": typed("robot", str),
                "cameras": typed("cameras", str),
                "fuse": typed("fuse", bool),
                "cloud": typed("cloud", str),
                "transport": typed("transport", str),
                "measured_mounts": typed("measured_mounts", bool),
                "use_sim_time": typed("use_sim_time", bool),
            },
        ],
        ros_arguments=[
            "--log-level",
            LaunchConfiguration("log_level"),
            "--enclave",
            "/brs/perception",
        ],
        respawn=True,
        respawn_delay=1.0,
    )
    return LaunchDescription(
        [*arguments, GroupAction([PushRosNamespace(LaunchConfiguration("namespace")), perception])]
    )
