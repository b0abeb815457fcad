"""Four frames that stand for a segment (AnyAnomaly, section 3.2)."""

from __future__ import annotations

import numpy as np

from brs_ml.anomaly.config import KEY_FRAME_RULES

KEY_FRAMES = 4


def select_key_frames(
    similarities: np.ndarray, rule: str = "clip_then_group", seed: int = 0
) -> tuple[np.ndarray, int]:
    """Key frames of a segment in the order of time, and the one that fits the text best.

    `clip_then_group`, the paper's: the best frame, and in the other quarters those of the same
    place within the quarter. The others are its ablations: the best of each quarter
    (`group_then_clip`), the best four (`top`), any four (`random`).

    Args:
        similarities: (N,) of the frames to the text, N a multiple of four.
        rule: as above.
        seed: of `random`.

    Returns:
        (4,) rising indices, and the index of the best frame, which is one of them.
    """
    count = len(similarities)
    if count < KEY_FRAMES or count % KEY_FRAMES:
        raise ValueError(f"a segment has a multiple of {KEY_FRAMES} frames, not {count}")
    quarter = count // KEY_FRAMES
    best = int(np.argmax(similarities))
    starts = np.arange(KEY_FRAMES) * quarter
    if rule == "clip_then_group":
        return starts + best % quarter, best
    if rule == "group_then_clip":
        return starts + similarities.reshape(KEY_FRAMES, quarter).argmax(axis=1), best
    if rule == "top":  # stable, so that the first of equal ones is taken, as argmax does
        return np.sort(np.argsort(-similarities, kind="stable")[:KEY_FRAMES]), best
    if rule == "random":
        chosen = np.random.default_rng(seed).choice(count, KEY_FRAMES, replace=False)
        chosen.sort()
        return chosen, int(chosen[np.argmax(similarities[chosen])])
    raise ValueError(f"'{rule}' is none of {', '.join(KEY_FRAME_RULES)}")
