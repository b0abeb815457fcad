"""What a user can mend about policies."""

from __future__ import annotations

from brs_ml.episode.errors import EpisodeError


class PolicyError(EpisodeError):
    """A checkpoint, a policy's settings or a training run does not fit what it is used with."""
