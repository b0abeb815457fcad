"""The simulator on one core: physics alone, and with three RGB-D cameras, in every task's scene.

And an evaluation: what two workers need for a hundred trials of a driver that stays still. All
count the computing time of this process in all its threads, so that a busy machine and a renderer
with several threads change nothing.

Beside them robosuite with two arms, where BRS_ROBOSUITE_PYTHON names a Python that has it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np

from brs_cli.bench import Figure, figure
from brs_cli.eval_config import parse
from brs_cli.foreign_python import measured_by
from brs_hardware.embodiment import Embodiment, load_embodiment
from brs_sim.cameras import CameraRenderer
from brs_sim.evaluation import Idle, run_trial
from brs_sim.tasks import task_names
from brs_sim.world import World

COMMAND_S, CAMERA_S = 0.01, 0.1  # of the robot node, and of data in BRS
WIDTH, HEIGHT = 168, 94  # of the pictures that BRS's cameras publish
LONGEST_S = 20.0  # a scene, of simulated time
PYTHON = "BRS_ROBOSUITE_PYTHON"
_STEPPING = Path(__file__).with_name("robosuite_stepping.py")


def measure_sim(seconds: float) -> list[Figure]:
    """The slowest scene counts; a row tells each one's factor."""
    robot = small_pictures(load_embodiment("r1"))
    simulated_s = min(seconds, LONGEST_S)
    rows: list[Figure] = []
    for kind, target, measure in (
        ("step", ">= 8", stepping),
        ("camera", ">= 2.5", filming),
    ):
        factors = {name: measure(World(robot, name, 0), simulated_s) for name in task_names()}
        rows.append(figure(f"{kind}_realtime_factor", min(factors.values()), "x", target))
        rows += [figure(f"{kind}_realtime_{n}", value, "x") for n, value in factors.items()]
        rows += beside_robosuite(kind, min(factors.values()), seconds)
    rows.append(figure("eval_100_s", judging(simulated_s), "s", "<= 360"))
    return rows


def beside_robosuite(kind: str, factor: float, seconds: float) -> list[Figure]:
    """How many times robosuite's speed ours is; nothing where it is not installed.

    Args:
        kind: step or camera.
        factor: ours.
        seconds: of computing, for theirs.

    Raises:
        ConfigError: the named Python has no robosuite that runs.
    """
    # Without pictures at the rate it chooses itself, which spares it observations.
    filmed = (round(1 / CAMERA_S), WIDTH, HEIGHT) if kind == "camera" else (0, 0, 0)
    told = measured_by(PYTHON, _STEPPING, seconds, *filmed)
    if told is None:
        return []
    version, theirs = told
    against = f"robosuite {version}, TwoArmLift with two Pandas"
    return [figure(f"{kind}_ratio_robosuite", factor / theirs, "x", against=against)]


def judging(simulated_s: float) -> float:
    """Seconds that two workers compute for a hundred trials of `brs eval policy=idle`.

    Args:
        simulated_s: that are measured, of a trial that takes longer.
    """
    _, config = parse(["policy=idle"])
    whole = config.trial("shelves")
    trial = replace(whole, limit_s=min(simulated_s, whole.limit_s))
    driver = Idle(load_embodiment(config.robot))
    begun_s = time.process_time()
    run_trial(driver.robot, "shelves", config.held_out_from, driver, trial)
    factor = trial.limit_s / (time.process_time() - begun_s)
    return 100 / 2 * whole.limit_s / factor


def small_pictures(robot: Embodiment) -> Embodiment:
    """The robot with pictures of the paper's size."""
    cameras = {
        name: replace(camera, width=WIDTH, height=HEIGHT) for name, camera in robot.cameras.items()
    }
    return replace(robot, cameras=cameras)


def stepping(world: World, simulated_s: float) -> float:
    """Simulated seconds a second of computing, commands and feedback included."""
    return _factor(world, simulated_s, lambda: None)


def filming(world: World, simulated_s: float) -> float:
    """The same with colour and depth of all cameras ten times a simulated second."""
    with CameraRenderer(world) as renderer:

        def film() -> None:
            snapshot = world.snapshot()
            for name in world.embodiment.cameras:
                renderer.render(snapshot, name)

        film()
        return _factor(world, simulated_s, film)


def _factor(world: World, simulated_s: float, film: Callable[[], None]) -> float:
    ready = np.asarray(world.task.start.joints["left_arm"])
    world.step(0.2)
    begun_s, pictures_s = time.process_time(), world.time_s
    end_s = world.time_s + simulated_s
    while world.time_s < end_s:
        world.command_joints("left_arm", ready + 0.3 * np.sin(2.0 * world.time_s))
        world.step(COMMAND_S)
        world.feedback()
        if world.time_s >= pictures_s:
            pictures_s += CAMERA_S
            film()
    return simulated_s / (time.process_time() - begun_s)
