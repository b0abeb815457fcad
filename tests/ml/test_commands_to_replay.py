"""Which commands of an episode are played again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from brs_ml.episode import (
    CommandSpan,
    EpisodeError,
    EpisodeInfo,
    EpisodeReader,
    EpisodeWriter,
    Topic,
    commands_to_replay,
)

COMMAND = "brs_interfaces/msg/WholeBodyCommand"


def episode(
    folder: Path, topics: tuple[str, ...], *drivers: tuple[str, int, int]
) -> EpisodeReader:
    spans: list[dict[str, Any]] = [
        {"source": source, "start_ns": start, "stop_ns": stop} for source, start, stop in drivers
    ]
    folder.mkdir()
    writer = EpisodeWriter(
        folder, EpisodeInfo(drivers=spans), [Topic("/policy/command", COMMAND, "uint8 a\n")]
    )
    for topic in topics:
        writer.add_topic(Topic(topic, COMMAND, "uint8 a\n"))
        writer.write(topic, 20, 20, b"\0\1\0\0\0")
    writer.close()
    return EpisodeReader(folder)


@pytest.mark.parametrize(
    ("topics", "drivers", "expected"),
    [
        # One drove: what was asked for, while it was followed.
        (("teleop", "robot"), (("teleop", 10, 30),), CommandSpan("/teleop/command", 10, 31)),
        (
            ("replay", "teleop", "robot"),
            (("replay", 5, 9),),
            CommandSpan("/replay/command", 5, 10),
        ),
        # Drivers changed, or one let go: what was sent.
        (
            ("teleop", "robot"),
            (("policy", 10, 20), ("teleop", 20, 30)),
            CommandSpan("/robot/command"),
        ),
        (
            ("teleop", "robot"),
            (("teleop", 10, 20), ("teleop", 25, 30)),
            CommandSpan("/robot/command"),
        ),
        # The driver's own commands were not recorded: its topic is there, and empty.
        (("teleop", "robot"), (("policy", 10, 30),), CommandSpan("/robot/command")),
        # Nobody drove, or it is not told.
        (("teleop", "robot"), (), CommandSpan("/robot/command")),
        (("teleop",), (), CommandSpan("/teleop/command")),
    ],
)
def test_commands_are_those_that_the_rules_have_not_shaped_where_that_is_all(
    tmp_path: Path,
    topics: tuple[str, ...],
    drivers: tuple[tuple[str, int, int], ...],
    expected: CommandSpan,
) -> None:
    names = tuple(f"/{topic}/command" for topic in topics)
    assert commands_to_replay(episode(tmp_path / "plain", names, *drivers)) == expected
    spaced = tuple(f"/house{name}" for name in names)
    found = commands_to_replay(episode(tmp_path / "spaced", spaced, *drivers))
    assert found == expected._replace(topic=f"/house{expected.topic}")


def test_an_episode_without_commands_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EpisodeError, match="no topic 'robot/command'"):
        commands_to_replay(episode(tmp_path / "empty", ()))
