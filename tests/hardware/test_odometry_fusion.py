"""The filter: as sure as it may be, deaf to jumps, and honest when it is blind."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from brs_hardware.odometry import BaseMotion, FilterConfig, OdometryFilter, RelativeMotion
from brs_hardware.odometry.motion import advance, seen_from

STEP_S = 0.02
FINE_STEPS = 6
WHEEL_NOISE, CAMERA_NOISE = 0.015, 0.03
SCALES = np.array([0.04, 0.04, -0.03])  # what the wheels read too much


class Drive:
    """A base with accelerations as the filter supposes, wheels that misread, and a camera."""

    def __init__(self, seed: int, config: FilterConfig | None = None) -> None:
        self.random = np.random.default_rng(seed)
        self.config = config or FilterConfig()
        self.filter = OdometryFilter(self.config)
        self.filter.add_input("wheels", wheels=True)
        self.filter.add_input("camera")
        self.now_s = 10.0
        self.pose, self.velocity = np.zeros(3), np.zeros(3)
        self.scales = SCALES
        self.count = 0

    def step(self, wheels: bool = True, camera: bool = True) -> None:
        # Finely, as accelerations between two samples move the base too.
        fine_s = STEP_S / FINE_STEPS
        noise = np.array(self.config.acceleration) * np.sqrt(fine_s)
        for _ in range(FINE_STEPS):
            self.velocity = self.velocity * (1.0 - fine_s) + self.random.normal(0.0, noise)
            self.pose = advance(self.pose, self.velocity, fine_s)
        self.now_s += STEP_S
        self.count += 1
        if wheels:
            read = self.velocity * (1.0 + self.scales) + self.random.normal(0, WHEEL_NOISE, 3)
            self.give("wheels", read, WHEEL_NOISE)
        if camera and self.count % 4 == 0:
            self.give("camera", self.velocity + self.random.normal(0, CAMERA_NOISE, 3))
        self.filter.predict(self.now_s)

    def give(self, name: str, velocity: np.ndarray, noise: float = CAMERA_NOISE) -> bool:
        return self.filter.update(name, BaseMotion(self.now_s, velocity, np.eye(3) * noise**2))

    def surprise(self) -> float:
        """Normalised squared error of the pose."""
        estimate = self.filter.estimate()
        error = estimate.pose - self.pose
        return float(error @ np.linalg.solve(estimate.pose_covariance, error))


class KeyframeDrive(Drive):
    """Has a camera that sees its pose from keyframes instead."""

    NOISE = 0.004

    def __init__(self, seed: int) -> None:
        super().__init__(seed, FilterConfig(scale_change=1e-4))
        self.scales = as_supposed(seed).scales
        self.filter.add_input("keyframes")
        self.key: np.ndarray | None = None
        self.keyframe_steps = 40

    def step_and_look(self) -> None:
        self.step(camera=False)
        if self.count % 4:
            return
        moved = None
        if self.key is not None:
            moved = seen_from(self.key, self.pose) + self.random.normal(0.0, self.NOISE, 3)
        renew = self.key is None or self.count % self.keyframe_steps == 0
        covariance = np.eye(3) * self.NOISE**2
        self.filter.follow("keyframes", RelativeMotion(self.now_s, moved, covariance, renew))
        if renew:
            self.key = self.pose


def mean_surprise(make_drive: Callable[[int], Drive], step: Callable[[Drive], None]) -> float:
    """NEES of the pose over runs: 3 on average for a filter whose model is the world's."""
    surprises = []
    for seed in range(8):
        drive = make_drive(seed)
        for i in range(240):
            step(drive)
            if i % 60 == 59:
                surprises.append(drive.surprise())
    assert np.mean(np.array(surprises) > 11.3) < 0.1  # 1 % of an ideal filter's
    return float(np.mean(surprises))


def as_supposed(seed: int) -> Drive:
    """A drive whose wheels are as good as the filter believes."""
    drive = Drive(seed, FilterConfig(scale_change=1e-4))
    driving, turning = drive.random.normal(0.0, drive.config.scale_spread, 2)
    drive.scales = np.array([driving, driving, turning])
    return drive


def test_the_filter_is_as_sure_as_it_is_right() -> None:
    assert 1.5 < mean_surprise(as_supposed, Drive.step) < 4.8


def test_it_is_so_with_poses_seen_from_keyframes_too() -> None:
    surprise = mean_surprise(KeyframeDrive, KeyframeDrive.step_and_look)  # type: ignore[arg-type]
    assert 1.5 < surprise < 4.8


