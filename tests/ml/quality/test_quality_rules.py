"""Each rule finds what it is for, says nothing of a good episode, and none is without a test."""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from quality_episodes import (
    COLOR,
    COMMAND,
    DEPTH,
    GOOD,
    INFO,
    SECOND,
    SECONDS,
    STATE,
    Entry,
    changed,
    checked,
    entries,
    facts,
    posture,
    report_of,
    without,
    write,
)

from brs_cli.dataset_quality import judge_of
from brs_ml.quality import RULES, QualityConfig, check
from brs_ml.quality.across import check_together

BASE = entries()
TORSO, LEFT_ARM = slice(3, 7), slice(7, 13)


def moving(values: Callable[[np.ndarray, float], Any], *topics: str) -> list[Entry]:
    """The good episode with other numbers in state and command, or in those topics."""
    messages = BASE

    def value(message: Entry) -> np.ndarray:
        out = np.array(message.value)
        values(out, message.seconds)
        return out

    for topic in topics or (STATE, COMMAND):
        messages = changed(messages, topic, value=value)
    return messages


def put(part: slice | int, number: Callable[[float], Any]) -> Callable[[np.ndarray, float], None]:
    """Sets a part to a function of time."""

    def change(values: np.ndarray, seconds: float) -> None:
        values[part] = number(seconds)

    return change


def still_between(begin_s: float, end_s: float) -> Callable[[np.ndarray, float], None]:
    """Nothing moves for a while: time stands still for the posture, the base stops."""

    def change(values: np.ndarray, seconds: float) -> None:
        away = max(0.0, min(seconds, end_s) - begin_s)
        values[:] = posture(seconds - away)
        if begin_s <= seconds < end_s:
            values[:3] = 0.0

    return change


