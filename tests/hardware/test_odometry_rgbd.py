"""RGB-D odometry on rendered pictures, whose true motion is known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import pytest

from brs_hardware.cameras import CameraFrame, Intrinsics
from brs_hardware.odometry import RgbdConfig, RgbdOdometry
from brs_hardware.odometry.motion import seen_from, to_matrix, to_plane
from brs_sim.emulators.odometry_drive import DriveSample, drive, measure

PERIOD_S = 1.0 / 15.0


@pytest.fixture(scope="module")
def samples() -> list[DriveSample]:
    """Three seconds: backwards, then turning to the left."""
    return list(drive(seed=3, duration_s=3.3))


def follow(samples: list[DriveSample]) -> RgbdOdometry:
    odometry = RgbdOdometry()
    for sample in samples:
        odometry.update(sample.frame, sample.base_from_camera)
    return odometry


def test_translation_and_rotation_follow_the_truth(samples: list[DriveSample]) -> None:
    odometry = follow(samples)
    true = to_plane(
        np.linalg.inv(to_matrix(samples[0].true_pose)) @ to_matrix(samples[-1].true_pose)
    )
    assert abs(true[0]) > 0.2, "the drive is too short to tell anything"
    assert abs(true[2]) > 0.3
    assert np.linalg.norm(odometry.pose[:2] - true[:2]) < 0.04
    assert abs(odometry.pose[2] - true[2]) < 0.03
    assert odometry.failures <= 1  # half of the picture is new after a turn: not believed, once


def test_each_pose_lies_within_its_covariance(samples: list[DriveSample]) -> None:
    odometry = RgbdOdometry()
    surprises, key, keyframes = [], np.zeros(3), 0
    for sample in samples:
        motion = odometry.update(sample.frame, sample.base_from_camera)
        assert motion.stamp_s == sample.frame.stamp_s
        if motion.moved is not None:
            error = motion.moved - seen_from(key, sample.true_pose)
            surprises.append(error @ np.linalg.solve(motion.covariance, error))
        if motion.is_keyframe:
            key, keyframes = sample.true_pose, keyframes + 1
    assert len(surprises) == len(samples) - 1 - odometry.failures
    assert odometry.failures <= 1
    assert 2 <= keyframes < 10
    assert 0.1 < np.mean(surprises) < 6.0


def test_a_standing_base_does_not_drift(samples: list[DriveSample]) -> None:
    random = np.random.default_rng(0)
    odometry, first = RgbdOdometry(), samples[0].frame
    for i in range(20):
        noise = random.normal(0.0, 3.0, first.color.shape)
        color = np.clip(first.color + noise, 0, 255).astype(np.uint8)
        frame = replace(first, color=color, stamp_s=first.stamp_s + i * PERIOD_S)
        odometry.update(frame, samples[0].base_from_camera)
        # Each frame errs by itself; nothing adds up.
        assert np.abs(odometry.pose).max() < 0.012


def test_a_moving_torso_is_no_motion_of_the_base(samples: list[DriveSample]) -> None:
    """The same pictures, had the camera and not the base moved."""
    odometry = RgbdOdometry()
    start = np.linalg.inv(to_matrix(samples[0].true_pose))
    for sample in samples[:25]:
        camera = start @ to_matrix(sample.true_pose) @ sample.base_from_camera
        odometry.update(sample.frame, camera, guess=np.zeros(3))
    assert np.linalg.norm(odometry.pose[:2]) < 0.03
    assert abs(odometry.pose[2]) < 0.02


def test_the_robots_own_body_can_be_left_out(samples: list[DriveSample]) -> None:
    """A hand that goes with the camera, covering a third of the picture."""

    def with_hand(frame: CameraFrame) -> CameraFrame:
        color, depth = frame.color.copy(), frame.depth.copy()
        color[:, :110] = np.random.default_rng(0).integers(0, 256, (240, 110, 3), dtype=np.uint8)
        depth[:, :110] = 0.5
        return replace(frame, color=color, depth=depth)

    own = np.zeros((240, 320), bool)
    own[:, :110] = True
    odometry = RgbdOdometry()
    for sample in samples[:25]:
        odometry.update(with_hand(sample.frame), sample.base_from_camera, own_body=own)
    true = to_plane(
        np.linalg.inv(to_matrix(samples[0].true_pose)) @ to_matrix(samples[24].true_pose)
    )
    assert abs(true[0]) > 0.15
    assert np.linalg.norm(odometry.pose[:2] - true[:2]) < 0.04


def test_the_measurement_of_drift_tells_what_it_promises() -> None:
    figures = measure(seed=1, duration_s=1.5)
    assert np.isfinite(list(figures.values())).all()
    assert 0.1 < figures["drive_m"] < 0.3
    assert figures["fused_end_m"] < 0.02
    assert figures["camera_failures"] == 0


# -- failures --------------------------------------------------------------------------------


@dataclass
class Wall:
    """A wall before a camera that looks along x of the base, 1 m above the floor."""

    texture: np.ndarray | None = None  # (H, W, 3) uint8
    distance_m: float = 1.5
    pinhole = Intrinsics(160, 120, 120.0, 120.0, 79.5, 59.5)
    camera = np.array(
        [[0.0, 0.0, 1.0, 0.0], [-1.0, 0.0, 0.0, 0.0], [0.0, -1.0, 0.0, 1.0], [0, 0, 0, 1]]
    )

    def frames(self, count: int) -> Iterator[CameraFrame]:
        color = self.texture
        if color is None:
            color = np.full((120, 160, 3), 128, np.uint8)
        for i in range(count):
            depth = np.full((120, 160), self.distance_m, np.float32)
            yield CameraFrame(i * PERIOD_S, color, depth, self.pinhole, i)


def blotches(seed: int = 0) -> np.ndarray:
    """A picture with something at every scale."""
    random = np.random.default_rng(seed)
    picture = np.zeros((120, 160))
    for size in (2, 5, 10, 20):
        coarse = random.normal(0.0, 30.0, (-(-120 // size), -(-160 // size)))
        picture += np.kron(coarse, np.ones((size, size)))[:120, :160]
    return np.repeat(np.clip(picture + 128, 0, 255).astype(np.uint8)[:, :, None], 3, axis=2)


def test_a_blank_wall_tells_nothing_and_says_so() -> None:
    odometry = RgbdOdometry()
    for frame in Wall().frames(3):
        assert odometry.update(frame, Wall.camera).moved is None
        assert odometry.problem == "too little to see"


def test_a_textured_wall_is_enough() -> None:
    odometry = RgbdOdometry()
    motions = [odometry.update(f, Wall.camera).moved for f in Wall(blotches()).frames(3)]
    assert motions[0] is None
    for moved in motions[1:]:
        assert moved is not None
        assert np.abs(moved).max() < 0.001


def test_a_leap_is_not_believed_and_the_next_frames_are_again() -> None:
    odometry = RgbdOdometry()
    frames = list(Wall(blotches()).frames(8))
    leap = [replace(f, depth=f.depth - np.float32(0.4)) for f in frames[4:]]
    motions = [odometry.update(f, Wall.camera).moved for f in [*frames[:4], *leap]]
    assert [moved is not None for moved in motions] == [False, *[True] * 3, False, *[True] * 3]
    assert odometry.failures == 1
    assert abs(odometry.pose[0]) < 0.01


def test_another_scene_in_the_next_frame_is_not_believed() -> None:
    odometry = RgbdOdometry(RgbdConfig(max_speed=(0.2, 0.2, 0.2)))
    frames = list(Wall(blotches(0)).frames(2))
    frames[1] = replace(
        frames[1],
        color=blotches(9),
        depth=np.linspace(0.5, 2.8, 160, dtype=np.float32)[None].repeat(120, 0),
    )
    assert odometry.update(frames[0], Wall.camera).moved is None
    assert odometry.update(frames[1], Wall.camera).moved is None
    assert odometry.failures == 1
    assert odometry.problem


def test_a_gap_and_missing_depth_begin_anew() -> None:
    odometry = RgbdOdometry()
    frames = list(Wall(blotches()).frames(6))
    assert odometry.update(frames[0], Wall.camera).moved is None
    assert odometry.update(frames[1], Wall.camera).moved is not None
    late = replace(frames[2], stamp_s=frames[1].stamp_s + 2.0)
    assert odometry.update(late, Wall.camera).moved is None
    assert odometry.problem == "begins"
    blind = replace(late, stamp_s=late.stamp_s + PERIOD_S, depth=np.full_like(late.depth, np.nan))
    assert odometry.update(blind, Wall.camera).moved is None
    assert odometry.problem == "no depth"
    again = replace(frames[3], stamp_s=late.stamp_s + 2 * PERIOD_S)
    assert odometry.update(again, Wall.camera).moved is None
    more = replace(frames[4], stamp_s=late.stamp_s + 3 * PERIOD_S)
    assert odometry.update(more, Wall.camera).moved is not None
