"""`brs doctor`: checks installation, DDS, devices, permissions and rates; says how to mend each.

Exit status 0 if nothing is broken; warnings do not count, a missing robot or leader is one.
"""

from __future__ import annotations

import argparse
import getpass
import grp
import importlib
import json
import os
import platform
import resource
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from importlib import metadata
from pathlib import Path

from rich.console import Console
from rich.table import Table

from brs_cli.environment import ROOT
from brs_hardware.errors import BrsError

OK, WARN, FAIL = "ok", "warn", "fail"
LEAST_DISK_GB = 5.0
SOCKET_BYTES = 4_194_304  # what the profiles of config/dds ask for
LOW_BATTERY = 0.25
# A share of the vendor's rate below which something is wrong.
LEAST_RATE_HZ = 100.0


@dataclass(frozen=True)
class Finding:
    """Result of one check."""

    check: str
    status: str  # ok, warn or fail
    detail: str
    remedy: str = ""


def main() -> None:
    """Entry point of `brs doctor`."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--leader", default="joylo", help="leader description to look for")
    parser.add_argument("--robot", default="r1", help="robot description to look for")
    parser.add_argument("--json", action="store_true", help="print findings as JSON")
    options = parser.parse_args()
    checks: dict[str, Callable[[], list[Finding]]] = {
        "installation": check_installation,
        "ROS 2": check_ros,
        "DDS": check_dds,
        "pictures": check_gl,
        "disk": check_disk,
        "permissions": check_permissions,
        "priority": check_priority,
        "exposure": lambda: check_exposure(options.leader),
        "leader": lambda: check_leader(options.leader),
        "Joy-Cons": lambda: check_joycons(),
        "camera mounts": lambda: check_camera_mounts(options.robot),
        "robot": lambda: check_robot(options.robot),
    }
    findings: list[Finding] = []
    for name, check in checks.items():
        try:
            findings += check()
        except BrsError as error:
            findings.append(Finding(name, FAIL, str(error), error.remedy))
        except ImportError as error:
            findings.append(Finding(name, FAIL, str(error), "run `make setup`"))
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        show(findings)
    if any(finding.status == FAIL for finding in findings):
        raise SystemExit(1)


def show(findings: list[Finding]) -> None:
    """A table, one row a finding."""
    colors = {OK: "green", WARN: "yellow", FAIL: "red"}
    table = Table("", "check", "found", "what to do")
    for finding in findings:
        mark = f"[{colors[finding.status]}]{finding.status}[/]"
        table.add_row(mark, finding.check, finding.detail, finding.remedy)
    Console().print(table)


def check_installation() -> list[Finding]:
    """Python, and each pinned package against its pin."""
    findings = [Finding("python", OK, platform.python_version())]
    wrong = []
    name = "system_ros.lock" if os.environ.get("ROS_DISTRO") else "run.lock"
    lock = (ROOT / "requirements" / name).read_text().splitlines()
    # One line of the lock may be for another Python; a package is right if one of its pins is.
    pins: dict[str, list[str]] = {}
    for line in lock:
        if "==" in line and not line.startswith(("#", " ")):
            name, version = line.split(";")[0].strip().split("==")
            pins.setdefault(name, []).append(version)
    for name, versions in pins.items():
        try:
            installed = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue  # pinned for other systems only, or a ROS wheel where ROS 2 is sourced
        if installed.split("+")[0] not in versions:
            wrong.append(f"{name} {installed}, pinned {' or '.join(versions)}")
    if wrong:
        findings.append(Finding("packages", WARN, "; ".join(wrong), "run `make setup`"))
    else:
        findings.append(Finding("packages", OK, f"{len(pins)} pinned, all as pinned"))
    return findings


def check_ros() -> list[Finding]:
    """rclpy and our interfaces."""
    findings = []
    for module, remedy in (
        ("rclpy", "run `make setup`, or source a ROS 2"),
        ("brs_interfaces.msg", "run `make setup`: it builds the workspace"),
    ):
        try:
            importlib.import_module(module)
        except ImportError as error:
            findings.append(Finding(module, FAIL, str(error), remedy))
        else:
            origin = os.environ.get("ROS_DISTRO", "kilted wheels")
            findings.append(Finding(module, OK, origin))
    return findings


def check_dds() -> list[Finding]:
    """The profile, and a 1280x720 image between two processes."""
    from brs_cli.dds_check import image_delivery
    from brs_launch.shared_memory import left_behind

    profile = os.environ.get("FASTDDS_DEFAULT_PROFILES_FILE", "")
    findings = []
    if not Path(profile).is_file():
        findings.append(
            Finding("DDS profile", WARN, "not set", "start nodes with `brs`, or export it")
        )
    share = image_delivery(1280, 720)
    findings.append(
        Finding(
            "image 1280x720 between processes",
            OK if share == 1.0 else FAIL,
            f"{100 * share:.0f} % arrived",
            ""
            if share == 1.0
            else "set FASTDDS_DEFAULT_PROFILES_FILE to one of config/dds; free /dev/shm",
        )
    )
    findings.append(check_buffers(Path("/proc/sys/net/core/rmem_max")))
    dead_mb = sum(group.size for group in left_behind()) / 1e6
    if dead_mb > 1.0:
        what = f"{dead_mb:.0f} MB left by killed processes"
        findings.append(Finding("/dev/shm", WARN, what, "the next launch of `brs` removes it"))
    free_mb = shutil.disk_usage("/dev/shm").free / 1e6
    if free_mb < 512:
        findings.append(
            Finding("/dev/shm", WARN, f"{free_mb:.0f} MB free", "remove stale fastdds_* files")
        )
    return findings


def check_buffers(most: Path) -> Finding:
    """Whether a socket may hold what comes while its reader is kept from its core."""
    held = int(most.read_text()) if most.exists() else 0
    enough = held >= SOCKET_BYTES
    return Finding(
        "socket buffers",
        OK if enough else WARN,
        f"up to {held / 1e6:.1f} MB",
        "" if enough else f"sudo sysctl -w net.core.rmem_max={SOCKET_BYTES}",
    )


def check_gl() -> list[Finding]:
    """One picture of the simulated head camera."""
    from brs_hardware.embodiment import load_embodiment
    from brs_sim.cameras import CameraRenderer
    from brs_sim.world import World

    world = World(load_embodiment("r1"))
    with CameraRenderer(world) as renderer:
        started_s = time.monotonic()
        renderer.render(world.snapshot(), "head")
        took_ms = 1e3 * (time.monotonic() - started_s)
    return [
        Finding("offscreen GL", OK, f"{os.environ.get('MUJOCO_GL', 'auto')}, {took_ms:.0f} ms")
    ]


def check_disk() -> list[Finding]:
    """Room for episodes; three RGB-D cameras take about 0.4 GB a minute."""
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    enough = free_gb > LEAST_DISK_GB
    remedy = "" if enough else "free space, or record elsewhere (episodes:=...)"
    return [Finding("disk", OK if enough else WARN, f"{free_gb:.0f} GB free", remedy)]


def check_permissions() -> list[Finding]:
    """Groups for serial ports and controllers."""
    if os.geteuid() == 0:
        return [Finding("permissions", OK, "root")]
    groups = {grp.getgrgid(group).gr_name for group in os.getgroups()}
    missing = {"dialout", "input"} - groups
    if not missing:
        return [Finding("permissions", OK, "in dialout and input")]
    names = ",".join(sorted(missing))
    return [
        Finding(
            "permissions",
            WARN,
            f"not in {names}",
            f"sudo usermod -aG {names} $USER, then log in again",
        )
    ]


def check_priority() -> list[Finding]:
    """Whether control nodes may go before others; matters where cores are few."""
    from brs_nodes.common import Priority

    soft, _ = resource.getrlimit(resource.RLIMIT_NICE)
    if os.geteuid() == 0 or 20 - soft <= Priority.CONTROL.value:
        return [Finding("priority", OK, "control nodes may go first")]
    line = f"{getpass.getuser()} - nice {Priority.CONTROL.value}"
    return [
        Finding(
            "priority",
            WARN,
            "control nodes run like any other",
            f"add '{line}' to /etc/security/limits.conf, then log in again",
        )
    ]


def check_exposure(leader: str) -> list[Finding]:
    """Who could reach the robot by network, disk or device."""
    from brs_cli import exposure

    return exposure.check_exposure(leader)


def check_leader(name: str) -> list[Finding]:
    """The JoyLo's port and its 16 motors."""
    from brs_hardware.joylo import JoyLo, load_leader

    config = load_leader(name)
    if not Path(config.port).exists():
        return [
            Finding(
                "leader", WARN, f"{config.port} is not there", "plug in the U2D2 and 5 V supply"
            )
        ]
    leader = JoyLo(config)
    try:
        leader.connect()
        leader.bus.watch(config.motors)
        started_s, reads = time.monotonic(), 100
        for _ in range(reads):
            leader.bus.read_states()
        rate_hz = reads / (time.monotonic() - started_s)
    finally:
        leader.close()
    errors = leader.bus.statistics.errors
    return [
        Finding(
            "leader",
            OK if rate_hz > 100 and not errors else WARN,
            f"{len(config.motors)} motors, {rate_hz:.0f} Hz, {errors} errors in {reads} reads",
            "" if rate_hz > 100 else "set the adapter's latency_timer to 1 ms",
        )
    ]