# Rule -> where it is found, and messages that break it.
MESSAGES: dict[str, tuple[str, Callable[[], list[Entry]]]] = {
    "missing_topic": (COMMAND[1:], lambda: without(BASE, COMMAND, 0, 99)),
    "dropped": (COLOR, lambda: [m for m in BASE if m.topic != COLOR or m.sequence % 9]),
    "publishers": (
        STATE,
        lambda: changed(BASE, STATE, sequence=lambda m: m.sequence + 5000 * (m.sequence % 2)),
    ),
    "rate": (COMMAND, lambda: [m for m in BASE if m.topic != COMMAND or m.sequence % 3 == 0]),
    "jitter": (
        STATE,
        lambda: changed(BASE, STATE, stamp_ns=lambda m: m.stamp_ns - m.stamp_ns % (SECOND // 20)),
    ),
    "gap": (STATE, lambda: without(BASE, STATE, 2.0, 2.5)),
    "silence": ("", lambda: without(BASE, "", 2.0, 3.5)),
    "skew": (
        "camera head",
        lambda: [m for m in BASE if m.topic != STATE or int(m.seconds * 4) % 4],
    ),
    "unpaired": ("head", lambda: [m for m in BASE if m.topic != DEPTH or m.sequence % 5]),
    "future": (
        STATE,
        lambda: changed(BASE, STATE, stamp_ns=lambda m: m.stamp_ns + 10 * SECOND // 100),
    ),
    "late": (COLOR, lambda: changed(BASE, COLOR, log_ns=lambda m: m.log_ns + SECOND // 2)),
    "clock_back": (
        COMMAND,
        lambda: changed(
            BASE, COMMAND, stamp_ns=lambda m: m.stamp_ns - (m.sequence == 300) * SECOND // 8
        ),
    ),
    "clock_jump": (
        COMMAND,
        lambda: changed(
            BASE, COMMAND, stamp_ns=lambda m: m.stamp_ns - (m.seconds < 3) * 3 * SECOND
        ),
    ),
    "frozen_picture": (
        "head",
        lambda: changed(BASE, COLOR, value=lambda m: BASE_PICTURE if m.seconds > 4 else m.value),
    ),
    "exposure": ("head", lambda: changed(BASE, COLOR, value=lambda m: m.value // 64)),
    "blur": ("head", lambda: changed(BASE, COLOR, value=blurred())),
    "depth": ("head", lambda: changed(BASE, DEPTH, value=holes())),
    "no_depth": (
        "head",
        lambda: changed(BASE, DEPTH, value=np.zeros((72, 96), np.float32)),
    ),
    "intrinsics": ("head", lambda: changed(BASE, INFO, value=lambda m: 80.0 + (m.seconds > 3))),
    "nan": ("state", lambda: moving(put(5, lambda t: np.nan if 2 < t < 2.1 else 0.0), STATE)),
    "frozen_feedback": (
        "left_arm",
        lambda: moving(
            put(LEFT_ARM, lambda t: posture(min(max(t - 1.5, 1.0), t))[LEFT_ARM]), STATE
        ),
    ),
    "beyond_limit": ("left_arm_2", lambda: moving(put(9, lambda t: 3.1))),
    "at_limit": ("left_arm_2", lambda: moving(put(9, lambda t: 2.999))),
    "speed": ("torso", lambda: moving(put(3, lambda t: np.sin(7 * t)))),
    "jerk": (
        "left_arm",
        lambda: moving(jolt),
    ),
    "idle": ("middle", lambda: moving(still_between(1.0, 5.0))),
    "base_only": (
        "base",
        lambda: moving(lambda values, t: values.__setitem__(slice(3, 21), 0.1 * (t > 5.5) * t)),
    ),
    "follow": ("torso", lambda: moving(put(TORSO, lambda t: 0.0), STATE)),
    "chatter": (
        "left_gripper",
        lambda: moving(put(13, lambda t: 0.5 + 0.3 * np.sin(12 * t))),
    ),
}
BASE_PICTURE = next(m.value for m in BASE if m.topic == COLOR)


def jolt(values: np.ndarray, seconds: float) -> None:
    """Small fast trembling on top of the motion."""
    values[LEFT_ARM] += 0.03 * np.sin(2 * np.pi * 11 * seconds + np.arange(6))


def blurred() -> np.ndarray:
    ramp = 128 + 90 * np.sin(np.arange(96) / 8)
    return np.tile(ramp[None, :, None], (72, 1, 3)).astype(np.uint8)


def holes() -> np.ndarray:
    depth = np.ones((72, 96), np.float32)
    depth[::2, ::2] = 0.0
    return depth


def rules(findings: Any) -> set[str]:
    return {finding.rule for finding in findings}


def test_nothing_is_found_in_a_good_episode(tmp_path: Path) -> None:
    write(tmp_path / "good", BASE)
    assert not checked(tmp_path, judge_of)


@pytest.mark.parametrize("rule", MESSAGES)
def test_messages_that_break_a_rule_are_found(rule: str, tmp_path: Path) -> None:
    where, spoiled = MESSAGES[rule]
    write(tmp_path / "bad", spoiled())
    found = [f for f in checked(tmp_path, judge_of) if f.rule == rule]
    assert where in [finding.where for finding in found]
    assert all(finding.severity == RULES[rule][0] for finding in found)
    for finding in found:
        for begin_s, end_s in finding.spans_s:
            assert -0.1 <= begin_s <= end_s <= SECONDS + 0.1


# Rule -> where, and what spoils a folder `episodes/bad` that was good.
FOLDERS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "link": ("outside.mcap", lambda bad: (bad / "outside.mcap").symlink_to("/etc/hostname")),
    "name": ("", lambda bad: bad.rename(bad.with_name("a b"))),
    "archive": ("", lambda bad: zipfile.ZipFile(bad.with_name("evil.zip"), "w").close()),
    "several_bags": ("", lambda bad: shutil.copy(bad / "bad_0.mcap", bad / "other.mcap")),
    "no_bag": ("", lambda bad: (bad / "bad_0.mcap").unlink()),
    "unfinished": ("", lambda bad: bad.rename(bad.with_name("bad.part"))),
    "unreadable": ("bad_0.mcap", lambda bad: (bad / "bad_0.mcap").write_bytes(b"PK no MCAP")),
    "torn": ("", lambda bad: os.truncate(bad / "bad_0.mcap", size(bad) * 2 // 3)),
    "metadata": ("metadata.yaml", lambda bad: (bad / "metadata.yaml").write_text("a: [")),
    "undecodable": (STATE, lambda bad: rewrite(bad, damaged_state())),
    "robot": ("", lambda bad: label(bad, robot="toaster")),
    "label": ("episode.json", lambda bad: label(bad, instruction=" ")),
    "status": ("episode.json", lambda bad: label(bad, status="disk_full")),
    "lost": ("episode.json", lambda bad: label(bad, lost=3)),
}


def size(folder: Path) -> int:
    return (folder / f"{folder.name}_0.mcap").stat().st_size


def label(folder: Path, **changes: Any) -> None:
    path = folder / "episode.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def rewrite(folder: Path, messages: list[Entry]) -> None:
    shutil.rmtree(folder)
    write(folder, messages)


def damaged_state() -> list[Entry]:
    """One state is cut off."""
    return changed(BASE, STATE, data=lambda m: b"\0\1" if m.sequence == 9 else None)


@pytest.fixture(scope="module")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("good") / "bad", BASE)


@pytest.mark.parametrize("rule", FOLDERS)
def test_folders_that_break_a_rule_are_found(rule: str, good: Path, tmp_path: Path) -> None:
    where, spoil = FOLDERS[rule]
    spoil(Path(shutil.copytree(good, tmp_path / "episodes" / "bad")))
    found = [f for f in checked(tmp_path / "episodes") if f.rule == rule]
    assert [finding.where for finding in found] == [where]


CAMERA = {
    "height": 72,
    "width": 96,
    "matrix": [80.0, 0, 47.5, 0, 80.0, 35.5, 0, 0, 1],
    "distortion": [0.0] * 5,
}
WARPED = {**CAMERA, "matrix": [81.0, 0, 47.5, 0, 81.0, 35.5, 0, 0, 1]}
# Rule -> the odd ones among episodes a to g.
SETS: dict[str, dict[str, dict[str, Any]]] = {
    "balance": {name: {"info": replace(GOOD, success=False)} for name in "bcdefg"},
    "outlier": {"c": {"figures": {"seconds": 30.0}}},
    "duplicate": {"d": {"digest": "a"}},
    "overlap": {"b": {"start_ns": 9 * SECOND}},
    "mixed_robots": {"e": {"info": replace(GOOD, robot="r1_pro")}},
    "mixed_cameras": {"f": {"cameras": {"head": {**CAMERA, "width": 640}}}},
    "mixed_calibration": {"g": {"cameras": {"head": WARPED}}},
    "mixed_rates": {"b": {"rates_hz": {"robot/state": 50.0}}},
}


@pytest.mark.parametrize("rule", SETS)
def test_episodes_unlike_the_others_are_found(rule: str) -> None:
    odd = SETS[rule]
    usual = {"cameras": {"head": CAMERA}, "rates_hz": {"robot/state": 100.0}}
    reports = []
    for number, name in enumerate("abcdefg"):
        start_ns = 10 * SECOND * number
        figures = {"figures": {"seconds": 10.0 + 0.1 * number}}
        changes = {"start_ns": start_ns, **usual, **figures, **odd.get(name, {})}
        changes["end_ns"] = start_ns + 9 * SECOND + 8 * SECOND // 10
        reports.append(report_of(name, **changes))
    found = check_together(reports, QualityConfig())
    assert rules(found) == {rule}
    named = {"balance": {""}}.get(rule, set(odd))
    assert {finding.episode for finding in found} == named


@pytest.mark.parametrize(
    ("begin_ns", "change", "apart"),
    [
        (SECOND, {"seed": 1}, True),  # two scenes, and in each time begins anew
        (SECOND, {"task": "trash"}, True),
        (SECOND, {"operator": "someone"}, False),
        (1_700_000_000 * SECOND, {"seed": 1}, False),  # one robot cannot be in two scenes
        (1_700_000_000 * SECOND, {"robot": "r1_pro"}, True),
    ],
)
def test_simulated_scenes_have_clocks_of_their_own(
    begin_ns: int, change: dict[str, Any], apart: bool
) -> None:
    times: dict[str, Any] = {"start_ns": begin_ns, "end_ns": begin_ns + 9 * SECOND}
    reports = [report_of("a", **times), report_of("b", info=replace(GOOD, **change), **times)]
    assert ("overlap" in rules(check_together(reports, QualityConfig()))) is not apart


# Rules that have tests of their own: of hostile files, and of data sets.
ELSEWHERE = {"oversized", "left_out", "invalid_steps"}


def test_no_rule_is_without_a_test() -> None:
    assert {*MESSAGES, *FOLDERS, *SETS, *ELSEWHERE} == set(RULES)


def test_a_rule_can_be_ignored_and_its_severity_changed(tmp_path: Path) -> None:
    write(tmp_path / "bad", without(BASE, STATE, 2.0, 2.5))
    usual = {f.rule: f.severity for f in checked(tmp_path)}
    assert usual["gap"] == "warning"
    config = QualityConfig(severity={"gap": "error"})
    stern = {f.rule: f.severity for f in check(tmp_path, config, facts).findings}
    assert stern == {**usual, "gap": "error"}
    silent = check(tmp_path, QualityConfig(severity={"gap": "ignore"}), facts).findings
    assert {f.rule for f in silent} == set(usual) - {"gap"}
