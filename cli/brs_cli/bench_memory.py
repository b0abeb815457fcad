"""Whether memory grows with a data set: built, opened and read at 1x, 10x and 100x its size.

The larger sets are of links to one short episode. Each step runs in a process of its own, whose
largest resident memory the system tells.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from brs_cli.bench import Figure, figure
from brs_cli.bench_data import TASK, _episodes
from brs_cli.dataset_build import parse, settings
from brs_cli.dataset_clouds import CloudFactory, layout_of
from brs_hardware.embodiment import load_embodiment
from brs_ml.dataset import Dataset, WindowReader, WindowSpec, build, find_episodes
from brs_ml.episode.edit import trim

SIZES = (1, 10, 100)
EPISODE_S = 2.0
WINDOWS = 300  # that are read of each set
STEPS = ("build", "open", "windows")


def measure_memory(seconds: float) -> list[Figure]:
    """The largest memory of each step, and by how much it grows from 1x to 100x."""
    del seconds  # it takes as long as 100 short episodes take to build
    with tempfile.TemporaryDirectory(prefix="brs") as name:
        root = Path(name)
        whole = shutil.copytree(find_episodes([_episodes()])[0], root / "whole")
        episode = trim(whole, 5.0, 5.0 + EPISODE_S)
        found = {size: _measured(root, episode, size) for size in SIZES}
    figures = []
    for step in STEPS:
        peaks_mb = [found[size][step] for size in SIZES]
        told = ", ".join(f"{size}x: {mb:.0f}" for size, mb in zip(SIZES, peaks_mb, strict=True))
        growth = peaks_mb[-1] / peaks_mb[0]
        name = f"memory_growth_100x_{step}"
        figures.append(figure(name, growth, "x", "<= 1.1", against=f"MB at {told}"))
    return figures


def _measured(root: Path, episode: Path, size: int) -> dict[str, float]:
    """Step -> largest memory of its process [MB]."""
    folder = root / f"x{size}"
    (folder / "episodes").mkdir(parents=True)
    for number in range(size):
        (folder / "episodes" / f"e{number:04d}").symlink_to(episode)
    return {step: _in_process(step, folder) for step in STEPS}


def _in_process(step: str, folder: Path) -> float:
    command = [sys.executable, "-m", "brs_cli.bench_memory", step, str(folder)]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _build(folder: Path) -> None:
    robot = load_embodiment("r1")
    out = folder / "set"
    arguments = [str(folder / "episodes"), "--out", str(out), "--validation", "0"]
    config = settings(parse([*arguments, "--cloud", TASK]), tuple(robot.cameras))
    episodes = find_episodes([folder / "episodes"])
    build(episodes, out, layout_of(robot), config, clouds=CloudFactory(robot.name, TASK))


def _open(folder: Path) -> Dataset:
    return Dataset(folder / "set", verify=True)


def _windows(folder: Path) -> None:
    reader = WindowReader(_open(folder), WindowSpec())
    for window in np.random.default_rng(0).integers(len(reader), size=WINDOWS):
        reader.sample(int(window))


def peak_mb() -> float:
    """Largest resident memory of this process so far [MB]."""
    # What getrusage tells may be of the process that started this one.
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise RuntimeError("this system does not tell how much memory was used")


def main() -> None:
    """One step in a process of its own: prints its largest memory [MB]."""
    run: dict[str, Any] = {"build": _build, "open": _open, "windows": _windows}
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("step", choices=STEPS)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    run[options.step](options.folder)
    print(json.dumps(peak_mb()))


if __name__ == "__main__":
    main()
