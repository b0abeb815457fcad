"""Results that appear under their name only when all of them is there."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.writer import disk_errors
from brs_ml.episode.folder import WORKING
from brs_ml.episode.metadata import sync_folder


@contextmanager
def whole(out: Path) -> Iterator[Path]:
    """Give a place beside `out` for a file or folder that becomes `out` at the end.

    Whatever breaks off, there is nothing under `out`.

    Args:
        out: the result; must not exist.

    Raises:
        DatasetError: it exists, or cannot be written.
        DiskFullError: nothing more fits.
    """
    if out.exists() or out.is_symlink():
        raise DatasetError("exists", where=str(out), remedy="choose another name or remove it")
    with disk_errors(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(
            prefix=f".{out.name}.", suffix=WORKING, dir=out.parent
        ) as folder:
            made = Path(folder) / "made"
            yield made
            made.rename(out)
            sync_folder(out.parent)
