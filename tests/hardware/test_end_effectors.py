"""End effectors: the vendor's jaw by its stroke, the Inspire hand through a serial port."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brs_hardware.embodiment import Embodiment, HandConfig
from brs_hardware.end_effectors import KINDS, InspireHand, ParallelJaw, make_end_effector
from brs_hardware.end_effectors.inspire_protocol import (
    ANSWER,
    REQUEST,
    Frame,
    FrameParser,
    Register,
    decode_errors,
    encode,
    pack_words,
    read_request,
    unpack_words,
)
from brs_hardware.errors import ConfigError, DeviceError
from brs_sim.emulators.inspire_hand import EmulatedHand, emulated_hand

FRAMES = st.builds(
    Frame,
    hand_id=st.integers(1, 254),
    command=st.sampled_from([0x11, 0x12]),
    address=st.integers(0, 0xFFFF),
    data=st.binary(min_size=0, max_size=24),
)


# -- frames --------------------------------------------------------------------------------


def test_request_is_the_one_of_the_manual() -> None:
    # Read 12 bytes of the set angles (1486 = 0x05CE) of hand 1; checksum 01+04+11+CE+05+0C = F5.
    assert read_request(1, Register.ANGLE_SET, 12).hex(" ") == "eb 90 01 04 11 ce 05 0c f5"


@settings(deadline=None)
@given(st.lists(st.binary(max_size=30), max_size=8))
def test_no_stream_breaks_the_parser_and_it_keeps_little(chunks: list[bytes]) -> None:
    parser = FrameParser(ANSWER)
    for chunk in chunks:
        parser.feed(chunk)
    assert len(parser._buffer) < 255 + 5


@settings(deadline=None)
@given(FRAMES, st.binary(max_size=40), st.integers(1, 7))
def test_a_frame_is_found_behind_garbage_and_in_pieces(
    frame: Frame, garbage: bytes, size: int
) -> None:
    # Garbage that itself begins a frame may swallow the next: a second one is then whole again.
    garbage = garbage.replace(ANSWER[:1], b"\x00")
    stream = garbage + encode(ANSWER, frame)
    parser = FrameParser(ANSWER)
    found = [f for i in range(0, len(stream), size) for f in parser.feed(stream[i : i + size])]
    assert found == [frame]


@settings(deadline=None)
@given(FRAMES, st.data())
def test_a_frame_with_a_wrong_byte_is_not_taken_for_it(frame: Frame, data: st.DataObject) -> None:
    spoilt = bytearray(encode(ANSWER, frame))
    place = data.draw(st.integers(0, len(spoilt) - 1))
    spoilt[place] ^= data.draw(st.integers(1, 255))
    assert frame not in FrameParser(ANSWER).feed(bytes(spoilt))


@settings(deadline=None)
@given(st.lists(st.integers(-(2**15), 2**15 - 1), max_size=6))
def test_words_survive_packing(values: list[int]) -> None:
    assert unpack_words(pack_words(values)) == values


def test_errors_name_joint_and_remedy_and_keep_unknown_bits() -> None:
    lines = decode_errors(bytes([0, 0, 0b11, 0, 0x80, 0]))
    assert lines[0].startswith("middle: blocked") and lines[1].startswith("middle: too hot")
    assert lines[2].startswith("thumb bend: unknown error 0x80") and len(lines) == 3


# -- the hand ------------------------------------------------------------------------------


def run_until(hand: InspireHand, done: object, timeout_s: float = 10.0) -> None:
    end_s = time.monotonic() + timeout_s
    while not done():  # type: ignore[operator]
        assert time.monotonic() < end_s, f"waited in vain; state {hand.state()}"
        hand.step(time.monotonic())


def closed(hand: InspireHand) -> float:
    state = hand.state()
    return -1.0 if state is None or not state.connected else state.closed


def test_hand_opens_closes_and_limits_its_force() -> None:
    with emulated_hand() as (emulated, bus):
        hand = InspireHand(HandConfig(port=bus.port, force_limit=300))
        hand.open()
        assert emulated.words(Register.FORCE_SET) == [300] * 6
        run_until(hand, lambda: closed(hand) == 0.0)
        hand.act(0.0, 1.0)
        run_until(hand, lambda: closed(hand) > 0.99)
        # Five joints bend, the thumb's rotation is not part of closing.
        assert np.allclose(emulated.angles, [0, 0, 0, 0, 0, 1000], atol=20)
        hand.act(0.0, float("nan"))
        hand.step(0.0)
        assert emulated.words(Register.ANGLE_SET) == [0, 0, 0, 0, 0, 1000]
        hand.close()
        hand.close()


def test_hand_survives_a_bad_line() -> None:
    emulated = EmulatedHand(seed=3)
    with emulated_hand(emulated) as (_, bus):
        hand = InspireHand(HandConfig(port=bus.port, force_limit=200))
        emulated.faults.noise_probability = 0.5
        emulated.faults.drop_probability = 0.2
        emulated.faults.wrong_checksum_probability = 0.2
        hand.open()
        assert emulated.words(Register.FORCE_SET) == [200] * 6
        hand.act(0.0, 1.0)
        run_until(hand, lambda: closed(hand) > 0.99)
        hand.close()


def test_silent_hand_is_reported_and_taken_back() -> None:
    with emulated_hand() as (emulated, bus):
        hand = InspireHand(HandConfig(port=bus.port))
        hand.open()
        hand.act(0.0, 0.5)
        run_until(hand, lambda: abs(closed(hand) - 0.5) < 0.02)
        emulated.faults.silent = True
        run_until(hand, lambda: closed(hand) == -1.0)
        assert "does not answer" in hand.state().problems[0]  # type: ignore[union-attr]
        emulated.faults.silent = False
        emulated.angles[:] = 1000.0
        emulated.poke(Register.ANGLE_SET, pack_words([1000] * 6))  # it lost its goal
        run_until(hand, lambda: abs(closed(hand) - 0.5) < 0.02)
        hand.close()


def test_unplugged_hand_is_reported() -> None:
    with emulated_hand() as (_, bus):
        hand = InspireHand(HandConfig(port=bus.port))
        hand.open()
        run_until(hand, lambda: closed(hand) == 0.0)
        bus.unplug()
        run_until(hand, lambda: closed(hand) == -1.0)


def test_errors_of_the_hand_are_in_its_state_and_can_be_cleared() -> None:
    with emulated_hand() as (emulated, bus):
        emulated.poke(Register.ERROR, bytes([0, 0, 0, 1, 0, 0]))
        hand = InspireHand(HandConfig(port=bus.port))
        hand.open()
        hand.step(0.0)
        assert hand.state().problems[0].startswith("index: blocked")  # type: ignore[union-attr]
        hand.clear_errors()
        run_until(hand, lambda: hand.state().problems == ())  # type: ignore[union-attr]
        hand.close()


def test_missing_port_and_wrong_id_say_what_to_do() -> None:
    with pytest.raises(DeviceError, match="check the cable"):
        InspireHand(HandConfig(port="/dev/there_is_no_hand")).open()
    other = EmulatedHand(hand_id=2)
    with emulated_hand(other) as (_, bus), pytest.raises(DeviceError, match="hand 1 does not"):
        InspireHand(HandConfig(port=bus.port)).open()


# -- jaw and registry ----------------------------------------------------------------------


@settings(max_examples=50, deadline=None)
@given(st.floats(-1.0, 2.0))
def test_jaw_sends_the_strokes_of_the_embodiment(robot: Embodiment, fraction: float) -> None:
    sent: list[tuple[float, float]] = []
    jaw = ParallelJaw(robot.left_gripper, lambda *values: sent.append(values))
    jaw.act(1.5, fraction)
    expected_mm = 90.0 - 89.0 * min(max(fraction, 0.0), 1.0)
    assert sent == [(1.5, pytest.approx(expected_mm))]
    jaw.measured(2.0, sent[0][1])
    state = jaw.state()
    assert state is not None and state.closed == pytest.approx(min(max(fraction, 0.0), 1.0))
    jaw.act(2.0, float("nan"))
    assert len(sent) == 1


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_registered_end_effector_keeps_the_interface(robot: Embodiment, kind: str) -> None:
    gripper = replace(robot.left_gripper, end_effector=kind, hand=HandConfig(port="/dev/none"))
    made = make_end_effector(gripper, lambda *_: None)
    assert made.state() is None  # nothing measured yet
    made.act(0.0, 0.5)
    made.close()
    made.close()


def test_wrong_names_and_settings_are_refused(robot: Embodiment) -> None:
    with pytest.raises(ConfigError, match="did you mean inspire_hand"):
        make_end_effector(replace(robot.left_gripper, end_effector="inspire"), lambda *_: None)
    with pytest.raises(ConfigError, match="needs 'hand:'"):
        make_end_effector(
            replace(robot.left_gripper, end_effector="inspire_hand"), lambda *_: None
        )
    with pytest.raises(ValueError, match="within 0 and 1000"):
        HandConfig(port="x", force_limit=1001)
    assert ANSWER[::-1] == REQUEST
