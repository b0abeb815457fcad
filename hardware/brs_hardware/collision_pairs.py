"""Which pairs of links the collision guard can leave out, found by sampling postures.

`python -m brs_hardware.collision_pairs --robot r1` prints what the section `disabled:` of
config/robots/r1_collisions.yaml says of `always` and `never`; whoever describes a new robot
pastes it there, and may add pairs for other reasons. Like MoveIt's
assistant it leaves out a pair of links that is

- always: nearer than the slow distance in every sampled posture: close by design, as the links
  of a wrist are, and no posture could be free of it;
- never: touching in no sampled posture.

Links in one rigid part, or in two that one joint connects, are never checked and not listed.

Postures are the named poses of the robot and uniform ones within the joint limits. After that
the nearest posture of each pair that did not touch is improved by random steps,
because a uniform sample seldom hits a pair that can only just meet.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import logging
import sys

import numpy as np
import yaml

from brs_hardware.collision_config import CollisionConfig, load_collision_config
from brs_hardware.collision_model import FLOOR, CollisionModel
from brs_hardware.description import describe
from brs_hardware.embodiment import Embodiment, load_embodiment

log = logging.getLogger(__name__)

_REFINING_STEPS = 2000  # a pair
_REFINING_RAD = (0.6, 0.01)  # size of the first and last

Disabled = dict[str, dict[str, tuple[str, ...]]]


def find_disabled(
    embodiment: Embodiment, config: CollisionConfig, count: int = 10_000, seed: int = 0
) -> Disabled:
    """Reason -> link -> links that need no check against it; see the module.

    Args:
        embodiment: the robot.
        config: its shapes and distances; `disabled` is not looked at.
        count: of random postures.
        seed: of the random numbers.
    """
    model = CollisionModel(embodiment, dataclasses.replace(config, disabled={}))
    shapes_of: dict[tuple[str, str], list[int]] = {}
    for i, names in enumerate(model.pair_names):
        if FLOOR not in names:
            shapes_of.setdefault(names, []).append(i)
    least, most = _extremes(
        model, embodiment, list(shapes_of.values()), config.slow_distance_m, count, seed
    )
    always, never = most < config.slow_distance_m, least > 0.0
    pairs, order = list(shapes_of), describe(embodiment).links
    return {
        "always": _grouped([p for p, yes in zip(pairs, always, strict=True) if yes], order),
        "never": _grouped(
            [p for p, yes in zip(pairs, never & ~always, strict=True) if yes], order
        ),
    }


def _extremes(
    model: CollisionModel,
    embodiment: Embodiment,
    shapes: list[list[int]],
    exact_below_m: float,
    count: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Least and greatest distance (links,) of pairs of links, given by their pairs of shapes."""
    random = np.random.default_rng(seed)
    lower, upper = model.joints.limits("lower"), model.joints.limits("upper")
    postures = [model.joints.stack(pose) for pose in embodiment.poses.values()]
    postures += list(random.uniform(lower, upper, (count, len(lower))))
    needed = np.full(len(model.pair_names), exact_below_m)
    least, most = np.full(len(shapes), np.inf), np.full(len(shapes), -np.inf)
    best = np.zeros((len(shapes), len(lower)))
    for posture in postures:
        model.place(posture)
        every = model.distances(needed)
        found = np.array([every[own].min() for own in shapes])
        best[found < least] = posture
        least, most = np.minimum(least, found), np.maximum(most, found)
    for i in np.flatnonzero(least > 0.0):
        least[i] = _refine(model, np.array(shapes[i]), best[i], lower, upper, random)
    return least, most


def _refine(
    model: CollisionModel,
    shapes: np.ndarray,
    posture: np.ndarray,
    lower: np.ndarray,
    upper: np.ndarray,
    random: np.random.Generator,
) -> float:
    """Least distance found by ever smaller random steps from a posture; ends at a touch."""
    everything = np.full(len(shapes), np.inf)
    model.place(posture)
    least = float(model.some_distances(shapes, everything).min())
    for size_rad in np.geomspace(*_REFINING_RAD, _REFINING_STEPS):
        trial = np.clip(posture + random.normal(0.0, size_rad, len(lower)), lower, upper)
        model.place(trial)
        distance = float(model.some_distances(shapes, everything).min())
        if distance < least:
            posture, least = trial, distance
        if least <= 0.0:
            break
    return least


def _grouped(pairs: list[tuple[str, str]], order: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Pairs as link -> links, in the order of the URDF."""
    wanted = {frozenset(pair) for pair in pairs}
    grouped: dict[str, tuple[str, ...]] = {}
    for first, second in itertools.combinations(order, 2):
        if frozenset((first, second)) in wanted:
            grouped[first] = (*grouped.get(first, ()), second)
    return grouped


def main(arguments: list[str] | None = None) -> int:
    """Prints the YAML section."""
    parser = argparse.ArgumentParser(description="Pairs of links that need no collision check.")
    parser.add_argument("--robot", default="r1")
    parser.add_argument("--count", type=int, default=10_000, help="of random postures")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    embodiment = load_embodiment(options.robot)
    config = load_collision_config(embodiment)
    found = find_disabled(embodiment, config, options.count, options.seed)
    as_lists = {
        reason: {link: list(others) for link, others in links.items()}
        for reason, links in found.items()
    }
    log.info(
        "%s",
        yaml.safe_dump(
            {"disabled": as_lists}, sort_keys=False, width=95, default_flow_style=None
        ).rstrip(),
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
