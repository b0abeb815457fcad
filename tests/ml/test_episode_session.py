"""The recorder's states, its queue, its counts, its buttons; no ROS, no clock."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_ml.episode import (
    EpisodeError,
    EpisodeInfo,
    EpisodeReader,
    EpisodeSession,
    LossCounter,
    Pace,
    Presses,
    SessionOptions,
    State,
    Topic,
    check_start,
    command_times_ns,
    parse_remaps,
)

TOPIC = Topic("/state", "std_msgs/msg/String", "string data\n")
TIMES = st.lists(st.integers(1, 2**61), min_size=1, max_size=20)


def start(session: EpisodeSession, task: str = "t") -> Path:
    return session.start(EpisodeInfo(task=task), [TOPIC], 1_000, 1e9)


def put(session: EpisodeSession, count: int) -> None:
    for number in range(count):
        session.put(TOPIC, 1_000 + number, 0, b"x" * 100, number)


def test_an_episode_goes_through_its_states(tmp_path: Path) -> None:
    session = EpisodeSession(tmp_path, SessionOptions(min_free_bytes=1))
    put(session, 3)  # idle: not taken
    start(session)
    put(session, 5)
    with pytest.raises(EpisodeError, match="is being recorded"):
        start(session)
    session.stop(9_000)
    assert session.state is State.REVIEW and session.status(99_000).messages == 5
    assert session.status(99_000).duration_s == pytest.approx(8e-6)
    put(session, 2)  # stopped: not taken
    with pytest.raises(EpisodeError, match="save or discard it first"):
        start(session)
    with pytest.raises(EpisodeError, match="no episode is being recorded"):
        session.stop(9_000)
    path = session.save(True, 9_000)
    assert session.state is State.IDLE and EpisodeReader(path).info.success
    assert len(list(EpisodeReader(path).messages())) == 5
    with pytest.raises(EpisodeError, match="there is no episode"):
        session.save(True, 9_000)


@pytest.mark.parametrize("stopped", [True, False])
def test_shutdown_keeps_what_is_undecided(tmp_path: Path, stopped: bool) -> None:
    session = EpisodeSession(tmp_path, SessionOptions(min_free_bytes=1))
    assert session.shutdown(1) is None
    start(session)
    put(session, 4)
    if stopped:
        session.stop(2_000)
    path = session.shutdown(3_000)
    assert path is not None and EpisodeReader(path).info.interrupted
    assert len(list(EpisodeReader(path).messages())) == 4


class Full(io.RawIOBase):
    """A disk that takes `room` bytes, opened by the writer thread's owner."""

    def __init__(self, path: Path, room: int) -> None:
        self._file, self.room = path.open("xb", buffering=0), room

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        taken = self._file.write(data[: self.room])
        self.room -= taken
        return taken

    def fileno(self) -> int:
        return self._file.fileno()


def test_a_full_disk_ends_in_the_error_state_with_the_episode_kept(tmp_path: Path) -> None:
    options = SessionOptions(
        min_free_bytes=1, chunk_bytes=500, opener=lambda path: Full(path, 2_000)
    )
    session = EpisodeSession(tmp_path, options)
    start(session)
    threads = [thread for thread in threading.enumerate() if thread.name == "episode-writer"]
    put(session, 500)
    for thread in threads:
        thread.join()
    assert session.poll() and session.state is State.ERROR
    assert "the disk is full" in session.status(0).message
    assert session.status(0).duration_s > 0.0, "up to the newest message that was taken"
    with pytest.raises(EpisodeError, match="save or discard it first"):
        start(session)
    path = session.save(False, 9_000)
    assert EpisodeReader(path).info.status == "disk_full"
    assert 0 < len(list(EpisodeReader(path).messages())) < 500


def test_no_room_to_start_leaves_nothing_behind(tmp_path: Path) -> None:
    session = EpisodeSession(tmp_path, SessionOptions(min_free_bytes=100, free=lambda _: 99))
    with pytest.raises(EpisodeError, match="MB are free"):
        start(session)
    assert session.state is State.ERROR and not list(tmp_path.iterdir())


