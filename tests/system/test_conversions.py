"""What goes into a message comes out of it."""

from __future__ import annotations

import dataclasses

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message

from brs_hardware.types import (
    JOYCON_BUTTONS,
    JointGroupState,
    JoyConSample,
    LeaderSample,
    WholeBodyCommand,
    WholeBodyState,
)
from brs_nodes import conversions

angle = st.floats(-10, 10)
stamp = st.integers(0, 4_000_000_000_000).map(lambda us: us / 1e6)
fraction = st.floats(0, 1)


def vector(count: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(angle, min_size=count, max_size=count).map(np.array)


def group(count: int) -> st.SearchStrategy[JointGroupState]:
    return st.builds(JointGroupState, vector(count), vector(count), vector(count))


def same(one: object, other: object) -> None:
    """Equal field by field; stamps to a microsecond."""
    for field in dataclasses.fields(one):  # type: ignore[arg-type]
        a, b = getattr(one, field.name), getattr(other, field.name)
        if dataclasses.is_dataclass(a):
            same(a, b)
        elif field.name == "stamp_s":
            assert abs(a - b) < 1e-6
        elif isinstance(a, np.ndarray):
            np.testing.assert_allclose(a, b, rtol=1e-6, atol=1e-7)
        else:
            assert a == b


def over_the_wire(message: object) -> object:
    return deserialize_message(serialize_message(message), type(message))


@settings(max_examples=25, deadline=None)
@given(
    st.builds(
        WholeBodyCommand,
        stamp,
        vector(3),
        vector(4),
        vector(6),
        vector(7),  # arms may have any number of joints
        fraction,
        fraction,
        st.sampled_from(["teleop", "policy", "replay"]),
    )
)
def test_command(command: WholeBodyCommand) -> None:
    message = over_the_wire(conversions.command_to_message(command))
    same(command, conversions.command_from_message(message))


@settings(max_examples=25, deadline=None)
@given(
    st.builds(
        WholeBodyState,
        stamp,
        vector(3),
        vector(3),
        group(4),
        group(6),
        group(6),
        fraction,
        fraction,
    )
)
def test_state(state: WholeBodyState) -> None:
    message = over_the_wire(conversions.state_to_message(state))
    same(state, conversions.state_from_message(message))


@settings(max_examples=25, deadline=None)
@given(
    stamp,
    vector(2),
    st.sampled_from(["left", "right"]).flatmap(
        lambda side: st.tuples(st.just(side), st.sets(st.sampled_from(JOYCON_BUTTONS[side])))
    ),
)
def test_joycon(stamp_s: float, stick: np.ndarray, held: tuple[str, set[str]]) -> None:
    side, buttons = held
    sample = JoyConSample(stamp_s, stick, frozenset(buttons))
    message = over_the_wire(conversions.joycon_to_message(side, sample))
    same(sample, conversions.joycon_from_message(side, message))


@settings(max_examples=25, deadline=None)
@given(st.builds(LeaderSample, stamp, vector(6), vector(7)))
def test_leader(sample: LeaderSample) -> None:
    names = tuple(f"joint{i}" for i in range(13))
    message = over_the_wire(conversions.leader_to_message(sample, names))
    same(sample, conversions.leader_from_message(message, 6))


def test_images_keep_every_byte() -> None:
    generator = np.random.default_rng(0)
    color = generator.integers(0, 255, (5, 7, 3), dtype=np.uint8)
    message = over_the_wire(conversions.color_image(1.5, "camera", color))
    assert (message.width, message.height, message.step) == (7, 5, 21)  # type: ignore[attr-defined]
    assert bytes(message.data) == color.tobytes()  # type: ignore[attr-defined]
    depth = generator.random((5, 7)).astype(np.float32)
    message = over_the_wire(conversions.depth_image(1.5, "camera", depth))
    assert bytes(message.data) == depth.tobytes()  # type: ignore[attr-defined]
