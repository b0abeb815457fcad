"""The environment in which ROS nodes of this source tree run, without sourcing any setup file."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MARK = "BRS_WORKSPACE"


def workspace_environment(root: Path = ROOT) -> dict[str, str]:
    """os.environ plus the built workspace, the underlay, the DDS profile and the venv's bin."""
    env = dict(os.environ)
    install = root / "ros_ws" / "install"
    prefix = Path(sys.prefix)
    python = f"python{sys.version_info.major}.{sys.version_info.minor}"
    prepend(env, "AMENT_PREFIX_PATH", prefix if "ROS_DISTRO" not in env else None, install)
    site = [
        install / lib / python / kind
        for lib in ("lib", "local/lib")
        for kind in ("site-packages", "dist-packages")
    ]
    prepend(env, "PYTHONPATH", *(folder for folder in site if folder.is_dir()))
    prepend(env, "LD_LIBRARY_PATH", install / "lib")
    prepend(env, "PATH", prefix / "bin")
    env.setdefault("RMW_IMPLEMENTATION", "rmw_fastrtps_cpp")
    confine(env, root)
    if "DISPLAY" not in env:
        env.setdefault("MUJOCO_GL", "egl")
    # One thread a library: more are slower when every core has a node of its own.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "LP_NUM_THREADS"):
        env.setdefault(name, "1")
    env[MARK] = str(install)
    return env


def confine(env: dict[str, str], root: Path = ROOT) -> None:
    """Keep DDS on this computer unless ROS's own variables ask for the network.

    The discovery range is no fence: within LOCALHOST a node still answers on every interface, to
    whoever names its address as a static peer. The profile's loopback-only UDP is the fence.
    """
    humble = env.get("ROS_DISTRO") == "humble"
    if humble:
        env.setdefault("ROS_LOCALHOST_ONLY", "1")
    else:
        env.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    profile = "fastdds.xml" if reaches_network(env) else "fastdds_local.xml"
    # Humble's Fast DDS knows only the older name, newer ones warn of it.
    name = f"{'FASTRTPS' if humble else 'FASTDDS'}_DEFAULT_PROFILES_FILE"
    env.setdefault(name, str(root / "config" / "dds" / profile))


def reaches_network(env: Mapping[str, str]) -> bool:
    """Whether ROS's variables let nodes talk to other computers."""
    if env.get("ROS_LOCALHOST_ONLY") == "1":
        return False
    if env.get("ROS_STATIC_PEERS"):
        return True
    return env.get("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET") not in ("LOCALHOST", "OFF")


def prepend(env: dict[str, str], name: str, *folders: Path | None) -> None:
    """Put folders before what `name` holds, each once; a later folder comes first."""
    parts = [part for part in env.get(name, "").split(os.pathsep) if part]
    for folder in folders:
        if folder is not None:
            parts = [str(folder)] + [part for part in parts if part != str(folder)]
    env[name] = os.pathsep.join(parts)
