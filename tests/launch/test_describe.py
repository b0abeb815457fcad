"""Arguments, substitutions, conditions, includes, namespaces and parameters, without processes."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from brs_launch.describe import Description, arguments_of, format_arguments
from brs_launch.errors import LaunchError
from brs_launch.main import parse_arguments
from brs_launch.nodes import join_namespace
from brs_launch.packages import find_launch_file
from brs_launch.spec import ParameterSet

Write = Callable[..., Path]


def describe(path: Path, **arguments: str) -> Description:
    return Description(path, arguments)


def logged(path: Path, **arguments: str) -> list[str]:
    lines = describe(path, **arguments).lines
    return [line.removeprefix("log: ") for line in lines if line.startswith("log: ")]


def refusal(path: Path, **arguments: str) -> str:
    """The one line of the error that a launch file meets."""
    with pytest.raises(LaunchError) as caught:
        describe(path, **arguments)
    text = str(caught.value)
    assert "\n" not in text
    return text


# -- arguments and substitutions ----------------------------------------------------------------

GREETING = (
    "DeclareLaunchArgument('who', default_value='you', description='whom to greet'),"
    "DeclareLaunchArgument('loud', default_value='no', choices=['yes', 'no']),"
    "LogInfo(msg=['hello ', LaunchConfiguration('who')])"
)


def test_argument_takes_its_default_or_what_is_given(write: Write) -> None:
    path = write(GREETING)
    assert logged(path) == ["hello you"]
    assert logged(path, who="robot") == ["hello robot"]


def test_unknown_argument_names_the_nearest(write: Write) -> None:
    assert "no launch argument 'hwo'. Try: did you mean who?" in refusal(write(GREETING), hwo="x")


def test_value_that_is_no_choice_is_refused(write: Write) -> None:
    assert "'loud' cannot be 'yess'. Try: did you mean yes?" in refusal(
        write(GREETING), loud="yess"
    )


def test_required_argument_is_asked_for(write: Write) -> None:
    path = write("DeclareLaunchArgument('bag', description='which')")
    assert "argument 'bag' has no value. Try: give bag:=... (which)" in refusal(path)


def test_show_args_lists_name_default_choices_and_description(write: Write) -> None:
    text = format_arguments(arguments_of(write(GREETING)))
    assert "who (default: 'you')\n      whom to greet" in text
    assert "loud one of yes, no (default: 'no')" in text


@given(st.dictionaries(st.from_regex(r"[a-z_]+", fullmatch=True), st.text()))
def test_command_line_arguments_survive_any_text(arguments: dict[str, str]) -> None:
    assert parse_arguments([f"{k}:={v}" for k, v in arguments.items()]) == arguments


@pytest.mark.parametrize("texts", [["a=1"], [":=1"], ["a:=1", "a:=2"]])
def test_malformed_command_line_arguments_are_refused(texts: list[str]) -> None:
    with pytest.raises(LaunchError):
        parse_arguments(texts)


def test_substitutions(write: Write, monkeypatch: pytest.MonkeyPatch, prefix: Path) -> None:
    monkeypatch.setenv("BRS_TEST_WORD", "from outside")
    lines = logged(
        write(
            "SetLaunchConfiguration('n', '3'),"
            "LogInfo(msg=PathJoinSubstitution(['/a', LaunchConfiguration('n'), 'b'])),"
            "LogInfo(msg=PythonExpression(['2 * ', LaunchConfiguration('n'), ' + floor(0.5)'])),"
            "LogInfo(msg=EnvironmentVariable('BRS_TEST_WORD')),"
            "LogInfo(msg=EnvironmentVariable('BRS_TEST_NONE', default_value='default')),"
            "LogInfo(msg=TextSubstitution(text='text')),"
            "LogInfo(msg=FindPackageShare('brs')),"
        )
    )
    assert lines == ["/a/3/b", "6", "from outside", "default", "text", f"{prefix}/share/brs"]


def test_conditions(write: Write) -> None:
    def log(word: str, condition: str) -> str:
        return f"LogInfo(msg='{word}', condition={condition}),"

    path = write(
        "DeclareLaunchArgument('a', default_value='true'),"
        + log("if", "IfCondition(LaunchConfiguration('a'))")
        + log("unless", "UnlessCondition(LaunchConfiguration('a'))")
        + log("equal", "LaunchConfigurationEquals('a', 'true')")
        + log("different", "LaunchConfigurationNotEquals('a', 'true')")
    )
    assert logged(path) == ["if", "equal"]
    assert logged(path, a="False") == ["unless", "different"]
    assert "condition is 'perhaps'. Try: true, false, 1 or 0" in refusal(path, a="perhaps")


def test_opaque_function_sees_arguments_and_gives_actions(write: Write) -> None:
    path = write(
        "DeclareLaunchArgument('n', default_value='2'), OpaqueFunction(function=many)",
        before="def many(context):\n"
        "    n = int(LaunchConfiguration('n').perform(context))\n"
        "    return [LogInfo(msg=str(i)) for i in range(n)]\n",
    )
    assert logged(path, n="3") == ["0", "1", "2"]


# -- scopes and includes ------------------------------------------------------------------------


def test_a_group_is_a_scope_for_values_environment_and_namespace(write: Write) -> None:
    found = describe(
        write(
            "SetLaunchConfiguration('v', 'outside'),"
            "GroupAction([SetLaunchConfiguration('v', 'inside'),"
            " SetEnvironmentVariable('BRS_TEST_V', 'inside'), python('', name='first')]),"
            "LogInfo(msg=LaunchConfiguration('v')), python('', name='second'),"
        )
    )
    first, second = found.processes
    assert first.environment["BRS_TEST_V"] == "inside"
    assert "BRS_TEST_V" not in second.environment
    assert "log: outside" in found.lines


def test_include_passes_arguments_and_its_own_can_be_given(write: Write) -> None:
    write(
        "DeclareLaunchArgument('x', default_value='1'), DeclareLaunchArgument('y', "
        "default_value='2'), LogInfo(msg=['x', LaunchConfiguration('x'), 'y', "
        "LaunchConfiguration('y')])",
        name="inner.launch.py",
    )
    path = write(
        "DeclareLaunchArgument('folder', default_value=FOLDER),"
        "IncludeLaunchDescription(PythonLaunchDescriptionSource(FOLDER + '/inner.launch.py'),"
        " launch_arguments={'x': '5'}.items())",
        before="import pathlib\nFOLDER = str(pathlib.Path(__file__).parent)",
    )
    assert logged(path) == ["x5y2"]
    assert logged(path, y="7") == ["x5y7"]
    assert set(arguments_of(path).arguments) == {"folder", "y"}
    assert "no launch argument 'z'" in refusal(path, z="1")


def test_missing_include_is_named(write: Write) -> None:
    path = write("IncludeLaunchDescription(PythonLaunchDescriptionSource('/none.launch.py'))")
    assert "/none.launch.py: no such launch file" in refusal(path)


NODE = "Node(package='brs_nodes', executable='robot', name='robot', "


def test_namespaces_nest_and_absolute_ones_stand_alone(write: Write, prefix: Path) -> None:
    found = describe(
        write(
            f"GroupAction([PushRosNamespace('one'), {NODE}),"
            f" GroupAction([PushRosNamespace('two'), {NODE} namespace='three')]),"
            f" {NODE} namespace='/four')]), {NODE}), PushRosNamespace(''), {NODE})"
        )
    )
    names = [spec.node.full_name for spec in found.processes if spec.node]
    assert names == ["/one/robot", "/one/two/three/robot", "/four/robot", "/robot", "/robot"]
    assert [spec.node.namespace for spec in found.processes if spec.node][3:] == [None, "/"]


@given(st.lists(st.from_regex(r"/?([a-z_]+(/[a-z_]+)*)?/?", fullmatch=True), max_size=4))
def test_joined_namespaces_are_absolute_and_clean(names: list[str]) -> None:
    joined = None
    for name in names:
        joined = join_namespace(joined, name)
        assert joined is not None and joined.startswith("/") and "//" not in joined
        assert joined == "/" or not joined.endswith("/")


# -- parameters ---------------------------------------------------------------------------------


def parameter_sets(found: Description) -> list[ParameterSet]:
    return [a for a in found.processes[0].arguments if isinstance(a, ParameterSet)]


def test_parameters_have_the_types_that_launch_ros_gives_them(write: Write, prefix: Path) -> None:
    found = describe(
        write(
            "DeclareLaunchArgument('n', default_value='3'),"
            f"{NODE} parameters=[{{'i': 1, 'f': 1.0, 'b': True, 's': '7', 'list': [1, 2.5],"
            " 'by_yaml': LaunchConfiguration('n'), 'deep': {'er': 'x'}, 'words': ['a', 'b'],"
            " 'text': ParameterValue(LaunchConfiguration('n'), value_type=str),"
            " 'real': ParameterValue(LaunchConfiguration('n'), value_type=float)}])"
        )
    )
    (values,) = (entry.values for entry in parameter_sets(found))
    expected = {
        "i": 1, "f": 1.0, "b": True, "s": "7", "list": [1.0, 2.5], "by_yaml": 3,
        "deep.er": "x", "words": ["a", "b"], "text": "3", "real": 3.0,
    }  # fmt: skip
    assert values == expected
    assert {k: type(v) for k, v in values.items()} == {k: type(v) for k, v in expected.items()}


SCALAR = st.booleans() | st.integers(-(2**63), 2**63 - 1) | st.text() | st.floats(allow_nan=False)


@given(st.dictionaries(st.from_regex(r"[a-z]+", fullmatch=True), SCALAR, min_size=1))
def test_parameter_files_give_back_what_went_in(values: dict[str, object]) -> None:
    assert yaml.safe_load(ParameterSet("/a/b", values).yaml()) == {
        "/a/b": {"ros__parameters": values}
    }


def test_text_that_looks_like_a_number_to_ros_alone_is_quoted() -> None:
    # PyYAML takes 1e-3 for text, the parser of ROS for a number.
    assert '"1e-3"' in ParameterSet("/**", {"x": "1e-3"}).yaml()


def test_order_and_head_of_parameters(write: Write, prefix: Path, tmp_path: Path) -> None:
    file = tmp_path / "p.yaml"
    file.write_text("ns:\n  robot:\n    ros__parameters: {a: 1}\n")
    found = describe(
        write(
            "DeclareLaunchArgument('file'), PushRosNamespace('ns'), SetParameter('g', 1),"
            f"{NODE} parameters=[LaunchConfiguration('file'), {{'g': 2}}],"
            " remappings=[('a', '/b')], arguments=['--own'], ros_arguments=['--log-level', 'x'])"
        ),
        file=str(file),
    )
    everyone, own = ParameterSet("/**", {"g": 1}), ParameterSet("/ns/robot", {"g": 2})
    assert found.processes[0].arguments == (
        str(prefix / "lib/brs_nodes/robot"), "--own", "--ros-args", "--log-level", "x",
        "-r", "__node:=robot", "-r", "__ns:=/ns", "--params-file", everyone,
        "--params-file", str(file), "--params-file", own, "-r", "a:=/b",
    )  # fmt: skip
    assert found.processes[0].node is not None
    assert found.processes[0].node.parameters == {"g": 2}


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("a: [1", "malformed YAML"),
        ("robot: {speed: 1}", "not a file of ROS parameters"),
        ("- 1", "not a file of ROS parameters"),
        (None, "cannot be read"),
    ],
)
def test_bad_parameter_file_is_refused(
    write: Write, prefix: Path, tmp_path: Path, content: str | None, complaint: str
) -> None:
    file = tmp_path / "p.yaml"
    if content is not None:
        file.write_text(content)
    text = refusal(write(f"{NODE} parameters=[{str(file)!r}])"))
    assert complaint in text and str(file) in text


@pytest.mark.parametrize("value", ["{'n': None}", "{'n': [1, 'a']}", "{'n': object()}"])
def test_value_that_ros_cannot_hold_is_refused(write: Write, prefix: Path, value: str) -> None:
    assert "parameter 'n': " in refusal(write(f"{NODE} parameters=[{value}])"))


def test_parameter_of_the_wrong_type_is_refused(write: Write, prefix: Path) -> None:
    value = "{'n': ParameterValue('fast', value_type=float)}"
    assert "'fast' is not of type float" in refusal(write(f"{NODE} parameters=[{value}])"))


# -- what is not there --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("entities", "before", "complaint"),
    [
        ("", "from launch.actions import AppendEnvironmentVariable", "launch.actions.Append"),
        ("", "from launch_ros.actions import LifecycleNode", "launch_ros.actions.LifecycleNode"),
        ("", "import launch.frontend", "'launch.frontend' is not supported"),
        ("python('', emulate_tty=True)", "", "ExecuteProcess: keyword 'emulate_tty'"),
        ("LogInfo()", "", "LogInfo: missing a required argument"),
        ("EmitEvent(event=3)", "", "EmitEvent: event int is not supported"),
        ("ExecuteProcess(cmd=['ls'], output='own_log')", "", "output 'own_log' is not supported"),
        ("3", "", "3 is not an action"),
        ("undefined", "", "NameError"),
        ("", "1 +", "not Python"),
        ("Node(package='brs_nodes', executable='robto')", "", "did you mean robot?"),
        ("Node(package='brs_node', executable='robot')", "", "did you mean brs_nodes"),
        ("PushRosNamespace('a-b')", "", "namespace '/a-b' is not valid"),
        ("LogInfo(msg=LaunchConfiguration('x'))", "", "launch configuration 'x' is not set"),
    ],
)
def test_the_error_names_the_thing_and_the_file(
    write: Write, prefix: Path, entities: str, before: str, complaint: str
) -> None:
    path = write(entities, before=before)
    text = refusal(path)
    assert complaint in text
    assert "Node(package" in entities or str(path) in text


def test_unknown_launch_file_names_the_nearest(prefix: Path) -> None:
    with pytest.raises(LaunchError, match="did you mean teleop"):
        find_launch_file("telop.launch.py")


# -- the launch files of brs --------------------------------------------------------------------

BOOLEANS = ("true", "false")


def nodes_of(name: str, **arguments: str) -> dict[str, dict[str, object]]:
    """Full node name to parameters."""
    found = describe(find_launch_file(name), **arguments)
    return {s.node.full_name: s.node.parameters for s in found.processes if s.node}


@pytest.mark.parametrize("namespace", ["", "r2"])
@pytest.mark.parametrize("leader", ["joylo", "emulated", "script"])
def test_teleop_starts_what_its_arguments_ask_for(
    prefix: Path, leader: str, namespace: str
) -> None:
    for sim, record, tf, operator in itertools.product(
        BOOLEANS, BOOLEANS, BOOLEANS, ("keyboard", "gamepad")
    ):
        nodes = nodes_of(
            "teleop.launch.py",
            sim=sim, record=record, tf=tf, leader=leader, operator=operator, namespace=namespace,
        )  # fmt: skip
        expected = {"joylo", "teleop", "robot"}
        expected |= {"r1_sim"} if sim == "true" else set()
        expected |= {"recorder"} if record == "true" else set()
        expected |= {"leader_emulator"} if leader != "joylo" else set()
        expected |= {"description"} if tf == "true" else set()
        root = f"/{namespace}/" if namespace else "/"
        assert set(nodes) == {root + name for name in expected}
        assert all(p["robot"] == "r1" and p["use_sim_time"] is False for p in nodes.values())
        assert nodes[f"{root}joylo"]["leader"] == (
            "joylo" if leader == "joylo" else "joylo_emulated"
        )
        if leader != "joylo":
            moved_by = "script" if leader == "script" else operator
            assert nodes[f"{root}leader_emulator"]["operator"] == moved_by


def test_perception_starts_alone_or_with_teleoperation(prefix: Path) -> None:
    passed_on = {"cameras": "realsense", "cloud": "trash", "fuse": "false", "namespace": "r2"}
    nodes = nodes_of("perception", **passed_on, transport="compressed")
    assert nodes == {
        "/r2/perception": {
            "robot": "r1", "cameras": "realsense", "fuse": False, "cloud": "trash",
            "transport": "compressed", "measured_mounts": False, "use_sim_time": False,
        }
    }  # fmt: skip
    assert "/perception" not in nodes_of("teleop", sim="true")
    assert nodes_of("perception")["/perception"]["cameras"] == "", "pictures come by topics"
    # What perception alone declares may be given, too.
    together = nodes_of("teleop", perception="true", robot="r1_pro", **passed_on)
    parameters = together["/r2/perception"]
    assert (parameters["robot"], parameters["cloud"]) == ("r1_pro", "trash")
    # A simulator has its cameras where they are described to be, a robot where they are.
    for sim in BOOLEANS:
        nodes = nodes_of("teleop", perception="true", sim=sim)
        assert nodes["/perception"]["measured_mounts"] is (sim == "false")


def test_a_policy_drives_a_stack_of_its_own_or_one_that_runs(prefix: Path) -> None:
    nodes = nodes_of("policy", checkpoint="p.safetensors", task="trash", namespace="r2")
    driven = {"r1_sim", "robot", "teleop", "perception", "description", "policy"}
    assert set(nodes) == {f"/r2/{name}" for name in driven}
    assert nodes["/r2/robot"]["source"] == "policy"
    assert nodes["/r2/policy"]["checkpoint"] == "p.safetensors"
    # Clouds are those of the task, and the policy is compared with the same.
    assert nodes["/r2/perception"]["cloud"] == nodes["/r2/policy"]["cloud"] == "trash"
    assert set(nodes_of("policy", stack="false")) == {"/policy"}
    taken_over = nodes_of("policy", leader="emulated", sim="false")
    assert {"/joylo", "/leader_emulator"} <= set(taken_over) and "/r1_sim" not in taken_over


def test_the_monitor_takes_lists_and_disarms_nobody_unless_told(prefix: Path) -> None:
    given = nodes_of("monitor", cameras="[head, left_wrist]", queries="['a spill', 'fire']")
    assert given["/anomaly_monitor"] == {
        "cameras": ["head", "left_wrist"], "queries": ["a spill", "fire"], "transport": "raw",
        "encoder": "small", "judge": "small", "device": "cpu", "calibration": "", "hold": False,
        "use_sim_time": False,
    }  # fmt: skip
    plain = nodes_of("monitor", hold="true", namespace="r2")["/r2/anomaly_monitor"]
    assert (plain["cameras"], plain["queries"], plain["hold"]) == (["head"], [""], True)


def test_replay_starts_what_its_arguments_ask_for(prefix: Path) -> None:
    for sim, record, arm in itertools.product(BOOLEANS, repeat=3):
        nodes = nodes_of("replay", bag="17", rate="2", sim=sim, record=record, arm=arm)
        expected = {"/robot", "/replay", "/description"}
        expected |= {"/r1_sim"} if sim == "true" else set()
        expected |= {"/recorder"} if record == "true" else set()
        assert set(nodes) == expected
        assert nodes["/robot"]["source"] == "replay"
        # Types hold even where the text looks like another.
        assert (nodes["/replay"]["bag"], nodes["/replay"]["rate"]) == ("17", 2.0)
        assert nodes["/replay"]["arm"] is (arm == "true")


def test_sim_takes_numbers_and_its_robot_is_required(prefix: Path) -> None:
    nodes = nodes_of("sim", seed="4", realtime_factor="2", use_sim_time="true")
    assert nodes["/r1_sim"] == {
        "robot": "r1", "task": "shelves", "seed": 4, "realtime_factor": 2.0, "camera_hz": 15.0,
        "use_sim_time": True,
    }  # fmt: skip
    assert nodes["/description"] == {"robot": "r1", "use_sim_time": True}
    assert set(nodes_of("sim", tf="false")) == {"/r1_sim"}


@pytest.mark.parametrize("launch_file", ["sim", "teleop", "replay"])
def test_the_description_is_started_once(prefix: Path, launch_file: str) -> None:
    for sim, tf in itertools.product(BOOLEANS, repeat=2):
        arguments = {"sim": sim, "tf": tf, "bag": "b", "leader": "script"}
        path = find_launch_file(launch_file)
        known = arguments_of(path).arguments
        found = describe(path, **{k: v for k, v in arguments.items() if k in known}).processes
        started = [spec.label for spec in found].count("description")
        assert started == (1 if tf == "true" else 0)
        # The simulator's cameras sit as described, real ones as they were measured to.
        measured = [
            spec.node.parameters.get("measured_mounts", False)
            for spec in found
            if spec.label == "description" and spec.node
        ]
        real = launch_file != "sim" and sim == "false"
        assert measured == [real] * started


def test_control_nodes_respawn_and_the_others_do_not(prefix: Path) -> None:
    found = describe(
        find_launch_file("teleop"), sim="true", leader="emulated", record="true", tf="false"
    ).processes
    respawning = {spec.label: spec.respawn_delay_s for spec in found if spec.respawn}
    assert respawning == {"joylo": 1.0, "teleop": 1.0, "robot": 1.0, "recorder": 1.0}
