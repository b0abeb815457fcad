"""Commands from chunks: at the right time, without a jump, and none without a chunk."""

from __future__ import annotations

from typing import Any

import numpy as np
import policy_batches as batches
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_ml.policy.observation import Chunk
from brs_ml.policy.runtime.chunk_handover import HANDOVERS, CommandStream, HandoverConfig

LAYOUT = batches.robot()
BASE = LAYOUT.slice_of("base")
GRIP = LAYOUT.slice_of("left_gripper").start
JOINT = LAYOUT.slice_of("left_arm").start
PERIOD_S, STEPS = 0.1, 8
STANDING = np.zeros(LAYOUT.size)
SECOND_NS = 10**9


def chunk(stamp_s: float, values: np.ndarray | float) -> Chunk:
    """Actions of a stamp; all numbers of a step are equal if one number a step is given."""
    actions = np.broadcast_to(np.reshape(values, (-1, 1)), (STEPS, LAYOUT.size)).astype(float)
    return Chunk(actions.copy(), PERIOD_S, round(stamp_s * SECOND_NS))


def stream(way: str = "blend", **changes: Any) -> CommandStream:
    return CommandStream(LAYOUT, HandoverConfig(way, **{"max_chunk_age_s": 1.0, **changes}))


def naive(values: list[float], since_s: float, joint: bool) -> float:
    """A number of a chunk, step by step."""
    for number, value in enumerate(values):
        following = values[min(number + 1, len(values) - 1)]
        if since_s < (number + 1) * PERIOD_S:
            share = (since_s - number * PERIOD_S) / PERIOD_S
            return value + share * (following - value) if joint else value
    return values[-1]


@given(st.lists(st.floats(-1, 1), min_size=STEPS, max_size=STEPS), st.floats(0.0, 0.29), st.data())
@settings(deadline=None, max_examples=50)
def test_a_late_chunk_is_entered_at_the_present(
    values: list[float], late_s: float, data: st.DataObject
) -> None:
    made = stream(blend_s=0.05)
    assert made.accept(10.0 + late_s, chunk(10.0, np.array(values)), STANDING) is not None
    since_s = late_s + data.draw(st.floats(0.06, 0.5))
    if abs(since_s / PERIOD_S - round(since_s / PERIOD_S)) < 1e-3:
        return  # at the edge of a step either is right
    found = made.at(10.0 + since_s)
    assert found is not None
    assert found[JOINT] == pytest.approx(naive(values, since_s, True), abs=1e-4)
    assert found[BASE] == pytest.approx([naive(values, since_s, False)] * 3)
    assert found[GRIP] == naive(values, since_s, False)


@pytest.mark.parametrize("way", HANDOVERS)
@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=25)
def test_no_joint_jumps_whatever_the_chunks_and_whenever_they_come(way: str, seed: int) -> None:
    """Between two commands 1 ms apart a joint moves no more than its chunk and the bridge ask."""
    random = np.random.default_rng(seed)
    made, blend_s, step_s = stream(way, blend_s=0.1), 0.1, 1e-3
    joints = np.ones(LAYOUT.size, bool)
    joints[BASE] = False
    joints[[GRIP, LAYOUT.slice_of("right_gripper").start]] = False
    pending: list[tuple[float, Chunk]] = []
    last = STANDING
    spread, began = 0.3, False
    # A chunk goes up to 2 spreads in a period; a bridge of 2 spreads is steepest in its middle;
    # weights of an ensemble change by at most 1 / blend_s, and so do those of the others.
    most = step_s * 2 * spread * (1 / PERIOD_S + 1.5 / blend_s + 2.0 / blend_s) * 1.5
    for tick in range(900):
        now_s = 100.0 + tick * step_s
        if tick % 100 == 0:
            values = random.uniform(-spread, spread, STEPS)
            pending.append((now_s + random.uniform(0.0, 0.09), chunk(now_s, values)))
        while pending and pending[0][0] <= now_s:
            made.accept(now_s, pending.pop(0)[1], last)
        command = made.at(now_s)
        if command is None:
            assert not began, "chunks overlap, so there is always one"
            continue
        began = True
        assert np.abs(command - last)[joints].max() <= most
        last = command


