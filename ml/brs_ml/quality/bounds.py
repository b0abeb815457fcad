"""How much an MCAP file would unpack to, told from its records' heads: nothing is unpacked.

A few kilobytes of zstd can become many gigabytes of memory, so this is looked at before a chunk of
a foreign file is touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from mcap.opcode import Opcode

from brs_ml.episode.chunks import told_size
from brs_ml.episode.scan import records
from brs_ml.quality.config import FileLimits

_MEGABYTE, _GIGABYTE = 1 << 20, 1 << 30


@dataclass(frozen=True)
class Sizes:
    """Chunks of one MCAP file."""

    largest: int  # bytes of the largest one, unpacked
    total: int  # bytes of all, unpacked

    def problem(self, limits: FileLimits) -> str:
        """Why the file must not be unpacked; empty if it may be."""
        if self.largest > limits.largest_chunk_mb * _MEGABYTE:
            return (
                f"a chunk would unpack to {self.largest / _MEGABYTE:.0f} MB, "
                f"allowed are {limits.largest_chunk_mb:g}"
            )
        if self.total > limits.largest_bag_gb * _GIGABYTE:
            return (
                f"would unpack to {self.total / _GIGABYTE:.0f} GB, "
                f"allowed are {limits.largest_bag_gb:g}"
            )
        return ""


def sizes(path: Path, limits: FileLimits) -> Sizes:
    """Walk a file's records up to the first that is not whole.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        most = int(limits.largest_chunk_mb * _MEGABYTE) + 1
        chunks = [
            told_size(file, record.length, most)
            for record in records(file, path.stat().st_size)
            if record.opcode == Opcode.CHUNK
        ]
    return Sizes(max(chunks, default=0), sum(chunks))
