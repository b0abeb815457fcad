"""What every camera promises: good frames pass, each fault is seen, and what left comes back."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from brs_hardware.cameras import (
    CameraConfig,
    CameraFrame,
    CameraStream,
    camera_drivers,
    load_cameras,
    make_camera,
)
from brs_hardware.config import config_folder
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError, DeviceError
from brs_sim.cameras import CameraRenderer
from brs_sim.emulators.cameras import ScriptedCamera, SimulatedCamera
from brs_sim.world import World

CONFIG = CameraConfig("scripted", 16, 12, 30, np.array([0.3, 3.0]), silent_after_s=1.0)
PERIOD_S = 1.0 / CONFIG.fps
Fault = Callable[[CameraFrame], CameraFrame | None]


class Bench:
    """A scripted camera and the host's clock, which only the test moves."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.camera = ScriptedCamera("head", CONFIG, lambda: self.now_s)
        self.camera.open()

    def read(self, count: int = 1) -> list[CameraFrame | None]:
        frames = []
        for _ in range(count):
            self.now_s += PERIOD_S
            frames.append(self.camera.read(0.1))
        return frames

    def read_until_failure(self, count: int = 100) -> int:
        """Reads, that gave nothing, until the camera is given up."""
        for i in range(count):
            self.now_s += PERIOD_S
            try:
                assert self.camera.read(0.1) is None
            except DeviceError:
                return i
        raise AssertionError("it was never given up")


@pytest.fixture
def bench() -> Bench:
    return Bench()


def test_good_frames_pass_and_are_counted(bench: Bench) -> None:
    frames = bench.read(40)
    assert all(frame is not None for frame in frames)
    health = bench.camera.health(bench.now_s + 0.25)
    assert health.rate_hz == pytest.approx(CONFIG.fps)
    assert health.age_s == pytest.approx(0.25)
    assert (health.received, health.frozen, health.dropped) == (40, 0, 0)
    assert not health.problem
    assert bench.camera.health(bench.now_s + 5.0).rate_hz == 0.0


def last_number(frame: CameraFrame) -> CameraFrame:
    return replace(frame, number=1)


def same_pixels(frame: CameraFrame) -> CameraFrame:
    return replace(frame, color=np.full_like(frame.color, 7), depth=np.ones_like(frame.depth))


@pytest.mark.parametrize("fault", [last_number, same_pixels])
def test_a_frozen_camera_is_seen_and_given_up(bench: Bench, fault: Fault) -> None:
    bench.camera.fault = fault
    assert bench.read()[0] is not None
    reads = bench.read_until_failure()
    assert reads == pytest.approx(CONFIG.silent_after_s / PERIOD_S, abs=1)
    health = bench.camera.health(bench.now_s)
    assert health.frozen == reads + 1
    assert "frozen" in health.problem


def test_a_picture_that_repeats_once_is_only_left_out(bench: Bench) -> None:
    kept: list[CameraFrame] = []

    def stutter(frame: CameraFrame) -> CameraFrame:
        if frame.number % 2:
            kept[:] = [frame]
        return replace(frame, color=kept[0].color, depth=kept[0].depth)

    bench.camera.fault = stutter
    frames = bench.read(100)
    assert [frame is not None for frame in frames] == [True, False] * 50


def test_silence_is_borne_for_a_while(bench: Bench) -> None:
    bench.read()
    bench.camera.fault = lambda _: None
    bench.read_until_failure()
    assert "is silent" in bench.camera.health(bench.now_s).problem


def test_a_single_stray_stamp_is_refused(bench: Bench) -> None:
    bench.read(5)
    bench.camera.fault = lambda frame: replace(frame, stamp_s=frame.stamp_s - 1.0)
    assert bench.read() == [None]
    bench.camera.fault = lambda frame: frame
    assert bench.read()[0] is not None
    # Refused once, and missing in the count of the next frame.
    assert bench.camera.health(bench.now_s).dropped == 2


def test_a_clock_that_was_set_back_is_followed(bench: Bench) -> None:
    bench.read(5)
    bench.now_s -= 3600.0
    frames = bench.read(10)
    assert [frame is not None for frame in frames] == [False] * 3 + [True] * 7
    assert bench.camera.health(bench.now_s).rate_hz == pytest.approx(CONFIG.fps)


def test_a_clock_that_was_set_forward_loses_nothing(bench: Bench) -> None:
    bench.read(5)
    bench.now_s += 3600.0
    assert all(frame is not None for frame in bench.read(5))


def test_stamps_of_the_future_are_refused(bench: Bench) -> None:
    bench.camera.fault = lambda frame: replace(frame, stamp_s=frame.stamp_s + 2.0)
    bench.read_until_failure()
    assert "2.00 s ahead" in bench.camera.health(bench.now_s).problem


def test_wrong_size_is_told_at_once(bench: Bench) -> None:
    bench.camera.fault = lambda frame: replace(frame, depth=frame.depth[:, :8])
    with pytest.raises(DeviceError, match="16x12 colour and 8x12 depth, not 16x12"):
        bench.read()


def test_lack_of_all_depth_is_told_while_colour_goes_on(bench: Bench) -> None:
    bench.camera.fault = lambda frame: replace(frame, depth=np.full_like(frame.depth, np.nan))
    assert all(frame is not None for frame in bench.read(3))
    health = bench.camera.health(bench.now_s)
    assert health.blind
    assert "no depth" in health.problem
    bench.camera.fault = lambda frame: frame
    bench.read()
    health = bench.camera.health(bench.now_s)
    assert not health.blind
    assert not health.problem


