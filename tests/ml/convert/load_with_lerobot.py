"""Reads a data set with the `lerobot` package and writes what it gave: run by a test, with a
Python that has the package, and nothing of ours.

    python load_with_lerobot.py DATASET OUT.npz STEP...
"""

from __future__ import annotations

import importlib.metadata
import sys

import numpy as np


def main(root: str, out: str, *steps: str) -> None:
    """Read single items, and windows as a policy reads them."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset("local/set", root=root)
    rate = dataset.fps
    window = {"observation.state": [-1 / rate, 0.0], "action": [i / rate for i in range(8)]}
    windows = LeRobotDataset("local/set", root=root, delta_timestamps=window)
    found = {"version": np.array(importlib.metadata.version("lerobot"))}
    found["size"] = np.array([len(dataset), dataset.num_episodes, rate])
    for step in steps:
        item, seen = dataset[int(step)], windows[int(step)]
        for name, value in item.items():
            found[f"{step}/{name}"] = np.asarray(value)
        for name in ("observation.state", "action", "action_is_pad"):
            found[f"{step}/window/{name}"] = np.asarray(seen[name])
    for name, statistics in dataset.meta.stats.items():
        for kind, value in statistics.items():
            found[f"stats/{name}/{kind}"] = value
    np.savez(out, **found)


if __name__ == "__main__":
    main(*sys.argv[1:])
