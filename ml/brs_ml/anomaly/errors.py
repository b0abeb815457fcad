"""What a user can mend about the monitor."""

from __future__ import annotations

from brs_ml.episode.errors import EpisodeError


class AnomalyError(EpisodeError):
    """A text, a model, a data set or a setting that the monitor cannot use."""
