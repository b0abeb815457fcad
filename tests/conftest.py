"""What holds for every test."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="session", autouse=True)
def own_data_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Calibrations that a person stored on this machine must not reach a test, nor be changed."""
    os.environ["BRS_DATA"] = str(tmp_path_factory.mktemp("data"))
