"""Which recorded commands bring an episode about again, when each is due, and from where."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from brs_ml.episode.errors import EpisodeError
from brs_ml.episode.reader import EpisodeReader

LEVELLED_NS = 100_000_000  # older commands are not followed


class CommandSpan(NamedTuple):
    """Commands on one topic, from one log time to before another; None: all."""

    topic: str
    start_ns: int | None = None
    end_ns: int | None = None


def commands_to_replay(episode: EpisodeReader) -> CommandSpan:
    """The commands that bring an episode about again.

    They are what the one who drove asked for: the robot node shapes it as it did then. Its own
    commands (`robot/command`) it would shape a second time, and lag behind them. They are taken
    where drivers changed or nobody drove for a while, for they hold the moments of stillness.

    Raises:
        EpisodeError: it has no topic of commands, or several robots'.
    """
    spans = episode.info.drivers
    if len(spans) == 1 and (asked := asked_topics(episode)):
        (topic,) = asked.values()
        return CommandSpan(topic, spans[0]["start_ns"], spans[0]["stop_ns"] + 1)
    return CommandSpan(sent_topic(episode))


def asked_topics(episode: EpisodeReader) -> dict[str, str]:
    """Topic of what each who drove asked for, by source, as far as it was recorded.

    Raises:
        EpisodeError: there are several robots'.
    """
    sources = dict.fromkeys(str(span["source"]) for span in episode.info.drivers)
    return {
        source: episode.topic_named(name).name
        for source in sources
        if _has(episode, name := f"{source}/command")
    }


def sent_topic(episode: EpisodeReader) -> str:
    """Topic of what the robot node sent, whoever drove.

    Older episodes, and those of robots that were never armed, hold only what was asked.

    Raises:
        EpisodeError: it has no topic of commands, or several robots'.
    """
    asked_only = _has(episode, "teleop/command") and not _has(episode, "robot/command")
    return episode.topic_named("teleop/command" if asked_only else "robot/command").name


def _has(episode: EpisodeReader, name: str) -> bool:
    return any(topic.name.endswith(f"/{name}") for topic, n in episode.counts.items() if n)


def command_times_ns(stamps_ns: Sequence[int], log_times_ns: Sequence[int]) -> list[int]:
    """Times of commands on the bag's time line.

    Header stamps are free of the network's jitter, so they give the spacing; the first log time
    gives the place, which holds where stamps and log times come from different clocks. A robot
    that holds stamps by its own clock, and then again as the leader did, a little earlier: such
    steps back are levelled. Without usable stamps (missing, jumping back) the log times are taken.

    Args:
        stamps_ns: (n,) header stamps [ns], 0 where missing.
        log_times_ns: (n,) times of reception [ns].
    """
    if not stamps_ns:
        return []
    forward = all(a - b <= LEVELLED_NS for a, b in itertools.pairwise(stamps_ns))
    if not forward or stamps_ns[0] <= 0:
        return list(log_times_ns)
    shift = log_times_ns[0] - stamps_ns[0]
    return [stamp + shift for stamp in itertools.accumulate(stamps_ns, max)]


@dataclass(frozen=True)
class Pace:
    """An absolute schedule: each time is computed from the start, so errors do not add up."""

    origin_ns: int  # bag time that is played first
    start_ns: int  # clock time at which it is played
    rate: float  # 2 is twice as fast

    def due_ns(self, bag_time_ns: int) -> int:
        """Clock time at which a bag time is due [ns]."""
        return self.start_ns + round((bag_time_ns - self.origin_ns) / self.rate)

    def bag_time_ns(self, now_ns: int) -> int:
        """Bag time that is reached at a clock time [ns]."""
        return self.origin_ns + round((now_ns - self.start_ns) * self.rate)


def check_start(
    joints: Sequence[str], commanded: np.ndarray, measured: np.ndarray, tolerance_rad: float
) -> None:
    """Refuse a replay whose first command is far from where the robot is.

    Args:
        joints: (n,) names.
        commanded: (n,) first command of the bag [rad].
        measured: (n,) the robot now [rad].
        tolerance_rad: largest difference allowed.

    Raises:
        EpisodeError: names the joint that is farthest, or the counts that differ.
    """
    if not len(joints) == len(commanded) == len(measured):
        raise EpisodeError(
            f"the bag commands {len(commanded)} joints, the robot measures {len(measured)} and "
            f"its description names {len(joints)}",
            remedy="replay on the robot that was recorded",
        )
    error = np.abs(np.asarray(commanded) - np.asarray(measured))
    # A number that is none is as far as can be.
    error = np.where(np.isfinite(error), error, np.inf)
    worst = int(np.argmax(error)) if len(error) else 0
    if len(error) and error[worst] > tolerance_rad:
        raise EpisodeError(
            f"{joints[worst]} is at {measured[worst]:.2f} rad, the bag begins at "
            f"{commanded[worst]:.2f} rad, {error[worst]:.2f} away (limit {tolerance_rad:g})",
            remedy="bring the robot to the start of the episode",
        )


def parse_remaps(text: str) -> dict[str, str]:
    """`from` or `from:=to` names, comma-separated, as {from: to}.

    Raises:
        EpisodeError: a name is missing on either side.
    """
    remaps: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        source, arrow, target = (piece.strip() for piece in part.partition(":="))
        if not source or (arrow and not target):
            raise EpisodeError(f"'{part}' is no topic", remedy="write from or from:=to")
        remaps[source] = target or source
    return remaps
