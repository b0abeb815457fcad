"""A policy drives: node `policy` with simulator or robot, perception, and who may take over."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare


def typed(name, kind):
    """A launch argument as a parameter of one type, whatever its text looks like."""
    return ParameterValue(LaunchConfiguration(name), value_type=kind)


def generate_launch_description():
    share = FindPackageShare("brs")
    arguments = [
        DeclareLaunchArgument(
            "checkpoint",
            default_value="",
            description="policy to run, a .safetensors file; empty: ask a policy_server",
        ),
        DeclareLaunchArgument(
            "robot", default_value="r1", description="robot description in config/robots"
        ),
        DeclareLaunchArgument("task", default_value="shelves", description="what is to be done"),
        DeclareLaunchArgument(
            "cloud",
            default_value=LaunchConfiguration("task"),
            description="how clouds are made, in config/perception; as in training",
        ),
        DeclareLaunchArgument(
            "stack",
            default_value="true",
            choices=["true", "false"],
            description="start the rest, too; false: beside one that runs, or beside a bag",
        ),
        DeclareLaunchArgument(
            "sim",
            default_value="true",
            choices=["true", "false"],
            description="a simulated robot; false: the real one",
        ),
        DeclareLaunchArgument(
            "leader",
            default_value="none",
            description="by which a person may take over; see teleop.launch.py",
        ),
        DeclareLaunchArgument(
            "handover",
            default_value="blend",
            choices=["blend", "inpaint", "ensemble"],
            description="from one chunk to the next",
        ),
        DeclareLaunchArgument(
            "device", default_value="cpu", description="of the network: cpu or cuda"
        ),
        DeclareLaunchArgument(
            "record",
            default_value="false",
            choices=["true", "false"],
            description="start the recorder, which waits for a button or a service call",
        ),
        DeclareLaunchArgument(
            "episodes", default_value="out/episodes", description="folder of recorded episodes"
        ),
        DeclareLaunchArgument(
            "camera_hz", default_value="15.0", description="rate of simulated cameras"
        ),
        DeclareLaunchArgument(
            "tf",
            default_value="true",
            choices=["true", "false"],
            description="publish what RViz and Foxglove show the robot by: frames, joints, URDF",
        ),
        DeclareLaunchArgument("seed", default_value="0", description="of the scene"),
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
    passed_on = ("robot", "task", "cloud", "sim", "leader", "record", "episodes", "camera_hz")
    passed_on += ("tf", "seed", "namespace", "use_sim_time", "params_file", "log_level")
    # It enters the namespace by itself, so it stands outside of the group.
    stack = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([share, "launch", "teleop.launch.py"])),
        launch_arguments=[
            *((name, LaunchConfiguration(name)) for name in passed_on),
            ("source", "policy"),
            ("perception", "true"),
        ],
        condition=IfCondition(LaunchConfiguration("stack")),
    )
    policy = Node(
        package="brs_nodes",
        executable="policy",
        name="policy",
        output="screen",
        parameters=[
            LaunchConfiguration("params_file"),
            {
                "robot": typed("robot", str),
                "checkpoint": typed("checkpoint", str),
                "cloud": typed("cloud", str),
                "handover": typed("handover", str),
                "device": typed("device", str),
                "use_sim_time": typed("use_sim_time", bool),
            },
        ],
        ros_arguments=[
            "--log-level",
            LaunchConfiguration("log_level"),
            "--enclave",
            "/brs/policy",
        ],
        respawn=True,
        respawn_delay=5.0,  # to load PyTorch takes all of a core for a while
    )
    nodes = GroupAction([PushRosNamespace(LaunchConfiguration("namespace")), policy])
    return LaunchDescription([*arguments, stack, nodes])