def test_between_keyframes_it_does_not_drift() -> None:
    """However long: what is seen from one keyframe is as good after a while."""
    drive = KeyframeDrive(0)
    drive.keyframe_steps = 10**6
    drive.config = FilterConfig(acceleration=(0.2, 0.2, 0.2))
    for _ in range(800):
        drive.step_and_look()
    deviation = np.sqrt(np.diag(drive.filter.estimate().pose_covariance))
    assert np.all(deviation < 3 * drive.NOISE)
    assert drive.surprise() < 16.3  # 99.9 %


def test_a_leap_from_the_keyframe_is_refused() -> None:
    drive = KeyframeDrive(1)
    for _ in range(100):
        drive.step_and_look()
    before = drive.filter.estimate().pose
    moved = seen_from(drive.key, drive.pose) + np.array([1.0, 0.0, 0.0])
    leap = RelativeMotion(drive.now_s, moved, np.eye(3) * drive.NOISE**2, False)
    assert not drive.filter.follow("keyframes", leap)
    np.testing.assert_array_equal(drive.filter.estimate().pose, before)


def test_what_was_seen_a_moment_ago_is_compared_with_that_moment() -> None:
    """At 0.5 m/s, 0.2 s are 0.1 m."""
    fused = OdometryFilter()
    fused.add_input("wheels")
    fused.add_input("keyframes")
    forward, sure = np.array([0.5, 0.0, 0.0]), np.eye(3) * 1e-6
    fused.update("wheels", BaseMotion(0.0, forward, sure))
    fused.follow("keyframes", RelativeMotion(0.0, None, sure, True))
    for i in range(1, 51):
        fused.update("wheels", BaseMotion(i * 0.02, forward, sure))
    seen = RelativeMotion(0.8, np.array([0.4, 0.0, 0.0]), sure, True)
    assert fused.follow("keyframes", seen)
    assert fused.estimate().pose[0] == pytest.approx(0.5, abs=0.003)
    # And the keyframe stands where the base was then.
    assert fused.follow("keyframes", RelativeMotion(1.0, np.array([0.1, 0, 0]), sure, False))
    assert fused.estimate().pose[0] == pytest.approx(0.5, abs=0.003)


def test_a_keyframe_that_came_too_late_is_stood_in_for_by_the_next_pose_seen_from_it() -> None:
    """A busy computer registers its first frames late; a standing robot has no other keyframe."""
    fused = OdometryFilter()
    fused.add_input("keyframes")
    sure = np.eye(3) * 1e-6
    fused.predict(1.0)
    assert not fused.follow("keyframes", RelativeMotion(0.2, None, sure, True))
    assert fused.inputs["keyframes"].late == 1
    # The base is at the origin, and turned since the keyframe was taken.
    first = np.array([0.3, 0.1, np.pi / 2])
    assert not fused.follow("keyframes", RelativeMotion(1.0, first, sure, False))
    for i in range(1, 26):  # 0.5 m ahead, which is to the left as the keyframe sees it
        moved = first + np.array([0.0, 0.02 * i, 0.0])
        assert fused.follow("keyframes", RelativeMotion(1.0 + 0.04 * i, moved, sure, False))
    np.testing.assert_allclose(fused.estimate().pose, [0.5, 0.0, 0.0], atol=0.005)


def test_the_scale_of_the_wheels_is_found_by_the_camera_and_kept_without_it() -> None:
    drive = Drive(3)
    for _ in range(1500):
        drive.step()
    np.testing.assert_allclose(drive.filter.wheel_scale, SCALES[1:], atol=0.02)
    before = drive.filter.wheel_scale
    for _ in range(100):
        drive.step(camera=False)
    np.testing.assert_allclose(drive.filter.wheel_scale, before, atol=0.02)
    assert drive.filter.lost(drive.now_s) == ["camera"]


def test_a_jump_of_a_metre_is_refused() -> None:
    drive = Drive(1)
    for _ in range(100):
        drive.step()
    before = drive.filter.estimate()
    # A relocalisation by 1 m between two samples 66 ms apart.
    assert not drive.give("camera", np.array([1.0 / 0.066, 0.0, 0.0]))
    after = drive.filter.estimate()
    np.testing.assert_array_equal(after.pose, before.pose)
    np.testing.assert_array_equal(after.velocity, before.velocity)
    assert drive.filter.inputs["camera"].refused == 1


