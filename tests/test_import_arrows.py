"""Imports point only in the directions that keep libraries free of ROS (see README.md)."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
OURS = {"brs_hardware", "brs_ml", "brs_sim", "brs_nodes", "brs_launch", "brs_cli"}
ROS = {"rclpy", "brs_interfaces", "hdas_msg", "sensor_msgs", "std_msgs", "geometry_msgs", "launch"}
ROS |= {"tf2_msgs"}
# package -> (folder, which of ours it may import, what else it must not import)
RULES = {
    "brs_hardware": ("hardware", set(), ROS | {"torch"}),
    "brs_ml": ("ml", set(), ROS),
    "brs_sim": ("sim", {"brs_hardware"}, ROS | {"torch"}),
    "brs_cli": ("cli", OURS, {"torch"}),  # the command line sits on top of everything
    "brs_nodes": ("ros_ws/src/brs_nodes", {"brs_hardware", "brs_ml", "brs_sim"}, {"torch"}),
    "brs_launch": ("ros_ws/src/brs_launch", set(), {"torch"}),
}


def imported_roots(path: Path) -> set[str]:
    """Top-level names a file imports, anywhere in it."""
    roots = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            roots |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
            roots.add(node.module.split(".")[0])
    return roots


@pytest.mark.parametrize("package", RULES)
def test_imports_follow_the_arrows(package: str) -> None:
    folder, allowed, forbidden = RULES[package]
    files = sorted((ROOT / folder / package).rglob("*.py"))
    assert files, f"no sources of {package}"
    for path in files:
        wrong = imported_roots(path) & ((OURS - allowed - {package}) | forbidden)
        assert not wrong, f"{path.relative_to(ROOT)} imports {sorted(wrong)}"