def test_what_was_bridged_is_told_and_gone_in_time() -> None:
    made = stream()
    assert made.accept(10.0, chunk(10.0, 0.2), STANDING) == pytest.approx(0.2)
    assert made.at(10.0)[JOINT] == pytest.approx(0.0)  # type: ignore[index]
    assert made.at(10.3)[JOINT] == pytest.approx(0.2)  # type: ignore[index]
    assert made.accept(10.3, chunk(10.2, 0.5), STANDING) == pytest.approx(0.3)
    assert made.at(10.3)[JOINT] == pytest.approx(0.2)  # type: ignore[index]
    assert made.at(10.4)[JOINT] == pytest.approx(0.35)  # type: ignore[index]
    assert made.at(10.5)[JOINT] == pytest.approx(0.5)  # type: ignore[index]
    assert made.at(10.3)[GRIP] == 0.5  # type: ignore[index]


def test_nothing_is_told_beyond_the_end_of_a_chunk_or_its_greatest_age() -> None:
    for age_s, end_s in ((2.0, STEPS * PERIOD_S), (0.35, 0.35)):
        made = stream(max_chunk_age_s=age_s)
        made.accept(10.1, chunk(10.0, 0.2), STANDING)
        assert made.at(10.0 + end_s - 0.01) is not None
        assert made.at(10.0 + end_s + 0.01) is None
        # Inference was too slow: its chunk is over before it is there.
        assert made.accept(11.0, chunk(10.15, 0.2), STANDING) is None
        assert made.at(11.0) is None
        # It recovers, from where the robot stands now.
        assert made.accept(12.0, chunk(11.95, 0.2), STANDING + 0.1) == pytest.approx(0.1)
        assert made.at(12.0)[JOINT] == pytest.approx(0.1)  # type: ignore[index]
        assert made.at(12.0)[BASE] == pytest.approx([0.0] * 3)  # type: ignore[index]


def test_an_older_chunk_does_not_follow_a_newer_one() -> None:
    made = stream()
    made.accept(10.2, chunk(10.1, 0.1), STANDING)
    assert made.accept(10.25, chunk(10.0, 0.9), STANDING) is None
    assert made.accept(10.25, chunk(10.1, 0.9), STANDING) is None
    made.clear()
    assert made.accept(10.25, chunk(10.0, 0.9), STANDING) is not None


def test_an_ensemble_is_acts_weighted_mean_where_all_have_faded_in() -> None:
    made = stream("ensemble", blend_s=0.05, ensemble_decay=0.5)
    values = (0.1, 0.4, -0.2)
    for number, value in enumerate(values):
        made.accept(10.0 + 0.1 * number, chunk(10.0 + 0.1 * number, value), STANDING)
    weights = [np.exp(-0.5 * number) for number in range(3)]
    mean = sum(w * v for w, v in zip(weights, values, strict=True)) / sum(weights)
    found = made.at(10.4)
    assert found is not None
    assert found[JOINT] == pytest.approx(mean) and found[BASE] == pytest.approx([mean] * 3)
    assert found[GRIP] == values[-1]


def test_what_is_committed_is_settled_until_the_chunk_is_ready_then_less_and_less() -> None:
    made = stream("inpaint")
    assert made.committed(10 * SECOND_NS, 10.1) is None
    ramp = 0.1 * np.arange(STEPS)
    made.accept(10.0, chunk(10.0, ramp), STANDING)
    found = made.committed(round(10.2 * SECOND_NS), ready_s=10.35)
    assert found is not None
    assert found.actions[:6, JOINT] == pytest.approx(ramp[2:], abs=1e-5)
    assert found.actions[:6, GRIP] == pytest.approx(ramp[2:])
    assert list(found.known[:2]) == [1.0, 1.0]  # 10.2 and 10.3 s
    assert found.known[2] == pytest.approx((10.8 - 10.4) / (10.8 - 10.35))
    assert list(found.known[6:]) == [0.0, 0.0]
    assert (np.diff(found.known) <= 0.0).all()
    assert stream().committed(0, 1.0) is None


def test_settings_that_make_no_sense_are_refused() -> None:
    for changes in ({"way": "hope"}, {"blend_s": 0.0}, {"max_chunk_age_s": 0.0}):
        with pytest.raises(ValueError):
            HandoverConfig(**changes)  # type: ignore[arg-type]
