"""The fast reader of bags reads what the full one reads, in order."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from synthetic_episodes import (
    START_NS,
    Recipe,
    record,
)

from brs_ml.dataset import DatasetError
from brs_ml.dataset.bag import Bag
from brs_ml.episode import (
    EpisodeInfo,
    EpisodeReader,
    EpisodeWriter,
    Topic,
)


@pytest.mark.parametrize("topics", [None, ["/robot/state", "/camera/head/depth/image_raw"]])
def test_the_fast_reader_reads_what_the_full_one_reads(
    tmp_path: Path, topics: list[str] | None
) -> None:
    folder = record(tmp_path / "one", Recipe(seconds=0.5))
    fast, full = Bag(folder), EpisodeReader(folder)
    assert fast.span_ns == full.span_ns
    assert {t.name: (t.type, t.schema_text, n) for t, n in fast.counts.items()} == {
        t.name: (t.type, t.schema_text, n) for t, n in full.counts.items()
    }

    def key(message: Any) -> tuple[int, str]:
        return message.log_time_ns, message.topic

    read = list(fast.messages(topics))
    assert sorted(read, key=key) == sorted(full.messages(topics), key=key)
    times = np.array([message.log_time_ns for message in read])
    assert (np.maximum.accumulate(times) - times).max() <= 250_000_000


def test_a_bag_that_was_written_out_of_order_is_read_in_order(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path, EpisodeInfo(), [Topic("/a", "std_msgs/msg/String")])
    for second in (5, 6, 1, 2, 9):
        writer.write("/a", second * 10**9, 0, b"x" * 10)
        writer.tick(float(second) * 10)
    writer.close()
    times = [message.log_time_ns // 10**9 for message in Bag(tmp_path).messages()]
    assert times == [1, 2, 5, 6, 9]


def test_a_bag_out_of_order_throughout_takes_no_more_memory_than_it_may(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = EpisodeWriter(tmp_path, EpisodeInfo(), [Topic("/a", "std_msgs/msg/String")])
    for second in range(20):
        writer.write("/a", (1 if second % 2 else 1000 + second) * 10**9, 0, b"x" * 1000)
        writer.tick(float(second) * 10)
    writer.close()
    monkeypatch.setattr("brs_ml.dataset.bag._MOST_WAITING", 5000)
    with pytest.raises(DatasetError, match="out of order throughout"):
        list(Bag(tmp_path).messages())


def test_a_part_of_a_bag_is_what_lies_in_its_time(tmp_path: Path) -> None:
    folder = record(tmp_path / "one", Recipe(seconds=1.0))
    start, end = START_NS + 300_000_000, START_NS + 600_000_000
    found = list(Bag(folder).messages(["/robot/state"], start, end))
    assert found == list(EpisodeReader(folder).messages(["/robot/state"], start, end))
    assert len(found) == 30
