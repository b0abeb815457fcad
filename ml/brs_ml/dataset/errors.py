"""What a user can mend about datasets."""

from __future__ import annotations

from brs_ml.episode.errors import EpisodeError


class DatasetError(EpisodeError):
    """A dataset is missing, damaged, of another version, or its episodes do not fit together."""
