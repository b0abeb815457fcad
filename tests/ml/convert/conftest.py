"""One data set for all tests of this folder; none of them changes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from ml.convert.samples import sample_set

from brs_ml.dataset import Dataset


@pytest.fixture(scope="session")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """See `sample_set`."""
    return sample_set(tmp_path_factory.mktemp("ours"))


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """A place where nothing is yet."""
    return tmp_path / "out"
