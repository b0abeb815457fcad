"""What `brs doctor` finds in files of the system."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from brs_cli.doctor import OK, SOCKET_BYTES, WARN, check_buffers

PROFILES = Path(__file__).resolve().parents[2] / "config" / "dds"


@pytest.mark.parametrize(
    ("text", "status"), [(f"{SOCKET_BYTES}\n", OK), ("212992\n", WARN), (None, WARN)]
)
def test_small_socket_buffers_are_told_with_a_remedy(
    tmp_path: Path, text: str | None, status: str
) -> None:
    most = tmp_path / "rmem_max"
    if text is not None:
        most.write_text(text)
    finding = check_buffers(most)
    assert finding.status == status
    assert ("net.core.rmem_max=4194304" in finding.remedy) == (status == WARN)


@pytest.mark.parametrize("name", ["fastdds.xml", "fastdds_local.xml"])
def test_the_profiles_ask_for_that_much(name: str) -> None:
    size = ElementTree.parse(PROFILES / name).findtext(".//{*}receiveBufferSize")
    assert size is not None and int(size) == SOCKET_BYTES
