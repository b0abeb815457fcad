"""What is exposed and to whom: network, keys, folders, devices, names that come over a service."""

from __future__ import annotations

import ast
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_cli import exposure
from brs_cli.environment import confine, reaches_network
from brs_cli.exposure import OpenSocket, listens_beyond
from brs_ml.episode import EpisodeError, EpisodeInfo, EpisodeSession, SessionOptions, recover_all
from brs_ml.episode.folder import TRASH, WORKING, discard, make_working_folder

ROOT = Path(__file__).resolve().parent.parent
EPHEMERAL = range(32768, 61000)
OPEN = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}
CONFINED = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
SECURE = {"ROS_SECURITY_ENABLE": "true", "ROS_SECURITY_STRATEGY": "Enforce"}


# -- the network ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "profile"),
    [
        ({}, "fastdds_local.xml"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, "fastdds_local.xml"),
        ({"ROS_LOCALHOST_ONLY": "1", **OPEN}, "fastdds_local.xml"),
        (OPEN, "fastdds.xml"),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "SYSTEM_DEFAULT"}, "fastdds.xml"),
        ({"ROS_STATIC_PEERS": "10.0.0.2"}, "fastdds.xml"),
    ],
)
def test_only_ros_own_variables_open_the_network(asked: dict[str, str], profile: str) -> None:
    env = dict(asked)
    confine(env)
    path = Path(env["FASTDDS_DEFAULT_PROFILES_FILE"])
    assert path.name == profile and path.is_file()
    assert exposure.profile_is_confined(path) == (not reaches_network(env))
    assert exposure.check_profile(env).status == "ok"


def test_humble_is_confined_by_its_own_variable() -> None:
    env = {"ROS_DISTRO": "humble"}
    confine(env)
    assert env["ROS_LOCALHOST_ONLY"] == "1"
    assert env["FASTRTPS_DEFAULT_PROFILES_FILE"].endswith("fastdds_local.xml")
    opened = {"ROS_DISTRO": "humble", "ROS_LOCALHOST_ONLY": "0"}
    confine(opened)
    assert opened["FASTRTPS_DEFAULT_PROFILES_FILE"].endswith("/fastdds.xml")


def test_the_two_profiles_differ_in_the_fence_alone() -> None:
    def lines(name: str) -> list[str]:
        text = (ROOT / "config" / "dds" / name).read_text()
        return [line.strip() for line in text.split("-->", 1)[1].splitlines()]

    local, network = lines("fastdds_local.xml"), lines("fastdds.xml")
    start = local.index("<interfaceWhiteList>")
    assert local[:start] + local[start + 3 :] == network


def test_reach_asks_for_keys_and_a_domain_of_ones_own() -> None:
    assert exposure.check_reach(CONFINED).status == "ok"
    found = exposure.check_reach(OPEN)
    assert found.status == "warn" and "SROS2" in found.remedy and "ROS_DOMAIN_ID" in found.remedy
    assert exposure.check_reach({**OPEN, **SECURE, "ROS_DOMAIN_ID": "7"}).status == "ok"
    peers = {**CONFINED, "ROS_STATIC_PEERS": "10.0.0.2", "ROS_DOMAIN_ID": "7"}
    assert exposure.check_reach(peers).status == "warn"


@pytest.mark.parametrize(
    ("inner", "confined"),
    [
        ("<type>SHM</type>", True),
        ("<type>UDPv4</type>", False),
        ("<type>TCPv4</type>", False),
        (
            "<type>UDPv4</type><interfaceWhiteList><address>127.0.0.1</address>"
            "</interfaceWhiteList>",
            True,
        ),
        (
            "<type>UDPv4</type><interfaceWhiteList><address>127.0.0.1</address>"
            "<address>10.0.0.1</address></interfaceWhiteList>",
            False,
        ),
        (
            "<type>UDPv6</type><interfaceWhiteList><interface>eth0</interface>"
            "</interfaceWhiteList>",
            False,
        ),
    ],
)
def test_a_profile_is_confined_if_all_its_transports_are(
    tmp_path: Path, inner: str, confined: bool
) -> None:
    path = tmp_path / "profile.xml"
    builtin = "<useBuiltinTransports>{}</useBuiltinTransports>"
    text = f"<dds xmlns='x'><transport_descriptor>{inner}</transport_descriptor>{builtin}</dds>"
    path.write_text(text.format("false"))
    assert exposure.profile_is_confined(path) == confined
    path.write_text(text.format("true"))
    assert not exposure.profile_is_confined(path)
    path.write_text("no XML")
    env = {**CONFINED, "FASTDDS_DEFAULT_PROFILES_FILE": str(path)}
    assert exposure.check_profile(env).status == "warn"


