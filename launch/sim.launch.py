"""The simulated robot: `r1_sim` behind the vendor's topics."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, Shutdown
from launch.conditions import IfCondition
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
        # Without its robot the rest has nothing to do.
        on_exit=Shutdown(reason="the simulator has ended"),
    )
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
    return LaunchDescription([*arguments, GroupAction([namespace, r1_sim, description])])
