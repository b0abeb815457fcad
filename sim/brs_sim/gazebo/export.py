"""Writes what Gazebo and its bridge to ROS need for one scene.

`python -m brs_sim.gazebo.export --task shelves --seed 3 --out out/gazebo` writes world.sdf and
bridge.yaml there.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError
from brs_sim.external.parts import take_apart
from brs_sim.external.posture import start_positions
from brs_sim.gazebo.bridge import bridge_yaml
from brs_sim.gazebo.world import world_sdf
from brs_sim.model import build_model
from brs_sim.tasks import make_task


@dataclass(frozen=True)
class Files:
    """What was written."""

    world: Path
    bridge: Path


def export(robot: str, task_name: str, seed: int, camera_hz: float, folder: Path) -> Files:
    """Writes world.sdf and bridge.yaml into a folder, which is made.

    Raises:
        ConfigError: unknown robot or task, or a malformed file of theirs.
        OSError: the folder cannot be written.
    """
    embodiment = load_embodiment(robot)
    task = make_task(task_name, embodiment, seed)
    model = build_model(embodiment, task.furnish)
    scene = take_apart(embodiment, model)
    posture = start_positions(embodiment, task.start)
    start = task.start.base_pose
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder / "world.sdf", folder / "bridge.yaml")
    files.world.write_text(world_sdf(embodiment, scene, model, start, posture, camera_hz))
    files.bridge.write_text(bridge_yaml(embodiment))
    return files


def main(arguments: list[str] | None = None) -> int:
    """Writes the files; 0 where that went well."""
    parser = argparse.ArgumentParser(description="Write a scene for Gazebo Sim.")
    parser.add_argument("--robot", default="r1")
    parser.add_argument("--task", default="shelves")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--camera-hz", type=float, default=15.0)
    parser.add_argument("--out", type=Path, default=Path("out/gazebo"))
    options = parser.parse_args(arguments)
    try:
        export(options.robot, options.task, options.seed, options.camera_hz, options.out)
    except (BrsError, OSError) as error:
        parser.exit(1, f"{error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
