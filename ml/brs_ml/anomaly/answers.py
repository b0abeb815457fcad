"""Numbers from what a vision-language model wrote. When in doubt: none, which is "unknown"."""

from __future__ import annotations

import re

from brs_ml.anomaly.judge import Verdict

_NUMBER = r"(?<![\w.,])(?:\d+(?:[.,]\d+)?|[.,]\d+)(?![\d.,]*\w)"
# At the very start, after words such as "Score:"; there only, so that "I see 3 cups" is no score.
_LED = re.compile(
    r"^[\s*_#`\"'(\[{]*(?:(?:output|response|score|answer|rating|anomaly score)[\s\"'*_]*"
    r"(?:is|of|[:=-])?[\s\"'*_]*)*"
    rf"({_NUMBER})\s*(%|/\s*(\d+(?:\.\d+)?)|out of (\d+(?:\.\d+)?))?",
    re.IGNORECASE,
)
_LABELLED = re.compile(
    r"\b(?:score|rating|output|answer)\b[\s\"'*_]*(?:is|of|[:=])?[\s\"'*_]*"
    rf"({_NUMBER})\s*(%|/\s*(\d+(?:\.\d+)?)|out of (\d+(?:\.\d+)?))?",
    re.IGNORECASE,
)
LONGEST_REASON = 200  # letters


def parse_answer(text: str) -> Verdict:
    """Score and reason of an answer.

    A score leads the answer ("0.7 A cup lies there") or is labelled ("... Score: .7"); "8/10"
    and "80 %" are .8. Anything else is unknown: no number, two that differ, or one that
    is not from 0 to 1 and no share of anything.
    """
    led = _LED.search(text)
    matches = [led] if led else []
    matches += _LABELLED.finditer(text, led.end() if led else 0)
    scores = {_share(match) for match in matches}
    score = scores.pop() if len(scores) == 1 else None
    reason = text
    if led and score is not None:
        reason = text[led.end() :]
    short = " ".join(reason.split()).strip(" .,:;-*_\"'`)]}")[:LONGEST_REASON]
    if score is None:
        return Verdict(None, f"no score in the answer: {short}" if short else "an empty answer")
    return Verdict(score, short)


def _share(match: re.Match[str]) -> float | None:
    """The number as a share of one, none where it is not one."""
    value = float(match[1].replace(",", "."))
    if match[2] == "%":
        value /= 100.0
    elif whole := match[3] or match[4]:
        value = value / float(whole) if float(whole) > 0.0 else -1.0
    return value if 0.0 <= value <= 1.0 else None
