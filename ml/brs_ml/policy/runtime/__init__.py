"""From a policy to a robot that moves: observations by stamps, chunks to commands, inference.

    states, clouds, pictures -> ObservationSync -> Observation -> [inference] -> Chunk
                                                                                   |
    command at any time <- CommandStream <- hand-over without a jump <-------------+

Nothing here reads a clock or knows ROS; only `engine` and `predictor` load PyTorch, when used.
"""

from brs_ml.policy.runtime.chunk_handover import CommandStream, HandoverConfig
from brs_ml.policy.runtime.observation_sync import ObservationSync, SyncConfig

__all__ = ["CommandStream", "HandoverConfig", "ObservationSync", "SyncConfig"]
