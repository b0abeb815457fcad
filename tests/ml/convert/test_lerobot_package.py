"""The `lerobot` package itself reads what is exported.

It wants another Python and other packages than this project, so it lives in an environment of its
own; BRS_LEROBOT_PYTHON is the path of that environment's Python.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from ml.convert.samples import robot_of

from brs_ml.convert import ConvertOptions, LeRobotOptions, convert
from brs_ml.convert.kept import held, steps_of
from brs_ml.dataset import Dataset

PYTHON = os.environ.get("BRS_LEROBOT_PYTHON", "")
pytestmark = pytest.mark.skipif(
    not PYTHON, reason="BRS_LEROBOT_PYTHON names no Python that has lerobot"
)


@pytest.mark.parametrize("pictures", ["h264", "av1", "jpeg"])
def test_lerobot_reads_the_same_numbers_and_pictures(
    ours: Dataset, tmp_path: Path, pictures: str
) -> None:
    options = ConvertOptions(LeRobotOptions(pictures, clouds=True))
    convert(ours.root, tmp_path / "there", "lerobot", robot_of, options)
    order = sorted(ours.episodes, key=lambda episode: episode.split != "train")
    rows = np.concatenate([np.arange(e.first, e.first + e.steps) for e in order])
    steps = range(0, len(ours), 5)
    script = Path(__file__).with_name("load_with_lerobot.py")
    command = [PYTHON, script, tmp_path / "there", tmp_path / "out.npz", *map(str, steps)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "cache")}
    environment.pop("PYTHONPATH", None)
    subprocess.run(command, check=True, env=environment, timeout=110)
    found = np.load(tmp_path / "out.npz")
    assert found["size"].tolist() == [len(ours), len(ours.episodes), 10]
    names = {"observation.state": "proprioception", "action": "action"}
    filled = {
        name: np.concatenate([held(np.asarray(ours.column(key)[steps_of(e)])) for e in order])
        for name, key in names.items()
    }
    for step in steps:
        row = int(rows[step])
        for name in names:
            np.testing.assert_array_equal(found[f"{step}/{name}"], filled[name][step])
        chunk = filled["action"][step : step + 8]
        mask = ~found[f"{step}/window/action_is_pad"]
        np.testing.assert_array_equal(found[f"{step}/window/action"][mask], chunk[: mask.sum()])
        assert found[f"{step}/stamp_ns"] == ours.column("stamp_ns")[row]
        assert found[f"{step}/valid"] == ours.column("valid")[row]
        assert found[f"{step}/task"] == "put the box away"
        if ours.column("valid")[row]:
            np.testing.assert_array_equal(found[f"{step}/cloud"], ours.cloud(row))
            for camera in ("head", "wrist"):
                theirs = found[f"{step}/observation.images.{camera}"].transpose(1, 2, 0) * 255
                error = np.abs(theirs - ours.image(f"image.{camera}", row))
                assert error.max() <= (1.01 if pictures == "jpeg" else 6)
    assert found["stats/action/q90"].shape == (21,)
    assert found["stats/observation.images.head/mean"].shape == (3, 1, 1)
