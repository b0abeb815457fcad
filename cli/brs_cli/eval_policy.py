"""A checkpoint at the wheel of the simulated robot: it sees what its data set would have shown."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np

from brs_cli.eval_config import EvalConfig
from brs_hardware.config import build
from brs_hardware.embodiment import Embodiment
from brs_hardware.errors import BrsError, ConfigError
from brs_hardware.perception.config import CloudConfig, load_cloud
from brs_hardware.perception.fuser import make_fusion
from brs_hardware.perception.fusion import CloudFusion
from brs_ml.dataset.clouds import CloudCodec
from brs_ml.dataset.config import BuildConfig
from brs_ml.dataset.images import pack_image, unpack_image
from brs_ml.episode import EpisodeError
from brs_sim.actions import proprioception
from brs_sim.cameras import CameraFrame, CameraRenderer
from brs_sim.evaluation import SteppedDriver
from brs_sim.sight import views_of

if TYPE_CHECKING:
    from brs_ml.policy.checkpoint import PolicyCard
    from brs_ml.policy.driving import Seen


def load_card(path: str) -> PolicyCard:
    """What a checkpoint is.

    Raises:
        ConfigError: PyTorch is not installed.
        PolicyError: the file cannot be used.
    """
    try:
        from brs_ml.policy.checkpoint import load_policy
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"policies need {error.name}, which is not installed", remedy="pip install brs[ml]"
        ) from None
    return load_policy(path)[1]


def cloud_config(card: PolicyCard, config: EvalConfig) -> CloudConfig | None:
    """How a policy's clouds are made; None if it sees none.

    Raises:
        ConfigError: nobody tells, or they are of another box than it learnt from.
    """
    if card.config.vision != "cloud":
        return None
    if config.cloud:
        cloud = load_cloud(config.cloud)
    elif card.data.cloud_recipe:
        cloud = build(CloudConfig, json.loads(card.data.cloud_recipe), "cloud_recipe")
    else:
        raise ConfigError(
            "the checkpoint does not tell how its clouds are made",
            remedy="cloud=NAME, the file of config/perception its data set was built with",
        )
    told = (*card.normalisation.cloud_lower, *card.normalisation.cloud_upper)
    if not np.allclose(told, (*cloud.crop.lower, *cloud.crop.upper)):
        raise ConfigError(
            f"clouds of the box {told} are needed",
            where=f"cloud={config.cloud}",
            remedy="give the file of config/perception its data set was built with",
        )
    return cloud


class PolicyOnRobot(SteppedDriver):
    """A policy from a checkpoint. Make and use it in one thread: it owns a GL context.

    Pictures go through JPEG and clouds through the data set's 16-bit numbers, as in training.

    Args:
        robot: that is driven.
        path: of the checkpoint.
        config: of the evaluation.

    Raises:
        ConfigError, PolicyError: it does not fit the robot, the settings or the simulator.
    """

    def __init__(self, robot: Embodiment, path: str, config: EvalConfig) -> None:
        load_card(path)  # tells what is missing
        from brs_ml.dataset.robot_layout import layout_of
        from brs_ml.policy.driving import ChunkDriver, Horizon
        from brs_ml.policy.policy import Policy

        policy = Policy.load(path, layout_of(robot))
        card = policy.card
        super().__init__(robot, card.data.rate_hz)
        self._cloud = cloud_config(card, config)
        # In the order of the robot's, whose pictures the cloud needs all.
        self._drawn = card.cameras if self._cloud is None else tuple(robot.cameras)
        self._pictured = card.cameras
        if missing := set(self._drawn) - set(robot.cameras):
            raise ConfigError(f"the robot has no camera '{min(missing)}'", where=path)
        quality = card.data.jpeg_quality
        self._quality = BuildConfig().jpeg_quality if quality is None else quality
        shape = Horizon(
            card.config.observations, card.config.actions, config.execute, config.delay
        )
        self._chunks = ChunkDriver(policy, shape, card.layout.size)
        self._interpolate = config.interpolate
        self._renderer: CameraRenderer | None = None
        self._fusion: CloudFusion | None = None
        if self._cloud is not None:
            crop = self._cloud.crop
            self._codec = CloudCodec(crop.lower.tolist(), crop.upper.tolist())
            self._points = card.config.cloud_points or self._cloud.points

    def start(self, seed: int) -> None:
        """See SteppedDriver."""
        self._chunks.reset(seed)
        if self._renderer is None:
            self._renderer = CameraRenderer(self.world)
        # What is held of one trial must not come into the next.
        if self._cloud is not None and (self._fusion is None or self._cloud.hold_s > 0.0):
            self._fusion = make_fusion(self.robot, self._cloud)

    def decide(self) -> np.ndarray | None:
        """See SteppedDriver."""
        look = self._look
        if self._cloud is not None and self._cloud.hold_s > 0.0:
            seen = self._look()  # what is held hangs on all that was seen before

            def look() -> Seen:
                return seen

        try:
            actions = self._chunks.step(look)
        except EpisodeError as error:
            raise BrsError(error.what, where=error.where, remedy=error.remedy) from None
        if actions is None or self._interpolate:
            return actions
        return actions[[0, 0]]

    def close(self) -> None:
        """See Driver."""
        renderer, self._renderer = self._renderer, None
        if renderer is not None:
            renderer.close()

    def _look(self) -> Seen:
        from brs_ml.policy.driving import Seen

        assert self._renderer is not None
        world = self.world
        state, snapshot = world.whole_body_state(), world.snapshot()
        drawn = {name: self._renderer.render(snapshot, name) for name in self._drawn}
        images = {name: self._as_kept(drawn[name]) for name in self._pictured}
        cloud = None
        if self._cloud is not None and self._fusion is not None:
            found = self._fusion.fuse(views_of(self.robot, state, drawn)).cloud
            packed = self._codec.pack(found.points, found.colors)
            cloud = self._codec.points(packed, self._points)
        return Seen(round(world.time_s * 1e9), proprioception(state), cloud, images)

    def _as_kept(self, frame: CameraFrame) -> np.ndarray:
        return unpack_image(pack_image(frame.color, self._quality))
