"""Writes what Isaac Sim needs for one scene.

`python -m brs_sim.isaac.export --task shelves --seed 3 --out out/isaac` writes robot.urdf,
scene.usda and plan.json there; `run.py` in this folder reads them with Isaac Sim's own Python.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import mujoco
import numpy as np

from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_hardware.errors import BrsError
from brs_hardware.kinematics import optical_frame
from brs_sim.external import contract
from brs_sim.external.parts import take_apart
from brs_sim.external.posture import start_positions
from brs_sim.isaac.urdf import planar_urdf
from brs_sim.isaac.usd import scene_usda
from brs_sim.model import BASE_JOINTS, build_model
from brs_sim.tasks import make_task
from brs_sim.tasks.registry import Start


@dataclass(frozen=True)
class Files:
    """What was written."""

    urdf: Path
    scene: Path
    plan: Path


def export(robot: str, task_name: str, seed: int, camera_hz: float, folder: Path) -> Files:
    """Writes robot.urdf, scene.usda and plan.json into a folder, which is made.

    Raises:
        ConfigError: unknown robot or task, or a malformed file of theirs.
        OSError: the folder cannot be written.
    """
    embodiment = load_embodiment(robot)
    task = make_task(task_name, embodiment, seed)
    model = build_model(embodiment, task.furnish)
    scene = take_apart(embodiment, model)
    folder.mkdir(parents=True, exist_ok=True)
    files = Files(folder / "robot.urdf", folder / "scene.usda", folder / "plan.json")
    files.urdf.write_text(planar_urdf(embodiment, scene.robot))
    files.scene.write_text(scene_usda(scene))
    plan = make_plan(embodiment, task.start, model, camera_hz)
    files.plan.write_text(json.dumps(plan, indent=1))
    return files


def make_plan(
    embodiment: Embodiment, start: Start, model: mujoco.MjModel, camera_hz: float
) -> dict[str, Any]:
    """All that run.py has to know, as plain values; lengths in metres, angles in radians."""
    states, positions, velocities = contract.joint_topics()
    return {
        "robot": embodiment.name,
        "start": [float(value) for value in start.base_pose],
        "positions": start_positions(embodiment, start),
        "step_s": model.opt.timestep,
        "servos": {joint: _gains(model, joint) for joint in contract.servo_joints(embodiment)},
        "base": {joint: _gains(model, joint) for joint in BASE_JOINTS},
        "topics": {
            "joint_states": states.name,
            "positions": positions.name,
            "velocities": velocities.name,
            "clock": "/clock",
        },
        "camera_hz": camera_hz,
        "cameras": _cameras(embodiment),
    }


def _gains(model: mujoco.MjModel, joint: str) -> dict[str, float]:
    actuator = model.actuator(joint).id
    return {
        "stiffness": float(model.actuator_gainprm[actuator, 0]),
        "damping": float(-model.actuator_biasprm[actuator, 2]),
        "effort": float(model.jnt_actfrcrange[model.joint(joint).id, 1]),
    }


def _cameras(embodiment: Embodiment) -> list[dict[str, Any]]:
    topics = {topic.name: topic.kind for topic in contract.camera_topics(embodiment)}
    cameras = []
    for name, camera in embodiment.cameras.items():
        own = [topic for topic in topics if topic.startswith(f"camera/{name}/")]
        color, depth, info = own
        aspect = camera.width / camera.height
        cameras.append(
            {
                "name": name,
                "link": camera.link,
                "position": np.asarray(camera.position).tolist(),
                "rpy": np.asarray(camera.rpy).tolist(),
                "width": camera.width,
                "height": camera.height,
                "horizontal_fov": 2 * math.atan(math.tan(camera.vertical_fov / 2) * aspect),
                "frame": optical_frame(name),
                "topics": {"rgb": color, "depth": depth, "info": info},
            }
        )
    return cameras


def main(arguments: list[str] | None = None) -> int:
    """Writes the files; 0 where that went well."""
    parser = argparse.ArgumentParser(description="Write a scene for Isaac Sim.")
    parser.add_argument("--robot", default="r1")
    parser.add_argument("--task", default="shelves")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--camera-hz", type=float, default=15.0)
    parser.add_argument("--out", type=Path, default=Path("out/isaac"))
    options = parser.parse_args(arguments)
    try:
        export(options.robot, options.task, options.seed, options.camera_hz, options.out)
    except (BrsError, OSError) as error:
        parser.exit(1, f"{error}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
