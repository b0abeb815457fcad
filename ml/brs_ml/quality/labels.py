"""What episode.json says of an episode, taken for no more than what it may be."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from brs_ml.episode.metadata import EpisodeInfo
from brs_ml.quality.findings import Findings

INFO = "episode.json"
_TEXTS = ("name", "task", "instruction", "operator", "robot", "status", "note", "notes")
_NUMBERS = ("seed", "start_ns", "stop_ns", "messages", "lost")
_TABLES = ("versions", "calibration", "trimmed_from")
_SPANS = ("drivers", "pauses")
_BAD_ENDS = ("recording", "interrupted", "disk_full", "recovered", "discarded")


def read_labels(folder: Path, findings: Findings) -> EpisodeInfo:
    """episode.json with only the fields that are of their type; what is not is told of."""
    path = folder / INFO
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it holds no table")
    except FileNotFoundError:
        findings.add("label", INFO, "is missing: no task, instruction or judgement")
        return EpisodeInfo(name=folder.name)
    except (OSError, ValueError, RecursionError) as error:
        findings.add("metadata", INFO, f"is damaged ({error})")
        return EpisodeInfo(name=folder.name)
    if values.get("name", folder.name) != folder.name:
        findings.add("metadata", INFO, f"is of '{values['name']}'")
    known = EpisodeInfo.__dataclass_fields__
    kept = {}
    for key, value in values.items():
        if key not in known:
            continue
        if _is_right(key, value):
            kept[key] = value
        else:
            findings.add("metadata", INFO, f"'{key}' is {str(value)[:60]!r}")
    return EpisodeInfo(**kept)


def check_labels(info: EpisodeInfo, where: str, most_lost: int, findings: Findings) -> None:
    """What a training set needs to know of an episode, and how it ended.

    Args:
        info: of the episode.
        where: file that it was read from.
        most_lost: messages that the recorder may have lost.
        findings: takes what is found.
    """
    missing = [name for name in ("task", "instruction") if not getattr(info, name).strip()]
    missing += ["success"] if info.success is None else []
    if missing:
        findings.add("label", where, f"tells no {', no '.join(missing)}")
    if info.status in _BAD_ENDS:
        note = f" ({info.note})" if info.note else ""
        findings.add("status", where, f"ended as {info.status}{note}")
    elif info.interrupted:
        findings.add("status", where, "was interrupted")
    if info.lost > most_lost:
        text = f"the recorder lost {info.lost} messages"
        findings.add("lost", where, text, info.lost, most_lost)


def _is_right(key: str, value: Any) -> bool:
    if key in _TEXTS:
        return isinstance(value, str)
    if key in _NUMBERS:
        return type(value) is int and abs(value) < 2**63
    if key in _TABLES:
        return isinstance(value, Mapping)
    if key == "success":
        return value is None or isinstance(value, bool)
    if key in _SPANS:
        return isinstance(value, list) and all(map(_is_span, value))
    return True


def _is_span(value: Any) -> bool:
    return isinstance(value, Mapping) and all(
        type(value.get(key)) is int for key in ("start_ns", "stop_ns")
    )
