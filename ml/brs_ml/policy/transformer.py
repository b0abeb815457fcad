"""GPT-1's transformer, where readouts look on and are never seen.

    step          t-1                      t
    token   proprioception cloud readout | proprioception cloud readout
    place          0         0      1    |      2           2      3

A token sees itself and those before it, but no token sees a readout, not even its own.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from brs_ml.policy.config import TransformerConfig


class Block(nn.Module):
    """Attention and a gated MLP, each added to its input and then normalised (post-LN)."""

    def __init__(self, width: int, config: TransformerConfig) -> None:
        super().__init__()
        self.heads, self.dropout = config.heads, config.dropout
        self.mixed = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)
        self.norm_attention = nn.LayerNorm(width)
        self.expand = nn.Linear(width, config.feed_forward)
        self.gate = nn.Linear(width, config.feed_forward, bias=False)
        self.contract = nn.Linear(config.feed_forward, width)
        self.norm_mlp = nn.LayerNorm(width)

    def forward(self, tokens: Tensor, visible: Tensor) -> Tensor:
        """(b, n, width) of (b, n, width) tokens and (n, n) visible [query, key]."""
        tokens = self.norm_attention(tokens + self._drop(self._attention(tokens, visible)))
        gated = functional.gelu(self.expand(tokens)) * self.gate(tokens)
        mixed: Tensor = self.norm_mlp(tokens + self._drop(self.contract(gated)))
        return mixed

    def _attention(self, tokens: Tensor, visible: Tensor) -> Tensor:
        batch, count, width = tokens.shape
        shape = (batch, count, 3, self.heads, width // self.heads)
        query, key, value = self.mixed(tokens).view(shape).permute(2, 0, 3, 1, 4)
        seen = functional.scaled_dot_product_attention(
            query, key, value, visible, dropout_p=self.dropout if self.training else 0.0
        )
        out: Tensor = self.out(seen.transpose(1, 2).reshape(batch, count, width))
        return out

    def _drop(self, value: Tensor) -> Tensor:
        return functional.dropout(value, self.dropout, self.training)


class ObservationTransformer(nn.Module):
    """One readout for each observation, of it and those before it.

    Args:
        width: of tokens.
        tokens: of each observation, without the readout.
        config: sizes.
    """

    def __init__(self, width: int, tokens: int, config: TransformerConfig) -> None:
        super().__init__()
        self.tokens, self.dropout = tokens, config.dropout
        self.places = nn.Embedding(config.positions, width)
        self.blocks = nn.ModuleList(Block(width, config) for _ in range(config.layers))
        for module in self.modules():
            if isinstance(module, nn.Linear | nn.Embedding):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear) and module.bias is not None:
                nn.init.zeros_(module.bias)

    def forward(self, observed: Tensor) -> Tensor:
        """(b, T_o, width) readouts of (b, T_o, tokens, width) observations, oldest first."""
        batch, steps, count, width = observed.shape
        places, visible = layout_of_tokens(steps, count, observed.device)
        # A readout says nothing by itself: zeros, and its place.
        sequence = functional.pad(observed, (0, 0, 0, 1)).view(batch, -1, width)
        hidden = sequence + self.places(places)
        hidden = functional.dropout(hidden, self.dropout, self.training)
        for block in self.blocks:
            hidden = block(hidden, visible)
        return hidden[:, count :: count + 1]


def layout_of_tokens(
    steps: int, tokens: int, device: torch.device | str = "cpu"
) -> tuple[Tensor, Tensor]:
    """Where tokens stand and what they see.

    Args:
        steps: observations, T_o.
        tokens: of each of them, without the readout.
        device: of the tensors.

    Returns:
        Places (n,) int64 and visible (n, n) bool [query, key]; n = steps * (tokens + 1).
    """
    number = torch.arange(steps * (tokens + 1), device=device)
    readout = number % (tokens + 1) == tokens
    places = 2 * (number // (tokens + 1)) + readout
    visible = (number[:, None] >= number) & ~readout
    return places, visible
