"""Random windows a second that the `lerobot` package reads: run with a Python that has it.

    python lerobot_reading.py DATASET SECONDS OBSERVATIONS ACTIONS STEP...

Prints the package's version and the rate. It imports nothing of this project, since the package
wants other versions of much.
"""

from __future__ import annotations

import importlib.metadata
import sys
import time

import numpy as np


def main(root: str, seconds: str, observations: str, actions: str, *steps: str) -> None:
    """Draw windows of all cameras, states and actions, and count them."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    plain = LeRobotDataset("local/set", root=root)
    seen = [(i - int(observations) + 1) / plain.fps for i in range(int(observations))]
    told = [i / plain.fps for i in range(int(actions))]
    window = dict.fromkeys(("observation.state", *plain.meta.camera_keys), seen)
    dataset = LeRobotDataset("local/set", root=root, delta_timestamps={**window, "action": told})
    random = np.random.default_rng(0)
    dataset[int(steps[0])]  # what opens files once is not counted
    drawn, begun_s = 0, time.process_time()
    while time.process_time() - begun_s < float(seconds):
        dataset[int(random.choice(steps))]
        drawn += 1
    rate = drawn / (time.process_time() - begun_s)
    print(importlib.metadata.version("lerobot"), rate)


if __name__ == "__main__":
    main(*sys.argv[1:])
