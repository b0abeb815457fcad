"""`brs monitor soak --node`: the node runs, is counted, and its silence is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Harness

from brs_cli import anomaly_node_soak
from brs_cli.anomaly_node_soak import soak_node
from brs_hardware.errors import BrsError

TEXTS = ("a spill", "a fallen object", "a person")


@pytest.mark.system
def test_the_node_is_watched_while_it_scores(
    ros: Harness, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BRS_DATA", str(tmp_path))  # set anew in there; put back behind it
    monkeypatch.setattr(anomaly_node_soak, "SWAP_S", 4.0)
    grown = soak_node(20.0 / 3600.0, 10.0, TEXTS)
    assert grown.segments >= 4  # of two cameras, one each 2.4 s
    assert 50.0 < grown.begin_mb < 2000.0 and 50.0 < grown.end_mb < 2000.0

    monkeypatch.setattr(anomaly_node_soak, "SILENCE_S", 0.5)
    with pytest.raises(BrsError, match="tells no scores"):
        soak_node(20.0 / 3600.0, 10.0, TEXTS)
