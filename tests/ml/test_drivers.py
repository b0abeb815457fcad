"""Who drove when, against a plain list of what was said at each moment."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from brs_ml.episode.drivers import Drivers


def test_a_takeover_ends_one_span_and_begins_the_next() -> None:
    drivers = Drivers()
    drivers.drives("policy", 5)
    drivers.begin(10)  # the policy drove before the episode already
    drivers.drives("policy", 15)
    drivers.drives("teleop", 20)
    drivers.drives("", 30)
    drivers.drives("teleop", 40)
    assert drivers.spans(50) == [
        {"source": "policy", "start_ns": 10, "stop_ns": 20},
        {"source": "teleop", "start_ns": 20, "stop_ns": 30},
        {"source": "teleop", "start_ns": 40, "stop_ns": 50},
    ]


@given(said=st.lists(st.sampled_from(["", "teleop", "policy", "replay"]), max_size=30))
def test_every_moment_has_the_driver_that_was_told_last(said: list[str]) -> None:
    drivers = Drivers()
    drivers.begin(0)
    for moment, source in enumerate(said):
        drivers.drives(source, moment)
    spans = drivers.spans(len(said))
    for moment, source in enumerate(said):
        covering = [s for s in spans if s["start_ns"] <= moment < s["stop_ns"]]
        assert [span["source"] for span in covering] == ([source] if source else [])
