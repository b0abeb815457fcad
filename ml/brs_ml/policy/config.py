"""What a policy is made of; the defaults are WB-VMA at BRS's size.

Read from config/policy/*.yaml. All sizes are in the paper's words: T_o observations are seen, a
chunk has T_a actions, a readout is what the encoder has to say about one observation.
"""

from __future__ import annotations

from dataclasses import dataclass

from brs_ml.dataset.layout import PARTS

KINDS = ("diffusion", "act")
FUSIONS = ("attention", "concatenation")
VISIONS = ("cloud", "images")
OBJECTIVES = ("epsilon", "flow", "reflow", "consistency")
RANGES = ("limits", "data")
BACKBONE_NORMS = ("group", "frozen")


def _one_of(what: str, value: str, known: tuple[str, ...]) -> None:
    if value not in known:
        raise ValueError(f"{what} '{value}' is none of {', '.join(known)}")


@dataclass(frozen=True)
class NormalisationConfig:
    """How numbers come to lie within -1 and 1."""

    joints: str = "limits"  # the joints' own limits; or data: the range of the training split
    margin: float = 0.05  # of that range on either side; for data only
    smallest_range: float = 0.1  # [rad], of a joint that hardly moves; for data only
    # A gripper is open or closed, on either side of this; none: any number between.
    gripper_threshold: float | None = 0.5
    # See how far grippers are closed, which tells whether they hold something; BRS sees two states
    grippers_seen: bool = False
    # Parts whose own state is kept from the policy. Who sees the base's velocity learns to go on
    # with it, not when to stop (Causal Confusion in Imitation Learning, de Haan et al. 2019).
    unseen: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        _one_of("joints", self.joints, RANGES)
        for part in self.unseen:
            _one_of("part", part, PARTS)
        if self.margin < 0.0 or self.smallest_range <= 0.0:
            raise ValueError("'margin' must not be negative, 'smallest_range' positive")


@dataclass(frozen=True)
class PointNetConfig:
    """One MLP for all points, then the largest of each feature."""

    hidden: tuple[int, ...] = (256, 256)
    colors: bool = True  # False sees where points are, not what colour they have
    points: int | None = None  # of a cloud that are seen; none: all of the data set's
    # Nearest points of each hand that are seen once more, in the hand's own frame; 0: none (BRS)
    hand_points: int = 0
    hand_reach_m: float = 0.25  # becomes 1 there; what is farther away lies at this distance

    def __post_init__(self) -> None:
        if self.hand_points < 0 or self.hand_reach_m <= 0.0:
            raise ValueError("'hand_points' must not be negative, 'hand_reach_m' positive")


@dataclass(frozen=True)
class ResNetConfig:
    """ResNet-18 for pictures."""

    features: int = 512
    norm: str = "group"  # frozen: batch normalisation as it was trained, for given weights
    weights: str = ""  # safetensors file with torchvision's names; empty: from scratch

    def __post_init__(self) -> None:
        _one_of("norm", self.norm, BACKBONE_NORMS)


@dataclass(frozen=True)
class TransformerConfig:
    """Attention over what was observed."""

    layers: int = 2
    heads: int = 8
    feed_forward: int = 1024
    dropout: float = 0.1
    positions: int = 512  # that can be told apart


@dataclass(frozen=True)
class UNetConfig:
    """The denoiser of one stage."""

    widths: tuple[int, ...] = (64, 128)
    kernel: int = 5
    groups: int = 8
    step_features: int = 128

    def __post_init__(self) -> None:
        if not self.widths or any(width % self.groups for width in self.widths):
            raise ValueError("'widths' must be multiples of 'groups'")
        if self.kernel % 2 == 0:
            raise ValueError("'kernel' must be odd")


