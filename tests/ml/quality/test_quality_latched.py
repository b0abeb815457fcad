"""What is latched before an episode, such as policy/state, is old in it by right."""

from __future__ import annotations

from pathlib import Path

import pytest
from quality_episodes import GOOD, SECOND, checked, entries, serialized
from rosbags.typesys import get_types_from_msg
from synthetic_episodes import INTERFACES, START_NS, STORE

from brs_ml.episode import EpisodeWriter, Topic
from brs_ml.episode.metadata import Qos

KIND = "brs_interfaces/msg/PolicyState"
TEXT = (INTERFACES / "PolicyState.msg").read_text()
STORE.register(get_types_from_msg(TEXT, KIND))


def policy_state(stamp_ns: int) -> bytes:
    types = STORE.types
    time = types["builtin_interfaces/msg/Time"](sec=stamp_ns // SECOND, nanosec=stamp_ns % SECOND)
    header = types["std_msgs/msg/Header"](stamp=time, frame_id="")
    texts = ("", "policy.safetensors", "wbvma", "r1", "0" * 64, "blend")
    figures = (0, 0, 0.0, 0.0, 0.0, 0.0, 0.0)
    state = types[KIND](header, 0, *texts, time, *figures)
    return bytes(STORE.serialize_cdr(state, KIND))


@pytest.mark.parametrize(("durability", "found"), [("transient_local", False), ("volatile", True)])
def test_a_latched_state_from_before_is_no_jump(
    durability: str, found: bool, tmp_path: Path
) -> None:
    folder = tmp_path / "a"
    folder.mkdir()
    writer = EpisodeWriter(folder, GOOD, chunk_bytes=60_000)

    def text(kind: str) -> str:
        return STORE.generate_msgdef(kind, ros_version=2)[0]

    # As the recorder writes it: the file's own text, then those of the types in it.
    whole = TEXT + text(KIND)[text(KIND).index("====") :]
    writer.add_topic(Topic("/policy/state", KIND, whole, (Qos(durability=durability),)))
    for seconds, ago in ((0, 60), (3, 0)):
        log_ns = START_NS + seconds * SECOND
        stamp_ns = log_ns - ago * SECOND
        writer.write("/policy/state", log_ns, stamp_ns, policy_state(stamp_ns), 0)
    for entry in entries():
        kind, data = serialized(entry)
        writer.add_topic(Topic(entry.topic, kind, text(kind)))
        writer.write(entry.topic, entry.log_ns, entry.stamp_ns, data, entry.sequence)
    writer.close(status="saved", success=True)
    rules = {finding.rule for finding in checked(tmp_path) if finding.where == "/policy/state"}
    assert bool(rules) == found