def test_a_full_queue_counts_what_it_refuses(tmp_path: Path) -> None:
    gate = threading.Event()

    class Slow(Full):
        def write(self, data: memoryview) -> int:  # type: ignore[override]
            if threading.current_thread().name == "episode-writer":
                gate.wait()
            return super().write(data)

    options = SessionOptions(
        min_free_bytes=1, max_queue_bytes=1_000, opener=lambda path: Slow(path, 10**9)
    )
    session = EpisodeSession(tmp_path, options)
    start(session)
    put(session, 200)
    gate.set()
    session.stop(9_000)
    status = session.status(9_000)
    assert status.lost > 0 and status.messages + status.lost == 200
    assert EpisodeReader(session.save(True, 9_000)).info.lost == status.lost


@settings(deadline=None)
@given(st.sets(st.integers(1, 60), min_size=2))
def test_gaps_are_what_did_not_arrive(arrived: set[int]) -> None:
    losses = LossCounter()
    for number in sorted(arrived):
        losses.received("/a", b"p", number)
        losses.received("/b", b"p", 0)  # a middleware that does not number
    assert losses.total == max(arrived) - min(arrived) + 1 - len(arrived)
    assert set(losses.by_topic) <= {"/a"}


def test_a_restarted_publisher_is_no_loss_and_a_new_episode_counts_anew() -> None:
    losses = LossCounter()
    for publisher, number in [(b"p", 50), (b"p", 1), (b"p", 2), (b"q", 900)]:
        losses.received("/a", publisher, number)
    assert losses.total == 0
    losses.received("/a", b"p", 5)
    assert losses.total == 2
    losses.reset()
    losses.received("/a", b"p", 7)
    assert losses.by_topic == {"/a": 1}


def test_a_press_is_an_edge_without_chatter() -> None:
    presses = Presses({"a", "x"}, debounce_s=0.2)
    assert presses.update({"a"}, 0.0) == []  # held at the start
    assert presses.update(set(), 1.0) == []
    assert presses.update({"a"}, 1.1) == []  # chatter of the release
    assert presses.update(set(), 1.15) == []
    assert presses.update({"a", "x", "b"}, 2.0) == ["a", "x"]
    assert presses.update({"a", "x", "b"}, 3.0) == []


@settings(deadline=None)
@given(TIMES, st.integers(0, 2**40))
def test_commands_keep_the_spacing_of_their_stamps(stamps: list[int], place: int) -> None:
    stamps.sort()
    logs = [place + 7 * i for i in range(len(stamps))]
    times = command_times_ns(stamps, logs)
    assert times[0] == place
    assert [t - times[0] for t in times] == [s - stamps[0] for s in stamps]


