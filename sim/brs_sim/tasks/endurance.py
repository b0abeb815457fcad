"""How sound the physics of a scene stays while the robot moves and nobody touches anything.

`python -m brs_sim.tasks.endurance --minutes 10` prints a table of all tasks.
"""

from __future__ import annotations

import argparse
import logging
import sys
from dataclasses import dataclass

import numpy as np

from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import BrsError
from brs_sim.tasks import task_names
from brs_sim.world import World

log = logging.getLogger(__name__)

_LOOK_S = 0.05
_SETTLE_S = 1.0
_SWING_RAD, _SWING_HZ = 0.25, 0.3  # of waist and wrists, clear of everything around


@dataclass(frozen=True)
class Soundness:
    """The worst of a run, after a second in which things settle."""

    overlap_m: float  # of any two shapes
    speed_m_s: float  # of anything that should lie still
    drift_m: float  # from where it lay

    @property
    def is_sound(self) -> bool:
        """Within what the project promises: 2 mm of overlap, and nothing moves by itself."""
        return self.overlap_m < 2e-3 and self.speed_m_s < 0.02 and self.drift_m < 5e-3


def endure(world: World, duration_s: float) -> Soundness:
    """Lets the robot turn its waist and wrists for so long [s] of simulated time.

    Raises:
        BrsError: the physics diverged.
    """
    robot = world.embodiment
    rest = {name: world.task.start.joints[name] for name in robot.GROUPS}
    world.step(_SETTLE_S)
    start = _positions(world)
    worst = np.zeros(3)
    while world.time_s < _SETTLE_S + duration_s:
        swing = _SWING_RAD * np.sin(2 * np.pi * _SWING_HZ * world.time_s)
        for name, angles in rest.items():
            target = np.array(angles, dtype=float)
            target[-1] += swing
            world.command_joints(name, target)
        world.step(_LOOK_S)
        drift = np.linalg.norm(_positions(world) - start, axis=1).max()
        worst = np.maximum(worst, [world.penetration_m(), max(world.speeds().values()), drift])
    return Soundness(*map(float, worst))


def _positions(world: World) -> np.ndarray:
    return np.array([position for position, _ in world.objects().values()])


def main(arguments: list[str] | None = None) -> int:
    """Prints a row for each task; returns 0 if all are sound."""
    parser = argparse.ArgumentParser(description="Physics of every task over a long time.")
    parser.add_argument("--minutes", type=float, default=10.0, help="simulated, for each task")
    parser.add_argument("--task", action="append", help="default: all")
    parser.add_argument("--robot", default="r1")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    log.info("%-8s  %10s  %10s  %9s", "task", "overlap", "speed", "drift")
    sound = True
    for name in options.task or task_names():
        try:
            world = World(load_embodiment(options.robot), name, options.seed)
            worst = endure(world, options.minutes * 60.0)
        except BrsError as error:
            log.error("%-8s  %s", name, error)
            sound = False
            continue
        sound = sound and worst.is_sound
        log.info(
            "%-8s  %7.2f mm  %5.1f mm/s  %6.2f mm%s",
            name,
            worst.overlap_m * 1e3,
            worst.speed_m_s * 1e3,
            worst.drift_m * 1e3,
            "" if worst.is_sound else "  NOT SOUND",
        )
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
