"""Calibration on normal footage of one's own home: when to ask the judge, when to alarm."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from brs_ml.anomaly.errors import AnomalyError
from brs_ml.anomaly.segment import SegmentScore

FORMAT = "brs-anomaly-calibration"


@dataclass(frozen=True)
class Calibration:
    """What normal footage looks like, text by text."""

    encoder: str  # and judge that the numbers belong to
    judge: str
    segments: int  # that were looked at
    gates: dict[str, float]  # evidence below which the judge is not asked
    thresholds: dict[str, float]  # scores above which is alarm; 0 to 1

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"format": FORMAT, **asdict(self)}, indent=2) + "\n")

    @classmethod
    def load(cls, path: Path, encoder: str, judge: str) -> Calibration:
        """Read it again.

        Raises:
            AnomalyError: no such file, damaged, or of another encoder or judge.
        """
        try:
            values = json.loads(path.read_text())
            if values.pop("format") != FORMAT:
                raise ValueError("another format")
            values["gates"] = _numbers(values["gates"])
            values["thresholds"] = _numbers(values["thresholds"])
            calibration = cls(**values)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise AnomalyError(
                f"no calibration can be read: {error}", where=str(path), remedy="calibrate again"
            ) from None
        if (calibration.encoder, calibration.judge) != (encoder, judge):
            raise AnomalyError(
                f"is of {calibration.encoder} and {calibration.judge}",
                where=str(path),
                remedy=f"calibrate again with {encoder} and {judge}",
            )
        return calibration


def calibrate(
    segments: Sequence[SegmentScore],
    encoder: str,
    judge: str,
    gate_quantile: float,
    margin: float = 0.1,
) -> Calibration:
    """From the scores of normal footage, made without gates.

    Args:
        segments: of any number of videos.
        encoder, judge: that made them.
        gate_quantile: share of these segments that the gate keeps from the judge.
        margin: between the highest normal score and the threshold.

    Raises:
        AnomalyError: nothing was judged.
    """
    judged = [row for segment in segments for row in segment.keywords if row.score is not None]
    if not judged:
        raise AnomalyError("nothing could be judged", remedy="take other footage")
    evidence: dict[str, list[float]] = {}
    scores: dict[str, list[float]] = {}
    for row in judged:
        evidence.setdefault(row.keyword, []).append(row.evidence)
        scores.setdefault(row.keyword, []).append(row.score or 0.0)
    gates = {
        keyword: float(np.quantile(values, gate_quantile)) if gate_quantile > 0.0 else -2.0
        for keyword, values in evidence.items()
    }
    thresholds = {
        keyword: min(max(values) + margin, 1.0 - 1e-6) for keyword, values in scores.items()
    }
    return Calibration(encoder, judge, len(segments), gates, thresholds)


def _numbers(values: dict[str, float]) -> dict[str, float]:
    if not all(math.isfinite(float(value)) for value in values.values()):
        raise ValueError("a number that is not finite")
    return {str(key): float(value) for key, value in values.items()}