def test_small_steps_back_of_the_stamps_are_levelled() -> None:
    """A robot that held stamped by its own clock, 3 ms later than the leader that it follows."""
    stamps = [100, 110, 123, 120, 130]
    times = command_times_ns([10**6 * s for s in stamps], [7, 20, 30, 40, 50])
    assert [(t - 7) // 10**6 for t in times] == [0, 10, 23, 23, 30]


@pytest.mark.parametrize("stamps", [[0, 0, 0], [10**9, 5, 6]])
def test_unusable_stamps_fall_back_to_the_log(stamps: list[int]) -> None:
    assert command_times_ns(stamps, [10, 20, 30]) == [10, 20, 30]


@settings(deadline=None)
@given(TIMES, st.floats(0.1, 10))
def test_the_pace_does_not_drift(times: list[int], rate: float) -> None:
    pace = Pace(times[0], 5, rate)
    for time_ns in times:
        exact = 5 + (time_ns - times[0]) / rate
        assert pace.due_ns(time_ns) == pytest.approx(exact, abs=1, rel=1e-12)
        rounding = 12 + abs(time_ns - times[0]) * 1e-12
        assert abs(pace.bag_time_ns(pace.due_ns(time_ns)) - time_ns) <= rounding


def test_a_far_start_names_the_joint() -> None:
    near, far = np.array([0.1, 0.2]), np.array([0.1, 0.9])
    check_start(("one", "two"), near, near + 0.4, 0.5)
    with pytest.raises(EpisodeError, match=r"two is at 0.20 rad, the bag begins at 0.90 rad"):
        check_start(("one", "two"), far, near, 0.5)
    with pytest.raises(EpisodeError, match="one is at nan"):
        check_start(("one", "two"), near, np.array([np.nan, 0.2]), 0.5)
    with pytest.raises(EpisodeError, match="the robot measures 1"):
        check_start(("one", "two"), near, near[:1], 0.5)


def test_topics_are_given_with_or_without_a_new_name() -> None:
    assert parse_remaps(" a, b:=c ,") == {"a": "a", "b": "c"}
    assert parse_remaps("") == {}
    with pytest.raises(EpisodeError, match="is no topic"):
        parse_remaps("a:=")


def test_a_pause_takes_nothing_and_stands_in_the_episode(tmp_path: Path) -> None:
    session = EpisodeSession(tmp_path, SessionOptions(min_free_bytes=1))
    with pytest.raises(EpisodeError, match="no episode is being recorded"):
        session.pause(1_000)
    start(session)
    put(session, 3)
    with pytest.raises(EpisodeError, match="no episode is paused"):
        session.resume(1_500)
    session.pause(2_000)
    put(session, 2)  # not taken
    assert session.state is State.PAUSED and not session.recording
    assert session.status(4_000).duration_s == pytest.approx(1e-6)
    for wrong in (session.pause, lambda now: start(session)):
        with pytest.raises(EpisodeError):
            wrong(4_500)
    session.resume(5_000)
    put(session, 4)
    session.pause(7_000)
    path = session.save(True, 8_000)  # a pause ends with the episode
    info = EpisodeReader(path).info
    assert info.messages == 7 and session.status(9_000).duration_s == pytest.approx(3e-6)
    assert info.pauses == [
        {"start_ns": 2_000, "stop_ns": 5_000},
        {"start_ns": 7_000, "stop_ns": 8_000},
    ]
    # Nothing of it in the next one.
    start(session)
    assert session.status(1_000).duration_s == 0.0
    path = session.save(True, 9_000)
    assert EpisodeReader(path).info.pauses == [] and EpisodeReader(path).info.marks == []


def test_marks_name_moments_also_while_paused(tmp_path: Path) -> None:
    session = EpisodeSession(tmp_path, SessionOptions(min_free_bytes=1))
    with pytest.raises(EpisodeError, match="no episode is being recorded"):
        session.mark("grasp", 1_000)
    start(session)
    assert session.mark("grasp", 2_000) == "grasp"
    session.pause(3_000)
    assert session.mark("", 4_000) == "mark 2"
    with pytest.raises(EpisodeError, match="is no name of a mark"):
        session.mark("two\nlines", 5_000)
    info = EpisodeReader(session.save(True, 9_000)).info
    assert info.marks == [{"name": "grasp", "at_ns": 2_000}, {"name": "mark 2", "at_ns": 4_000}]


def test_marks_and_pauses_outlive_a_crash_and_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brs_ml.episode.worker.SYNC_S", 0.001)
    options = SessionOptions(
        min_free_bytes=1, chunk_bytes=500, opener=lambda path: Full(path, 2_000)
    )
    session = EpisodeSession(tmp_path, options)
    folder = start(session)
    threads = [thread for thread in threading.enumerate() if thread.name == "episode-writer"]
    session.mark("grasp", 2_000)
    session.pause(3_000)
    session.resume(4_000)
    # What a crash leaves is what lies on the disk now.
    for _ in range(20_000):
        if (found := EpisodeReader(folder).info).pauses:
            break
        threading.Event().wait(0.001)
    assert found.marks == [{"name": "grasp", "at_ns": 2_000}]
    session.drivers.drives("teleop", 4_000)
    put(session, 500)
    for thread in threads:
        thread.join()
    assert session.poll()
    info = EpisodeReader(session.save(False, 9_000)).info
    assert info.status == "disk_full" and info.pauses == [{"start_ns": 3_000, "stop_ns": 4_000}]
    assert [span["source"] for span in info.drivers] == ["teleop"]