def check_joycons() -> list[Finding]:
    """Which controllers the system knows, and their charge."""
    from brs_hardware.joycon import JoyCon, connected_controllers
    from brs_hardware.leader_config import JoyConConfig

    found = connected_controllers()
    if not found:
        return [
            Finding("Joy-Cons", WARN, "none connected", "pair them by Bluetooth (hold their sync)")
        ]
    findings = []
    for side, serial in found:
        joycon = JoyCon(side, JoyConConfig(serial=serial), time.time)
        joycon.connect()
        charge = joycon.battery
        joycon.close()
        low = charge <= LOW_BATTERY
        findings.append(
            Finding(
                f"{side} Joy-Con",
                WARN if low else OK,
                f"{serial}, {100 * charge:.0f} % charged",
                "charge it" if low else "",
            )
        )
    return findings


def check_camera_mounts(name: str) -> list[Finding]:
    """Which cameras were measured where they sit, and how far that is from the description."""
    from brs_hardware.camera_calibration.mounts import mount_sources
    from brs_hardware.embodiment import load_embodiment

    findings = []
    for camera, measured in mount_sources(load_embodiment(name)).items():
        remedy = "" if measured else f"run `brs calibrate cameras {camera}` on the robot"
        status = OK if measured else WARN
        findings.append(Finding(f"mount of {camera}", status, measured or "as described", remedy))
    return findings


