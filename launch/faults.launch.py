"""The teleoperation stack with nobody at its emulated leader: `brs soak` moves and breaks it."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue


def typed(name, kind):
    """A launch argument as a parameter of one type, whatever its text looks like."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def node(executable, parameters=None, **options):
    """A node that comes back when it is killed."""
    return Node(
        package="brs_nodes",
        executable=executable,
        name=executable,
        output="screen",
        parameters=[{"use_sim_time": typed("use_sim_time", bool), **(parameters or {})}],
        respawn=True,
        respawn_delay=1.0,
        **options,
    )


def generate_launch_description():
    arguments = [
        DeclareLaunchArgument("episodes", description="folder of recorded episodes"),
        DeclareLaunchArgument(
            "min_free_mb", default_value="20", description="disk space the recorder leaves alone"
        ),
        DeclareLaunchArgument(
            "camera_hz", default_value="0.0", description="rate of the simulated cameras"
        ),
        DeclareLaunchArgument(
            "use_sim_time",
            default_value="false",
            description="all but the simulator follow /clock, which somebody makes of sim/clock",
        ),
    ]
    return LaunchDescription(
        [
            *arguments,
            node(
                "r1_sim",
                {"camera_hz": typed("camera_hz", float)},
                remappings=[("/clock", "sim/clock")],
            ),
            node("joylo", {"leader": "joylo_emulated"}),
            node("teleop"),
            node("robot"),
            node(
                "recorder",
                {
                    "folder": typed("episodes", str),
                    "min_free_mb": typed("min_free_mb", int),
                },
            ),
        ]
    )
