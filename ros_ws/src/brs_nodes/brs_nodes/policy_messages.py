"""Actions, observations and chunks as messages and back."""

from __future__ import annotations

from array import array
from typing import Any

import numpy as np
from brs_interfaces.srv import PredictChunk

from brs_hardware.types import WholeBodyCommand
from brs_ml.dataset.layout import PARTS, RobotLayout
from brs_ml.policy.errors import PolicyError
from brs_ml.policy.observation import Chunk, Committed, Observation


def command_of(layout: RobotLayout, stamp_s: float, action: np.ndarray) -> WholeBodyCommand:
    """A policy's command from a (d,) action."""
    base, torso, left_arm, left_gripper, right_arm, right_gripper = (
        action[layout.slice_of(part)] for part in PARTS
    )
    return WholeBodyCommand(
        stamp_s,
        base,
        torso,
        left_arm,
        right_arm,
        float(left_gripper[0]),
        float(right_gripper[0]),
        source="policy",
    )


def to_request(
    observation: Observation, committed: Committed | None, begins: bool
) -> PredictChunk.Request:
    """What a server is asked."""
    request = PredictChunk.Request(begins=begins)
    request.stamps = array("q", observation.stamps_ns)
    request.proprioception = _floats("f", observation.proprioception)
    if observation.cloud is not None:
        request.cloud = _floats("f", observation.cloud)
    if observation.images:
        pictures = np.stack(list(observation.images.values()))
        request.cameras = list(observation.images)
        request.height, request.width = pictures.shape[2:4]
        request.images = array("B", pictures.tobytes())
    if committed is not None:
        request.committed = _floats("d", committed.actions)
        request.known = _floats("d", committed.known)
    return request


def from_request(request: PredictChunk.Request) -> tuple[Observation, Committed | None]:
    """What a server was asked.

    Raises:
        ValueError: lengths do not fit.
    """
    steps = len(request.stamps)
    if not steps:
        raise ValueError("no observation")
    cloud = np.array(request.cloud, np.float32).reshape(steps, -1, 6) if request.cloud else None
    shape = (len(request.cameras), steps, request.height, request.width, 3)
    pictures = np.frombuffer(request.images, np.uint8).reshape(shape)
    observation = Observation(
        tuple(request.stamps),
        np.array(request.proprioception, np.float32).reshape(steps, -1),
        cloud,
        dict(zip(request.cameras, pictures, strict=True)),
    )
    if not request.known:
        return observation, None
    known = np.array(request.known)
    return observation, Committed(np.array(request.committed).reshape(len(known), -1), known)


def chunk_of(response: PredictChunk.Response, size: int) -> Chunk:
    """A server's answer.

    Raises:
        PolicyError: it could not, or the answer is no chunk.
    """
    if not response.success:
        raise PolicyError(response.message, where="the policy server")
    actions = np.array(response.actions)
    if actions.size % size:
        raise PolicyError(f"{actions.size} numbers are no actions", where="the policy server")
    return Chunk(actions.reshape(-1, size), response.period_s, response.stamp)


def _floats(kind: str, values: np.ndarray) -> array[Any]:
    dtype = {"f": np.float32, "d": np.float64}[kind]
    return array(kind, np.ascontiguousarray(values, dtype).tobytes())
