"""What `brs doctor` tells of exposure: who could reach the robot by network, disk or device."""

from __future__ import annotations

import os
import socket
import stat
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import psutil

from brs_cli.doctor import FAIL, OK, WARN, Finding
from brs_cli.environment import MARK, ROOT, reaches_network

GUIDE = "see docs/security.md"
# What rmw_fastrtps says where Fast DDS was built without its security plugins.
NO_PLUGINS = b"doesn't have the security libraries"
# DDS: ports of a domain begin at 7400 + 250 * domain.
FIRST_PORT, PORTS_A_DOMAIN = 7400, 250


@dataclass(frozen=True)
class OpenSocket:
    """A UDP socket, or a TCP socket that listens."""

    process: str
    pid: int
    kind: str  # udp or tcp
    address: str
    port: int


def check_exposure(leader: str) -> list[Finding]:
    """All findings of this computer as it is now.

    Args:
        leader: leader description whose serial port is looked at.

    Raises:
        ConfigError: there is no such leader.
    """
    from brs_hardware.leader_config import load_leader, runtime_folder

    env = os.environ
    devices = [Path(load_leader(leader).port)]
    for pattern in ("hidraw*", "ttyUSB*", "ttyACM*"):
        devices += sorted(Path("/dev").glob(pattern))
    folders = [ROOT / "out", Path("out/episodes"), runtime_folder(), runtime_folder().parent]
    return [
        check_reach(env),
        check_profile(env),
        check_sockets(open_sockets(), int(env.get("ROS_DOMAIN_ID") or 0), ephemeral_ports()),
        *check_security(env),
        check_folders(folders, os.getuid()),
        check_devices(devices),
    ]


def check_reach(env: Mapping[str, str]) -> Finding:
    """How far ROS's variables let nodes look, and with whom they would share the domain."""
    domain = env.get("ROS_DOMAIN_ID") or "0"
    reach = env.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    if env.get("ROS_LOCALHOST_ONLY") == "1":
        reach = "LOCALHOST"
    peers = env.get("ROS_STATIC_PEERS", "")
    detail = f"domain {domain}, discovery {reach}, peers {peers or 'none'}"
    if not reaches_network(env):
        return Finding("reach", OK, detail)
    remedies = []
    if not security_wanted(env):
        remedies.append(f"turn on SROS2 ({GUIDE}), or unset these variables to stay on localhost")
    if domain == "0":
        remedies.append("set ROS_DOMAIN_ID: 0 is everybody's")
    return Finding("reach", WARN if remedies else OK, detail, "; ".join(remedies))


def check_profile(env: Mapping[str, str]) -> Finding:
    """Whether the DDS profile binds UDP to the loopback interface, where that is meant."""
    name = (
        env.get("FASTDDS_DEFAULT_PROFILES_FILE") or env.get("FASTRTPS_DEFAULT_PROFILES_FILE") or ""
    )
    try:
        confined = profile_is_confined(Path(name)) if name else False
    except (OSError, ElementTree.ParseError) as error:
        remedy = "start nodes with `brs`, or mend the path"
        return Finding("DDS interfaces", WARN, f"{name}: {error}", remedy)
    what = f"{name or 'no profile'}: UDP on {'loopback only' if confined else 'all interfaces'}"
    if confined == (not reaches_network(env)):
        return Finding("DDS interfaces", OK, what)
    wanted = "fastdds.xml" if confined else "fastdds_local.xml"
    return Finding(
        "DDS interfaces", WARN, what, f"set the profile to {ROOT / 'config' / 'dds' / wanted}"
    )


def profile_is_confined(path: Path) -> bool:
    """Whether every UDP and TCP transport of a Fast DDS profile is bound to loopback addresses.

    Raises:
        OSError: it cannot be read.
        ElementTree.ParseError: it is no XML.
    """
    root = ElementTree.parse(path).getroot()
    builtin = {
        (element.text or "").strip() for element in root.iterfind(".//{*}useBuiltinTransports")
    }
    if builtin != {"false"}:
        return False
    for transport in root.iterfind(".//{*}transport_descriptor"):
        if (transport.findtext("{*}type") or "").strip() == "SHM":
            continue
        listed = transport.iterfind("{*}interfaceWhiteList/*")
        addresses = [(element.text or "").strip() for element in listed]
        if not addresses or not all(is_loopback(address) for address in addresses):
            return False
    return True


def is_loopback(address: str) -> bool:
    """Whether only this computer can send there; names of interfaces but `lo` count as open."""
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return address == "lo"


def open_sockets() -> list[OpenSocket]:
    """Sockets of processes that run nodes of brs and may be looked at, this one left out."""
    found = []
    for process in psutil.process_iter(["name"]):
        try:
            ours = MARK in process.environ() or any(
                "lib/brs_nodes/" in word for word in process.cmdline()
            )
            if not ours or process.pid == os.getpid():
                continue
            for entry in process.net_connections("inet"):
                kind = "tcp" if entry.type == socket.SOCK_STREAM else "udp"
                if kind == "udp" or entry.status == psutil.CONN_LISTEN:
                    address, port = entry.laddr.ip, entry.laddr.port
                    name = node_name(process)
                    found.append(OpenSocket(name, process.pid, kind, address, port))
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue  # ended meanwhile, or another user's
    return found


def node_name(process: psutil.Process) -> str:
    """The node's executable where there is one, else the program."""
    for word in process.cmdline():
        if "lib/brs_nodes/" in word:
            return Path(word).name
    return process.name()


