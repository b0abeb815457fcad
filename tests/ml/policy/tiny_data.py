"""A data set of a world without secrets: what is done follows from what is seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import policy_batches as batches

from brs_ml.dataset import AlignConfig, BuildConfig, Feature, Index, RobotLayout
from brs_ml.dataset.clouds import CloudCodec
from brs_ml.dataset.features import features_of
from brs_ml.dataset.images import pack_image
from brs_ml.dataset.streams import DRIVERS
from brs_ml.dataset.writer import EpisodePart, PartWriter, join_parts

CAMERAS = ("head",)
PICTURE = (32, 32)
TELEOP = DRIVERS.index("teleop")


CORRECTED = 0.95  # where the point is when a person drives; nowhere else


def make(
    root: Path,
    *,
    seed: int = 0,
    steps: int = 40,
    layout: RobotLayout | None = None,
    driver: np.ndarray | None = None,
) -> tuple[Path, Index]:
    """Three episodes, one for validation: all joints follow one point that is in the cloud.

    driver (steps,) is who drove in each, and `steps` of no account; None: nobody said it.
    """
    driver = np.zeros(steps, np.uint8) if driver is None else driver
    layout = layout or batches.robot()
    config = BuildConfig(
        align=AlignConfig(cameras=CAMERAS),
        cloud_lower=(0.0, -1.0, 0.0),
        cloud_upper=(2.0, 1.0, 2.0),
        cloud_points=16,
    )
    features = features_of(layout, config, dict.fromkeys(CAMERAS, PICTURE))
    random = np.random.default_rng(seed)
    parts_folder = root / "parts"
    parts = []
    for number in range(3):
        phase = random.uniform(0.0, 6.0)
        goal = 0.8 * np.sin(phase + 0.3 * np.arange(len(driver)))
        goal[driver == TELEOP] = CORRECTED
        parts.append(_episode(parts_folder, f"episode{number}", features, layout, goal, driver))
    splits = {"episode0": "train", "episode1": "train", "episode2": "validation"}
    (root / "set").mkdir(parents=True, exist_ok=True)
    index = join_parts(
        root / "set", parts, splits, robot=layout.robot, rate_hz=10.0, build={}, left_out={}
    )
    return root / "set", index


def _episode(
    folder: Path,
    name: str,
    features: dict[str, Feature],
    layout: RobotLayout,
    goal: np.ndarray,
    driver: np.ndarray,
) -> EpisodePart:
    steps, lower, upper = len(goal), np.array(layout.lower), np.array(layout.upper)
    # A number's place between its limits follows the goal, some one way, some the other.
    sign = np.where(np.arange(layout.size) % 2, 1.0, -1.0)
    action = lower + (upper - lower) * (1.0 + sign * goal[:, None]) / 2.0
    box = features["cloud"]
    codec = CloudCodec(box.lower[:3], box.upper[:3])
    with PartWriter(folder, name, features) as writer:
        for step, place in enumerate(goal):
            points = np.full((16, 3), (1.0, place, 1.0), np.float32)
            writer.add("cloud", step, codec.pack(points, np.full((16, 3), 90, np.uint8)))
            shade = np.full((*PICTURE, 3), 128 + round(100 * place), np.uint8)
            for camera in CAMERAS:
                writer.add(f"image.{camera}", step, pack_image(shade, 95))
        columns = {
            "proprioception": np.vstack([action[:1], action[:-1]]),
            "action": action,
            "valid": np.ones(steps, bool),
            "action_valid": np.ones(steps, bool),
            "driver": driver,
            "stamp_ns": np.arange(steps) * 10**8,
            "image_age": np.zeros((steps, len(CAMERAS))),
        }
        return writer.finish(columns, range(steps), robot=layout.robot, task="follow")
