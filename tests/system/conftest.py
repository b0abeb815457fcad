"""Puts the built ROS workspace into this process, and hands tests a ROS domain of their own."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(Path(__file__).resolve().parent))


def enter_workspace() -> None:
    """Make messages and nodes of the workspace importable in the running interpreter.

    The loader read LD_LIBRARY_PATH when the process began, so the workspace's libraries, which
    the middleware opens by name, are loaded here by path; afterwards their names are known.
    """
    from brs_cli.environment import workspace_environment

    environment = workspace_environment(ROOT)
    os.environ.update(environment)
    for folder in environment["PYTHONPATH"].split(os.pathsep):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    waiting = sorted((ROOT / "ros_ws" / "install" / "lib").glob("lib*__rosidl_*.so"))
    # They depend on each other: those that cannot be loaded yet are tried again.
    for _ in range(len(waiting)):
        waiting = [library for library in waiting if not _loaded(library)]


def _loaded(library: Path) -> bool:
    try:
        ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    except OSError:
        return False
    return True


enter_workspace()

import rclpy  # noqa: E402  (needs the workspace)
from harness import Harness  # noqa: E402

from brs_launch.shared_memory import tidy  # noqa: E402

# What judges safety is not tried again: a rare unsafe command is an unsafe command.
NO_SECOND_TRY = ("test_faults", "test_soak")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These tests run in real time on any machine: what fails is tried once more, and told."""
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here and item.path.stem not in NO_SECOND_TRY:
            item.add_marker(pytest.mark.flaky(reruns=1))


@pytest.fixture(scope="session", autouse=True)
def profile() -> None:
    """Fast DDS reads its profile once a process: here the one that pictures need."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
        context = rclpy.Context()
        rclpy.init(context=context, args=[])
        rclpy.create_node("profile", context=context).destroy_node()
        rclpy.shutdown(context=context)


@pytest.fixture
def ros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Harness]:
    """A node, started executables and patient waiting, in a DDS domain of this test alone."""
    tidy()  # what an earlier test's killed nodes left in this domain
    with Harness(tmp_path, monkeypatch) as harness:
        yield harness