def ephemeral_ports() -> range:
    """Ports that the system hands out to sockets which only send."""
    low, high = Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()
    return range(int(low), int(high) + 1)


def listens_beyond(entry: OpenSocket, domain: int, ephemeral: range) -> bool:
    """Whether other computers can send something there that a node would read.

    Fast DDS sends from sockets at ephemeral ports, which it never reads.
    """
    if is_loopback(entry.address) or ip_address(entry.address).is_multicast:
        return False  # multicast is joined on the interfaces of the sockets beside it
    first = FIRST_PORT + PORTS_A_DOMAIN * domain
    in_domain = first <= entry.port < first + PORTS_A_DOMAIN
    return entry.kind == "tcp" or in_domain or entry.port not in ephemeral


def check_sockets(sockets: Iterable[OpenSocket], domain: int, ephemeral: range) -> Finding:
    """Which running nodes can be reached from other computers."""
    sockets = list(sockets)
    nodes = {entry.pid for entry in sockets}
    beyond: dict[str, set[str]] = {}
    for entry in sockets:
        if listens_beyond(entry, domain, ephemeral):
            beyond.setdefault(f"{entry.process} ({entry.pid})", set()).add(
                f"{entry.kind} {entry.address}:{entry.port}"
            )
    if not beyond:
        return Finding("open sockets", OK, f"{len(nodes)} processes, none beyond loopback")
    detail = "; ".join(f"{name} {', '.join(sorted(at))}" for name, at in sorted(beyond.items()))
    remedy = f"if the network is not meant, start them with `brs`, which binds loopback ({GUIDE})"
    return Finding("open sockets", WARN, detail, remedy)


def security_wanted(env: Mapping[str, str]) -> bool:
    """Whether ROS is told to secure its nodes; it compares this very word."""
    return env.get("ROS_SECURITY_ENABLE") == "true"


def check_security(env: Mapping[str, str]) -> list[Finding]:
    """SROS2: whether it is on where it should be, whole, and its keys private."""
    if not security_wanted(env):
        if reaches_network(env):
            remedy = f"whoever is on this network can arm and move the robot; {GUIDE}"
            return [Finding("SROS2", WARN, "off", remedy)]
        return [Finding("SROS2", OK, "off; only this computer's users can reach the nodes")]
    findings = []
    if plugins_missing(env):
        remedy = "use a ROS 2 from apt: the wheels' Fast DDS is built without them"
        findings.append(Finding("SROS2 plugins", FAIL, "nodes will not start", remedy))
    if env.get("ROS_SECURITY_STRATEGY") != "Enforce":
        remedy = "export ROS_SECURITY_STRATEGY=Enforce: else nodes without keys run unsecured"
        findings.append(Finding("SROS2 strategy", WARN, "Permissive", remedy))
    return findings + check_keystore(Path(env.get("ROS_SECURITY_KEYSTORE", "")))


def plugins_missing(env: Mapping[str, str]) -> bool:
    """Whether the middleware says of itself that it cannot secure anything."""
    for prefix in env.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        library = Path(prefix) / "lib" / "librmw_fastrtps_shared_cpp.so"
        if prefix and library.is_file():
            return NO_PLUGINS in library.read_bytes()
    return False


def check_keystore(keystore: Path) -> list[Finding]:
    """Whether the keystore is there and nobody else can read its keys."""
    governance = keystore / "enclaves" / "governance.p7s"
    if not governance.is_file():
        remedy = f"set ROS_SECURITY_KEYSTORE to a folder made by `ros2 security` ({GUIDE})"
        return [Finding("SROS2 keystore", FAIL, f"{governance} is not there", remedy)]
    readable = [key for key in keystore.rglob("*key.pem") if key.stat().st_mode & 0o077]
    if readable:
        detail = f"{len(readable)} keys others may read, e.g. {readable[0]}"
        return [Finding("SROS2 keystore", FAIL, detail, f"chmod -R go= {keystore}")]
    return [Finding("SROS2 keystore", OK, str(keystore))]


def check_folders(folders: Iterable[Path], user: int) -> Finding:
    """Whether only this user can change data and the sockets of emulated devices.

    Args:
        folders: those that are missing do not count.
        user: id of who should own them.
    """
    wrong = []
    for folder in {path.resolve() for path in folders if path.exists()}:
        status = folder.stat()
        if status.st_mode & stat.S_IWOTH:
            wrong.append(f"{folder} may be written by everybody (chmod o-w)")
        elif status.st_uid != user:
            wrong.append(f"{folder} belongs to user {status.st_uid}")
    if wrong:
        return Finding("folders", WARN, "; ".join(sorted(wrong)), "mend their owner and mode")
    return Finding("folders", OK, "data and run-time folders are yours alone to write")


def check_devices(devices: Iterable[Path]) -> Finding:
    """Whether only chosen users can move the leader's motors or read its controllers."""
    there = sorted({path.resolve() for path in devices if path.exists()})
    loose = [str(path) for path in there if path.stat().st_mode & stat.S_IWOTH]
    if loose:
        remedy = 'in the udev rule: MODE="0660", GROUP="dialout" (serial) or "input" (hidraw)'
        return Finding("devices", WARN, f"{', '.join(loose)}: anybody may write", remedy)
    return Finding("devices", OK, f"{len(there)} found, none open to everybody")