@dataclass(frozen=True)
class DiffusionConfig:
    """How actions become noise, and noise actions."""

    objective: str = "epsilon"  # flow: straight lines; reflow, consistency: distilled, few steps
    train_steps: int = 100
    schedule: str = "squaredcos_cap_v2"
    sampling_steps: int = 16
    windows: int = 1  # of time, for reflow
    # Share of the noise that a chunk is made of; with less, chunks are nearer to the commonest.
    start_noise: float = 1.0

    def __post_init__(self) -> None:
        _one_of("objective", self.objective, OBJECTIVES)
        if not 0.0 <= self.start_noise <= 1.0:
            raise ValueError("'start_noise' must lie within 0 and 1")
        if not 1 <= self.sampling_steps <= self.train_steps or self.windows < 1:
            raise ValueError("'sampling_steps' must lie within 1 and 'train_steps'")
        if self.objective == "reflow" and self.sampling_steps % self.windows:
            raise ValueError("'sampling_steps' must be a multiple of 'windows'")


@dataclass(frozen=True)
class ActConfig:
    """ACT's transformer and its style variable; its own defaults."""

    width: int = 512
    heads: int = 8
    feed_forward: int = 3200
    encoder_layers: int = 4
    decoder_layers: int = 1  # its code has 7 and uses the first
    dropout: float = 0.1
    latent: int = 32
    kl_weight: float = 10.0


@dataclass(frozen=True)
class PolicyConfig:
    """A policy's network."""

    kind: str = "diffusion"
    observations: int = 2  # T_o
    actions: int = 8  # T_a
    width: int = 256  # of tokens and readouts
    vision: str = "cloud"
    fusion: str = "attention"  # concatenation: one MLP over all that was observed
    proprioception_hidden: tuple[int, ...] = (256, 256)
    fusion_hidden: tuple[int, ...] = (512, 512)
    # Parts whose actions are denoised together, one stage after another.
    stages: tuple[tuple[str, ...], ...] = (
        ("base",),
        ("torso",),
        ("left_arm", "left_gripper", "right_arm", "right_gripper"),
    )
    autoregressive: bool = True  # a stage is told what the stages before it will do
    normalisation: NormalisationConfig = NormalisationConfig()
    pointnet: PointNetConfig = PointNetConfig()
    resnet: ResNetConfig = ResNetConfig()
    transformer: TransformerConfig = TransformerConfig()
    unet: UNetConfig = UNetConfig()
    diffusion: DiffusionConfig = DiffusionConfig()
    act: ActConfig = ActConfig()

    def __post_init__(self) -> None:
        _one_of("kind", self.kind, KINDS)
        _one_of("fusion", self.fusion, FUSIONS)
        _one_of("vision", self.vision, VISIONS)
        if tuple(part for stage in self.stages for part in stage) != PARTS or () in self.stages:
            raise ValueError(f"'stages' must name {', '.join(PARTS)}, in this order")
        if self.pointnet.hand_points and (self.vision != "cloud" or self.kind == "act"):
            raise ValueError("'hand_points' are of diffusion policies that see clouds")
        if self.observations < 1 or self.actions < 1:
            raise ValueError("'observations' and 'actions' must be positive")
        width, heads = self.width, self.transformer.heads
        if self.kind == "act":
            width, heads = self.act.width, self.act.heads
        attends = self.kind == "act" or self.fusion == "attention"
        if min(width, heads) < 1 or (attends and width % heads):
            raise ValueError(f"a width of {width} is no multiple of {heads} 'heads'")
        if self.kind == "diffusion" and self.actions % 2 ** (len(self.unet.widths) - 1):
            raise ValueError("'actions' must be halved without rest between the U-Net's 'widths'")

    @property
    def cloud_points(self) -> int | None:
        """Points of a cloud that it must be given; None: all there are."""
        return None if self.pointnet.hand_points else self.pointnet.points

    @property
    def every_observation(self) -> bool:
        """Whether each observation is asked for a chunk in training, not the newest alone."""
        return self.kind == "diffusion" and self.fusion == "attention"
