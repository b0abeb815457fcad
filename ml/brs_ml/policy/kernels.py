"""The denoiser of one short path on a CPU, where calls cost more than arithmetic.

A convolution of 4 or 8 actions is a matrix product of a few microseconds; PyTorch takes 10 times
as long to set one up. Here a block of convolution, normalisation, Mish and FiLM is one compiled
call. Paths are (t, channels) arrays, C-contiguous float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from torch import nn

from brs_ml.policy.unet import ConvBlock, FilmBlock, FilmUNet

_EPSILON = 1e-5  # torch's GroupNorm


@numba.njit(cache=True, fastmath={"contract", "nsz", "reassoc"})
def _patches(x: np.ndarray, taps: int, stride: int) -> np.ndarray:
    """(t / stride, taps * channels): what each output of a convolution sees, zeros outside."""
    length, channels = x.shape
    out = np.zeros((length // stride, taps * channels), np.float32)
    for i in range(out.shape[0]):
        for tap in range(taps):
            source = i * stride + tap - taps // 2
            if 0 <= source < length:
                out[i, tap * channels : (tap + 1) * channels] = x[source]
    return out


@numba.njit(cache=True, fastmath={"contract", "nsz", "reassoc"})
def _convolved(x: np.ndarray, matrix: np.ndarray, bias: np.ndarray, stride: int) -> np.ndarray:
    """(t / stride, outputs): an odd convolution of (t, inputs)."""
    out = np.dot(_patches(x, matrix.shape[0] // x.shape[1], stride), matrix)
    return out + bias


@numba.njit(cache=True, fastmath={"contract", "nsz", "reassoc"})
def _conv_block(
    x: np.ndarray,
    matrix: np.ndarray,
    bias: np.ndarray,
    gain: np.ndarray,
    offset: np.ndarray,
    groups: int,
) -> np.ndarray:
    """(t, outputs): convolution, group normalisation, Mish of (t, inputs)."""
    out = _convolved(x, matrix, bias, 1)
    length, channels = out.shape
    each = channels // groups
    for group in range(groups):
        first = group * each
        total, squares = np.float32(0), np.float32(0)
        for i in range(length):
            for c in range(first, first + each):
                total += out[i, c]
        mean = total / np.float32(length * each)
        for i in range(length):
            for c in range(first, first + each):
                out[i, c] -= mean
                squares += out[i, c] * out[i, c]
        deviation = np.sqrt(squares / np.float32(length * each) + np.float32(_EPSILON))
        scale = np.float32(1) / deviation
        for i in range(length):
            for c in range(first, first + each):
                value = out[i, c] * scale * gain[c] + offset[c]
                # x * tanh(log(1 + e^x)); beyond 20 it is x, and e^x squared must not overflow.
                grown = np.exp(min(value, np.float32(20)))
                power = grown * (grown + np.float32(2))
                out[i, c] = value * power / (power + np.float32(2))
    return out


@numba.njit(cache=True, fastmath={"contract", "nsz", "reassoc"})
def _film_block(
    x: np.ndarray, film: np.ndarray, first: Any, second: Any, past: Any, groups: int
) -> np.ndarray:
    """(t, outputs) of (t, inputs), see `unet.FilmBlock`; an empty `past` changes nothing."""
    hidden = _conv_block(x, first[0], first[1], first[2], first[3], groups)
    channels = hidden.shape[1]
    for i in range(hidden.shape[0]):
        for c in range(channels):
            hidden[i, c] = film[c] * hidden[i, c] + film[channels + c]
    out = _conv_block(hidden, second[0], second[1], second[2], second[3], groups)
    if past[0].shape[0] == 0:
        return out + x
    return out + (np.dot(x, past[0]) + past[1])


@numba.njit(cache=True, fastmath={"contract", "nsz", "reassoc"})
def _grown(x: np.ndarray, taps: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """(2 t, outputs): transposed convolution, 4 taps, stride 2, padding 1, of (t, inputs)."""
    length = x.shape[0]
    spread = np.dot(x, taps).reshape(length, 4, -1)
    out = np.zeros((2 * length, spread.shape[2]), np.float32)
    for i in range(length):
        for tap in range(4):
            place = 2 * i + tap - 1
            if 0 <= place < 2 * length:
                out[place] += spread[i, tap]
    return out + bias


@dataclass(frozen=True)
class _Block:
    first: tuple[np.ndarray, ...]
    second: tuple[np.ndarray, ...]
    past: tuple[np.ndarray, ...]
    groups: int
    told: int  # numbers of its scales and shifts

    def __call__(self, x: np.ndarray, film: np.ndarray) -> np.ndarray:
        out: np.ndarray = _film_block(x, film, self.first, self.second, self.past, self.groups)
        return out


class CompiledUNet:
    """A `FilmUNet`'s denoising of one path; of its weights as they are now.

    Args:
        net: the network, on the CPU, float32.
    """

    def __init__(self, net: FilmUNet) -> None:
        self._down = [tuple(map(_block, pair)) for pair in net.down]
        self._middle = tuple(map(_block, net.middle))
        self._up = [tuple(map(_block, pair)) for pair in net.up]
        self._shrink = [_conv(conv) for conv in net.shrink]
        self._grow = [_transposed(conv) for conv in net.grow]
        self._last, self._groups = _conv_block_weights(net.last), net.last.norm.num_groups
        self._out = _conv(net.out)

    def __call__(self, x: np.ndarray, film: np.ndarray) -> np.ndarray:
        """(T_a, size) of (T_a, size) and (all blocks,) scales and shifts; see `FilmUNet`."""
        start, skipped = 0, []

        def through(pair: tuple[_Block, ...], x: np.ndarray) -> np.ndarray:
            nonlocal start
            for block in pair:
                x = block(x, film[start : start + block.told])
                start += block.told
            return x

        for level, pair in enumerate(self._down):
            x = through(pair, x)
            skipped.append(x)
            if level < len(self._shrink):
                x = _convolved(x, self._shrink[level][0], self._shrink[level][1], 2)
        x = through(self._middle, x)
        for pair, grow in zip(self._up, self._grow, strict=True):
            x = through(pair, np.concatenate([x, skipped.pop()], axis=1))
            x = _grown(x, *grow)
        last = self._last
        x = _conv_block(x, last[0], last[1], last[2], last[3], self._groups)
        out: np.ndarray = _convolved(x, self._out[0], self._out[1], 1)
        return out


def _array(values: Any) -> np.ndarray:
    return np.ascontiguousarray(values.detach().numpy(), dtype=np.float32)


def _conv(conv: nn.Conv1d) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (taps * inputs, outputs) and bias of a convolution."""
    return _array(conv.weight.permute(2, 1, 0).flatten(0, 1)), _array(conv.bias)


def _transposed(conv: nn.ConvTranspose1d) -> tuple[np.ndarray, np.ndarray]:
    """Matrix (inputs, taps * outputs) and bias of a transposed convolution."""
    return _array(conv.weight.permute(0, 2, 1).flatten(1)), _array(conv.bias)


def _conv_block_weights(block: ConvBlock) -> tuple[np.ndarray, ...]:
    return (*_conv(block.conv), _array(block.norm.weight), _array(block.norm.bias))


def _block(block: FilmBlock) -> _Block:
    past = (np.zeros((0, 0), np.float32), np.zeros(0, np.float32))
    if isinstance(block.past, nn.Conv1d):
        past = _conv(block.past)
    return _Block(
        _conv_block_weights(block.first),
        _conv_block_weights(block.second),
        past,
        block.first.norm.num_groups,
        2 * block.outputs,
    )
