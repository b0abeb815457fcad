"""Many messages read at once give what decoding each of them gives."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from synthetic_episodes import STORE, TYPES

from brs_ml.dataset import DatasetError
from brs_ml.dataset.messages import Decoder
from brs_ml.dataset.samples import SampleReader
from brs_ml.dataset.streams import Stream
from brs_ml.episode import Topic
from brs_ml.episode.reader import BagMessage

STATE, COMMAND = "brs_interfaces/msg/WholeBodyState", "brs_interfaces/msg/WholeBodyCommand"
FIELDS = ("base_velocity", "torso", "left_arm", "right_arm", "left_gripper")
TOPICS = {
    kind: Topic(kind, kind, STORE.generate_msgdef(kind, ros_version=2)[0])
    for kind in (STATE, COMMAND, "sensor_msgs/msg/JointState")
}


def serialized(kind: str, frame: str, joints: int, seed: int, little: bool) -> BagMessage:
    """A message of random numbers."""
    random = np.random.default_rng(seed)
    time = TYPES["builtin_interfaces/msg/Time"](sec=seed, nanosec=5)
    header = TYPES["std_msgs/msg/Header"](stamp=time, frame_id=frame)
    group = TYPES["brs_interfaces/msg/JointGroupState"]
    if kind == STATE:
        parts = [group(*random.normal(size=(3, joints))) for _ in range(3)]
        message = TYPES[kind](
            header, *random.normal(size=(2, 3)), *parts, *random.normal(size=2).tolist()
        )
    else:
        parts = list(random.normal(size=(3, joints)))
        message = TYPES[kind](
            header, frame, random.normal(size=3), *parts, *random.normal(size=2).tolist()
        )
    data = STORE.serialize_cdr(message, kind, little_endian=little)
    return BagMessage(kind, kind, 0, 0, bytes(data), 0)


def values_of(message: Any) -> np.ndarray:
    parts = [getattr(message, field) for field in FIELDS]
    return np.concatenate([np.atleast_1d(getattr(part, "position", part)) for part in parts])


RECIPES = st.tuples(
    st.text("abc", max_size=5), st.integers(0, 3), st.integers(0, 99), st.booleans()
)


@settings(deadline=None)
@given(st.sampled_from([STATE, COMMAND]), st.lists(st.lists(RECIPES, max_size=6), max_size=4))
def test_whatever_their_shapes_they_are_read_as_one_by_one(
    kind: str, batches: list[list[tuple[str, int, int, bool]]]
) -> None:
    read = SampleReader(Decoder(TOPICS), FIELDS, values_of)
    decode = Decoder(TOPICS)
    for recipes in batches:
        messages = [serialized(kind, *recipe) for recipe in recipes]
        found = read(messages)
        assert len(found) == len(messages)
        for message, values in zip(messages, found, strict=True):
            assert values.tobytes() == values_of(decode(message)).tobytes()


def test_messages_alike_are_decoded_once() -> None:
    decoded = []
    decode = Decoder(TOPICS)

    def values(message: Any) -> np.ndarray:
        decoded.append(message)
        return values_of(message)

    read = SampleReader(decode, FIELDS, values)
    for first in range(0, 60, 20):
        read([serialized(STATE, "base", 6, seed, True) for seed in range(first, first + 20)])
    assert len(decoded) == 1
    read([serialized(STATE, "basis", 6, 0, True)])  # as large, and of another shape
    assert len(decoded) == 2
    for seed in range(10):  # two sizes in turn
        read([serialized(STATE, "basis", 6 + seed % 2, seed, True)])
    assert len(decoded) == 3


def test_places_that_give_other_numbers_are_not_used() -> None:
    """As where a part is another quantity than the field of its name."""
    messages = [serialized(COMMAND, "base", 6, seed, True) for seed in range(4)]
    read = SampleReader(Decoder(TOPICS), FIELDS, lambda message: values_of(message) * 2)
    for _ in range(2):
        for message, values in zip(messages, read(messages), strict=True):
            assert np.array_equal(values, 2 * values_of(Decoder(TOPICS)(message)))


def test_numbers_that_cannot_be_had_are_an_error_of_the_topic() -> None:
    def refuse(message: Any) -> np.ndarray:
        raise ValueError("left_arm has 7 numbers, r1 has 6")

    read = SampleReader(Decoder(TOPICS), FIELDS, refuse)
    with pytest.raises(DatasetError, match=f"{STATE}: left_arm has 7 numbers"):
        read([serialized(STATE, "", 7, 0, True)])


@given(
    st.lists(st.integers(0, 50), min_size=1, max_size=30).map(sorted),
    st.integers(-5, 55),
    st.integers(1, 20),
)
def test_between_samples_is_a_line_unless_they_are_too_far_apart(
    stamps: list[int], time: int, gap: int
) -> None:
    values = {number: np.array([float(number) ** 2]) for number in range(len(stamps))}
    stream = Stream(lambda messages: [values[message.sequence] for message in messages])
    for number, stamp in enumerate(stamps):
        stream.add(stamp, BagMessage("", "", 0, 0, b"", number))
    found = stream.between(time, gap)
    before = [i for i, stamp in enumerate(stamps) if stamp <= time]
    after = [i for i, stamp in enumerate(stamps) if stamp > time]
    if before and stamps[before[-1]] == time:
        assert found is not None
        assert found[0] == before[-1] ** 2
    elif not before or not after or stamps[after[0]] - stamps[before[-1]] > gap:
        assert found is None
    else:
        at, points = [stamps[before[-1]], stamps[after[0]]], [before[-1] ** 2, after[0] ** 2]
        assert found is not None
        assert found[0] == pytest.approx(np.interp(time, at, points))


def test_an_angle_goes_on_over_a_turn() -> None:
    angles = np.linspace(0.0, 20.0, 600)
    wrapped = np.arctan2(np.sin(angles), np.cos(angles))
    stream = Stream(
        lambda messages: [np.array([0.0, wrapped[m.sequence]]) for m in messages], angle=1
    )
    for number in range(len(angles)):
        stream.add(number, BagMessage("", "", 0, 0, b"", number))
    assert stream.arrays(2, "")[1][:, 1] == pytest.approx(angles)


def test_small_steps_back_are_levelled_and_the_newest_counts() -> None:
    stream = Stream(lambda messages: [np.array([float(len(m.data))]) for m in messages])
    for number, stamp_ms in enumerate((1000, 1010, 1008, 1020)):
        stream.add(
            stamp_ms * 1_000_000, serialized(COMMAND, "x" * 8 * number, 3, number, little=True)
        )
    stamps, values = stream.arrays(1, "here")
    assert (stamps // 1_000_000).tolist() == [1000, 1010, 1020]
    sizes = values[:, 0]
    assert sizes[1] - sizes[0] > 8.0  # the third message, not the second
    stream.add(919_000_000, serialized(COMMAND, "", 3, 9, little=True))
    with pytest.raises(DatasetError, match=r"stepped back by 0\.101"):
        stream.arrays(1, "here")
