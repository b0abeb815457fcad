"""Calibration on normal footage of one's own home: when to ask the judge, when to alarm."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path

import numpy as np

from brs_ml.anomaly.config import CalibrationConfig, MonitorConfig, SegmentConfig
from brs_ml.anomaly.errors import AnomalyError
from brs_ml.anomaly.live import CameraHistory
from brs_ml.anomaly.segment import NOTHING_THERE, KeywordScore, SegmentScore
from brs_ml.policy.plain import from_plain

FORMAT = "brs-anomaly-calibration"
NO_GATE = -2.0  # below any evidence


@dataclass(frozen=True)
class Setting:
    """What scores depend on beside what is seen: numbers of one setting say nothing of another."""

    models: str  # see Backends.described
    segment: SegmentConfig
    frame_hz: float  # frames of a camera a second


@dataclass(frozen=True)
class Limits:
    """What normal footage of one camera looks like to one text."""

    camera: str
    text: str
    segments: int  # that were judged
    gate: float  # evidence below which the judge is not asked
    threshold: float  # 0 to 1, score above which is alarm

    def __post_init__(self) -> None:
        if not (-2.0 <= self.gate <= 2.0 and 0.0 <= self.threshold <= 1.0):
            raise ValueError(f"limits of '{self.text}' that no score can have")


@dataclass(frozen=True)
class Calibration:
    """Limits of any number of cameras and texts."""

    setting: Setting
    limits: tuple[Limits, ...]

    @property
    def cameras(self) -> frozenset[str]:
        """Whose footage it was made of."""
        return frozenset(row.camera for row in self.limits)

    def gates(self, camera: str) -> dict[str, float]:
        """Text -> evidence below which the judge is not asked."""
        return {row.text: row.gate for row in self.limits if row.camera == camera}

    def thresholds(self, camera: str) -> dict[str, float]:
        """Text -> score above which is alarm."""
        return {row.text: row.threshold for row in self.limits if row.camera == camera}

    def require(self, camera: str, texts: Sequence[str], where: str = "") -> None:
        """Raises AnomalyError: it was not made of that camera or for one of the texts."""
        known = self.gates(camera)
        missing = [text for text in texts if text not in known]
        if camera not in self.cameras or missing:
            lacks = f"the texts {', '.join(missing)}" if known else f"the camera '{camera}'"
            raise AnomalyError(
                f"was made without {lacks}", where=where, remedy="brs monitor calibrate"
            )

    def with_camera(self, limits: Sequence[Limits]) -> Calibration:
        """The same with other limits of one camera."""
        others = [row for row in self.limits if row.camera != limits[0].camera]
        return replace(self, limits=(*others, *limits))

    def save(self, path: Path) -> None:
        """Write it as JSON; a crash leaves the old file or the new one.

        Raises:
            AnomalyError: no room or no permission.
        """
        partial = path.with_name(path.name + ".part")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            partial.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=1) + "\n")
            partial.replace(path)
        except OSError as error:
            raise AnomalyError(
                f"cannot be written: {error.strerror}", where=str(path), remedy="make room"
            ) from None

    @classmethod
    def load(cls, path: Path, setting: Setting) -> Calibration:
        """Read it again.

        Raises:
            AnomalyError: no such file, damaged, or of another setting.
        """
        try:
            values = json.loads(path.read_text())
            if not isinstance(values, dict) or values.pop("format", None) != FORMAT:
                raise ValueError("no calibration")
            calibration = from_plain(cls, values)
        except (OSError, ValueError) as error:
            raise AnomalyError(
                f"no calibration can be read: {error}", where=str(path), remedy="calibrate again"
            ) from None
        if calibration.setting != setting:
            raise AnomalyError(
                f"is of other scores: {_difference(calibration.setting, setting)}",
                where=str(path),
                remedy="calibrate again, to another file",
            )
        return calibration


def check_footage(
    segments: Sequence[SegmentScore], levels: Sequence[float], config: CalibrationConfig
) -> None:
    """Refuse footage that says nothing of a home.

    Args:
        segments: of all of it.
        levels: mean brightness of each segment, 0 to 255.
        config: what is asked of it.

    Raises:
        AnomalyError: it is too short or dark, or too much of it cannot be judged.
    """
    least = round(config.least_segments / (1.0 - config.held_out))
    if len(segments) < least:
        raise AnomalyError(
            f"the footage is too short: {len(segments)} segments, {least} are needed",
            remedy="record more, of all that is normal",
        )
    reasons = Counter(
        segment.keywords[0].reason
        for segment in segments
        if not any(_was_seen(row) for row in segment.keywords)
    )
    if (bad := reasons.total()) > config.most_unknown * len(segments):
        raise AnomalyError(
            f"{bad} of {len(segments)} segments cannot be judged: {reasons.most_common(1)[0][0]}",
            remedy="take other footage",
        )
    if (level := float(np.median(levels))) < config.least_level:
        raise AnomalyError(
            f"the footage is dark: a brightness of {level:.0f} of 255",
            remedy="record it in the light in which the robot works",
        )


def calibrate(
    camera: str, segments: Sequence[SegmentScore], config: CalibrationConfig
) -> tuple[Limits, ...]:
    """From the scores of one camera's normal footage, made without gates.

    A threshold lies above every score that normal footage has had.

    Args:
        camera: its name.
        segments: of any number of videos.
        config: margin and gates.

    Raises:
        AnomalyError: a text was not judged.
    """
    rows: dict[str, list[KeywordScore]] = {}
    for segment in segments:
        for row in segment.keywords:
            rows.setdefault(row.keyword, []).append(row)
    return tuple(_limits(camera, text, found, config) for text, found in rows.items())


def _limits(
    camera: str, text: str, rows: Sequence[KeywordScore], config: CalibrationConfig
) -> Limits:
    judged = [row for row in rows if row.score is not None]
    if not judged:
        raise AnomalyError(
            f"'{text}' was not judged: {rows[0].reason}", remedy="leave it out, or other models"
        )
    gate = NO_GATE
    if config.gate_quantile > 0.0:
        gate = float(np.quantile([row.evidence for row in judged], config.gate_quantile))
    highest = max(row.score or 0.0 for row in judged)
    return Limits(camera, text, len(judged), gate, min(highest + config.margin, 1.0))


def gated(segment: SegmentScore, gates: Mapping[str, float]) -> SegmentScore:
    """What is said of each text with gates, of a segment that was scored without."""

    def row_of(row: KeywordScore) -> KeywordScore:
        if row.score is None or row.evidence >= gates.get(row.keyword, NO_GATE):
            return row
        return replace(row, parts=NOTHING_THERE, score=0.0, judged=False)

    return replace(segment, keywords=tuple(map(row_of, segment.keywords)))


def count_alarms(
    segments: Sequence[SegmentScore],
    config: MonitorConfig,
    thresholds: Mapping[str, float],
    threshold: float,
) -> int:
    """Alarms that begin in one video, as they would live; see `CameraHistory`."""
    history = CameraHistory(config, thresholds, threshold)
    return sum(len(history.follow(segment)[1]) for segment in segments)


def _was_seen(row: KeywordScore) -> bool:
    """Whether its pictures were looked at; a judge that is silent is another matter."""
    return row.key_frame is not None


def _difference(one: Setting, other: Setting) -> str:
    """The first thing in which two settings differ."""
    pairs: list[tuple[str, object, object]] = [
        ("models", one.models, other.models),
        ("frame_hz", one.frame_hz, other.frame_hz),
    ]
    for field in fields(SegmentConfig):
        pairs.append(
            (field.name, getattr(one.segment, field.name), getattr(other.segment, field.name))
        )
    name, was, now = next(pair for pair in pairs if pair[1] != pair[2])
    return f"{name} was {was}, now it is {now}"
