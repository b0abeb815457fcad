"""The monitor: segments of one camera, beside judging every frame and beside the paper's recipe.

All with the small models, in turns: what disturbs one disturbs the others; OMP_NUM_THREADS=1 makes
it one thread. Judging every frame asks the judge about each frame and each text. The recipe of
AnyAnomaly encodes 24 frames, then for each text 25 + 9 + 4 windows and as many grids, one after
another, makes the text's embeddings anew, and asks the judge three times.

The networks are untrained, which costs the same. In the first figures no gate keeps anything from
the judge, which is the worst case. `_normal_footage` is what normal footage costs with the gate of
a calibration, which keeps a share of its segments from the judge by definition. `_larger_judge` is
with a judge of four times the width: the more a judge costs beside the encoder, as the published
ones do, the nearer the ratio comes to the 8 that asking three times in place of 24 gives at best.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from brs_cli.anomaly_train import TEST_SEEDS, Phrases
from brs_cli.bench import Figure, figure
from brs_cli.bench_policy import _times
from brs_hardware.config import load_named
from brs_hardware.embodiment import load_embodiment

_PER_FRAME = "the judge asked about every frame"
_LARGER = 4  # times as wide
_RECIPE = "the paper's recipe: one by one, texts embedded anew"


def measure_anomaly(seconds: float) -> list[Figure]:
    """Frames per second, and ratios of processor time; for one text and for seven."""
    from brs_ml.anomaly import MonitorConfig
    from brs_ml.anomaly.small import SmallConfig, SmallEncoder, SmallJudge, SmallModels
    from brs_ml.anomaly.training import vocabulary_of

    config = load_named(MonitorConfig, "anomaly", "default", "monitor")
    config = replace(config, judged_texts=0)  # every text is judged
    phrases = load_named(Phrases, "anomaly", "household", "list of phrases").phrases
    sizes = SmallConfig(vocabulary_of(phrases))
    models = SmallModels.fresh(sizes)
    larger = replace(sizes, judge_widths=tuple(_LARGER * width for width in sizes.judge_widths))
    keywords = [several[0] for several in phrases.values()]
    count = config.segment.frames
    frames, figures = _frames(count), []
    for texts, ending in (([keywords[0]], ""), (keywords, "_all_texts")):
        ways = _ways(frames, texts, SmallEncoder(models), SmallJudge(models), config)
        spent = _times(ways, seconds / 3)
        figures += [
            figure(f"anomaly_fps{ending}", count / spent["ours"], "1/s", ">= 10"),
            figure(
                f"anomaly_ratio_per_frame{ending}",
                spent["per_frame"] / spent["ours"],
                "x",
                ">= 6",
                against=_PER_FRAME,
            ),
            figure(
                f"anomaly_ratio_paper_recipe{ending}",
                spent["recipe"] / spent["ours"],
                "x",
                ">= 3",
                against=_RECIPE,
            ),
            _normal(spent, config.calibration.gate_quantile, ending),
        ]
    judge = SmallJudge(SmallModels.fresh(larger))
    ways = _ways(frames, keywords[:1], SmallEncoder(models), judge, config)
    spent = _times({name: ways[name] for name in ("ours", "per_frame")}, seconds / 3)
    ratio = spent["per_frame"] / spent["ours"]
    figures.append(figure("anomaly_ratio_per_frame_larger_judge", ratio, "x", against=_PER_FRAME))
    return figures


def _normal(spent: Mapping[str, float], kept: float, ending: str) -> Figure:
    """Of normal footage, of whose segments the gate keeps a share from the judge."""
    mean = kept * spent["gated"] + (1.0 - kept) * spent["ours"]
    return figure(
        f"anomaly_ratio_per_frame{ending}_normal_footage",
        spent["per_frame"] / mean,
        "x",
        against=f"{_PER_FRAME}; a gate that keeps {kept:.0%}",
    )


def _frames(count: int) -> list[np.ndarray]:
    """The first frames of a generated clip, at a camera's usual size."""
    import cv2

    from brs_sim.anomalies import Clip
    from brs_sim.cameras import CameraRenderer

    clip = Clip(load_embodiment("r1"), "spill", TEST_SEEDS)
    with CameraRenderer(clip) as renderer:
        drawn = [clip.draw(renderer, i) for i in range(count)]
    return [cv2.resize(frame, (640, 480), interpolation=cv2.INTER_LINEAR) for frame in drawn]


def _ways(
    frames: Sequence[np.ndarray], keywords: Sequence[str], encoder: Any, judge: Any, config: Any
) -> dict[str, Callable[[], object]]:
    from brs_ml.anomaly import Segment, SegmentScorer, watch_texts
    from brs_ml.anomaly.judge import Question

    watched = watch_texts(keywords, encoder, config)
    scorer = SegmentScorer(encoder, judge, watched, config)
    never = dict.fromkeys(watched.keywords, 2.0)  # more than any evidence
    gated = SegmentScorer(encoder, judge, watched, config, never)
    segment = Segment(0, tuple(frames), 0.0, 2.3)

    def per_frame() -> None:
        for keyword in keywords:
            for frame in frames:
                judge.rate([Question(frame, keyword, "key_frame")])

    def recipe() -> None:
        for keyword in keywords:
            _recipe(frames, keyword, keywords, encoder, judge, config)

    return {
        "ours": lambda: scorer.score(segment),
        "gated": lambda: gated.score(segment),
        "per_frame": per_frame,
        "recipe": recipe,
    }


def _recipe(
    frames: Sequence[np.ndarray],
    keyword: str,
    keywords: Sequence[str],
    encoder: Any,
    judge: Any,
    config: Any,
) -> None:
    """A segment and a text the way of the paper's program: the same pictures, one by one."""
    from brs_ml.anomaly import watch_texts
    from brs_ml.anomaly.context import Contexts
    from brs_ml.anomaly.judge import Question
    from brs_ml.anomaly.key_frames import select_key_frames
    from brs_ml.anomaly.windows import scaled

    class OneByOne:
        """The encoder, one picture at a time."""

        name, side_px = encoder.name, encoder.side_px

        def encode_images(self, pictures: np.ndarray) -> np.ndarray:
            return np.concatenate([encoder.encode_images(one[None]) for one in pictures])

    slow: Any = OneByOne()
    texts = watch_texts(keywords, encoder, config)
    which = texts.keywords.index(keyword)
    fits = slow.encode_images(np.stack([scaled(f, encoder.side_px) for f in frames]))
    chosen, best = select_key_frames(fits @ texts.plain[which])
    contexts = Contexts(slow, config.segment, frames)
    position = contexts.position(best, texts.templated, which)
    temporal = contexts.temporal(chosen.tolist(), texts.templated[which])
    for part, picture in (
        ("key_frame", frames[best]),
        ("position", position.picture),
        ("temporal", temporal.picture),
    ):
        judge.rate([Question(picture, keyword, part)])
