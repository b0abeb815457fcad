"""From bags to steps: the rule of each column, and what makes a step invalid."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from synthetic_episodes import (
    CAMERAS,
    Recipe,
    asked_at,
    command_at,
    made,
    picture_at,
    proprioception_at,
    seconds_of,
)

from brs_ml.dataset import Dataset, DatasetError, WindowSpec, windows_of
from brs_ml.dataset.streams import paused_at


@pytest.fixture(scope="module")
def one(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """One plain episode."""
    return made(tmp_path_factory.mktemp("one"))


def test_each_column_follows_its_rule(one: Dataset) -> None:
    times = seconds_of(one)
    assert one.column("valid").all()
    assert np.diff(times) == pytest.approx(0.1)
    assert times[0] == pytest.approx(0.1)  # the wrist camera begins after the tick at 0
    assert times[-1] == pytest.approx(1.9)
    expected = np.array([proprioception_at(t) for t in times])
    assert one.column("proprioception") == pytest.approx(expected, abs=1e-6)
    joints = np.array([command_at(t) for t in times])[:, 3:]
    assert one.column("action")[:, 3:] == pytest.approx(joints, abs=1e-6)
    # Ten commands hold for 10 ms each.
    way = [np.mean([command_at(t + i / 100)[:3] for i in range(10)], axis=0) for t in times]
    assert one.column("action")[:, :3] == pytest.approx(np.array(way), abs=1e-6)


def test_pictures_and_clouds_are_of_the_newest_frame(one: Dataset) -> None:
    for step, time in enumerate(seconds_of(one)):
        cloud = one.cloud(step, 3)
        for number, camera in enumerate(CAMERAS):
            frames = 0.01 * number + np.arange(0.0, 2.0, 1 / 15)
            newest = frames[frames <= time + 1e-9].max()
            image = one.image(f"image.{camera}", step)
            assert np.abs(image.astype(int) - picture_at(newest, camera)).max() <= 3
            assert one.column("image_age")[step, number] == pytest.approx(time - newest, abs=1e-5)
            # The cloud was made of this frame, with the joints at its own stamp.
            near = cloud[np.argmin(np.abs(cloud[:, 0] - newest / 10))]
            expected = (newest / 10, proprioception_at(newest)[3], (1 + newest) / 10)
            assert near[:3] == pytest.approx(expected, abs=1e-3)
            assert near[3:] * 255 == pytest.approx(picture_at(newest, camera)[0, 0], abs=0.5)
        # The heading passes pi without a jump.
        head = 0.1 * (3 + max(f for f in np.arange(0.0, 2.0, 1 / 15) if f <= time + 1e-9))
        assert np.abs(cloud[:, 2] - head).min() < 1e-3


def test_actions_are_what_who_drove_asked_for(tmp_path: Path) -> None:
    drivers = (("policy", 0.0, 0.55), ("teleop", 0.55, 1.25), ("replay", 1.25, 2.0))
    recipe = Recipe(drivers=drivers, asked=("teleop", "policy"))
    asked = made(tmp_path / "asked", {"one": recipe})
    sent = made(tmp_path / "sent", {"one": recipe}, command_topic="robot/command")
    for time, action, other in zip(
        seconds_of(asked), asked.column("action"), sent.column("action"), strict=True
    ):
        # Nothing of the replay's own commands was recorded: what the robot was told holds.
        source = "policy" if time < 0.55 else "teleop" if time < 1.25 else ""
        expected = asked_at(time, source) if source else command_at(time)
        assert action[3:] == pytest.approx(expected[3:], abs=1e-6)
        assert other[3:] == pytest.approx(command_at(time)[3:], abs=1e-6)
        # The base's mean is of the same commands.
        assert action[:3] - other[:3] == pytest.approx(expected[:3] - command_at(time)[:3])


def test_a_gap_is_marked_and_nothing_is_repeated(tmp_path: Path) -> None:
    def gap(kind: str, seconds: float) -> bool:
        start = {"state": 0.4, "command": 0.8, "head": 1.2}.get(kind, 9.0)
        return start < seconds < start + 0.35

    dataset = made(tmp_path, {"one": Recipe(seconds=2.5, gap=gap)})
    times, valid = seconds_of(dataset), dataset.column("valid")
    action_valid = dataset.column("action_valid")
    proprioception, action = dataset.column("proprioception"), dataset.column("action")

    def around(start: float) -> np.ndarray:
        return (times > start + 0.01) & (times < start + 0.34)

    assert not valid[around(0.4)].any()
    assert np.isnan(proprioception[around(0.4)]).all()
    # The command in force may be 0.1 s old: at 0.9 s it is not yet too old, but grows so.
    stale = (times > 0.85) & (times < 1.14)
    assert not action_valid[stale].any()
    assert not valid[stale].any()
    assert np.isnan(action[stale]).all()
    blind = (times > 1.41) & (times < 1.54)
    assert not valid[blind].any()
    assert action_valid[blind].all()
    assert np.isfinite(proprioception[valid]).all()
    assert np.isfinite(action[valid]).all()
    entry = dataset.episodes[0]
    assert entry.invalid_steps == (~valid).sum()
    assert entry.source["missing"]["pictures"] > 0
    with pytest.raises(DatasetError, match="has no cloud"):
        dataset.cloud(int(np.flatnonzero(blind)[0]))


def test_a_slow_camera_repeats_openly(tmp_path: Path) -> None:
    dataset = made(tmp_path, {"one": Recipe(picture_hz=6.0)})
    assert dataset.episodes[0].source["repeated_pictures"] > 0
    assert dataset.column("image_age").max() > 0.1


def test_only_steps_that_somebody_drove_are_taken(tmp_path: Path) -> None:
    drivers = (("teleop", 0.45, 1.0), ("policy", 1.25, 1.75))
    dataset = made(tmp_path, {"one": Recipe(drivers=drivers)})
    times = seconds_of(dataset)
    assert times[[0, -1]] == pytest.approx([0.5, 1.7])
    assert dataset.column("driver").tolist() == [1] * 5 + [0] * 3 + [2] * 5
    assert dataset.column("valid").tolist() == [True] * 5 + [False] * 3 + [True] * 5


def test_no_step_complete_is_said_with_numbers(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"no step of \d+ is complete.*action or driver: \d+"):
        made(tmp_path, {"one": Recipe(drivers=(("teleop", 50.0, 60.0),))})


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    """Pictures that wait for their tick are the only ones in memory."""
    from brs_ml.dataset import frames

    most = 0
    newest = frames.FrameQueue.newest

    def watch(self: frames.FrameQueue, tick_ns: int, oldest_ns: int) -> int | None:
        nonlocal most
        most = max(most, len(self.colors), len(self.depths))
        return newest(self, tick_ns, oldest_ns)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(frames.FrameQueue, "newest", watch)
        made(tmp_path, {"one": replace(Recipe(), seconds=6.0, gap=lambda k, s: k == "depth")})
    assert 0 < most <= 0.8 * 15


def test_steps_in_a_pause_are_not_valid_and_no_window_spans_one(tmp_path: Path) -> None:
    # The second pause lies between two ticks; samples go on, so only the pauses tell.
    pauses = ((0.75, 1.2), (1.53, 1.57))
    dataset = made(tmp_path, {"one": Recipe(seconds=2.5, pauses=pauses)})
    times = seconds_of(dataset)
    paused = np.zeros(len(times), bool)
    for start, stop in pauses:
        paused |= (times + 0.1 > start + 1e-6) & (times <= stop + 1e-6)
    assert paused.sum() == 7
    assert np.array_equal(dataset.column("valid"), ~paused)
    assert np.array_equal(dataset.column("action_valid"), ~paused)
    windows = windows_of(dataset, WindowSpec(observations=2, actions=8))
    for now, end in zip(windows.now, windows.end, strict=True):
        assert not paused[now - 1 : end].any()
    assert (windows.end - windows.now).max() <= 8
    assert len(windows) == sum(paused[i - 1] == paused[i] == 0 for i in range(1, len(paused)))


@given(
    st.lists(st.tuples(st.integers(0, 1000), st.integers(0, 300)), max_size=4),
    st.integers(1, 150),
)
def test_a_step_is_paused_if_any_moment_of_it_is(
    pauses: list[tuple[int, int]], length: int
) -> None:
    spans = [{"start_ns": start, "stop_ns": start + more} for start, more in pauses]
    times = np.arange(0, 1300, length)
    expected = [
        any(a <= moment <= a + more for moment in range(t, t + length) for a, more in pauses)
        for t in times
    ]
    assert paused_at(spans, times, length).tolist() == expected
