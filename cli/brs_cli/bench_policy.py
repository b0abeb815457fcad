"""Policies: a chunk and a training step, beside the same network run the plain way.

All on one thread of one CPU, at BRS's size, in turns: what disturbs one disturbs the other. The
plain way encodes all points of both clouds at once, then makes 48 passes through the U-Nets, each
by diffusers' scheduler; in training all points have a graph.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping

import numpy as np

from brs_cli.bench import Figure, figure
from brs_cli.dataset_clouds import layout_of
from brs_hardware.embodiment import load_embodiment

_CHUNK = "encode all points, 48 passes by diffusers, eager"
_STEP = "all points with a graph"
_BATCH = 32  # windows of a training step


def measure_policy(seconds: float) -> list[Figure]:
    """Processor time of chunks and of training steps, and ratios to the plain way."""
    from brs_ml.policy.contenders import chunk_contenders, step_contenders

    layout = layout_of(load_embodiment("r1"))
    chunks = _times(chunk_contenders(layout), seconds * 0.5)
    steps = _times(step_contenders(layout, _BATCH), seconds * 0.5)
    plain = chunks["plain"]

    def chunk(name: str) -> float:
        return plain / chunks[name]

    return [
        figure("chunk_ms", chunks["fast"] * 1e3, "ms"),
        figure("chunk_following_ms", chunks["following"] * 1e3, "ms"),
        figure("fewstep_chunk_ms", chunks["fewstep_following"] * 1e3, "ms"),
        figure("chunk_ratio_reference", chunk("fast"), "x", ">= 3", against=_CHUNK),
        figure("chunk_following_ratio_reference", chunk("following"), "x", against=_CHUNK),
        figure("fewstep_first_chunk_ratio_reference", chunk("fewstep"), "x", against=_CHUNK),
        figure(
            "fewstep_chunk_ratio_reference",
            chunk("fewstep_following"),
            "x",
            ">= 10",
            against=_CHUNK,
        ),
        figure("train_windows_per_s", _BATCH / steps["ours"], "1/s"),
        figure(
            "train_step_ratio_reference",
            steps["plain"] / steps["ours"],
            "x",
            ">= 2",
            against=_STEP,
        ),
    ]


def _times(contenders: Mapping[str, Callable[[], object]], seconds: float) -> dict[str, float]:
    """Median processor time of each [s]; they take turns, the first turn is not counted."""
    spent: dict[str, list[float]] = {name: [] for name in contenders}
    for run in contenders.values():
        run()
    end_s = time.monotonic() + seconds
    while time.monotonic() < end_s or any(len(times) < 3 for times in spent.values()):
        for name, run in contenders.items():
            begun_s = time.process_time()
            run()
            spent[name].append(time.process_time() - begun_s)
    return {name: float(np.median(times)) for name, times in spent.items()}
