"""Changes finished episodes: labels, marks, a shorter copy, the trash and back from it.

Each change is whole or not made, whenever the process dies. Episodes that a recorder holds, and
paths that lead out of the folder of episodes, are refused. Times are seconds since the first
message of the bag, as viewers show them.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from brs_ml.episode.errors import EpisodeError
from brs_ml.episode.folder import TRASH, WORKING, confined, discard, lock, save
from brs_ml.episode.latched import latched_before
from brs_ml.episode.metadata import EpisodeInfo, check_mark, read_metadata, update_info
from brs_ml.episode.reader import BagMessage, EpisodeReader
from brs_ml.episode.writer import EpisodeWriter

TRIMMED = "-trimmed"
# Copies in the making; no recorder takes them for an episode that a crash tore.
UNFINISHED = ".trimming"
LONGEST_TEXT = 10_000


def episode_folder(root: Path, name: str) -> Path:
    """The episode `name` right below `root`, for names that come from elsewhere (a browser).

    Raises:
        EpisodeError: the name is no plain name, leads out of the root, or there is no episode.
    """
    if not name or name != Path(name).name or "\0" in name or name in (".", "..", TRASH):
        raise EpisodeError(f"{name!r} is no episode's name", remedy="give the name of its folder")
    path = confined(root, root / name)
    _check_bag(path)
    return path


def relabel(
    path: Path,
    *,
    success: bool | None = None,
    task: str | None = None,
    instruction: str | None = None,
    notes: str | None = None,
) -> None:
    """Change what episode.json says of an episode; None leaves a field as it is.

    Args:
        path: the episode's folder.
        success: whether the task was done.
        task: what was to be done.
        instruction: the task in words.
        notes: what a person wants to remember of it.

    Raises:
        EpisodeError: no episode, one that is in use, or no room on the disk.
    """
    told = {"success": success, "task": task, "instruction": instruction, "notes": notes}
    changes = {key: value for key, value in told.items() if value is not None}
    for key, value in changes.items():
        if isinstance(value, str) and len(value) > LONGEST_TEXT:
            raise EpisodeError(
                f"{key} has {len(value)} letters", where=str(path), remedy=f"up to {LONGEST_TEXT}"
            )
    with _editing(path):
        _update(path, **changes)


def mark(path: Path, at_s: float, name: str) -> None:
    """Name a moment, e.g. the beginning of a sub-task.

    Args:
        path: the episode's folder.
        at_s: since the first message [s].
        name: up to 80 letters on one line.

    Raises:
        EpisodeError: no episode, one that is in use, a moment outside of it, or an empty name.
    """
    name = check_mark(name)
    with _editing(path):
        reader = EpisodeReader(path)
        first_ns, last_ns = reader.span_ns
        if not 0.0 <= at_s <= (last_ns - first_ns) * 1e-9:
            raise _outside(path, at_s, last_ns - first_ns)
        marks = [*reader.info.marks, {"name": name, "at_ns": first_ns + round(at_s * 1e9)}]
        _update(path, marks=sorted(marks, key=lambda each: each["at_ns"]))


def unmark(path: Path, name: str) -> int:
    """Take every mark of a name away; returns how many there were.

    Raises:
        EpisodeError: no episode, or one that is in use.
    """
    with _editing(path):
        marks = EpisodeReader(path).info.marks
        kept = [each for each in marks if each["name"] != name]
        if len(kept) < len(marks):
            _update(path, marks=kept)
        return len(marks) - len(kept)


def trim(path: Path, start_s: float, end_s: float) -> Path:
    """Write a new episode `<name>-trimmed` of a part of one, beside it; the old one is kept.

    Latched topics are carried over: what was said last before the part begins, and all static
    transforms, come again at its beginning. Marks, pauses and who drove when are cut likewise.
    The count of lost messages stays that of the whole: which of them fell into the part is not
    known.

    Args:
        path: the episode's folder.
        start_s: first moment of the part, since the first message [s].
        end_s: the part ends before this; beyond the last message, with it [s].

    Returns:
        The folder of the new episode.

    Raises:
        EpisodeError: no episode, one that is in use or damaged, an empty part, or a full disk.
    """
    with _editing(path):
        reader = EpisodeReader(path)
        first_ns, last_ns = reader.span_ns
        if not (math.isfinite(start_s) and 0.0 <= start_s <= (last_ns - first_ns) * 1e-9):
            raise _outside(path, start_s, last_ns - first_ns)
        if not end_s > start_s:
            raise EpisodeError(
                f"a part from {start_s:g} s to {end_s:g} s is empty",
                where=str(path),
                remedy="end after the start",
            )
        start_ns = first_ns + round(start_s * 1e9)
        end_ns = last_ns + 1
        if end_s < (last_ns - first_ns) * 1e-9:
            end_ns = first_ns + round(end_s * 1e9)
        with _unfinished(path) as folder:
            _write_part(reader, folder, start_ns, end_ns)
            return save(folder, path.parent)


def move_to_trash(path: Path) -> Path:
    """Move an episode to `trash/` beside it; nothing is deleted. Returns its new path.

    Raises:
        EpisodeError: no episode, or one that is in use.
    """
    with _editing(path):
        return discard(path)


def restore(path: Path) -> Path:
    """Bring an episode back from the trash. Returns its new path.

    Raises:
        EpisodeError: no episode, or it does not lie in the trash.
    """
    if path.parent.name != TRASH:
        raise EpisodeError("is not in the trash", where=str(path), remedy=f"look in {TRASH}/")
    with _held(path):
        # One that was discarded by its recorder is kept from now on.
        if EpisodeReader(path).info.status == "discarded":
            _update(path, status="saved")
        return save(path, path.parent.parent)


# -- who may --------------------------------------------------------------------------------


@contextmanager
def _editing(path: Path) -> Iterator[None]:
    """The episode is finished, in no trash, and nobody else's while this is open.

    Raises:
        EpisodeError: it is not.
    """
    if path.parent.name == TRASH:
        raise EpisodeError("is in the trash", where=str(path), remedy="restore it first")
    with _held(path):
        yield


@contextmanager
def _held(path: Path) -> Iterator[None]:
    if path.name.endswith(WORKING):
        raise EpisodeError(
            "is being recorded, or was left by a crash",
            where=str(path),
            remedy="save it; the recorder mends what a crash left when it starts",
        )
    _check_bag(confined(path.parent, path))
    held = sorted(path.glob("*.mcap"))[0]
    try:
        descriptor = lock(confined(path, held))
    except BlockingIOError:
        raise EpisodeError("is in use", where=str(path), remedy="try again in a moment") from None
    except OSError as error:
        raise _refused(path, error) from None
    try:
        yield
    finally:
        os.close(descriptor)


def _check_bag(path: Path) -> None:
    if not path.is_dir() or not any(path.glob("*.mcap")):
        raise EpisodeError("is no episode", where=str(path), remedy="give an episode's folder")


def _outside(path: Path, at_s: float, length_ns: int) -> EpisodeError:
    return EpisodeError(
        f"{at_s:g} s is outside of the episode of {length_ns * 1e-9:.3f} s",
        where=str(path),
        remedy="give seconds since its first message",
    )


def _refused(path: Path, error: OSError) -> EpisodeError:
    return EpisodeError(
        f"cannot be changed ({error.strerror})",
        where=str(path),
        remedy="free disk space, or check permissions",
    )


def _update(path: Path, **changes: Any) -> None:
    try:
        update_info(path, **changes)
    except OSError as error:
        raise _refused(path, error) from None


# -- a part of an episode --------------------------------------------------------------------


@contextmanager
def _unfinished(path: Path) -> Iterator[Path]:
    """An empty folder with the name of the copy, removed again unless it was moved away."""
    name, number = f"{path.name}{TRIMMED}", 1
    while (path.parent / name).exists() or (path.parent / TRASH / name).exists():
        number += 1
        name = f"{path.name}{TRIMMED}-{number}"
    folder = confined(path.parent, path.parent / UNFINISHED / name)
    try:
        # One that lies there was left by a crash: the original is ours alone.
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        yield folder
    except OSError as error:
        raise _refused(path, error) from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        with suppress(OSError):  # others are made in it at the same time
            folder.parent.rmdir()


def _write_part(reader: EpisodeReader, folder: Path, start_ns: int, end_ns: int) -> None:
    whole = read_metadata(reader.path)
    custom = whole.get("custom_data")
    writer = EpisodeWriter(
        folder,
        _cut_info(reader.info, start_ns, end_ns),
        reader.topics.values(),
        custom_data=custom if isinstance(custom, dict) else {},
        distro=str(whole.get("ros_distro") or ""),
    )
    try:
        for message in latched_before(reader, start_ns):
            _copy(writer, message, start_ns)
        carried = writer.messages
        for message in reader.messages(None, start_ns, end_ns):
            _copy(writer, message, message.log_time_ns)
            writer.tick(message.log_time_ns * 1e-9)
        if writer.messages == carried:
            raise EpisodeError(
                "holds no message in that part",
                where=str(reader.path),
                remedy="choose a longer one",
            )
    finally:
        writer.close(status="saved")


def _copy(writer: EpisodeWriter, message: BagMessage, log_time_ns: int) -> None:
    writer.write(
        message.topic, log_time_ns, message.publish_time_ns, message.data, message.sequence
    )


def _cut_info(info: EpisodeInfo, start_ns: int, end_ns: int) -> EpisodeInfo:
    return info.changed(
        start_ns=start_ns,
        stop_ns=end_ns,
        marks=[each for each in info.marks if start_ns <= each["at_ns"] < end_ns],
        pauses=_cut(info.pauses, start_ns, end_ns),
        drivers=_cut(info.drivers, start_ns, end_ns),
        trimmed_from={"name": info.name, "start_ns": start_ns, "stop_ns": end_ns},
    )


def _cut(
    spans: Sequence[Mapping[str, Any]], start_ns: int, end_ns: int
) -> list[Mapping[str, Any]]:
    """Spans as far as they lie in [start, end)."""
    cut = (
        {
            **span,
            "start_ns": max(span["start_ns"], start_ns),
            "stop_ns": min(span["stop_ns"], end_ns),
        }
        for span in spans
    )
    return [span for span in cut if span["start_ns"] < span["stop_ns"]]
