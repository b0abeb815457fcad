"""What was found: one line each, with the figure, its limit and the time it happened."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# YAML takes "off" for false.
ERROR, WARNING, NOTE, IGNORE = SEVERITIES = ("error", "warning", "note", "ignore")

# Rule -> its severity, unless configured, and what it looks at.
RULES: Mapping[str, tuple[str, str]] = {
    # The folder and its files
    "link": (ERROR, "a link leads out of the folder; it is not followed"),
    "name": (ERROR, "a name that could lead out of a folder or is no name of an episode"),
    "archive": (ERROR, "an archive; none is unpacked"),
    "oversized": (ERROR, "a file that would unpack to more than is allowed; it is not unpacked"),
    "several_bags": (ERROR, "more than one bag in an episode's folder"),
    "no_bag": (ERROR, "a folder without a bag"),
    "unfinished": (WARNING, "an episode that is being recorded or that a crash left behind"),
    "unreadable": (ERROR, "a bag that cannot be read at all, or only in part"),
    "torn": (ERROR, "a bag without its end; what is whole was read"),
    "metadata": (ERROR, "metadata.yaml or episode.json is damaged or says what is not so"),
    # Topics and messages
    "missing_topic": (ERROR, "a topic that should be there"),
    "undecodable": (ERROR, "messages that cannot be decoded"),
    "robot": (ERROR, "a robot that is not known, or messages of another one"),
    # Times
    "dropped": (ERROR, "messages that sequence numbers show to be lost"),
    "publishers": (WARNING, "sequence numbers that step back: several publishers or a restart"),
    "lost": (WARNING, "losses that the recorder counted itself"),
    "rate": (ERROR, "a stream slower than it should be"),
    "jitter": (WARNING, "uneven intervals of a stream"),
    "gap": (WARNING, "a pause in a stream"),
    "silence": (ERROR, "nothing on any topic for a while, outside of a pause"),
    "skew": (WARNING, "streams whose samples lie far apart in time"),
    "unpaired": (WARNING, "pictures without the depth of their moment"),
    "future": (ERROR, "stamps later than their reception"),
    "late": (WARNING, "messages that arrive long after their stamp"),
    "clock_back": (ERROR, "stamps that run backwards"),
    "clock_jump": (ERROR, "a stamp clock that jumps against the recorder's"),
    # Pictures
    "frozen_picture": (ERROR, "the same picture again while the camera was moved"),
    "exposure": (WARNING, "dark, overexposed or flickering pictures"),
    "blur": (WARNING, "blurred pictures"),
    "depth": (WARNING, "depth with holes, or less of it than normal"),
    "no_depth": (WARNING, "little depth in all of the episode"),
    "intrinsics": (ERROR, "a pinhole that cannot be, or changes within the episode"),
    # Motion
    "nan": (ERROR, "numbers that are none"),
    "frozen_feedback": (ERROR, "measurements that stand still while the robot is told to move"),
    "beyond_limit": (ERROR, "a joint beyond its limit"),
    "at_limit": (WARNING, "a joint at its limit for long"),
    "speed": (WARNING, "a part faster than it may be"),
    "jerk": (WARNING, "jerky motion"),
    "idle": (WARNING, "nothing moves at the start, in the middle or at the end"),
    "base_only": (NOTE, "mostly only the base moves"),
    "follow": (WARNING, "the robot does not follow its commands"),
    "chatter": (WARNING, "a gripper that opens and closes again and again"),
    "invalid_steps": (WARNING, "steps of a data set that no window touches"),
    "left_out": (NOTE, "an episode that is not in the data set, and why"),
    # Labels
    "label": (ERROR, "task, instruction or judgement is missing"),
    "status": (WARNING, "an episode that did not end as it should"),
    # All episodes together
    "balance": (WARNING, "too few successes"),
    "outlier": (WARNING, "an episode unlike the others of its task"),
    "duplicate": (ERROR, "the same episode twice"),
    "overlap": (ERROR, "two episodes of one robot at the same time: two writers, or two parts"),
    "mixed_robots": (ERROR, "another robot than the others"),
    "mixed_cameras": (ERROR, "other cameras or picture sizes than the others"),
    "mixed_calibration": (WARNING, "another calibration than the others"),
    "mixed_rates": (WARNING, "another rate than the others"),
}


@dataclass(frozen=True)
class Finding:
    """One thing that is not as it should be."""

    episode: str  # name; "" for all episodes together
    rule: str  # of RULES
    severity: str  # error, warning or note
    where: str  # topic, camera, part of the robot or file
    text: str  # one line
    value: float | None = None  # what was measured, in the unit of the limit
    limit: float | None = None
    spans_s: tuple[tuple[float, float], ...] = ()  # when, from the episode's start [s]

    def __str__(self) -> str:
        where = f"{self.where}: " if self.where else ""
        return f"{self.episode or 'all'}: {self.severity}: {self.rule}: {where}{self.text}"


class Findings:
    """Collects the findings of one episode, or of all together.

    Args:
        episode: its name; "" for all.
        severities: rule -> severity where it is not the usual one.
    """

    def __init__(self, episode: str, severities: Mapping[str, str] | None = None) -> None:
        self.episode = printable(episode)
        self._severities = severities or {}
        self._list: list[Finding] = []

    def add(
        self,
        rule: str,
        where: str,
        text: str,
        value: float | None = None,
        limit: float | None = None,
        spans_s: Sequence[tuple[float, float]] = (),
    ) -> None:
        """Add one, unless its rule is ignored."""
        severity = self._severities.get(rule, RULES[rule][0])
        if severity != IGNORE:
            spans = tuple((round(float(a), 3), round(float(b), 3)) for a, b in spans_s)
            self._list.append(
                Finding(
                    self.episode,
                    rule,
                    severity,
                    printable(where),
                    printable(text),
                    None if value is None else float(value),
                    None if limit is None else float(limit),
                    spans,
                )
            )

    @property
    def all(self) -> tuple[Finding, ...]:
        """So far, the worst first, of equal ones in the order of the rules."""
        order = {rule: number for number, rule in enumerate(RULES)}
        return tuple(
            sorted(self._list, key=lambda f: (SEVERITIES.index(f.severity), order[f.rule]))
        )


def printable(text: str) -> str:
    """A text whose control characters cannot move a terminal's cursor."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
