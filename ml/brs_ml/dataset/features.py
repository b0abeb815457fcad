"""What a step of a robot's data set holds."""

from __future__ import annotations

from collections.abc import Mapping

from brs_ml.dataset.config import BuildConfig
from brs_ml.dataset.format import Feature
from brs_ml.dataset.layout import RobotLayout


def robot_vector(layout: RobotLayout) -> Feature:
    """Proprioception or action: (layout.size,) with the robot's names, units and limits."""
    return Feature(
        "<f4",
        (layout.size,),
        names=layout.names,
        units=layout.units,
        lower=layout.lower,
        upper=layout.upper,
    )


def features_of(
    layout: RobotLayout, config: BuildConfig, sizes: Mapping[str, tuple[int, int]]
) -> dict[str, Feature]:
    """What a step holds.

    Args:
        layout: the robot.
        config: the data set's settings.
        sizes: height and width of each camera [px].
    """
    cameras = config.cameras
    vector = robot_vector(layout)
    features = {
        "proprioception": vector,
        "action": vector,
        "valid": Feature("|b1", ()),  # all of the step is known
        "action_valid": Feature("|b1", ()),  # its action is
        "driver": Feature("|u1", ()),
        "stamp_ns": Feature("<i8", ()),
    }
    if cameras:
        units = ("s",) * len(cameras)
        features["image_age"] = Feature("<f4", (len(cameras),), names=cameras, units=units)
    if config.images:
        for camera in cameras:
            features[f"image.{camera}"] = Feature("|u1", (*sizes[camera], 3), "jpeg")
    if config.clouds and not config.fuses:
        features["cloud_age"] = Feature("<f4", (), units=("s",))
    if config.clouds:
        features["cloud"] = Feature(
            "<f4",
            (config.cloud_points, 6),
            "cloud",
            names=("x", "y", "z", "red", "green", "blue"),
            units=("m", "m", "m", "1", "1", "1"),
            lower=(*config.cloud_lower, 0.0, 0.0, 0.0),
            upper=(*config.cloud_upper, 1.0, 1.0, 1.0),
        )
    return features
