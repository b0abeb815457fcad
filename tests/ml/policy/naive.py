"""WB-VMA written down once more, in loops over numbers, to hold the library against.

Nothing here is shared with the library but the names of its weights.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

Weights = dict[str, np.ndarray]


def weights_of(model: Any) -> Weights:
    return {k: v.detach().double().numpy() for k, v in model.state_dict().items()}


def linear(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    out = np.zeros(w[f"{name}.weight"].shape[0])
    for i, row in enumerate(w[f"{name}.weight"]):
        out[i] = sum(a * b for a, b in zip(row, x, strict=True))
    return out + w.get(f"{name}.bias", 0.0)


def gelu(x: np.ndarray) -> np.ndarray:
    return np.array([v * 0.5 * (1.0 + math.erf(v / math.sqrt(2.0))) for v in x])


def mish(x: np.ndarray) -> np.ndarray:
    return np.array([v * math.tanh(math.log1p(math.exp(v))) for v in x])


def layer_norm(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    normal = (x - x.mean()) / math.sqrt(x.var() + 1e-5)
    return normal * w[f"{name}.weight"] + w[f"{name}.bias"]


def point_features(w: Weights, name: str, cloud: np.ndarray, layers: int) -> np.ndarray:
    """Largest of each feature over the points."""
    best = None
    for point in cloud:
        x = point
        for layer in range(layers):
            x = linear(w, f"{name}.layers.{layer}", x)
            x = gelu(x) if layer + 1 < layers else x
        best = x if best is None else np.maximum(best, x)
    assert best is not None
    return best


def proprioception_features(w: Weights, name: str, x: np.ndarray, layers: int) -> np.ndarray:
    for layer in range(layers):
        x = np.maximum(linear(w, f"{name}.{2 * layer}", x), 0.0)
    return x


def readouts(w: Weights, name: str, observed: np.ndarray, layers: int, heads: int) -> np.ndarray:
    """(T_o, width) of observed (T_o, tokens, width): token by token, nobody sees a readout."""
    steps, count, width = observed.shape
    tokens, kinds = [], []
    for step in range(steps):
        for token in (*observed[step], np.zeros(width)):
            is_readout = len(kinds) % (count + 1) == count
            tokens.append(token + w[f"{name}.places.weight"][2 * step + is_readout])
            kinds.append(is_readout)
    for layer in range(layers):
        tokens = _block(w, f"{name}.blocks.{layer}", tokens, kinds, heads)
    return np.array([t for t, is_readout in zip(tokens, kinds, strict=True) if is_readout])


def _block(
    w: Weights, name: str, tokens: list[np.ndarray], kinds: list[bool], heads: int
) -> list[np.ndarray]:
    width = len(tokens[0])
    each = width // heads
    mixed = [linear(w, f"{name}.mixed", token) for token in tokens]
    out = []
    for i, token in enumerate(tokens):
        seen = np.zeros(width)
        for head in range(heads):
            place = slice(head * each, (head + 1) * each)
            query = mixed[i][:width][place]
            visible = [j for j in range(i + 1) if not kinds[j]]
            scores = [query @ mixed[j][width : 2 * width][place] / each**0.5 for j in visible]
            shares = np.exp(scores) / np.exp(scores).sum()
            seen[place] = sum(
                s * mixed[j][2 * width :][place] for s, j in zip(shares, visible, strict=True)
            )
        token = layer_norm(w, f"{name}.norm_attention", token + linear(w, f"{name}.out", seen))
        gated = gelu(linear(w, f"{name}.expand", token)) * linear(w, f"{name}.gate", token)
        out.append(layer_norm(w, f"{name}.norm_mlp", token + linear(w, f"{name}.contract", gated)))
    return out


def conv(w: Weights, name: str, x: np.ndarray, stride: int = 1) -> np.ndarray:
    """(outputs, t / stride) of (inputs, t): zeros outside."""
    kernel, bias = w[f"{name}.weight"], w[f"{name}.bias"]
    outputs, inputs, taps = kernel.shape
    out = np.zeros((outputs, x.shape[1] // stride))
    for o in range(outputs):
        for t in range(out.shape[1]):
            out[o, t] = bias[o]
            for tap in range(taps):
                place = t * stride + tap - taps // 2
                if 0 <= place < x.shape[1]:
                    out[o, t] += sum(kernel[o, i, tap] * x[i, place] for i in range(inputs))
    return out


def conv_transposed(w: Weights, name: str, x: np.ndarray) -> np.ndarray:
    """(outputs, 2 t) of (inputs, t): 4 taps, stride 2, padding 1."""
    kernel, bias = w[f"{name}.weight"], w[f"{name}.bias"]
    inputs, outputs, taps = kernel.shape
    out = np.repeat(bias[:, None], 2 * x.shape[1], axis=1)
    for t in range(x.shape[1]):
        for tap in range(taps):
            place = 2 * t + tap - 1
            if 0 <= place < out.shape[1]:
                for o in range(outputs):
                    out[o, place] += sum(x[i, t] * kernel[i, o, tap] for i in range(inputs))
    return out


def conv_block(w: Weights, name: str, x: np.ndarray, groups: int) -> np.ndarray:
    x = conv(w, f"{name}.conv", x)
    each = len(x) // groups
    for group in range(groups):
        part = x[group * each : (group + 1) * each]
        x[group * each : (group + 1) * each] = (part - part.mean()) / math.sqrt(part.var() + 1e-5)
    x = x * w[f"{name}.norm.weight"][:, None] + w[f"{name}.norm.bias"][:, None]
    return np.array([mish(row) for row in x])


class UNet:
    """The denoiser named `name`; its scales and shifts are taken in the order of the blocks."""

    def __init__(self, w: Weights, name: str, features: int, levels: int, groups: int) -> None:
        self.w, self.name, self.features = w, name, features
        self.levels, self.groups = levels, groups

    def __call__(self, x: np.ndarray, step: float, condition: np.ndarray) -> np.ndarray:
        """(t, size) of (t, size)."""
        w, name = self.w, self.name
        half = self.features // 2
        angles = [step * 10000.0 ** (-i / (half - 1)) for i in range(half)]
        hidden = np.array([math.sin(a) for a in angles] + [math.cos(a) for a in angles])
        hidden = linear(w, f"{name}.step.expand", hidden)
        hidden = linear(w, f"{name}.step.contract", mish(hidden))
        told = np.concatenate([hidden, condition])
        self.film = list(linear(w, f"{name}.film", mish(told)))
        x, skipped = x.T, []
        for level in range(self.levels):
            x = self._pair(f"{name}.down.{level}", x)
            skipped.append(x)
            if level + 1 < self.levels:
                x = conv(w, f"{name}.shrink.{level}", x, stride=2)
        x = self._pair(f"{name}.middle", x)
        for level in range(self.levels - 1):
            x = self._pair(f"{name}.up.{level}", np.concatenate([x, skipped.pop()]))
            x = conv_transposed(w, f"{name}.grow.{level}", x)
        return conv(w, f"{name}.out", conv_block(w, f"{name}.last", x, self.groups)).T

    def _pair(self, name: str, x: np.ndarray) -> np.ndarray:
        for block in range(2):
            here = f"{name}.{block}"
            hidden = conv_block(self.w, f"{here}.first", x, self.groups)
            count = len(hidden)
            scale = np.array([self.film.pop(0) for _ in range(count)])
            shift = np.array([self.film.pop(0) for _ in range(count)])
            hidden = hidden * scale[:, None] + shift[:, None]
            past = conv(self.w, f"{here}.past", x) if f"{here}.past.weight" in self.w else x
            x = conv_block(self.w, f"{here}.second", hidden, self.groups) + past
        return x


def signal_power(steps: int) -> list[float]:
    """Nichol and Dhariwal's cosine schedule, betas at most 0.999."""

    def curve(t: float) -> float:
        return math.cos((t + 0.008) / 1.008 * math.pi / 2.0) ** 2

    power, found = 1.0, []
    for i in range(steps):
        power *= 1.0 - min(1.0 - curve((i + 1) / steps) / curve(i / steps), 0.999)
        found.append(power)
    return found
