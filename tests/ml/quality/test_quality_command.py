"""`brs dataset check`: exit status, page, JSON, limits from a file, repair."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from quality_episodes import GOOD, STATE, changed, checked, entries, posture, report_of, write

from brs_cli.dataset_check import main
from brs_cli.dataset_quality import KnownRobots, judge_of
from brs_hardware.config import load_named
from brs_ml.episode import EpisodeError, EpisodeReader
from brs_ml.quality import Finding, QualityConfig, Report, check
from brs_ml.quality.page import html

HOSTILE = "<script>alert(1)</script>\"'&$x_"
# The wrists' cameras are not there, and an R1 cannot dance like that.
LIMITS = "severity: {missing_topic: ignore, beyond_limit: ignore, at_limit: ignore}\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One good episode, and one with a warning."""
    root = tmp_path_factory.mktemp("command")
    write(root / "good", entries())
    lazy = changed(entries(begin_s=20), STATE, value=lambda m: posture(m.seconds - 20) * 0.5)
    write(root / "lazy", lazy)
    (root / "limits.yaml").write_text(LIMITS)
    return root


def status(*arguments: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main([str(argument) for argument in arguments])
    return int(str(ended.value.code))


def test_exit_status_tells_errors_from_warnings(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    limits = ("--config", folder / "limits.yaml")
    assert status(folder, *limits) == 0
    assert "lazy: warning: follow: torso" in capsys.readouterr().out
    assert status(folder, *limits, "--strict") == 1
    assert status(folder / "good", *limits, "--strict") == 0
    assert status(folder) == 1
    assert status(folder / "nothing") == 2
    assert "is no folder" in capsys.readouterr().err


def test_a_wrong_limit_is_told_with_its_place(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for text, told in (
        ("motion: {jerks: 3}", "unknown key 'jerks'"),
        ("severity: {blurr: ignore}", "'blurr'"),
        ("times: {gap_s: -1}", "'gap_s'"),
    ):
        (tmp_path / "mine.yaml").write_text(text)
        assert status(folder, "--config", tmp_path / "mine.yaml") == 2
        assert told in capsys.readouterr().err


def test_the_file_of_limits_holds_what_the_code_has() -> None:
    assert load_named(QualityConfig, "quality", "default", "set of limits") == QualityConfig()


def test_page_and_json_tell_the_same(folder: Path, tmp_path: Path) -> None:
    page, data = tmp_path / "report.html", tmp_path / "report.json"
    assert status(folder, "--html", page, "--json", data, "--no-pictures") == 1
    report = json.loads(data.read_text())
    found = [f for episode in report["episodes"] for f in episode["findings"]]
    assert len(found) + len(report["together"]) == sum(report["counts"].values())
    assert {episode["name"] for episode in report["episodes"]} == {"good", "lazy"}
    text = page.read_text()
    assert report["summary"] in text
    for finding in found:
        assert f"<td>{finding['where']}</td>" in text


def test_a_torn_bag_is_repaired_on_request(tmp_path: Path) -> None:
    bag = write(tmp_path / "episodes" / "torn_one", entries(3.0)) / "torn_one_0.mcap"
    (tmp_path / "limits.yaml").write_text(LIMITS)
    limits = ("--config", tmp_path / "limits.yaml")
    os.truncate(bag, bag.stat().st_size * 3 // 4)
    assert status(bag.parent.parent, *limits) == 1
    assert status(bag.parent.parent, *limits, "--repair") == 0
    assert not EpisodeReader(bag.parent).torn
    assert EpisodeReader(bag.parent.parent / "torn" / "torn_one").torn


def test_two_processes_find_what_one_finds(folder: Path) -> None:
    alone = check(folder, QualityConfig(), KnownRobots("r1"), judge_of)
    both = check(folder, QualityConfig(), KnownRobots("r1"), judge_of, workers=2)
    assert both.findings == alone.findings
    assert [episode.digest for episode in both.episodes] == [e.digest for e in alone.episodes]


def test_a_robot_from_a_file_is_a_name_and_no_path(tmp_path: Path) -> None:
    for name in ("/tmp/x.yaml", "../r1.yaml", "toaster"):
        with pytest.raises(EpisodeError):
            KnownRobots("r1")(name)
    assert KnownRobots("r1")("").layout.robot == "r1"
    write(tmp_path / "e", entries(1.0), replace(GOOD, robot="/etc/robot.yaml"))
    assert "robot" in {finding.rule for finding in checked(tmp_path)}


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def test_nothing_from_an_episode_becomes_part_of_the_page() -> None:
    finding = Finding(HOSTILE, "rate", "error", HOSTILE, HOSTILE, 1.0, 2.0, ((0.0, 1.0),))
    info = replace(GOOD, task=HOSTILE, instruction=HOSTILE)
    episode = report_of(HOSTILE, info=info, rates_hz={HOSTILE: 3.0}, figures={"path_rad": 1.0})
    text = html(Report(HOSTILE, (replace(episode, findings=(finding,)),), ()))
    tags = _Tags(text).tags
    assert [tag for tag, _ in tags].count("script") == 1
    assert not [value for _, given in tags for key, value in given.items() if key[:2] == "on"]
    sources = [v for _, given in tags for key, v in given.items() if key in ("src", "href")]
    assert sources
    assert all(source and source.startswith(("data:", "#")) for source in sources)
    assert "http://" not in text
    assert "https://" not in text


def test_only_the_script_of_the_page_may_run() -> None:
    text = html(Report("x", (report_of(),), ()))
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert "default-src 'none'" in policy[1]
    assert "script-src 'sha256-" in policy[1]
