"""What holds for every test."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pytest
from hypothesis import settings

# The same examples on every machine, however busy it is.
settings.register_profile("brs", deadline=None, derandomize=True)
settings.load_profile("brs")
CAP_SYS_PTRACE, CAP_SYS_ADMIN = 19, 21  # bits of the kernel's linux/capability.h


@pytest.fixture(scope="session", autouse=True)
def own_data_folder(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Calibrations that a person stored on this machine must not reach a test, nor be changed."""
    os.environ["BRS_DATA"] = str(tmp_path_factory.mktemp("data"))


@pytest.fixture
def refused() -> Callable[[str], NoReturn]:
    """Ends a test that the system does not allow: skipped, but failed where it allows everything.

    Else a fault of ours that looks like a refusal would be skipped for ever.
    """

    def end(why: str) -> NoReturn:
        status = Path("/proc/self/status").read_text()
        rights = int(re.findall(r"CapEff:\s*(\w+)", status)[0], 16)
        free = "Seccomp:\t0" in status and rights >> CAP_SYS_PTRACE & rights >> CAP_SYS_ADMIN & 1
        if free:
            pytest.fail(why)
        pytest.skip(why)

    return end
