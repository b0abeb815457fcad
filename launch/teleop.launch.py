"""Teleoperation: leader, teleop and robot; with a simulator, an emulated leader, a recorder."""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, GroupAction, IncludeLaunchDescription
from launch.conditions import IfCondition
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution, PythonExpression
from launch_ros.actions import Node, PushRosNamespace
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

# Leaders that need no JoyLo: each has its own node in place of `joylo`.
DIRECT_LEADERS = {
    "gamepad": "leader_gamepad",
    "keyboard": "leader_keyboard",
    "vr": "leader_pose",
    "gello": "leader_chains",
}
RESPAWN = {"respawn": True, "respawn_delay": 1.0}


def typed(value, kind):
    """A parameter of one type, whatever its text looks like."""
    return ParameterValue(value, value_type=kind)


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
                "robot": typed(LaunchConfiguration("robot"), str),
                "use_sim_time": typed(LaunchConfiguration("use_sim_time"), bool),
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
    leader = LaunchConfiguration("leader")
    task = typed(LaunchConfiguration("task"), str)
    arguments = [
        DeclareLaunchArgument(
            "robot", default_value="r1", description="robot description in config/robots"
        ),
        DeclareLaunchArgument(
            "sim",
            default_value="false",
            choices=["true", "false"],
            description="start the simulator instead of using a real robot",
        ),
        DeclareLaunchArgument(
            "leader",
            default_value="joylo",
            choices=["joylo", "emulated", "script", "attached", *DIRECT_LEADERS, "none"],
            description="the real JoyLo; an emulated one moved by a person, a script, or another"
            " program; or what else may lead; none: nobody can take over",
        ),
        DeclareLaunchArgument(
            "operator",
            default_value="keyboard",
            choices=["keyboard", "gamepad"],
            description="who moves the leader if it is `emulated`",
        ),
        DeclareLaunchArgument(
            "leader_mode",
            default_value="free",
            choices=["free", "float", "bilateral"],
            description="what the JoyLo's motors do while a person drives",
        ),
        DeclareLaunchArgument(
            "mirror",
            default_value="false",
            choices=["true", "false"],
            description="the JoyLo follows the robot while nobody holds the dead-man",
        ),
        DeclareLaunchArgument(
            "source",
            default_value="teleop",
            choices=["teleop", "policy", "replay"],
            description="whose commands the robot follows; a person may take over",
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
        DeclareLaunchArgument(
            "perception",
            default_value="false",
            choices=["true", "false"],
            description="make clouds; takes up to a core, and only a policy needs them live",
        ),
        DeclareLaunchArgument("task", default_value="shelves", description="what is to be done"),
        DeclareLaunchArgument(
            "camera_hz", default_value="15.0", description="rate of simulated cameras; 0: none"
        ),
        DeclareLaunchArgument("seed", default_value="0", description="of scene and script"),
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
    passed_on = ("robot", "task", "seed", "camera_hz", "tf", "namespace", "use_sim_time")
    passed_on += ("params_file", "log_level")
    # Both enter the namespace by themselves, so they stand outside of the group.
    simulator = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(PathJoinSubstitution([share, "launch", "sim.launch.py"])),
        launch_arguments=[(name, LaunchConfiguration(name)) for name in passed_on],
        condition=IfCondition(LaunchConfiguration("sim")),
    )
    shared = ("robot", "namespace", "use_sim_time", "params_file", "log_level")
    # A simulator has its cameras where they are described to be.
    real = PythonExpression(
        ["'false' if '", LaunchConfiguration("sim"), "' == 'true' else 'true'"]
    )
    perception = IncludeLaunchDescription(
        PythonLaunchDescriptionSource(
            PathJoinSubstitution([share, "launch", "perception.launch.py"])
        ),
        launch_arguments=[
            *((name, LaunchConfiguration(name)) for name in shared),
            ("measured_mounts", real),
        ],
        condition=IfCondition(LaunchConfiguration("perception")),
    )
    # config/leaders/joylo.yaml has the real ports, joylo_emulated.yaml those of the emulator.
    leader_file = PythonExpression(["'joylo' if '", leader, "' == 'joylo' else 'joylo_emulated'"])
    operator = PythonExpression(
        ["'script' if '", leader, "' == 'script' else '", LaunchConfiguration("operator"), "'"]
    )
    emulated = PythonExpression(["'", leader, "' in ('emulated', 'script')"])
    has_joylo = PythonExpression(["'", leader, f"' not in {(*DIRECT_LEADERS, 'none')}"])
    direct_leaders = [
        node(
            executable,
            condition=IfCondition(PythonExpression(["'", leader, f"' == '{name}'"])),
            **RESPAWN,
        )
        for name, executable in DIRECT_LEADERS.items()
    ]
    # With a simulator, its launch file starts it.
    sim, tf = LaunchConfiguration("sim"), LaunchConfiguration("tf")
    described = PythonExpression(["'", tf, "' == 'true' and '", sim, "' == 'false'"])
    nodes = GroupAction(
        [
            PushRosNamespace(LaunchConfiguration("namespace")),
            node(
                "leader_emulator",
                {
                    "task": task,
                    "seed": typed(LaunchConfiguration("seed"), int),
                    "operator": typed(operator, str),
                },
                condition=IfCondition(emulated),
            ),
            node(
                "joylo",
                {
                    "leader": typed(leader_file, str),
                    "mode": typed(LaunchConfiguration("leader_mode"), str),
                    "mirror": typed(LaunchConfiguration("mirror"), bool),
                },
                condition=IfCondition(has_joylo),
                **RESPAWN,
            ),
            *direct_leaders,
            node("teleop", **RESPAWN),
            node("robot", {"source": typed(LaunchConfiguration("source"), str)}, **RESPAWN),
            node(
                "recorder",
                {"folder": typed(LaunchConfiguration("episodes"), str), "task": task},
                condition=IfCondition(LaunchConfiguration("record")),
                **RESPAWN,
            ),
            node(
                "description",
                {"measured_mounts": True},
                condition=IfCondition(described),
                **RESPAWN,
            ),
        ]
    )
    return LaunchDescription([*arguments, simulator, perception, nodes])
