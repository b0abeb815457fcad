"""Watches cameras for what should not happen, said in words: node `anomaly_monitor`."""

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
            "cameras", default_value="[head]", description="whose pictures are looked at"
        ),
        DeclareLaunchArgument(
            "queries",
            default_value="['']",
            description="what to watch for, such as ['a spill', 'a person']; none: as last time",
        ),
        DeclareLaunchArgument(
            "transport",
            default_value="raw",
            choices=["raw", "compressed"],
            description="of the pictures",
        ),
        DeclareLaunchArgument(
            "encoder", default_value="small", description="of pictures and texts: small, clip:NAME"
        ),
        DeclareLaunchArgument(
            "judge",
            default_value="small",
            description="of pictures: small, vlm:NAME or server:URL#MODEL",
        ),
        DeclareLaunchArgument(
            "device", default_value="cpu", description="that models run on: cpu or cuda"
        ),
        DeclareLaunchArgument(
            "calibration",
            default_value="",
            description="file of `brs monitor calibrate`, if there is one",
        ),
        DeclareLaunchArgument(
            "hold",
            default_value="false",
            choices=["true", "false"],
            description="an alarm disarms the robot",
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
    monitor = Node(
        package="brs_nodes",
        executable="anomaly_monitor",
        name="anomaly_monitor",
        output="screen",
        parameters=[
            LaunchConfiguration("params_file"),
            {
                "cameras": LaunchConfiguration("cameras"),
                "queries": LaunchConfiguration("queries"),
                "transport": typed("transport", str),
                "encoder": typed("encoder", str),
                "judge": typed("judge", str),
                "device": typed("device", str),
                "calibration": typed("calibration", str),
                "hold": typed("hold", bool),
                "use_sim_time": typed("use_sim_time", bool),
            },
        ],
        ros_arguments=[
            "--log-level",
            LaunchConfiguration("log_level"),
            "--enclave",
            "/brs/anomaly_monitor",
        ],
        respawn=True,
        respawn_delay=5.0,  # to load PyTorch takes all of a core for a while
    )
    return LaunchDescription(
        [*arguments, GroupAction([PushRosNamespace(LaunchConfiguration("namespace")), monitor])]
    )
