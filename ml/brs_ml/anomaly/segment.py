"""Scores of a segment: key frames, contexts, questions, fusion (AnyAnomaly, section 3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from brs_ml.anomaly.config import PARTS, MonitorConfig
from brs_ml.anomaly.context import Contexts, PositionContext, TemporalContext
from brs_ml.anomaly.encoder import ImageTextEncoder
from brs_ml.anomaly.frames import Segment
from brs_ml.anomaly.judge import Judge, Question, Verdict
from brs_ml.anomaly.key_frames import select_key_frames
from brs_ml.anomaly.scores import UNKNOWN, Parts, most
from brs_ml.anomaly.texts import WatchedTexts
from brs_ml.anomaly.windows import scaled

NOTHING_THERE = Parts(0.0, 0.0, 0.0)


@dataclass(frozen=True)
class KeywordScore:
    """What a segment says about one text."""

    keyword: str
    parts: Parts
    score: float | None  # 0 to 1, fused; None is unknown
    evidence: float  # how well its pictures fit the text, -1 to 1: what the gate looks at
    reason: str
    judged: bool = False  # whether the judge was asked
    key_frame: int | None = None  # its number in the segment
    position: PositionContext | None = None
    temporal: TemporalContext | None = None


@dataclass(frozen=True)
class SegmentScore:
    """What a segment says about all texts."""

    number: int
    begin_s: float
    end_s: float
    keywords: tuple[KeywordScore, ...]  # in the order of the texts
    parts: Parts  # the largest of each over the texts
    score: float | None  # of those, fused; None: nothing is known

    def without_pictures(self) -> SegmentScore:
        """The same without contexts, to be kept for long."""
        rows = [replace(row, position=None, temporal=None) for row in self.keywords]
        return replace(self, keywords=tuple(rows))

    def worst(self) -> KeywordScore | None:
        """The text with the highest score, None where none is known."""
        known = [row for row in self.keywords if row.score is not None]
        return max(known, key=lambda row: row.score or 0.0, default=None)


@dataclass(frozen=True)
class _Look:
    """Where one text's key frames lie."""

    which: int
    key_frames: np.ndarray
    best: int
    evidence: float


@dataclass
class SegmentScorer:
    """Scores segments, each by itself, so that live and batch scores are the same.

    Args:
        encoder: of pictures and texts.
        judge: of pictures.
        texts: watched for; may be exchanged between segments, not while one is scored.
        config: how.
        gates: text -> evidence below which the judge is not asked, from calibration.
    """

    encoder: ImageTextEncoder
    judge: Judge
    texts: WatchedTexts
    config: MonitorConfig
    gates: Mapping[str, float] = field(default_factory=dict)

    def score(self, segment: Segment) -> SegmentScore:
        """Scores of a segment. A segment with a problem, or a judge without an answer: unknown."""
        if segment.problem is not None:
            rows = [
                KeywordScore(keyword, UNKNOWN, None, 0.0, segment.problem)
                for keyword in self.texts.keywords
            ]
            return self._segment_score(segment, rows)
        contexts = Contexts(self.encoder, self.config.segment, segment.frames)
        looks = self._look(segment, contexts)
        found = {look.which: self._not_asked(look) for look in looks}
        asked = self._asked(looks)
        pictures = [self._pictures(look, contexts) for look in asked]
        questions = [
            Question(picture, self.texts.keywords[look.which], part)
            for look, (position, temporal) in zip(asked, pictures, strict=True)
            for part, picture in zip(
                PARTS,
                (segment.frames[look.best], position.picture, temporal.picture),
                strict=True,
            )
        ]
        verdicts = self.judge.rate(questions) if questions else []
        for i, (look, shown) in enumerate(zip(asked, pictures, strict=True)):
            found[look.which] = self._judged(look, verdicts[3 * i : 3 * i + 3], *shown)
        return self._segment_score(segment, [found[i] for i in range(len(found))])

    def _look(self, segment: Segment, contexts: Contexts) -> list[_Look]:
        """Key frames of every text, and how well they fit it."""
        config, side = self.config.segment, self.encoder.side_px
        frames = self.encoder.encode_images(
            np.stack([scaled(frame, side) for frame in segment.frames])
        )
        looks = []
        for i, similarities in enumerate((frames @ self.texts.plain.T).T):
            chosen, best = select_key_frames(similarities, config.key_frames, config.seed)
            whole = float(contexts.whole(chosen.tolist()) @ self.texts.plain[i])
            looks.append(_Look(i, chosen, best, max(float(similarities[best]), whole)))
        return looks

    def _above_gate(self, look: _Look) -> float:
        """Evidence beyond the gate's, or as it is where there is no gate."""
        return look.evidence - self.gates.get(self.texts.keywords[look.which], -2.0)

    def _asked(self, looks: list[_Look]) -> list[_Look]:
        """Texts that the judge is asked about, those that fit best first."""
        fitting = [
            look
            for look in looks
            if self.texts.known[look.which] and self._above_gate(look) >= 0.0
        ]
        fitting.sort(key=self._above_gate, reverse=True)
        return fitting[: self.config.judged_texts or None]

    def _not_asked(self, look: _Look) -> KeywordScore:
        keyword = self.texts.keywords[look.which]
        if not self.texts.known[look.which]:
            reason, parts = f"{self.encoder.name} does not know these words", UNKNOWN
        elif self._above_gate(look) < 0.0:
            reason, parts = "fits no better than normal pictures", NOTHING_THERE
        else:
            reason, parts = f"{self.config.judged_texts} other texts fit better", UNKNOWN
        score = parts.fused(self.config.segment.weights)
        return KeywordScore(keyword, parts, score, look.evidence, reason, key_frame=look.best)

    def _pictures(
        self, look: _Look, contexts: Contexts
    ) -> tuple[PositionContext, TemporalContext]:
        position = contexts.position(look.best, self.texts.templated, look.which)
        chosen = look.key_frames.tolist()
        return position, contexts.temporal(chosen, self.texts.templated[look.which])

    def _judged(
        self,
        look: _Look,
        verdicts: list[Verdict],
        position: PositionContext,
        temporal: TemporalContext,
    ) -> KeywordScore:
        parts = Parts(*(verdict.score for verdict in verdicts))
        score = parts.fused(self.config.segment.weights)
        silent = [verdict.reason for verdict in verdicts if verdict.score is None]
        reason = silent[0] if score is None else max(verdicts, key=_certainty).reason
        return KeywordScore(
            self.texts.keywords[look.which],
            parts,
            score,
            look.evidence,
            reason,
            True,
            look.best,
            position,
            temporal,
        )

    def _segment_score(self, segment: Segment, rows: list[KeywordScore]) -> SegmentScore:
        # Only texts whose score is known as a whole take part: one unknown part of another text
        # must not lend its other parts.
        parts = most([row.parts for row in rows if row.score is not None])
        score = parts.fused(self.config.segment.weights)
        return SegmentScore(
            segment.number, segment.begin_s, segment.end_s, tuple(rows), parts, score
        )


def _certainty(verdict: Verdict) -> float:
    return -1.0 if verdict.score is None else verdict.score
