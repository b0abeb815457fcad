"""What the nodes around policies share at their start: parameters, and errors in one kind."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

from brs_hardware.errors import ConfigError
from brs_ml.episode.errors import EpisodeError
from brs_nodes.common import parameter


@dataclass(frozen=True)
class PolicyParameters:
    """Of node `policy`."""

    robot: str = parameter("r1", "robot description in config/robots")
    checkpoint: str = parameter("", "policy to run, a .safetensors file; empty: ask a server")
    device: str = parameter("cpu", "that it runs on: cpu or cuda")
    cloud: str = parameter("default", "how clouds are made, in config/perception")
    part_clouds: bool = parameter(False, "take clouds that lack a camera")
    handover: str = parameter("blend", "from chunk to chunk: blend, inpaint or ensemble")
    blend_s: float = parameter(0.2, "in which what differs is let go of [s]", 0.01, 2.0)
    max_chunk_age_s: float = parameter(
        0.7, "from an observation to the last command that may follow from it [s]", 0.1, 5.0
    )
    max_observation_age_s: float = parameter(
        0.4, "a state, cloud or picture older than this is stale [s]", 0.05, 2.0
    )
    inference_timeout_s: float = parameter(
        0.5, "a chunk that takes longer stops the commands [s]", 0.02, 5.0
    )
    command_hz: float = parameter(100.0, "commands a second", 20.0, 500.0)
    seed: int = parameter(0, "of the noise that chunks are made of", 0, 2**31 - 1)
    autostart: bool = parameter(True, "configure and activate at start")


@contextlib.contextmanager
def as_config_error() -> Iterator[None]:
    """What the learning library says a user can mend, as nodes say it.

    Raises:
        ConfigError: instead of an EpisodeError, of settings that make no sense, and of PyTorch or
            another library that is missing.
    """
    try:
        yield
    except EpisodeError as error:
        raise ConfigError(error.what, where=error.where, remedy=error.remedy) from None
    except ValueError as error:
        raise ConfigError(str(error), where="parameters") from None
    except ModuleNotFoundError as error:
        raise ConfigError(f"{error.name} is not installed", remedy="pip install brs[ml]") from None
