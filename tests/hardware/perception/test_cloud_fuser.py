"""Whatever the cameras and joints do, clouds go on from what is left, and say what is missing."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from cloud_samples import LENS, frame, plain_config, rough_depth

from brs_hardware.cameras.frame import CameraFrame
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_hardware.perception.cloud import FusedCloud
from brs_hardware.perception.fuser import CloudFuser

R1 = load_embodiment("r1")
CAMERAS = ("head", "left_wrist", "right_wrist")
PERIOD_S = 0.1
CONFIG = plain_config(wait_s=0.025, max_skew_s=0.06, max_age_s=0.5)
DEPTHS = {name: rough_depth(seed) for seed, name in enumerate(CAMERAS)}


class Rig:
    """Cameras at 10 Hz, joints and base at 100 Hz, and a fuser that is stepped every 10 ms."""

    def __init__(self, cameras: tuple[str, ...] | None = None) -> None:
        self.fuser = CloudFuser(R1, CONFIG, cameras)
        self.now_s = 10.0
        self.joints = True
        self.clouds: list[FusedCloud] = []

    def frame(self, camera: str, age_s: float = 0.0) -> CameraFrame:
        return frame(DEPTHS[camera], self.now_s - age_s)

    def show(self, *cameras: str) -> None:
        for camera in cameras:
            assert self.fuser.add_frame(camera, self.frame(camera))

    def step(self, duration_s: float = PERIOD_S) -> list[FusedCloud]:
        """Lets time pass; the clouds that were made."""
        made: list[FusedCloud] = []
        for _ in range(round(duration_s / 0.01)):
            self._move()
            cloud = self.fuser.step(self.now_s)
            made += [cloud] if cloud is not None else []
            self.now_s = round(self.now_s + 0.01, 6)
        self.clouds += made
        return made

    def only(self, duration_s: float = PERIOD_S) -> FusedCloud:
        (cloud,) = self.step(duration_s)
        return cloud

    def _move(self) -> None:
        if self.joints:
            for group, positions in R1.poses["ready"].items():
                self.fuser.add_joints(group, self.now_s, positions)
        self.fuser.add_base(self.now_s, np.zeros(3))


def test_a_round_ends_with_its_last_camera() -> None:
    rig = Rig()
    rig.show("head", "left_wrist")
    assert rig.step(0.02) == []
    rig.show("right_wrist")
    cloud = rig.only(0.01)
    assert cloud.cameras == CAMERAS
    assert (cloud.stamp_s, cloud.oldest_s) == (10.02, 10.0)
    assert not cloud.left_out and cloud.dropped == 0
    assert rig.step() == []


def test_missing_frame_is_waited_for_and_then_done_without() -> None:
    rig = Rig()
    rig.show("head", "right_wrist")
    assert rig.step(0.03) == []
    cloud = rig.only(0.01)
    assert cloud.cameras == ("head", "right_wrist")
    assert cloud.left_out == {"left_wrist": "no frame yet"}


def test_late_frame_is_of_the_next_round_and_not_mixed_with_newer_ones() -> None:
    rig = Rig()
    rig.show("head", "right_wrist")
    late = rig.frame("left_wrist")
    rig.step()
    rig.show("head", "right_wrist")
    rig.fuser.add_frame("left_wrist", late)
    cloud = rig.only()
    assert cloud.cameras == ("head", "right_wrist")
    assert "0.10 s behind" in cloud.left_out["left_wrist"]
    assert cloud.dropped == 1


def test_dead_camera_is_told_and_soon_not_waited_for() -> None:
    rig = Rig()
    rig.show(*CAMERAS)
    rig.step()
    for _ in range(4):
        rig.show("head", "left_wrist")
        cloud = rig.only()
        assert cloud.cameras == ("head", "left_wrist")
    assert "no frame for 0.4" in cloud.left_out["right_wrist"]
    rig.show("head", "left_wrist")
    rig.only(0.01)  # at once
    rig.step(0.09)
    rig.show("right_wrist")  # it is back
    rig.show("head", "left_wrist")
    assert rig.only(0.01).cameras == CAMERAS
    rig.show("head", "left_wrist")
    assert rig.step(0.03) == []


def test_stale_frame_never_appears_as_new() -> None:
    rig = Rig()
    assert rig.fuser.add_frame("head", rig.frame("head", age_s=CONFIG.max_age_s + 0.01))
    assert rig.step() == []
    assert rig.fuser.dropped == 1
    rig.show(*CAMERAS)
    rig.only()
    assert rig.step(1.0) == []  # nothing new, no cloud
    rig.show("left_wrist")
    assert rig.only().cameras == ("left_wrist",)


def test_repeated_and_out_of_order_frames_are_refused() -> None:
    rig = Rig()
    first, second = rig.frame("head", 0.05), rig.frame("head")
    assert rig.fuser.add_frame("head", second)
    assert not rig.fuser.add_frame("head", second)
    assert not rig.fuser.add_frame("head", first)
    cloud = rig.only()
    assert cloud.stamp_s == second.stamp_s and cloud.dropped == 2
    assert not rig.fuser.add_frame("head", second)
    assert rig.step() == []


def test_frozen_camera_is_in_one_cloud_only() -> None:
    """However often its last frame comes again."""
    rig = Rig()
    frozen = rig.frame("head")
    rig.fuser.add_frame("head", frozen)
    for _ in range(20):
        rig.show("left_wrist")
        rig.step(0.05)
        assert not rig.fuser.add_frame("head", frozen)
    assert ["head" in cloud.cameras for cloud in rig.clouds].count(True) == 1
    assert len(rig.clouds) > 15


def test_newer_frame_takes_the_place_of_one_that_waits() -> None:
    rig = Rig()
    rig.show("head")
    rig.step(0.02)
    rig.show("head", "left_wrist", "right_wrist")
    cloud = rig.only(0.01)
    assert cloud.oldest_s == 10.02 and cloud.dropped == 1


def test_clock_set_back_is_followed() -> None:
    rig = Rig()
    rig.show(*CAMERAS)
    rig.step()
    rig.now_s = 1.0
    for _ in range(8):
        for camera in CAMERAS:
            rig.fuser.add_frame(camera, rig.frame(camera))
        rig.step()
    assert [cloud.stamp_s for cloud in rig.clouds[-2:]] == [1.6, 1.7]
    assert rig.clouds[-1].cameras == CAMERAS


def test_frame_of_another_clock_is_refused_and_the_camera_recovers() -> None:
    rig = Rig()
    assert rig.fuser.add_frame("head", rig.frame("head", age_s=-1000.0))
    rig.step(0.01)
    rig.show(*CAMERAS)
    cloud = rig.only()
    assert cloud.cameras == CAMERAS and cloud.stamp_s < 11.0 and cloud.dropped == 1


def bad(change: str) -> CameraFrame:
    good = frame(DEPTHS["head"], 10.0)
    depth, color = good.depth, good.color
    none = np.full_like(depth, np.nan)
    changes: dict[str, dict[str, object]] = {
        "half": {"depth": depth[:9]},
        "half colour": {"color": color[:9]},
        "grey": {"color": color[..., 0]},
        "wrong size": {"depth": np.zeros((36, 48), np.float32)},
        "wrong intrinsics": {"intrinsics": dataclasses.replace(LENS, width=LENS.width * 2)},
        "no focal length": {"intrinsics": dataclasses.replace(LENS, fx=0.0)},
        "millimetres": {"depth": np.full(depth.shape, 800, np.uint16)},
        "all NaN": {"depth": none},
        "all zero": {"depth": np.zeros_like(depth)},
        "all infinite": {"depth": np.full_like(depth, np.inf)},
        "no stamp": {"stamp_s": float("nan")},
    }
    return dataclasses.replace(good, **changes[change])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("half", "(9, 24)"),
        ("half colour", "(9, 24, 3)"),
        ("grey", "(18, 24)"),
        ("wrong size", "(36, 48)"),
        ("wrong intrinsics", "48x18"),
        ("no focal length", "focal length"),
        ("millimetres", "uint16"),
        ("all NaN", "no depth reading"),
        ("all zero", "no depth reading"),
        ("all infinite", "no depth reading"),
        ("no stamp", "stamp"),
    ],
)
def test_useless_frame_is_left_out_with_its_reason(change: str, reason: str) -> None:
    rig = Rig()
    assert not rig.fuser.add_frame("head", bad(change))
    rig.show("left_wrist", "right_wrist")
    cloud = rig.only()
    assert cloud.cameras == ("left_wrist", "right_wrist")
    assert reason in cloud.left_out["head"]
    assert cloud.dropped == 1
    rig.show(*CAMERAS)
    assert not rig.only().left_out


def test_some_readings_that_are_none_are_no_harm() -> None:
    rig = Rig(("head",))
    depth = DEPTHS["head"].copy()
    depth[::2] = np.nan
    depth[1, :4] = [0.0, -1.0, np.inf, -np.inf]
    assert rig.fuser.add_frame("head", frame(depth, rig.now_s))
    assert np.all(np.isfinite(rig.only().cloud.points))


def test_joints_that_come_late_are_waited_for() -> None:
    rig = Rig()
    rig.step(0.05)
    rig.joints = False
    rig.show(*CAMERAS)
    assert rig.step(0.02) == []
    rig.joints = True
    cloud = rig.only(0.01)
    assert cloud.cameras == CAMERAS and cloud.stamp_s == 10.05


def test_without_joints_there_is_no_cloud_until_they_are_back() -> None:
    rig = Rig()
    rig.step(0.05)
    rig.joints = False
    rig.step(0.02)
    rig.show(*CAMERAS)
    assert rig.step() == []
    assert rig.fuser.dropped == 3
    assert all("torso" in reason for reason in rig.fuser.left_out.values())
    rig.joints = True
    rig.fuser.add_frame("head", rig.frame("head", age_s=0.005))
    assert rig.step(0.05) == []
    assert "gap" in rig.fuser.left_out["head"]
    rig.show(*CAMERAS)
    assert rig.only().cameras == CAMERAS


def test_frame_without_joints_does_not_hold_up_those_with() -> None:
    """A camera that is older than what the joints reach back to."""
    rig = Rig()
    rig.joints = True
    rig.fuser.add_frame("head", rig.frame("head", age_s=0.05))
    rig.show("left_wrist", "right_wrist")
    cloud = rig.only()
    assert cloud.cameras == ("left_wrist", "right_wrist")
    assert "before what is known" in cloud.left_out["head"]


def test_unknown_cameras_are_told() -> None:
    with pytest.raises(ConfigError, match="left_wrist"):
        CloudFuser(R1, CONFIG, ("head", "wrist_left"))
    rig = Rig(("head",))
    with pytest.raises(ConfigError, match="head"):
        rig.show("left_wrist")


def test_the_order_of_arrival_changes_no_bit() -> None:
    """As in a bag, which is read in another order than messages came in."""

    def run(cameras: tuple[str, ...], joints_late: bool) -> dict[float, bytes]:
        rig = Rig()
        for i in range(6):
            rig.joints = True
            rig.step(0.01)
            rig.joints = not joints_late
            for camera in cameras[: 3 - i % 2]:
                age_s = 0.002 * CAMERAS.index(camera)
                assert rig.fuser.add_frame(camera, rig.frame(camera, age_s))
            rig.step(0.01)
            rig.joints = True
            rig.step(0.08)
        return {cloud.stamp_s: cloud.cloud.points.tobytes() for cloud in rig.clouds}

    live = run(CAMERAS, joints_late=False)
    assert len(live) == 6
    assert run(CAMERAS, joints_late=False) == live
    assert run(CAMERAS, joints_late=True) == live
    whole = [stamp_s for i, stamp_s in enumerate(live) if i % 2 == 0]
    turned = run(CAMERAS[::-1], joints_late=True)
    assert [turned[stamp_s] for stamp_s in whole] == [live[stamp_s] for stamp_s in whole]
