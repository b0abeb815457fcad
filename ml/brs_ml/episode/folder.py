"""Where episodes live: names, the working folder, saving, discarding, mending after a crash."""

from __future__ import annotations

import datetime
import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from brs_ml.episode.errors import EpisodeError
from brs_ml.episode.metadata import (
    Contents,
    EpisodeInfo,
    Topic,
    parse_qos,
    read_info,
    read_metadata,
    sync_folder,
    write_info,
    write_metadata,
)
from brs_ml.episode.scan import MAGIC, Scan, repair

WORKING = ".part"
TRASH = "trash"


def slug(task: str) -> str:
    """A task as part of a file name."""
    return re.sub(r"[^a-z0-9]+", "-", task.lower()).strip("-")[:40] or "episode"


def make_working_folder(root: Path, task: str, wall_time_s: float) -> Path:
    """A new folder `<time>_<task>.part` whose final name is free, too.

    Args:
        root: where episodes are kept; made if missing.
        task: what is to be done.
        wall_time_s: seconds since 1970, for the name.

    Raises:
        EpisodeError: the folder cannot be made.
    """
    moment = datetime.datetime.fromtimestamp(wall_time_s).strftime("%Y%m%d-%H%M%S")
    base = f"{moment}_{slug(task)}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        for number in range(1, 1000):
            name = base if number == 1 else f"{base}-{number}"
            if (root / name).exists() or (root / TRASH / name).exists():
                continue
            try:
                (root / f"{name}{WORKING}").mkdir()
            except FileExistsError:
                continue
            sync_folder(root)
            return root / f"{name}{WORKING}"
    except OSError as error:
        raise EpisodeError(
            f"cannot make an episode ({error.strerror})",
            where=str(root),
            remedy="free space or choose another folder",
        ) from None
    raise EpisodeError("1000 episodes in one second", where=str(root), remedy="wait a second")


def episode_name(folder: Path) -> str:
    """The final name of a working or finished folder."""
    return folder.name.removesuffix(WORKING)


def mcap_path(folder: Path) -> Path:
    """The MCAP file of an episode's folder."""
    return folder / f"{episode_name(folder)}_0.mcap"


def save(folder: Path, root: Path | None = None) -> Path:
    """Give a folder its final name below the root, by default where it is; atomic.

    Returns the new path.
    """
    root = root or folder.parent
    return _move(folder, root / episode_name(folder), root)


def discard(folder: Path) -> Path:
    """Move an episode to `trash/` beside it; nothing is deleted. Returns the new path."""
    return _move(folder, folder.parent / TRASH / episode_name(folder), folder.parent)


def confined(root: Path, path: Path) -> Path:
    """The path, if neither its name nor a link on its way leads out of the root.

    Raises:
        EpisodeError: it leads out.
    """
    if not path.resolve().is_relative_to(root.resolve()):
        raise EpisodeError(
            f"leads out of {root}, to {path.resolve()}", where=str(path), remedy="remove that link"
        )
    return path


def _move(source: Path, wanted: Path, root: Path) -> Path:
    target, number = confined(root, wanted), 1
    # rename() replaces an empty folder without a word, so look first.
    while target.exists():
        number += 1
        target = wanted.with_name(f"{wanted.name}-{number}")
    try:
        target.parent.mkdir(exist_ok=True)
        source.rename(target)
    except OSError as error:
        raise EpisodeError(
            f"cannot be moved to {target} ({error.strerror})",
            where=str(source),
            remedy="check permissions",
        ) from None
    sync_folder(target.parent)
    if source.parent != target.parent:
        sync_folder(source.parent)
    return target


def contents_of(found: Scan) -> Contents:
    """Counts and times of a scanned file."""
    counts: dict[Topic, int] = {}
    statistics = found.summary.statistics
    for channel in found.summary.channels.values():
        schema = found.summary.schemas.get(channel.schema_id)
        topic = Topic(
            name=channel.topic,
            type=schema.name if schema else "",
            schema_text=schema.data.decode(errors="replace") if schema else "",
            qos=parse_qos(channel.metadata.get("offered_qos_profiles", "")),
            type_hash=channel.metadata.get("topic_type_hash", ""),
        )
        count = statistics.channel_message_counts.get(channel.id, 0) if statistics else 0
        counts[topic] = counts.get(topic, 0) + count
    return Contents(
        start_ns=statistics.message_start_time if statistics else 0,
        end_ns=statistics.message_end_time if statistics else 0,
        counts=counts,
    )


def recover(folder: Path) -> EpisodeInfo:
    """Make an episode that a crash left torn readable for any tool, in place.

    The MCAP file is cut behind its last whole record and gets its summary; metadata.yaml and
    episode.json are written anew. The folder keeps its name.

    Raises:
        EpisodeError: there is no MCAP file, it is none, or the disk is full.
    """
    path = next(iter(sorted(folder.glob("*.mcap"))), None)
    if path is None:
        raise EpisodeError(
            "holds no .mcap file", where=str(folder), remedy="give an episode's folder"
        )
    try:
        if path.stat().st_size < len(MAGIC):
            # Killed before the first byte was written.
            path.write_bytes(MAGIC)
        contents = contents_of(repair(path))
        old = read_metadata(folder)
        custom = old.get("custom_data")
        write_metadata(
            folder,
            path.name,
            contents,
            custom if isinstance(custom, dict) else {},
            str(old.get("ros_distro") or ""),
        )
        info = read_info(folder)
        info = info.changed(
            name=episode_name(folder),
            status="recovered" if info.status in ("recording", "disk_full") else info.status,
            interrupted=True,
            messages=contents.messages,
            start_ns=info.start_ns or contents.start_ns,
            stop_ns=info.stop_ns or contents.end_ns,
            success=bool(info.success),
        )
        write_info(folder, info)
    except OSError as error:
        raise EpisodeError(
            f"cannot be mended ({error.strerror})", where=str(folder), remedy="free disk space"
        ) from None
    return info


def recover_all(root: Path) -> list[tuple[Path, EpisodeInfo | EpisodeError]]:
    """Recover and keep every working folder that no living recorder holds.

    Returns:
        The final path of each with what it holds, or the working path with what is wrong.
    """
    results: list[tuple[Path, EpisodeInfo | EpisodeError]] = []
    for folder in sorted(root.glob(f"*{WORKING}")) if root.is_dir() else ():
        with unowned(folder) as free:
            if not free:
                continue
            try:
                for path in (folder, *folder.iterdir()):
                    confined(root, path)
                info = recover(folder)
                results.append((save(folder), info))
            except EpisodeError as error:
                results.append((folder, error))
    return results


def lock(path: Path) -> int:
    """Mark a file as in use until the descriptor returned is closed or its process ends.

    Raises:
        BlockingIOError: another process has it.
    """
    descriptor = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def unowned(folder: Path) -> Iterator[bool]:
    """True, and the lock is held, if no recorder is writing to the folder's MCAP file."""
    path = mcap_path(folder)
    if not path.exists():
        yield True
        return
    try:
        descriptor = lock(path)
    except BlockingIOError:
        yield False
        return
    try:
        yield True
    finally:
        os.close(descriptor)


def free_bytes(folder: Path) -> int:
    """Bytes that are free where `folder` lies."""
    return shutil.disk_usage(folder).free


FreeBytes = Callable[[Path], int]
