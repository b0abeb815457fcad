"""Changes to training samples that leave the right action right; plain functions on numpy.

Each takes a random generator and leaves its input alone. A window's observations are changed
alike where the cause would be alike (a moved camera, other light), and each for itself where it
would not (noise).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class AugmentConfig:
    """How much of each; zero leaves it out."""

    cloud_jitter_m: float = 0.0  # standard deviation of each point
    cloud_jitter_limit: float = 3.0  # no point moves farther, in standard deviations
    cloud_rotation_rad: float = 0.0  # about the vertical, at most: a base that stands askew
    cloud_shift_m: float = 0.0  # along each axis, at most
    brightness: float = 0.0  # share, at most
    contrast: float = 0.0  # share, at most
    tint: float = 0.0  # share of each colour by itself, at most
    crop: float = 0.0  # share of width and height that is cut off
    proprioception_noise: float = 0.0  # standard deviation in those of the training split
    drop_view: float = 0.0  # probability that a camera is black; never all of them

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value >= 0.0:
                raise ValueError(f"'{name}' must not be negative")
        if self.crop >= 1.0 or self.drop_view > 1.0:
            raise ValueError("'crop' must be below 1, 'drop_view' at most 1")


def jitter_points(
    random: np.random.Generator, points: np.ndarray, deviation: float, limit: float
) -> np.ndarray:
    """(..., 3) points, each moved by normal noise that is cut off at `limit` deviations."""
    noise = random.standard_normal(points.shape, np.float32)
    np.clip(noise, -limit, limit, out=noise)
    return points + noise * np.float32(deviation)


def move_points(
    random: np.random.Generator, points: np.ndarray, rotation_rad: float, shift_m: float
) -> np.ndarray:
    """(..., 3) points, all turned about z and shifted by the same random amounts."""
    angle = random.uniform(-rotation_rad, rotation_rad)
    shift = random.uniform(-shift_m, shift_m, 3)
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = np.array([[cosine, -sine, 0.0], [sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return points @ turn.T.astype(np.float32) + shift.astype(np.float32)


def change_colors(
    random: np.random.Generator,
    colors: np.ndarray,
    brightness: float,
    contrast: float,
    tint: float,
) -> np.ndarray:
    """(..., 3) float32 colours from 0 to 1, all in the same other light."""
    gain = 1.0 + random.uniform(-contrast, contrast)
    gains = gain * (1.0 + random.uniform(-tint, tint, 3))
    shift = random.uniform(-brightness, brightness)
    changed = (colors - 0.5) * gains.astype(np.float32) + np.float32(0.5 + shift)
    return np.clip(changed, 0.0, 1.0)


def crop_images(
    random: np.random.Generator | None, images: np.ndarray, share: float
) -> np.ndarray:
    """(n, h, w, 3) pictures, a random part (the same of all) that is smaller by `share`.

    Without a generator it is the middle, as when a policy runs.
    """
    height, width = images.shape[1:3]
    kept_height, kept_width = round(height * (1.0 - share)), round(width * (1.0 - share))
    free = (height - kept_height, width - kept_width)
    if random is None:
        top, left = free[0] // 2, free[1] // 2
    else:
        top, left = (int(random.integers(0, size + 1)) for size in free)
    return images[:, top : top + kept_height, left : left + kept_width]


def add_noise(
    random: np.random.Generator, values: np.ndarray, deviations: np.ndarray, share: float
) -> np.ndarray:
    """(..., d) values with normal noise of a share of each number's own deviation."""
    noise = random.standard_normal(values.shape, np.float32)
    return values + noise * (share * deviations).astype(np.float32)


def views_to_drop(
    random: np.random.Generator, views: tuple[str, ...], probability: float
) -> frozenset[str]:
    """Cameras to black out, each with the probability given; one is always left."""
    dropped = [view for view in views if random.random() < probability]
    if views and len(dropped) == len(views):
        dropped.pop(int(random.integers(len(views))))
    return frozenset(dropped)


def augment(
    sample: Mapping[str, np.ndarray],
    config: AugmentConfig,
    random: np.random.Generator | None,
    deviations: np.ndarray,
) -> dict[str, np.ndarray]:
    """A changed sample.

    Args:
        sample: proprioception (T_o, d), `cloud*` (T_o, n, 6), `image.*` (T_o, h, w, 3) uint8.
        config: how much.
        random: of this sample; None changes nothing but crops the middle of pictures.
        deviations: (d,) standard deviation of each number of proprioception.
    """
    out = dict(sample)
    views = tuple(key for key in sample if key.startswith("image."))
    if config.crop:
        for key in views:
            out[key] = crop_images(random, out[key], config.crop)
    if random is None:
        return out
    if config.proprioception_noise:
        out["proprioception"] = add_noise(
            random, out["proprioception"], deviations, config.proprioception_noise
        )
    for key in sample:
        if key.startswith("cloud"):
            out[key] = _other_cloud(random, out[key], config)
    recolor = config.brightness or config.contrast or config.tint
    dropped = views_to_drop(random, views, config.drop_view) if config.drop_view else frozenset()
    for key in views:
        if key in dropped:
            out[key] = np.zeros_like(out[key])
        elif recolor:
            light = out[key].astype(np.float32) / 255.0
            light = change_colors(random, light, config.brightness, config.contrast, config.tint)
            out[key] = (light * 255.0 + 0.5).astype(np.uint8)
    return out


def _other_cloud(
    random: np.random.Generator, cloud: np.ndarray, config: AugmentConfig
) -> np.ndarray:
    points, colors = cloud[..., :3], cloud[..., 3:]
    if config.cloud_rotation_rad or config.cloud_shift_m:
        points = move_points(random, points, config.cloud_rotation_rad, config.cloud_shift_m)
    if config.cloud_jitter_m:
        points = jitter_points(random, points, config.cloud_jitter_m, config.cloud_jitter_limit)
    if config.brightness or config.contrast or config.tint:
        colors = change_colors(random, colors, config.brightness, config.contrast, config.tint)
    return np.concatenate([points, colors], axis=-1)
