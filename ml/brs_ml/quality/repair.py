"""Rewrites bags that broke off or are damaged in part; the original is kept."""

from __future__ import annotations

import shutil
from pathlib import Path

from brs_ml.dataset.bag import Bag
from brs_ml.episode.errors import EpisodeError
from brs_ml.episode.folder import confined, unowned
from brs_ml.episode.metadata import read_info, read_metadata, sync_folder
from brs_ml.episode.reader import EpisodeReader
from brs_ml.episode.writer import EpisodeWriter
from brs_ml.quality.folder import TORN

_WORKING = ".repairing"


def repair_bag(folder: Path) -> tuple[Path, int]:
    """Make a whole bag of the readable messages of a torn one, under the same name.

    The original goes to `torn/` beside it, and nothing is moved before the new bag is on disk.

    Args:
        folder: of one episode that may be read (`brs_ml.quality.folder.may_be_read`).

    Returns:
        Where the original is now, and how many messages were kept.

    Raises:
        EpisodeError: the bag is being written, nothing of it can be read, or the disk is full.
    """
    original = confined(folder.parent, folder.parent / TORN / folder.name)
    new = confined(folder.parent, folder.parent / _WORKING / folder.name)
    if original.exists():
        raise EpisodeError(
            "was repaired before", where=str(folder), remedy=f"look at {original}, or remove it"
        )
    try:
        with unowned(folder) as free:
            if not free:
                raise EpisodeError(
                    "is being recorded", where=str(folder), remedy="stop the recorder first"
                )
            shutil.rmtree(new, ignore_errors=True)
            new.mkdir(parents=True)
            count = _rewrite(folder, new)
            original.parent.mkdir(exist_ok=True)
            folder.rename(original)
            new.rename(folder)
            sync_folder(folder.parent)
    except OSError as error:
        raise EpisodeError(
            f"cannot be repaired ({error.strerror})",
            where=str(folder),
            remedy="free disk space or check permissions",
        ) from None
    finally:
        shutil.rmtree(new.parent, ignore_errors=True)
    return original, count


def _rewrite(folder: Path, new: Path) -> int:
    """Messages that were kept."""
    reader, told = Bag(folder, walk=True), read_metadata(folder)
    if not any(reader.counts.values()):
        raise EpisodeError(
            "holds no message that can be read", where=str(folder), remedy="remove it"
        )
    custom, info = told.get("custom_data"), read_info(folder)
    writer = EpisodeWriter(
        new,
        info,
        EpisodeReader(folder, walk=True).counts,  # with their quality of service
        custom_data=custom if isinstance(custom, dict) else {},
        distro=str(told.get("ros_distro") or ""),
    )
    try:
        for message in reader.messages():
            writer.write(
                message.topic,
                message.log_time_ns,
                message.publish_time_ns,
                message.data,
                message.sequence,
            )
            writer.tick(message.log_time_ns * 1e-9)
    finally:
        start_ns, end_ns = reader.span_ns
        writer.close(
            status="recovered" if info.status in ("recording", "disk_full") else info.status,
            interrupted=True,
            start_ns=info.start_ns or start_ns,
            stop_ns=info.stop_ns or end_ns,
        )
    return writer.messages
