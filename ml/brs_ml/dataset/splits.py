"""Which episodes are for training: whole episodes, by a hash of their names."""

from __future__ import annotations

import hashlib


def split_of(episode: str, validation_share: float, seed: int = 0) -> str:
    """`train` or `validation`.

    It hangs on the name, the share and the seed only: an episode stays where it is when others
    come or go, and a larger share takes none back.
    """
    digest = hashlib.sha256(f"{seed}:{episode}".encode()).digest()
    place = int.from_bytes(digest[:8], "big") / 2**64
    return "validation" if place < validation_share else "train"
