"""The robot that the tests of rules are about."""

from __future__ import annotations

import pytest

from brs_hardware.embodiment import Embodiment, load_embodiment


@pytest.fixture(scope="session")
def robot() -> Embodiment:
    return load_embodiment("r1")