def test_lost_frames_are_counted_by_their_numbers(bench: Bench) -> None:
    bench.camera.fault = lambda frame: replace(frame, number=3 * frame.number)
    bench.read(5)
    assert bench.camera.health(bench.now_s).dropped == 4 * 2


# -- the stream ------------------------------------------------------------------------------


class Told:
    """What a stream reported."""

    def __init__(self) -> None:
        self.lines: list[tuple[bool, str]] = []

    def __call__(self, bad: bool, line: str) -> None:
        self.lines.append((bad, line))


def test_unplugging_is_told_once_and_waited_out_ever_longer() -> None:
    now_s, told = [0.0], Told()
    camera = ScriptedCamera("head", CONFIG, lambda: now_s[0])
    stream = CameraStream(camera, told)
    assert stream.step() == 0.0
    camera.plugged_in = False
    waits = [stream.step() for _ in range(7)]
    assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0, 4.0]
    assert stream.health(now_s[0]).problem == "is unplugged"
    camera.plugged_in = True
    now_s[0] += sum(waits)
    assert stream.step() == 0.0
    assert told.lines == [
        (True, "head: is unplugged. Try: plug it in"),
        (False, "head: streams again"),
    ]
    assert camera.opened == 2
    assert stream.reopened == 1
    assert not stream.health(now_s[0]).problem
    camera.plugged_in = False
    assert stream.step() == 0.25  # patience starts anew


def test_a_frozen_camera_is_reopened() -> None:
    now_s, told = [0.0], Told()
    camera = ScriptedCamera("head", CONFIG, lambda: now_s[0])
    stream = CameraStream(camera, told)
    camera.fault = same_pixels
    for _ in range(60):
        now_s[0] += PERIOD_S + stream.step()
    assert camera.opened >= 2
    assert told.lines[0][1].startswith("head: is frozen")


def test_a_slow_consumer_gets_the_newest_frame_only() -> None:
    now_s = [0.0]
    camera = ScriptedCamera("head", CONFIG, lambda: now_s[0])
    handed_on: list[CameraFrame] = []
    stream = CameraStream(camera, Told(), handed_on.append)
    for _ in range(5):
        now_s[0] += PERIOD_S
        stream.step()
    frame = stream.take(0.0)
    assert frame is not None
    assert frame.number == 5
    assert stream.take(0.0) is None
    assert [frame.number for frame in handed_on] == [1, 2, 3, 4, 5], "but who must not miss any"


def test_the_thread_streams_and_ends() -> None:
    ticks = iter(range(10**9))
    camera = ScriptedCamera("head", CONFIG, lambda: next(ticks) * 0.01)
    stream = CameraStream(camera, Told())
    stream.start()
    first, second = stream.take(10.0), stream.take(10.0)
    stream.stop()
    assert first is not None
    assert second is not None
    assert second.number > first.number
    assert "head" not in [thread.name for thread in threading.enumerate()]


# -- the simulator ---------------------------------------------------------------------------


def test_the_simulated_camera_gives_what_the_renderer_draws_and_opens_again() -> None:
    robot = load_embodiment("r1")
    drawn_size = robot.cameras["head"]
    world = World(robot, "shelves", 0)
    config = replace(CONFIG, driver="sim", width=drawn_size.width, height=drawn_size.height)
    camera = SimulatedCamera("head", config, lambda: 5.0 + world.time_s, world)
    with pytest.raises(DeviceError, match="not open"):
        camera.read(0.0)
    for _ in range(2):
        camera.open()
        frame = camera.read(0.0)
        camera.close()
        assert frame is not None
        world.step(0.1)
    with CameraRenderer(world) as renderer:
        camera.open()
        frame, drawn = camera.read(0.0), renderer.render(world.snapshot(), "head")
    assert frame is not None
    assert frame.stamp_s == pytest.approx(5.2)
    assert np.array_equal(frame.color, drawn.color)
    assert np.array_equal(np.isfinite(frame.depth), drawn.depth > 0)
    assert np.array_equal(np.nan_to_num(frame.depth), drawn.depth)
    camera.close()
    with pytest.raises(ConfigError, match="no camera 'tail'"):
        SimulatedCamera("tail", config, lambda: 0.0, world)


# -- configuration ---------------------------------------------------------------------------


RIGS = sorted(path.stem for path in (config_folder() / "cameras").glob("*.yaml"))


@pytest.mark.parametrize("name", RIGS)
def test_delivered_rigs_load_and_name_known_drivers_and_cameras(name: str) -> None:
    rig = load_cameras(name)
    assert rig.cameras.keys() <= load_embodiment("r1").cameras.keys()
    assert {camera.driver for camera in rig.cameras.values()} <= set(camera_drivers())


def test_every_delivered_driver_is_where_the_register_says() -> None:
    for kind in camera_drivers():
        if kind == "zed":  # the ZED SDK is not on the package index
            continue
        source = "shelves" if kind == "sim" else "nowhere"
        camera = make_camera("head", replace(CONFIG, driver=kind, source=source), lambda: 0.0)
        assert camera.kind == kind


def test_mistakes_in_a_rig_are_named() -> None:
    with pytest.raises(ConfigError, match="realsense"):
        load_cameras("realsens")
    with pytest.raises(ConfigError, match=r"unknown camera driver 'zedd'.*zed"):
        make_camera("head", replace(CONFIG, driver="zedd"), lambda: 0.0)
    with pytest.raises(ValueError, match="depth_range"):
        replace(CONFIG, depth_range=np.array([3.0, 0.3]))
    with pytest.raises(ValueError, match="fps"):
        replace(CONFIG, fps=0)
