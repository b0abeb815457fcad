"""Learning from corrections: what people did who took over from a policy, mixed with the rest.

    drove       policy  policy  nobody  teleop  teleop  teleop  policy  teleop
    class         -       -       -     correct correct correct   -     correct
    chunk                               [a       a       a]  masked

Only what a person did is a label, as in HG-DAgger (Kelly et al., ICRA 2019): nothing that the
policy did is imitated, so neither are the seconds before a takeover, which the person judged to
be wrong (Sirius, Liu et al., RSS 2023, gives these the weight 0, too). What a person did after
the policy had driven in an episode is a correction; what they did before, or without it, is a
demonstration like those of the original data.

A batch has a fixed share of corrections, however few they are: half, as of the interventions in
Sirius and IWR (Mandlekar et al., 2020). Within either class all windows weigh alike.

A window lies in one run of steps of a person: neither its observations nor, for each of these,
its actions reach over a hand-over.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from brs_ml.dataset.align import segments
from brs_ml.dataset.format import Index, sha256
from brs_ml.dataset.layout import RobotLayout
from brs_ml.dataset.loader import BatchPlan, WindowReader
from brs_ml.dataset.reader import Dataset
from brs_ml.dataset.streams import DRIVERS
from brs_ml.dataset.windows import Windows, WindowSpec
from brs_ml.policy.checkpoint import (
    DataCard,
    Origin,
    PolicyCard,
    check_robot,
    difference,
    load_policy,
)
from brs_ml.policy.config import PolicyConfig
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.hands import HandFrame, Hands
from brs_ml.policy.model import PolicyModel, build_model
from brs_ml.policy.training_config import CorrectionConfig

TELEOP, POLICY = DRIVERS.index("teleop"), DRIVERS.index("policy")


def human_steps(dataset: Dataset) -> np.ndarray:
    """(steps,) bool, where a person drove."""
    return np.asarray(dataset.column("driver") == TELEOP)


def corrected_steps(dataset: Dataset) -> np.ndarray:
    """(steps,) bool, where a person drove and the policy had, earlier in that episode."""
    driver = dataset.column("driver")
    out = np.zeros(len(driver), bool)
    for episode in dataset.episodes:
        steps = slice(episode.first, episode.first + episode.steps)
        after = np.logical_or.accumulate(driver[steps] == POLICY)
        out[steps] = after & (driver[steps] == TELEOP)
    return out


def windows_within(windows: Windows, spec: WindowSpec, steps: np.ndarray) -> Windows:
    """Those windows that lie in one run of chosen steps, and end with it.

    Args:
        windows: all of a data set.
        spec: their size.
        steps: (steps,) bool, which may be seen and learnt.
    """
    runs = segments(steps)
    if not len(runs):
        return Windows(windows.now[:0], windows.end[:0])
    # Those before the first run belong to none: their oldest step lies before its start.
    start, stop = runs[np.searchsorted(runs[:, 0], windows.now, side="right") - 1].T
    oldest = windows.now - spec.observations + 1
    inside = (start <= oldest) & (windows.now < stop)
    return Windows(windows.now[inside], np.minimum(windows.end, stop)[inside])


class Mixture:
    """Windows of several readers, and how often each is seen.

    Args:
        readers: of data sets with the same features.
        corrected: of each reader (windows,) bool, which are corrections.
        share: of windows seen that are corrections.

    Attributes:
        weights: (windows,) float64 share of each window, 1 in all.
    """

    def __init__(
        self, readers: Sequence[WindowReader], corrected: Sequence[np.ndarray], share: float
    ) -> None:
        self._readers = readers
        self._firsts = np.cumsum([0, *(len(reader) for reader in readers)])
        self.weights = mixed_weights(np.concatenate(corrected), share)

    def __len__(self) -> int:
        return int(self._firsts[-1])

    def sample(self, window: int, epoch: int = 0) -> dict[str, np.ndarray]:
        """One window; see `WindowReader.sample`."""
        place = int(np.searchsorted(self._firsts, window, side="right")) - 1
        sample = self._readers[place].sample(window - int(self._firsts[place]), epoch)
        return {**sample, "window": np.array(window, np.int64)}


def mixed_weights(corrected: np.ndarray, share: float) -> np.ndarray:
    """(n,) share of each window, 1 in all; (n,) bool tells which are corrections.

    Raises:
        ValueError: there are none of a class.
    """
    count = int(corrected.sum())
    if not 0 < count < len(corrected):
        raise ValueError("a mixture needs corrections and demonstrations")
    return np.where(corrected, share / count, (1.0 - share) / (len(corrected) - count))


class WeightedPlan(BatchPlan):
    """Windows drawn by weight, in random order; the same again by the same seed.

    In an epoch of n windows one of weight w occurs floor(n w) or ceil(n w) times (systematic
    sampling), so no chance but that of one window's rounding is in what a run learns from.

    Args:
        weights: (windows,) share of each, 1 in all.
        batch_size: of one rank.
        seed: of what is drawn.
        rank: which one this is.
        world: how many ranks there are.

    Raises:
        DatasetError: fewer windows than one global batch.
    """

    def __init__(
        self, weights: np.ndarray, batch_size: int, *, seed: int = 0, rank: int = 0, world: int = 1
    ) -> None:
        super().__init__(len(weights), batch_size, seed=seed, rank=rank, world=world)
        self._bounds = np.cumsum(weights) / np.sum(weights)

    def order(self, epoch: int) -> np.ndarray:
        """See BatchPlan."""
        random = np.random.default_rng((self._seed, epoch))
        places = (np.arange(self.count) + random.random()) / self.count
        drawn = np.minimum(np.searchsorted(self._bounds, places, side="right"), self.count - 1)
        random.shuffle(drawn)
        return drawn


def narrowed(reader: WindowReader, steps: np.ndarray) -> WindowReader:
    """The reader, with those of its windows alone that lie in one run of (steps,) chosen steps."""
    reader.windows = windows_within(reader.windows, reader.spec, steps)
    return reader


def mixture(
    demonstrations: WindowReader, corrections: WindowReader, config: CorrectionConfig
) -> Mixture:
    """The windows of a run.

    Args:
        demonstrations: of the original data.
        corrections: of episodes with takeovers; is narrowed to what people did.
        config: how they are mixed.

    Raises:
        PolicyError: nobody took over from a policy.
    """
    dataset = corrections.dataset
    corrections = narrowed(corrections, human_steps(dataset))
    corrected = corrected_steps(dataset)[corrections.windows.now]
    if not corrected.any():
        raise PolicyError(
            "has no window in which a person drove after the policy",
            where=str(dataset.root),
            remedy="record episodes in which somebody takes over from the policy, and build them",
        )
    classes = (np.zeros(len(demonstrations), bool), corrected)
    return Mixture((demonstrations, corrections), classes, config.share)


def begun(
    config: CorrectionConfig,
    policy: PolicyConfig,
    layout: RobotLayout,
    hands: tuple[HandFrame, ...] = (),
) -> tuple[PolicyModel, PolicyCard]:
    """The policy that is corrected, to be trained on.

    It may learn to see more than it did: how far grippers are closed, what is near its hands.

    Raises:
        PolicyError: no such checkpoint, of another robot, or of another network.
    """
    before, card = load_policy(config.checkpoint)
    check_robot(card, layout, config.checkpoint)
    grown = _grown(card, policy, hands)
    if differs := difference(grown.config, policy):
        raise PolicyError(
            f"is another policy: {differs}",
            where=config.checkpoint,
            remedy="give the run the policy and the values it was trained with",
        )
    model = build_model(policy, layout, card.cameras)
    # What it sees now and did not see before stays as it was drawn.
    model.load_state_dict({**model.state_dict(), **before.state_dict()})
    return model.train(), grown


def _grown(card: PolicyCard, policy: PolicyConfig, frames: tuple[HandFrame, ...]) -> PolicyCard:
    """A policy that sees what `policy` does, if that is more."""
    config, seen = card.config, card.normalisation
    if policy.normalisation.grippers_seen:
        limits = replace(config.normalisation, grippers_seen=True)
        config, seen = replace(config, normalisation=limits), replace(seen, grippers_seen=True)
    wanted = policy.pointnet
    if wanted.hand_points and not config.pointnet.hand_points:
        points, reach_m = wanted.hand_points, wanted.hand_reach_m
        near = replace(config.pointnet, hand_points=points, hand_reach_m=reach_m)
        config = replace(config, pointnet=near)
        seen = replace(seen, hands=Hands(frames, points, reach_m))
    return replace(card, config=config, normalisation=seen)


def corrected_card(
    card: PolicyCard, data: DataCard, corrections: DataCard, config: CorrectionConfig
) -> PolicyCard:
    """What the new checkpoint tells.

    Args:
        card: of the policy that is corrected; its normalisation stays.
        data: the original data.
        corrections: the data set of episodes with takeovers.
        config: how they are mixed.

    Raises:
        PolicyError: they have other rates or clouds than it learnt from.
    """
    for other in (data, corrections):
        for key in ("rate_hz", "cloud_recipe"):
            told, found = getattr(card.data, key), getattr(other, key)
            if told and found and told != found:
                raise PolicyError(
                    f"has {key} {found!r}, the policy learnt with {told!r}",
                    where=other.name,
                    remedy="build the data set as the policy's was built",
                )
    parts = (card.data.scenes, data.scenes, corrections.scenes)
    # A fair evaluation avoids all of them; where one is not known, none is.
    scenes = tuple(sorted({scene for part in parts for scene in part})) if all(parts) else ()
    tasks = tuple(sorted({*data.tasks, *corrections.tasks}))
    origin = Origin(sha256(Path(config.checkpoint)), card.steps, corrections, config.share)
    return replace(card, data=replace(data, scenes=scenes, tasks=tasks), steps=0, origin=origin)


def check_alike(data: Index, corrections: Index, where: str) -> None:
    """Refuse corrections with other features than the original data.

    Raises:
        PolicyError: names the first that differs.
    """
    for key, feature in data.features.items():
        found = corrections.features.get(key)
        differs = "missing" if found is None else difference(found, feature, key)
        if differs:
            raise PolicyError(
                f"cannot be mixed with the original data: {key}: {differs}",
                where=where,
                remedy="build it with the same cameras, clouds and robot",
            )
