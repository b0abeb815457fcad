"""The buffer of transforms against a naive one, and what it refuses to answer."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.linalg import expm, logm
from scipy.spatial.transform import Rotation, Slerp

from brs_hardware.transforms import (
    TransformBuffer,
    TransformError,
    interpolate,
    invert,
    to_matrix,
    to_quaternion,
)

SEEDS = st.integers(0, 2**32 - 1)


def random_pose(rng: np.random.Generator, most_rad: float = 3.0) -> np.ndarray:
    turn = rng.normal(size=3)
    turn *= rng.uniform(0, most_rad) / np.linalg.norm(turn)
    pose = np.eye(4)
    pose[:3, :3] = Rotation.from_rotvec(turn).as_matrix()
    pose[:3, 3] = rng.uniform(-2, 2, 3)
    return pose


def at(x: float) -> np.ndarray:
    pose = np.eye(4)
    pose[0, 3] = x
    return pose


def refusal(buffer: TransformBuffer, target: str, source: str, stamp_s: float | None = 0.0) -> str:
    with pytest.raises(TransformError) as caught:
        buffer.lookup(target, source, stamp_s)
    return str(caught.value)


class Naive:
    """Every link as a list of samples, matrix logarithms between them, a walk over all links."""

    def __init__(self) -> None:
        self.links: dict[tuple[str, str], list[tuple[float, np.ndarray]]] = {}

    def pose(self, parent: str, child: str, stamp_s: float) -> np.ndarray:
        samples = sorted(self.links[parent, child], key=lambda sample: sample[0])
        if len(samples) == 1:
            return samples[0][1]
        for (t0, a), (t1, b) in itertools.pairwise(samples):
            if t0 <= stamp_s <= t1:
                share = (stamp_s - t0) / (t1 - t0)
                turn = expm(share * np.real(logm(a[:3, :3].T @ b[:3, :3])))
                pose = np.eye(4)
                pose[:3, :3] = a[:3, :3] @ turn
                pose[:3, 3] = a[:3, 3] + share * (b[:3, 3] - a[:3, 3])
                return pose
        raise AssertionError(f"{stamp_s} is not within the samples")

    def lookup(self, target: str, source: str, stamp_s: float) -> np.ndarray:
        reached = {target: np.eye(4)}
        while source not in reached:
            for parent, child in self.links:
                if parent in reached and child not in reached:
                    reached[child] = reached[parent] @ self.pose(parent, child, stamp_s)
                elif child in reached and parent not in reached:
                    step = np.linalg.inv(self.pose(parent, child, stamp_s))
                    reached[parent] = reached[child] @ step
        return reached[source]


@settings(max_examples=30, deadline=None)
@given(SEEDS, st.integers(2, 8))
def test_any_tree_answers_as_a_naive_one(seed: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    buffer, naive = TransformBuffer(), Naive()
    frames = [f"frame{i}" for i in range(count)]
    for i, child in enumerate(frames[1:], start=1):
        parent = frames[rng.integers(i)]
        if rng.random() < 0.4:
            pose = random_pose(rng)
            naive.links[parent, child] = [(0.0, pose)]
            buffer.set_static(parent, child, pose)
            continue
        stamps_s = np.append([0.0, 1.0], rng.uniform(0, 1, 6))
        samples = [(float(t), random_pose(rng, 1.5)) for t in stamps_s]
        naive.links[parent, child] = samples
        buffer.max_gap_s = 1.0
        for t, pose in samples:  # in no order
            buffer.add(parent, child, t, pose)
    for _ in range(3):
        target, source = rng.choice(frames, 2)
        stamp_s = float(rng.uniform(0, 1))
        wanted = naive.lookup(target, source, stamp_s)
        np.testing.assert_allclose(buffer.lookup(target, source, stamp_s), wanted, atol=1e-9)


@settings(max_examples=50, deadline=None)
@given(SEEDS, st.floats(0, 1))
def test_interpolation_is_scipys(seed: int, share: float) -> None:
    rng = np.random.default_rng(seed)
    first, second = random_pose(rng), random_pose(rng)
    between = interpolate(first, second, share)
    turns = Rotation.from_matrix([first[:3, :3], second[:3, :3]])
    wanted = Slerp([0.0, 1.0], turns)(share).as_matrix()
    np.testing.assert_allclose(between[:3, :3], wanted, atol=1e-9)
    np.testing.assert_allclose(
        between[:3, 3], first[:3, 3] + share * (second[:3, 3] - first[:3, 3]), atol=1e-12
    )


@settings(max_examples=50, deadline=None)
@given(SEEDS)
def test_matrix_inverse_and_quaternion_agree(seed: int) -> None:
    pose = random_pose(np.random.default_rng(seed))
    np.testing.assert_allclose(invert(pose) @ pose, np.eye(4), atol=1e-12)
    np.testing.assert_allclose(to_matrix(pose[:3, 3], 3.0 * to_quaternion(pose)), pose, atol=1e-12)


@pytest.mark.parametrize(
    ("position", "quaternion"),
    [
        ([0, 0], [0, 0, 0, 1]),
        ([0, 0, 0], [0, 0, 1]),
        ([0, 0, 0], [0, 0, 0, 0]),
        ([0, np.nan, 0], [0, 0, 0, 1]),
        ([0, 0, 0], [0, 0, np.inf, 1]),
    ],
)
def test_a_malformed_pose_is_refused(position: list[float], quaternion: list[float]) -> None:
    with pytest.raises(TransformError):
        to_matrix(np.array(position), np.array(quaternion))


def test_the_error_names_the_link_and_how_far_off_it_is() -> None:
    buffer = TransformBuffer(hold_s=0.02)
    assert "no frame 'odom'" in refusal(buffer, "odom", "arm")
    for t in (1.0, 1.1, 2.0):
        buffer.add("odom", "base_link", t, at(t))
    buffer.set_static("base_link", "torso", at(0.0))
    assert "did you mean torso" in refusal(buffer, "odom", "trso")
    text = refusal(buffer, "torso", "odom", 2.35)
    assert text == "odom -> base_link: the newest is 0.350 s older than asked for"
    text = refusal(buffer, "odom", "torso", 0.5)
    assert text == "odom -> base_link: the oldest is 0.500 s newer than asked for"
    assert "nothing came for 0.900 s" in refusal(buffer, "odom", "torso", 1.5)
    # Below the last common frame nothing is missing.
    assert buffer.lookup("torso", "base_link", 99.0)[0, 3] == 0.0


def test_the_error_names_both_trees() -> None:
    buffer = TransformBuffer()
    buffer.set_static("odom", "base_link", at(0.0))
    buffer.set_static("torso_link4", "head", at(0.0))
    text = refusal(buffer, "base_link", "head")
    assert "'base_link' hangs on 'odom' and 'head' on 'torso_link4'" in text
    buffer.set_static("base_link", "torso_link4", at(2.0))
    assert buffer.lookup("odom", "head", 0.0)[0, 3] == 2.0
    assert buffer.frames == {
        "odom": "", "base_link": "odom", "torso_link4": "base_link", "head": "torso_link4",
    }  # fmt: skip


def test_only_so_long_does_the_newest_stand_for_what_is_not_measured_yet() -> None:
    buffer = TransformBuffer(hold_s=0.0625)
    buffer.add("odom", "base_link", 1.0, at(7.0))
    assert buffer.lookup("odom", "base_link", 1.0625)[0, 3] == 7.0
    refusal(buffer, "odom", "base_link", 1.063)
    refusal(buffer, "odom", "base_link", 0.999)


def test_the_newest_time_is_that_of_the_slowest_link() -> None:
    buffer = TransformBuffer()
    for t in (1.0, 1.2):
        buffer.add("odom", "base_link", t, at(t))
    for t in (1.0, 1.1):
        buffer.add("base_link", "arm", t, at(t))
    buffer.set_static("arm", "camera", at(0.0))
    assert buffer.newest_s("odom", "camera") == 1.1
    assert buffer.lookup("odom", "camera")[0, 3] == pytest.approx(2.2)
    assert buffer.newest_s("arm", "camera") == np.inf
    assert buffer.lookup("arm", "camera")[0, 3] == 0.0


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-100, 100), min_size=1, max_size=30))
def test_it_keeps_the_window_whatever_the_order(stamps_s: list[float]) -> None:
    buffer = TransformBuffer(window_s=10.0)
    for stamp_s in stamps_s:
        buffer.add("odom", "base_link", stamp_s, at(stamp_s))
    newest_s = max(stamps_s)
    for stamp_s in stamps_s:
        if stamp_s >= newest_s - 10.0:
            assert buffer.lookup("odom", "base_link", stamp_s)[0, 3] == stamp_s
        else:
            refusal(buffer, "odom", "base_link", stamp_s)


def test_the_last_of_one_stamp_counts() -> None:
    buffer = TransformBuffer()
    buffer.add("odom", "base_link", 1.0, at(1.0))
    buffer.add("odom", "base_link", 1.0, at(2.0))
    assert buffer.lookup("odom", "base_link", 1.0)[0, 3] == 2.0


def test_a_clock_set_back_is_a_new_beginning_but_for_what_is_fixed() -> None:
    buffer = TransformBuffer()
    buffer.add("odom", "base_link", 100.0, at(1.0))
    buffer.set_static("base_link", "torso", at(3.0))
    buffer.clear()
    assert buffer.frames == {"base_link": "", "torso": "base_link"}
    buffer.add("odom", "base_link", 5.0, at(2.0))
    assert buffer.lookup("odom", "torso")[0, 3] == 5.0


@pytest.mark.parametrize(
    ("parent", "child", "stamp_s", "pose", "complaint"),
    [
        ("b", "a", 0.0, np.eye(4), "loop"),
        ("a", "a", 0.0, np.eye(4), "loop"),
        ("a", "", 0.0, np.eye(4), "no name"),
        ("x", "b", 0.0, np.eye(4), "'b' has the parent 'a' already"),
        ("b", "fixed", 0.0, np.eye(4), "both static and measured"),
        ("a", "new", np.nan, np.eye(4), "stamp"),
        ("a", "new", 0.0, np.eye(3), "4 by 4"),
        ("a", "new", 0.0, np.full((4, 4), np.nan), "4 by 4 finite"),
        ("a", "new", 0.0, np.diag([1.0, 1.0, 2.0, 1.0]), "rotation"),
        ("a", "new", 0.0, np.diag([1.0, 1.0, -1.0, 1.0]), "rotation"),
    ],
)
def test_what_is_no_transform_or_makes_no_tree_is_refused(
    parent: str, child: str, stamp_s: float, pose: np.ndarray, complaint: str
) -> None:
    buffer = TransformBuffer()
    buffer.add("a", "b", 0.0, np.eye(4))
    buffer.set_static("b", "fixed", np.eye(4))
    before = buffer.frames
    with pytest.raises(TransformError, match=complaint):
        buffer.add(parent, child, stamp_s, pose)
    assert buffer.frames == before


def test_what_was_given_may_be_changed_by_its_owner() -> None:
    buffer, pose = TransformBuffer(), at(1.0)
    buffer.add("odom", "base_link", 0.0, pose)
    pose[0, 3] = 9.0
    assert buffer.lookup("odom", "base_link", 0.0)[0, 3] == 1.0
