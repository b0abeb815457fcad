"""Cameras of a robot that works are well; a fault put into what they see is told."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import cv2
import numpy as np
import pytest

from brs_hardware.cameras import CameraFrame
from brs_hardware.cameras.quality import FrameQuality
from brs_hardware.embodiment import load_embodiment
from brs_sim.cameras import CameraRenderer
from brs_sim.emulators.cameras import as_camera_frame
from brs_sim.world import World

R1 = load_embodiment("r1")
FPS, FRAMES = 15, 200
TOLD_S = 4.0  # after which every fault is told

Sequence = dict[str, list[CameraFrame]]


@pytest.fixture(scope="module")
def sequence() -> Sequence:
    """Frames of each camera while the arms go from place to place and the base turns."""
    world, random = World(R1, "shelves", 2), np.random.default_rng(2)
    frames: Sequence = {name: [] for name in R1.cameras}
    with CameraRenderer(world) as renderer:
        for number in range(FRAMES):
            if number % (2 * FPS) == 0:
                targets = {name: reachable(name, random) for name in R1.GROUPS}
                now = {name: world.feedback().joints[name].position for name in R1.GROUPS}
                turn = random.uniform(-0.3, 0.3)
            for name in R1.GROUPS:
                step = R1.group(name).max_velocity / FPS
                now[name] = now[name] + np.clip(targets[name] - now[name], -step, step)
                world.command_joints(name, now[name])
            world.command_base(0.0, 0.0, turn)
            world.step(1.0 / FPS)
            for camera, taken in frames.items():
                drawn = renderer.render(world.snapshot(), camera)
                taken.append(as_camera_frame(drawn, number / FPS, number))
    return frames


def reachable(name: str, random: np.random.Generator) -> np.ndarray:
    group, spread = R1.group(name), 0.15 if name == "torso" else 0.7
    near = R1.poses["ready"][name] + random.normal(0.0, spread, len(group.joints))
    place: np.ndarray = np.clip(near, group.lower, group.upper)
    return place


@pytest.mark.parametrize("camera", R1.cameras)
def test_nothing_is_told_of_a_robot_that_works(sequence: Sequence, camera: str) -> None:
    quality = FrameQuality()
    for frame in sequence[camera]:
        quality.look(frame)
        assert quality.problems() == {}, f"at {frame.stamp_s:.1f} s"


def blurred(frame: CameraFrame) -> CameraFrame:
    return dataclasses.replace(frame, color=cv2.GaussianBlur(frame.color, (0, 0), 3.0))


def covered(frame: CameraFrame) -> CameraFrame:
    return dataclasses.replace(frame, color=frame.color // 40)


def holed(frame: CameraFrame) -> CameraFrame:
    missing = np.random.default_rng(frame.number).random(frame.depth.shape) < 0.4
    depth = np.where(missing, np.float32(np.nan), frame.depth)
    return dataclasses.replace(frame, depth=depth)


@pytest.mark.parametrize("camera", R1.cameras)
@pytest.mark.parametrize(
    ("fault", "rule"), [(blurred, "blur"), (covered, "exposure"), (holed, "depth")]
)
def test_a_fault_is_told(
    sequence: Sequence, camera: str, fault: Callable[[CameraFrame], CameraFrame], rule: str
) -> None:
    quality, half = FrameQuality(), FRAMES // 2
    for frame in sequence[camera][:half]:
        quality.look(frame)
    told = []
    for frame in sequence[camera][half:]:
        quality.look(fault(frame))
        told.append(rule in quality.problems())
    assert not told[0] or rule == "exposure"  # of which a jump is told at once
    assert all(told[round(TOLD_S * FPS) :])
