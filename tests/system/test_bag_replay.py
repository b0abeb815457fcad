"""Nodes give for a recorded bag what they gave when it was recorded.

The bags are tests/data/bags; `BRS_WRITE_BAGS=1 pytest tests/system/test_bag_replay.py` makes them
anew after a change that is meant to change what nodes do. Look at the differences that the tests
tell before.
"""

from __future__ import annotations

import copy
import dataclasses
import itertools
import math
import os
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from bag_scenarios import SCENARIOS
from brs_interfaces.msg import PolicyState
from harness import Harness
from lockstep import BAGS, Lockstep, Step, read_bag, write_bag
from scipy.spatial import cKDTree
from sensor_msgs.msg import PointCloud2

from brs_nodes.cloud_messages import cloud_from_message

pytestmark = pytest.mark.system
# Clouds: so many points are in both, so near; one that falls into another voxel is another.
POINTS_SHARED, POINTS_APART_M = 0.99, 1e-3
# What was measured on the way, or is told to people in words.
LEFT_OUT = {"message", "reasons", "fusion_s", "age_s", "inference_s", "checkpoint"}
LARGEST_BAG, ALL_BAGS = 350_000, 1_500_000  # bytes


def numbers(message: Any, path: str = "") -> dict[str, Any]:
    """Path -> value of all plain fields of a message."""
    flat: dict[str, Any] = {}
    for name in message.get_fields_and_field_types():
        if name in LEFT_OUT:
            continue
        value = getattr(message, name)
        entries = {f"{path}.{name}": value}
        if isinstance(value, list | tuple) or hasattr(value, "tolist"):
            entries = {f"{path}.{name}[{i}]": entry for i, entry in enumerate(value)}
            flat[f"{path}.{name}.length"] = len(value)
        for place, entry in entries.items():
            if hasattr(entry, "get_fields_and_field_types"):
                flat |= numbers(entry, place)
            else:
                flat[place] = entry
    return flat


def difference(was: Any, now: Any, tolerance: float) -> str:
    """The first thing in which two messages differ by more than is allowed; empty if none."""
    if isinstance(was, PointCloud2):
        return cloud_difference(was, now)
    old, new = numbers(was), numbers(now)
    if old.keys() != new.keys():
        only = sorted(old.keys() ^ new.keys())
        told = {place: (old | new)[place] for place in only}
        return f"only {'before' if only[0] in old else 'now'}: {told}"
    for place, value in old.items():
        other = new[place]
        if isinstance(value, float):
            both_none = math.isnan(value) and math.isnan(other)
            if not both_none and not abs(value - other) <= tolerance:
                return f"{place} was {value}, is {other}"
        elif value != other:
            return f"{place} was {value!r}, is {other!r}"
    return ""


def cloud_difference(was: PointCloud2, now: PointCloud2) -> str:
    """As `difference`, of clouds."""
    if (was.header.stamp, was.header.frame_id) != (now.header.stamp, now.header.frame_id):
        return f"{was.header} is {now.header}"
    old, new = cloud_from_message(was), cloud_from_message(now)
    for name, points, others in (("lost", old, new), ("new", new, old)):
        apart, nearest = cKDTree(others.points).query(points.points)
        near = apart <= POINTS_APART_M
        same = near & (np.abs(points.colors.astype(int) - others.colors[nearest]).max(1) <= 2)
        if same.mean() < POINTS_SHARED:
            return f"{1 - same.mean():.1%} of {len(points)} points are {name}"
    return ""


def differences(name: str, was: list[Step], now: list[Step]) -> Iterator[str]:
    """What differs, in the order of time."""
    tolerance = SCENARIOS[name].tolerance
    for before, after in zip(was, now, strict=True):
        when = f"{(before.time_ns - was[0].time_ns) * 1e-9:.3f} s"
        for topic in SCENARIOS[name].outputs:
            old, new = ([m for t, m in step.outputs if t == topic] for step in (before, after))
            if len(old) != len(new):
                yield f"{when}, {topic}: {len(old)} messages were, {len(new)} are"
            for one, other in zip(old, new, strict=False):
                if differs := difference(one, other, tolerance):
                    yield f"{when}, {topic}: {differs}"


@pytest.mark.timeout(300)
@pytest.mark.parametrize("name", SCENARIOS)
def test_a_node_does_what_it_did_when_the_bag_was_recorded(ros: Harness, name: str) -> None:
    scenario = SCENARIOS[name]
    if os.environ.get("BRS_WRITE_BAGS"):
        write_bag(name, scenario, Lockstep(ros, scenario).play(scenario.steps()))
        pytest.skip("written")
    was = list(read_bag(name, scenario))
    now = list(Lockstep(ros, scenario).play(was))
    assert not list(itertools.islice(differences(name, was, now), 5))


