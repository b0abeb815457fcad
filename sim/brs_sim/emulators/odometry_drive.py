"""Drift of odometry on a simulated drive with turns: `python -m brs_sim.emulators.odometry_drive`.

R1 drives 20 s before table and shelf. Its wheels read 3 % too much in driving and 5 % in turning,
with noise, and spin for a second; the head camera has noise in colour and depth. Ground truth is
the simulator's.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from brs_hardware.cameras import CameraFrame
from brs_hardware.embodiment import load_embodiment
from brs_hardware.kinematics import Kinematics, joints_of, optical_frame
from brs_hardware.odometry import OdometryFilter, RgbdOdometry, WheelOdometry
from brs_hardware.odometry.motion import to_matrix, to_plane
from brs_sim.cameras import CameraRenderer
from brs_sim.emulators.cameras import as_camera_frame
from brs_sim.world import World

CAMERA = "head"
FRAME_S = 1.0 / 15.0
WHEELS_A_FRAME = 3
# vx, vy [m/s], wz [rad/s], for so long [s].
DRIVE = (
    (-0.15, 0.0, 0.0, 2.0),
    (0.0, 0.0, 0.35, 3.0),
    (0.15, 0.0, 0.0, 2.0),
    (0.0, 0.1, 0.0, 2.0),
    (0.0, 0.0, -0.35, 4.0),
    (-0.1, 0.1, 0.0, 2.0),
    (0.2, -0.05, 0.3, 3.0),
    (0.0, 0.0, 0.0, 2.0),
)


@dataclass(frozen=True)
class DriveNoise:
    """What is wrong with the measurements."""

    wheel_scale: tuple[float, float, float] = (0.03, 0.03, 0.05)
    wheel: float = 0.01  # [m/s], [rad/s] standard deviation
    spin_s: tuple[float, float] = (6.0, 7.0)  # when the wheels spin
    spin: float = 0.4  # share that they read too much then
    color: float = 3.0  # of 255
    depth: float = 0.003  # [m] at 1 m, growing with its square as of a stereo camera


@dataclass(frozen=True)
class DriveSample:
    """Measurements of one camera period, and the truth at its end."""

    wheels: tuple[tuple[float, np.ndarray], ...]  # stamp [s], velocity (3,)
    frame: CameraFrame
    base_from_camera: np.ndarray  # (4, 4)
    true_pose: np.ndarray  # (3,) since the beginning


def drive(
    seed: int = 0, noise: DriveNoise | None = None, duration_s: float = np.inf
) -> Iterator[DriveSample]:
    """The drive or its beginning, sample by sample.

    Args:
        seed: of scene and noise.
        noise: what is wrong with the measurements.
        duration_s: after which it is broken off.

    Raises:
        DeviceError: there is no GL to draw with.
    """
    noise, random = noise or DriveNoise(), np.random.default_rng(seed)
    robot = load_embodiment("r1")
    world, kinematics = World(robot, "shelves", seed), Kinematics(robot)
    start = np.linalg.inv(to_matrix(world.chassis.pose()))
    ends = np.cumsum([part[3] for part in DRIVE])
    with CameraRenderer(world) as renderer:
        for number in range(round(min(ends[-1], duration_s) / FRAME_S)):
            wheels = []
            for _ in range(WHEELS_A_FRAME):
                part = min(int(np.searchsorted(ends, world.time_s, "right")), len(DRIVE) - 1)
                world.command_base(*DRIVE[part][:3])
                world.step(FRAME_S / WHEELS_A_FRAME)
                scale = np.array(noise.wheel_scale)
                if noise.spin_s[0] <= world.time_s < noise.spin_s[1]:
                    scale = scale + noise.spin
                velocity = world.chassis.velocity() * (1.0 + scale)
                wheels.append((world.time_s, velocity + random.normal(0.0, noise.wheel, 3)))
            drawn = as_camera_frame(
                renderer.render(world.snapshot(), CAMERA), world.time_s, number
            )
            state = world.whole_body_state()
            yield DriveSample(
                wheels=tuple(wheels),
                frame=_noisy(drawn, noise, random),
                base_from_camera=kinematics.pose(optical_frame(CAMERA), joints_of(state)),
                true_pose=to_plane(start @ to_matrix(state.base_pose)),
            )


def measure(
    seed: int = 0, noise: DriveNoise | None = None, duration_s: float = np.inf
) -> dict[str, float]:
    """Drift of wheels, camera and both together over the drive; arguments as of `drive`.

    Returns:
        drive_m, drive_rad: the way driven and turned.
        {wheels,camera,fused}_end_m, _end_rad: error where it ends.
        {wheels,camera,fused}_rms_m: root mean square of the position error on the way.
        camera_failures: frames that gave no motion.
        camera_ms: process time a frame, median, of the registration on 320x240.
        fused_nees: mean normalised squared error of the fused pose; 3 is ideal.
        wheel_scale_driving, _turning: what the filter found.
    """
    wheels = WheelOdometry(load_embodiment("r1").base)
    camera, fused = RgbdOdometry(), OdometryFilter()
    fused.add_input("wheels", wheels=True)
    fused.add_input("camera")
    errors: dict[str, list[np.ndarray]] = {"wheels": [], "camera": [], "fused": []}
    true, times_s, surprises = [np.zeros(3)], [], []
    for sample in drive(seed, noise, duration_s):
        for stamp_s, velocity in sample.wheels:
            fused.update("wheels", wheels.update(stamp_s, velocity))
        guess = fused.estimate().velocity
        begun_s = time.process_time()
        motion = camera.update(sample.frame, sample.base_from_camera, guess)
        times_s.append(time.process_time() - begun_s)
        fused.follow("camera", motion)
        estimate = fused.estimate()
        for name, pose in (
            ("wheels", wheels.pose),
            ("camera", camera.pose),
            ("fused", estimate.pose),
        ):
            errors[name].append(_difference(pose, sample.true_pose))
        error = errors["fused"][-1]
        surprises.append(error @ np.linalg.solve(estimate.pose_covariance, error))
        true.append(sample.true_pose)
    steps = np.abs(np.diff(np.array(true), axis=0))
    figures = {
        "drive_m": float(np.hypot(steps[:, 0], steps[:, 1]).sum()),
        "drive_rad": float(steps[:, 2].sum()),
        "camera_failures": float(camera.failures),
        "camera_ms": 1000.0 * float(np.median(times_s)),
        "fused_nees": float(np.mean(surprises)),
        "wheel_scale_driving": float(fused.wheel_scale[0]),
        "wheel_scale_turning": float(fused.wheel_scale[1]),
    }
    for name, series in errors.items():
        way = np.hypot(*np.array(series)[:, :2].T)
        figures[f"{name}_end_m"] = float(way[-1])
        figures[f"{name}_end_rad"] = float(abs(series[-1][2]))
        figures[f"{name}_rms_m"] = float(np.sqrt((way**2).mean()))
    return figures


def _difference(pose: np.ndarray, true: np.ndarray) -> np.ndarray:
    error = pose - true
    error[2] = np.remainder(error[2] + np.pi, 2 * np.pi) - np.pi
    return error


def _noisy(frame: CameraFrame, noise: DriveNoise, random: np.random.Generator) -> CameraFrame:
    color = frame.color + random.normal(0.0, noise.color, frame.color.shape)
    depth = frame.depth + noise.depth * frame.depth**2 * random.normal(0, 1, frame.depth.shape)
    return CameraFrame(
        frame.stamp_s,
        np.clip(np.round(color), 0, 255).astype(np.uint8),
        depth.astype(np.float32),
        frame.intrinsics,
        frame.number,
    )


def main() -> None:
    """Prints the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=0, help="of scene and noise")
    parser.add_argument("--no-spin", action="store_true", help="wheels do not spin on the way")
    options = parser.parse_args()
    noise = DriveNoise(spin=0.0) if options.no_spin else DriveNoise()
    figures = {name: round(value, 5) for name, value in measure(options.seed, noise).items()}
    sys.stdout.write(json.dumps(figures, indent=2) + "\n")


if __name__ == "__main__":
    main()
