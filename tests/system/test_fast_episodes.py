"""Demonstrations without nodes: the same topics as live, the same numbers for the same seed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tiny_policy

from brs_cli import demo_record, fast_episode
from brs_cli.fast_episode import NOTE, FastOptions, record_episode
from brs_hardware.embodiment import load_embodiment
from brs_hardware.errors import ConfigError
from brs_ml.dataset.messages import Decoder, stamp_ns
from brs_ml.episode import EpisodeError, EpisodeReader
from brs_ml.episode.metadata import read_info
from brs_nodes.robot_topics import command_topics, sensor_topics

BAGS = Path(__file__).parents[1] / "data/bags"
SHORT = FastOptions(camera_hz=0.0, limit_s=1.5, keep_failures=True)
LONG = FastOptions(camera_hz=0.0)
REPORTS = {"/teleop/command", "/teleop/state", "/robot/state", "/robot/command", "/robot/safety"}
REPORTS |= {f"/joylo/{name}" for name in ("joint_states", "joy_left", "joy_right")}
REPORTS |= {"/sim/task", "/sim/objects"}


@pytest.fixture(scope="module")
def episode(tmp_path_factory: pytest.TempPathFactory) -> EpisodeReader:
    made = record_episode(tmp_path_factory.mktemp("fast"), "shelves", 3, 1e9, SHORT)
    assert made.folder is not None and not made.success  # 1.5 s are not enough for anybody
    return EpisodeReader(made.folder)


def test_topics_and_types_are_those_of_a_live_recording(episode: EpisodeReader) -> None:
    robot = load_embodiment("r1")
    live = {f"/{name.removeprefix('/')}" for name in sensor_topics(robot) + command_topics(robot)}
    assert robot.vendor.battery is not None
    left_out = {*robot.vendor.status_topics.values(), robot.vendor.battery.topic}
    left_out = {f"/{name.removeprefix('/')}" for name in left_out}
    pictures = {name for name in live if name.startswith("/camera/")}
    assert set(episode.topics) == (live | REPORTS) - pictures - left_out
    for bag in ("robot", "teleop"):
        for name, topic in EpisodeReader(BAGS / bag).topics.items():
            if name in episode.topics:
                assert episode.topics[name].type == topic.type, name
                if topic.schema_text:
                    assert episode.topics[name].schema_text == topic.schema_text, name


def test_quality_of_service_is_that_which_a_recorder_sees(episode: EpisodeReader) -> None:
    def offered(topic: str) -> tuple[str, str]:
        (qos,) = episode.topics[topic].qos
        return qos.reliability, qos.durability

    assert offered("/hdas/feedback_torso") == ("best_effort", "volatile")
    assert offered("/teleop/command") == ("reliable", "volatile")
    assert offered("/robot/safety") == ("reliable", "transient_local")
    # As a live recorder was told by DDS.
    assert episode.topics["/hdas/feedback_torso"].type_hash.startswith("RIHS01_a13ee")
    assert episode.topics["/robot/state"].type_hash.startswith("RIHS01_4f4bf")


def test_rates_and_stamps(episode: EpisodeReader) -> None:
    stamps: dict[str, list[int]] = {}
    for message in episode.messages(["/robot/state", "/hdas/feedback_torso", "/odom"]):
        assert stamp_ns(message) == message.log_time_ns
        stamps.setdefault(message.topic, []).append(message.log_time_ns)
    step_ns = {"/robot/state": 10_000_000, "/hdas/feedback_torso": 5_000_000, "/odom": 20_000_000}
    for topic, step in step_ns.items():
        steps = {b - a for a, b in zip(stamps[topic], stamps[topic][1:], strict=False)}
        # Physics has steps of 2 ms.
        assert all(abs(found - step) <= 1_001_000 for found in steps), topic


def test_the_info_tells_who_drove_and_what(episode: EpisodeReader) -> None:
    info = episode.info
    assert (info.status, info.success, info.task, info.seed) == ("saved", False, "shelves", 3)
    assert info.instruction and info.robot == "r1" and info.note == NOTE
    assert {span["source"] for span in info.drivers} == {"teleop"}
    assert info.start_ns < info.drivers[0]["stop_ns"] <= info.stop_ns


def test_the_robot_gets_what_the_rules_let_through(episode: EpisodeReader) -> None:
    decode = Decoder(episode.topics)
    sent = {m.log_time_ns: decode(m) for m in episode.messages(["/robot/command"])}
    target = "/motion_target/target_joint_state_torso"
    targets = {m.log_time_ns: decode(m) for m in episode.messages([target])}
    assert sent and sent.keys() == targets.keys()
    assert all((sent[at].torso == targets[at].position).all() for at in sent)


def test_a_person_takes_over_from_a_policy_without_a_jump(tmp_path: Path) -> None:
    policy = tiny_policy.write(tmp_path / "tiny.safetensors", pictures=True)
    options = replace(SHORT, policy=str(policy), takeover_s=(0.7, 0.7))
    made = record_episode(tmp_path / "episodes", "shelves", 3, 1e9, options)
    assert made.folder is not None
    episode = EpisodeReader(made.folder)
    spans = [(span["source"], span["stop_ns"] - span["start_ns"]) for span in episode.info.drivers]
    assert [source for source, _ in spans] == ["policy", "teleop"]
    assert spans[0][1] == pytest.approx(0.7e9, abs=0.02e9)

    decode = Decoder(episode.topics)
    asked = {
        name: [(m.log_time_ns, decode(m)) for m in episode.messages([f"/{name}/command"])]
        for name in ("policy", "teleop")
    }
    assert asked["policy"][-1][0] < asked["teleop"][0][0]
    assert len(asked["policy"]) > 60
    sent = [decode(m) for m in episode.messages(["/robot/command"])]
    steps = np.diff([[*each.torso, *each.left_arm, *each.right_arm] for each in sent], axis=0)
    robot = load_embodiment("r1")
    speeds = [robot.group(name).max_velocity for name in ("torso", "left_arm", "right_arm")]
    assert (np.abs(steps) <= 0.0101 * np.concatenate(speeds)).all()


def test_one_seed_gives_the_same_messages_again(episode: EpisodeReader, tmp_path: Path) -> None:
    def bytes_of(reader: EpisodeReader) -> list[tuple[str, int, bytes]]:
        return [(m.topic, m.log_time_ns, bytes(m.data)) for m in reader.messages()]

    again = record_episode(tmp_path / "again", "shelves", 3, 2e9, SHORT)
    other = record_episode(tmp_path / "other", "shelves", 4, 2e9, SHORT)
    assert again.folder is not None and other.folder is not None
    assert bytes_of(EpisodeReader(again.folder)) == bytes_of(episode)
    assert bytes_of(EpisodeReader(other.folder)) != bytes_of(episode)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), EpisodeError("the disk is full")])
def test_what_ends_early_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    def fails(*_: object) -> None:
        raise error

    monkeypatch.setattr(fast_episode, "task_message", fails)
    with pytest.raises(type(error)):
        record_episode(tmp_path, "shelves", 0, 1e9, SHORT)
    assert not list(tmp_path.iterdir())


def test_failures_are_not_kept_unless_asked_for(tmp_path: Path) -> None:
    made = record_episode(tmp_path, "shelves", 0, 1e9, FastOptions(camera_hz=0.0, limit_s=0.1))
    assert made.folder is None and not made.success
    assert not list(tmp_path.iterdir())


def test_a_second_run_goes_on_where_the_first_was(
    episode: EpisodeReader, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = episode.path.parent
    assert demo_record.recorded_seeds(root, "shelves") == {3}
    assert demo_record.recorded_seeds(root, "trash") == set()
    asked: list[int] = []

    monkeypatch.setattr(demo_record, "record_all", lambda *given: asked.extend(given[2]))
    demo_record.main(["--episodes", "3", "--seed", "2", "--out", str(root)])
    assert asked == [2, 4]


def test_what_a_killed_run_left_is_swept_away_and_nothing_else(tmp_path: Path) -> None:
    for name, note in (("killed", NOTE), ("live", "")):
        folder = tmp_path / f"{name}.part"
        folder.mkdir()
        (folder / "episode.json").write_text(f'{{"note": "{note}"}}')
    demo_record.sweep(tmp_path)
    assert [left.name for left in tmp_path.iterdir()] == ["live.part"]
    assert read_info(tmp_path / "live.part").note == ""


def begun(root: Path) -> bool:
    """Whether an episode is being recorded."""
    return any(root.glob("*.part/*.mcap"))


def test_ctrl_c_ends_all_workers_and_leaves_nothing(tmp_path: Path) -> None:
    def press() -> None:
        while not begun(tmp_path):
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=press, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        demo_record.record_all(tmp_path, "shelves", (0, 1, 2), 1, LONG, lambda _: None)
    assert not list(tmp_path.iterdir())
    assert not multiprocessing.active_children()


def test_workers_end_with_a_killed_run_and_the_next_one_tidies_up(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "brs_cli.main", "demo", "record", "--camera-hz", "0"]
    with subprocess.Popen([*command, "--out", str(tmp_path)]) as run:
        while not begun(tmp_path):
            assert run.poll() is None
            time.sleep(0.05)
        run.kill()
    # A worker that lived on would hold its episode until it is saved.
    while list(tmp_path.iterdir()):
        assert not demo_record.recorded_seeds(tmp_path, "shelves")
        demo_record.sweep(tmp_path)
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--workers", "0"], "'0' is no whole number from 1 on"),
        (["--episodes", "many"], "'many' is no whole number from 1 on"),
        (["--seed", "-1"], "'-1' is no whole number from 0 on"),
    ],
)
def test_numbers_that_cannot_be_are_told_in_a_line(
    options: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        demo_record.main(options)
    assert told in capsys.readouterr().err


@pytest.mark.parametrize(
    "options",
    [
        ["--task", "shelfs"],
        ["--robot", "r2"],
        ["--camera-hz", "-1"],
        ["--camera-hz", "nan"],
        ["--limit-s", "0"],
        ["--policy", "none", "--takeover-s", "5", "4"],
    ],
)
def test_what_is_wrong_for_all_seeds_is_told_before_any_is_begun(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str]
) -> None:
    monkeypatch.setattr(demo_record, "record_all", lambda *_: pytest.fail("it was begun"))
    with pytest.raises(ConfigError):
        demo_record.main([*options, "--out", str(tmp_path)])