@pytest.mark.parametrize("nonsense", [np.nan, np.inf])
def test_what_is_no_number_never_enters(nonsense: float) -> None:
    drive = Drive(1)
    for _ in range(200):
        drive.give("camera", np.array([nonsense, 0.0, 0.0]))
        drive.step(camera=False)
    assert np.isfinite(drive.filter.estimate().pose).all()
    assert drive.filter.inputs["camera"].used == 0


def test_one_source_that_insists_is_refused_while_another_contradicts_it() -> None:
    drive = Drive(2)
    for _ in range(50):
        drive.step()
    for _ in range(100):
        drive.step(camera=False)
        drive.give("camera", np.array([3.0, 0.0, 0.0]))
    assert drive.filter.inputs["camera"].refused == 100
    assert np.linalg.norm(drive.filter.estimate().pose[:2] - drive.pose[:2]) < 0.1
    assert "camera" in drive.filter.lost(drive.now_s)


def test_the_only_source_is_believed_when_it_insists() -> None:
    """Otherwise one wrong start would silence it for ever."""
    config = FilterConfig(patience=5)
    alone = OdometryFilter(config)
    alone.add_input("camera")
    covariance = np.eye(3) * 1e-4
    for i in range(50):
        alone.update("camera", BaseMotion(i * 0.02, np.zeros(3), covariance))
    fast = np.array([2.0, 0.0, 0.0])
    taken = [alone.update("camera", BaseMotion(1 + i * 0.02, fast, covariance)) for i in range(9)]
    assert taken == [False] * 5 + [True] * 4


def test_blind_it_slows_down_and_grows_unsure_as_fast_as_the_base_could_move() -> None:
    drive = Drive(4)
    forward = np.array([0.3, 0.0, 0.0])
    for _ in range(100):
        drive.now_s += STEP_S
        drive.give("wheels", forward, WHEEL_NOISE)
        drive.give("camera", forward)
    seen = drive.filter.estimate()
    drive.filter.predict(drive.now_s + 5.0)
    blind = drive.filter.estimate()
    assert np.abs(blind.velocity).max() < 0.01
    config = drive.config
    most_m = 0.3 * (config.timeout_s + 0.1 + config.coast_s + 0.05)
    assert blind.pose[0] - seen.pose[0] < most_m
    deviation = np.sqrt(np.diag(blind.pose_covariance))
    assert deviation[0] > 0.2
    drive.filter.predict(drive.now_s + 20.0)
    later = np.sqrt(np.diag(drive.filter.estimate().pose_covariance))
    assert np.all(later > deviation)
    # Back again, at any speed that the base may have by now.
    assert drive.give("wheels", np.zeros(3)) is False  # older than the filter's time
    drive.now_s += 20.0
    assert drive.give("wheels", np.array([-0.3, 0.2, 0.1]), WHEEL_NOISE)


def test_late_samples_count_for_less_and_too_late_ones_not() -> None:
    def pull(delay_s: float) -> float:
        drive = Drive(5)
        for _ in range(50):
            drive.step()
        before = drive.filter.estimate().velocity
        faster = before + np.array([0.02, 0.0, 0.0])
        motion = BaseMotion(drive.now_s - delay_s, faster, np.eye(3) * 1e-4)
        drive.filter.update("camera", motion)
        return float(drive.filter.estimate().velocity[0] - before[0])

    assert pull(0.0) > pull(0.1) > pull(0.25) > 0.0
    assert pull(0.31) == 0.0


def test_order_of_the_same_stamps_does_not_matter() -> None:
    motions = {
        "wheels": BaseMotion(1.0, np.array([0.1, 0.0, 0.1]), np.eye(3) * 1e-4),
        "camera": BaseMotion(1.0, np.array([0.12, 0.01, 0.1]), np.eye(3) * 4e-4),
    }
    results = []
    for order in (("wheels", "camera"), ("camera", "wheels")):
        fused = OdometryFilter()
        fused.add_input("wheels")
        fused.add_input("camera")
        for name in order:
            fused.update(name, motions[name])
        results.append(fused.estimate().velocity)
    np.testing.assert_allclose(results[0], results[1], atol=1e-9)
    # Naive: both weighed by their inverse variance, and a little by the beginning's.
    weights = np.array([1e4, 2500.0, 4.0])
    naive = (weights[0] * 0.1 + weights[1] * 0.12) / weights.sum()
    assert results[0][0] == pytest.approx(naive, abs=1e-6)