@pytest.mark.parametrize(
    ("address", "port", "kind", "beyond"),
    [
        ("127.0.0.1", 7410, "udp", False),
        ("::1", 7410, "udp", False),
        ("0.0.0.0", 7410, "udp", True),
        ("::", 7000, "udp", True),
        ("192.0.2.2", 40000, "udp", False),  # sends only
        ("192.0.2.2", 40000, "tcp", True),
        ("239.255.0.1", 7400, "udp", False),
    ],
)
def test_a_socket_listens_beyond_loopback(
    address: str, port: int, kind: str, beyond: bool
) -> None:
    entry = OpenSocket("robot", 7, kind, address, port)
    assert listens_beyond(entry, 0, EPHEMERAL) == beyond
    found = exposure.check_sockets([entry], 0, EPHEMERAL)
    assert found.status == ("warn" if beyond else "ok")
    assert not beyond or f"robot (7) {kind} {address}:{port}" in found.detail


def test_ports_of_a_high_domain_listen_though_they_look_ephemeral() -> None:
    port = 7400 + 250 * 120 + 10
    assert port in EPHEMERAL
    assert listens_beyond(OpenSocket("robot", 7, "udp", "0.0.0.0", port), 120, EPHEMERAL)


# -- keys, folders, devices ----------------------------------------------------------------


def keystore(folder: Path) -> Path:
    (folder / "enclaves" / "brs" / "robot").mkdir(parents=True)
    (folder / "enclaves" / "governance.p7s").touch()
    key = folder / "enclaves" / "brs" / "robot" / "key.pem"
    key.touch(0o600)
    return key


def test_security_off_is_fine_on_localhost_only() -> None:
    assert [found.status for found in exposure.check_security(CONFINED)] == ["ok"]
    assert [found.status for found in exposure.check_security(OPEN)] == ["warn"]


def test_security_wants_plugins_keys_and_enforcement(tmp_path: Path) -> None:
    key = keystore(tmp_path)
    env = {**SECURE, "ROS_SECURITY_KEYSTORE": str(tmp_path)}
    assert [found.status for found in exposure.check_security(env)] == ["ok"]
    key.chmod(0o640)
    assert "chmod" in exposure.check_security(env)[-1].remedy
    del env["ROS_SECURITY_STRATEGY"]
    statuses = {found.check: found.status for found in exposure.check_security(env)}
    assert statuses == {"SROS2 strategy": "warn", "SROS2 keystore": "fail"}
    library = tmp_path / "lib" / "librmw_fastrtps_shared_cpp.so"
    library.parent.mkdir()
    library.write_bytes(b"\0" + exposure.NO_PLUGINS + b"\0")
    env = {**SECURE, "AMENT_PREFIX_PATH": str(tmp_path), "ROS_SECURITY_KEYSTORE": "/nowhere"}
    statuses = {found.check: found.status for found in exposure.check_security(env)}
    assert statuses == {"SROS2 plugins": "fail", "SROS2 keystore": "fail"}


