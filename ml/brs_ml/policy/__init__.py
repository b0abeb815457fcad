"""Whole-body policies: networks, training, checkpoints, inference.

Nothing here imports PyTorch by itself; the modules that need it do.
"""

from brs_ml.policy.config import PolicyConfig
from brs_ml.policy.errors import PolicyError

__all__ = ["PolicyConfig", "PolicyError"]