def check_robot(name: str) -> list[Finding]:
    """Rates of the vendor's feedback, if a robot or simulator is running."""
    import rclpy
    from rclpy.context import Context
    from rclpy.node import Node
    from sensor_msgs.msg import JointState

    from brs_hardware.embodiment import load_embodiment
    from brs_nodes.common import SENSOR, make_executor

    robot = load_embodiment(name)
    topics = [robot.group(group).feedback_topic for group in robot.GROUPS]
    topics += [robot.gripper(gripper).feedback_topic for gripper in robot.GRIPPERS]
    topics.append(robot.base.feedback_topic)
    context = Context()
    rclpy.init(context=context)
    node = Node("doctor", context=context)
    executor = make_executor(context)
    executor.add_node(node)
    counts = dict.fromkeys(topics, 0)

    def count(topic: str) -> None:
        counts[topic] += 1

    for topic in topics:
        node.create_subscription(JointState, topic, lambda _, topic=topic: count(topic), SENSOR)
    started_s = time.monotonic()
    while time.monotonic() - started_s < 1.0:  # discovery
        executor.spin_once(timeout_sec=0.1)
    counts.update(dict.fromkeys(topics, 0))
    started_s = time.monotonic()
    while time.monotonic() - started_s < 2.0:
        executor.spin_once(timeout_sec=0.1)
    elapsed_s = time.monotonic() - started_s
    executor.shutdown()
    node.destroy_node()
    rclpy.shutdown(context=context)
    rates = {topic: counts[topic] / elapsed_s for topic in topics}
    if not any(rates.values()):
        return [
            Finding(
                "robot", WARN, "no feedback on this domain", "start its drivers, or sim.launch.py"
            )
        ]
    return [
        Finding(
            topic,
            OK if rate_hz >= LEAST_RATE_HZ else FAIL,
            f"{rate_hz:.0f} Hz",
            "" if rate_hz >= LEAST_RATE_HZ else "check that driver and the network",
        )
        for topic, rate_hz in rates.items()
    ]