def test_folders_are_ones_own(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    there = [tmp_path, tmp_path / "missing"]
    assert exposure.check_folders(there, os.getuid()).status == "ok"
    assert "belongs to user" in exposure.check_folders(there, os.getuid() + 1).detail
    tmp_path.chmod(0o777)
    assert "chmod o-w" in exposure.check_folders(there, os.getuid()).detail


def test_devices_are_not_for_everybody(tmp_path: Path) -> None:
    device = tmp_path / "ttyUSB0"
    device.touch()
    device.chmod(0o660)
    (tmp_path / "tty_joylo").symlink_to(device)
    both = [device, tmp_path / "tty_joylo", tmp_path / "missing"]
    assert exposure.check_devices(both).detail.startswith("1 found")
    device.chmod(0o666)
    found = exposure.check_devices(both)
    assert found.status == "warn" and str(device) in found.detail


# -- what may run code ---------------------------------------------------------------------

SOURCES = ("hardware", "ml", "sim", "cli", "ros_ws/src", "launch", "scripts", "tests")
MODULES = {
    *("pickle", "cPickle", "_pickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"),
    *("jsonpickle", "pandas.io.pickle"),
}
CALLS = {"eval", "exec", "compile", "os.system", "os.popen", "commands.getoutput"}
# brs_launch runs launch files, which are Python, and their `PythonExpression`s by definition.
LAUNCH = Path("ros_ws/src/brs_launch/brs_launch")
ALLOWED = {
    (LAUNCH / "loading.py", "exec"),
    (LAUNCH / "loading.py", "compile"),
    (LAUNCH / "substitutions.py", "eval"),
}


def dotted(node: ast.expr) -> str:
    """`a.b.c` of a name or attribute, or an empty text."""
    return ast.unparse(node) if isinstance(node, ast.Name | ast.Attribute) else ""


def dangers(source: str) -> list[tuple[int, str]]:
    """Line and kind of everything that would run code found in data."""
    found: list[tuple[int, str]] = []
    for node in ast.walk(ast.parse(source)):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        found += [
            (node.lineno, name)  # type: ignore[attr-defined]
            for name in names
            if name in MODULES or name.split(".")[0] in MODULES
        ]
        if isinstance(node, ast.Call):
            found += [(node.lineno, kind) for kind in dangers_of_call(node)]
    return found


def dangers_of_call(call: ast.Call) -> list[str]:
    """Why a call would run code found in data; empty if it does not."""
    name = dotted(call.func)
    given = {word.arg: word.value for word in call.keywords}

    def says(word: str, value: object) -> bool:
        node = given.get(word)
        return isinstance(node, ast.Constant) and node.value is value

    kinds = [name] if name in CALLS else []
    last = name.rsplit(".", 1)[-1]
    if name == "torch.load" and not says("weights_only", True):
        kinds.append("torch.load without weights_only=True")
    if "allow_pickle" in given and not says("allow_pickle", False):
        kinds.append("allow_pickle")
    if name.startswith("yaml.") and last in ("load", "load_all"):
        loader = dotted(given["Loader"]) if "Loader" in given else ""
        loader = loader or (dotted(call.args[1]) if len(call.args) > 1 else "")
        if not loader.endswith("SafeLoader"):
            kinds.append("yaml.load")
    if name.startswith("yaml.") and last in ("unsafe_load", "full_load", "unsafe_load_all"):
        kinds.append(name)
    if "shell" in given and not says("shell", False):
        kinds.append("shell=True")
    if last in ("read_pickle", "to_pickle"):
        kinds.append(last)
    return kinds


@pytest.mark.parametrize(
    "line",
    [
        *("import pickle", "from joblib import load", "import dill as d", "import torch, marshal"),
        *("torch.load(path)", "torch.load(path, weights_only=False)", "yaml.load(text)"),
        *("np.load(path, allow_pickle=True)", "yaml.load(text, Loader=yaml.Loader)"),
        *("yaml.unsafe_load(text)", "eval(text)", "exec(text)", "os.system(text)"),
        *("subprocess.run(text, shell=True)", "subprocess.run(text, shell=yes)"),
        *("pd.read_pickle(path)", "yaml.load(text, yaml.FullLoader)"),
    ],
)
def test_the_scan_sees_what_it_looks_for(line: str) -> None:
    assert dangers(line), line


@pytest.mark.parametrize(
    "line",
    [
        *("model.eval()", "torch.load(path, weights_only=True)", "yaml.safe_load(text)"),
        *("np.load(path, allow_pickle=False)", "re.compile(text)", "np.load(path)"),
        *("yaml.load(text, Loader=yaml.CSafeLoader)", "subprocess.run(words, shell=False)"),
    ],
)
def test_the_scan_leaves_harmless_lines(line: str) -> None:
    assert not dangers(line), line


@pytest.mark.parametrize("folder", SOURCES)
def test_no_source_runs_code_found_in_data(folder: str) -> None:
    files = [path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts]
    assert files, folder
    wrong = [
        f"{path.relative_to(ROOT)}:{line} {kind}"
        for path in files
        for line, kind in dangers(path.read_text())
        if (path.relative_to(ROOT), kind) not in ALLOWED
    ]
    assert not wrong, wrong


# -- names that come over a service --------------------------------------------------------

NASTY = st.one_of(
    st.text(),
    st.sampled_from(
        [
            *("../../etc/cron.d/x", "/etc/passwd", "..", ".", "", "~root", "-rf", "a/../../b"),
            *("a\0b", "a\nb", "a" * 5_000, "\u2024\u2024\u2215etc", "\uff0e\uff0e\uff0fetc"),
            *("\u202egpj.exe", "con", "x.part", "trash", "trash/../..", "${HOME}", "$(id)", "%2e"),
        ]
    ),
    st.lists(st.sampled_from(["..", "/", "\\", "\0", "\n", ".part", "é", "a"])).map("".join),
)


def outside(folder: Path) -> set[str]:
    """All that is there besides the data folder."""
    return {str(path) for path in folder.rglob("*") if "data" not in path.parts}


@settings(max_examples=60, deadline=None)
@given(NASTY, NASTY, NASTY, st.booleans())
def test_no_name_leaves_the_data_folder(
    tmp_path_factory: pytest.TempPathFactory,
    task: str,
    operator: str,
    instruction: str,
    keep: bool,
) -> None:
    folder = tmp_path_factory.mktemp("episodes")
    root = folder / "data"
    session = EpisodeSession(root, SessionOptions(min_free_bytes=1))
    info = EpisodeInfo(task=task, operator=operator, instruction=instruction)
    working = session.start(info, [], 1, 1e9)
    assert working.parent == root and working.name.isascii() and len(working.name) < 100
    path = session.save(True, 2) if keep else session.discard(2)
    assert path.resolve().parent == (root if keep else root / TRASH).resolve()
    assert outside(folder) == set()


def test_a_linked_trash_is_refused_and_the_episode_kept(tmp_path: Path) -> None:
    root, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    root.mkdir()
    elsewhere.mkdir()
    (root / TRASH).symlink_to(elsewhere)
    working = make_working_folder(root, "t", 1e9)
    with pytest.raises(EpisodeError, match="leads out of"):
        discard(working)
    assert working.is_dir() and not list(elsewhere.iterdir())


@pytest.mark.parametrize("linked", ["folder", "file"])
def test_recovery_mends_nothing_outside(tmp_path: Path, linked: str) -> None:
    """A torn file behind a link would be cut; it is somebody else's."""
    root, elsewhere = tmp_path / "data", tmp_path / "elsewhere"
    elsewhere.mkdir(parents=True)
    root.mkdir()
    name = "20010909-014640_t"
    foreign = elsewhere / f"{name}_0.mcap"
    foreign.write_bytes(b"torn")
    working = root / f"{name}{WORKING}"
    if linked == "folder":
        working.symlink_to(elsewhere)
    else:
        working.mkdir()
        (working / foreign.name).symlink_to(foreign)
    results = recover_all(root)
    assert [path for path, _ in results] == [working]
    assert isinstance(results[0][1], EpisodeError) and "leads out of" in str(results[0][1])
    assert foreign.read_bytes() == b"torn" and len(list(elsewhere.iterdir())) == 1
