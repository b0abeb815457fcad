"""What is kept of calibrations beside an episode."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from brs_hardware.calibration_snapshot import calibration_snapshot
from brs_hardware.errors import ConfigError


def test_every_calibration_file_is_kept_as_json_has_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRS_DATA", str(tmp_path))
    assert calibration_snapshot() == {}
    for name, text in {
        "joylo/FT1.json": '{"zeros": [1e-05, 2]}',
        "cameras/r1.yaml": "made: 2026-01-02\ncameras: {head: {rpy: [0.5, 1]}}\n",
        "cameras/r1.yaml.part": "half",
    }.items():
        path = tmp_path / "calibration" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    kept = calibration_snapshot()
    assert (
        json.loads(json.dumps(kept))
        == kept
        == {
            "cameras/r1.yaml": {"made": "2026-01-02", "cameras": {"head": {"rpy": [0.5, 1]}}},
            "joylo/FT1.json": {"zeros": [1e-05, 2]},
        }
    )
    path.with_name("r1.json").write_text('{"zeros": ')
    with pytest.raises(ConfigError, match=r"r1\.json: is no calibration"):
        calibration_snapshot()
