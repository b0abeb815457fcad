"""What was said once, and holds: latched topics of an episode, seen from its middle."""

from __future__ import annotations

from collections.abc import Collection

from brs_ml.episode.metadata import Topic
from brs_ml.episode.reader import BagMessage, EpisodeReader

STATIC = "/tf_static"


def latched_before(
    reader: EpisodeReader, time_ns: int, topics: Collection[str] | None = None
) -> list[BagMessage]:
    """What a listener who comes at a time would have been told at once, in the order it was said.

    A bag does not tell publishers apart. Of static transforms, which have several, each distinct
    message is taken; of other latched topics the newest.

    Args:
        reader: the episode.
        time_ns: log time [ns]; what was said then or later is left out.
        topics: names wanted; None for all.

    Raises:
        EpisodeError: a part of the file is damaged.
    """
    names = [
        name
        for name, topic in reader.topics.items()
        if is_latched(topic) and (topics is None or name in topics)
    ]
    kept: dict[tuple[str, bytes], BagMessage] = {}
    for message in reader.messages(names, None, time_ns) if names else ():
        key = (message.topic, message.data if message.topic.endswith(STATIC) else b"")
        kept.pop(key, None)  # its place is that of the newest
        kept[key] = message
    return list(kept.values())


def is_latched(topic: Topic) -> bool:
    """Whether late listeners are told what was said last on a topic."""
    told = bool(topic.qos) and all(qos.durability == "transient_local" for qos in topic.qos)
    return told or topic.name.endswith(STATIC)