@pytest.mark.timeout(300)
@pytest.mark.parametrize(
    ("name", "change", "topic", "first_s"),
    [
        # A ramp shorter by a tenth changes commands from the first of the ramp on, not before.
        ("teleop", {"ramp_s": 0.9}, "teleop/command", (0.2, 0.4)),
        # The first chunk is blended with standing still, from its second command on.
        ("policy", {"blend_s": 0.05}, "policy/command", (0.01, 0.1)),
        ("monitor", {"threshold": 0.48}, "anomaly/scores", (0.4, 0.5)),
    ],
)
def test_a_node_that_does_otherwise_is_noticed(
    ros: Harness, name: str, change: dict[str, Any], topic: str, first_s: tuple[float, float]
) -> None:
    scenario = SCENARIOS[name]
    changed = dataclasses.replace(
        scenario, parameters=lambda folder: scenario.parameters(folder) | change
    )
    was = list(read_bag(name, scenario))
    found = list(differences(name, was, list(Lockstep(ros, changed).play(was))))
    assert topic in found[0] and first_s[0] <= float(found[0].split()[0]) < first_s[1], found[0]


def test_the_bags_hold_what_they_are_for() -> None:
    """A bag in which nothing happens would compare nothing."""
    seen = {
        name: [entry for step in read_bag(name, scenario) for entry in step.outputs]
        for name, scenario in SCENARIOS.items()
    }
    counts = {name: Counter(topic for topic, _ in found) for name, found in seen.items()}
    for name, scenario in SCENARIOS.items():
        assert set(counts[name]) == set(scenario.outputs), name
    states = {m.state for topic, m in seen["teleop"] if topic == "teleop/state"}
    assert states >= {0, 2, 3, 4}, "idle, ramping, engaged, clutched"
    assert counts["teleop"]["teleop/command"] > 100
    rules = {e.rule for t, m in seen["robot"] if t == "robot/safety" for e in m.events}
    assert len(rules) >= 4, rules
    assert {m.mode for t, m in seen["robot"] if t == "robot/safety"} == {0, 1}
    clouds = [m for topic, m in seen["perception"] if topic == "perception/cloud"]
    assert len(clouds) >= 4 and min(m.width for m in clouds) > 300
    states = [m.state for topic, m in seen["policy"] if topic == "policy/state"]
    assert set(states) == {PolicyState.WAITING, PolicyState.ACTING}
    assert counts["policy"]["policy/command"] > 150
    scores = [m for topic, m in seen["monitor"] if topic == "anomaly/scores"]
    assert {m.camera for m in scores} == {"head", "left_wrist"}
    assert {any(m.alarms) for m in scores} == {True, False}
    assert {math.isnan(m.scores[0]) for m in scores} == {True, False}
    assert {text for m in scores for text in m.texts} >= {"a spill", "a person", "a unicorn"}


def test_the_inputs_are_what_the_generator_makes() -> None:
    """Regenerating without a change of the nodes changes nothing."""
    for name, scenario in SCENARIOS.items():
        for made, kept in zip(scenario.steps(), read_bag(name, scenario), strict=True):
            assert made.time_ns == kept.time_ns and len(made.inputs) == len(kept.inputs)
            for (topic, one), (other_topic, other) in zip(made.inputs, kept.inputs, strict=True):
                assert topic == other_topic, name
                assert not difference(one, other, scenario.tolerance), (name, topic)


def test_the_bags_are_small() -> None:
    sizes = {
        name: sum(path.stat().st_size for path in (BAGS / name).iterdir()) for name in SCENARIOS
    }
    assert max(sizes.values()) < LARGEST_BAG and sum(sizes.values()) < ALL_BAGS, sizes


@pytest.mark.parametrize(("change", "told"), [(0.0, False), (5e-7, False), (2e-6, True)])
def test_the_comparison_sees_more_than_its_tolerance(change: float, told: bool) -> None:
    steps = list(read_bag("teleop", SCENARIOS["teleop"]))
    command = next(m for s in steps for t, m in s.outputs if t == "teleop/command")
    other = copy.deepcopy(command)
    other.left_arm[3] += change
    assert bool(difference(command, other, SCENARIOS["teleop"].tolerance)) is told
