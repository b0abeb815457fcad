"""What a user can mend about episodes: a full disk, a damaged bag, a missing message type."""

from __future__ import annotations


class EpisodeError(Exception):
    """Something about an episode the user can put right.

    It carries what `brs_hardware.errors.BrsError` carries; the import arrows keep the two
    libraries apart, so nodes and tools catch both.

    Args:
        what: what is wrong, one line.
        where: folder, file or topic concerned.
        remedy: what to do about it.
    """

    def __init__(self, what: str, *, where: str = "", remedy: str = "") -> None:
        self.what, self.where, self.remedy = what, where, remedy
        super().__init__(what, where, remedy)

    def __str__(self) -> str:
        text = f"{self.where}: {self.what}" if self.where else self.what
        return f"{text}. Try: {self.remedy}" if self.remedy else text


class DiskFullError(EpisodeError):
    """No room is left for the episode; what fitted is kept."""
