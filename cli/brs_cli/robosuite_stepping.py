"""How fast robosuite simulates two arms: run with a Python that has it.

    python robosuite_stepping.py SECONDS CONTROL_HZ WIDTH HEIGHT

`TwoArmLift` with two Pandas, each led by robosuite's default controller. A CONTROL_HZ of 0 is
robosuite's own; with a WIDTH, three cameras give colour and depth at every step. Prints the
version and simulated seconds a second of computing. It imports nothing of this project, since the
package wants other versions of much.
"""

from __future__ import annotations

import importlib.metadata
import sys
import time
from typing import Any

import numpy as np

CAMERAS = ["frontview", "agentview", "birdview"]


def main(seconds: str, control_hz: str, width: str, height: str) -> None:
    """Wave both arms, and count."""
    import robosuite

    filmed = int(width) > 0
    options: dict[str, Any] = {"control_freq": int(control_hz)} if int(control_hz) else {}
    env = robosuite.make(
        "TwoArmLift",
        robots=["Panda", "Panda"],
        has_renderer=False,
        has_offscreen_renderer=filmed,
        use_camera_obs=filmed,
        camera_names=CAMERAS,
        camera_widths=int(width),
        camera_heights=int(height),
        camera_depths=filmed,
        ignore_done=True,
        **options,
    )
    env.reset()
    action = np.zeros(env.action_dim)
    env.step(action)  # what is made once is not counted
    steps, begun_s = 0, time.process_time()
    while time.process_time() - begun_s < float(seconds):
        steps += 1
        action[:] = 0.2 * np.sin(2.0 * steps / env.control_freq)
        env.step(action)
    factor = steps / env.control_freq / (time.process_time() - begun_s)
    print(importlib.metadata.version("robosuite"), factor)


if __name__ == "__main__":
    main(*sys.argv[1:])
