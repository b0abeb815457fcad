"""Reads an episode or any rosbag2 MCAP bag; a torn one as far as it goes."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cached_property
from pathlib import Path
from typing import IO, Any, NamedTuple

from mcap.reader import SeekingReader
from mcap.records import Schema
from mcap.summary import Summary
from mcap_ros2.decoder import DecoderFactory

from brs_ml.episode.chunks import LARGEST_CHUNK, told_size
from brs_ml.episode.errors import EpisodeError
from brs_ml.episode.folder import contents_of
from brs_ml.episode.metadata import Contents, EpisodeInfo, Topic, read_info, read_metadata
from brs_ml.episode.scan import DAMAGE, RECORD_HEAD, Scan, scan


class BagMessage(NamedTuple):
    """One recorded message."""

    topic: str
    type: str  # package/msg/Name
    log_time_ns: int
    publish_time_ns: int
    data: bytes  # CDR
    sequence: int


class _SummaryGiven(SeekingReader):
    """The library's reader, led by a summary that need not be in the file."""

    def __init__(self, stream: IO[bytes], summary: Summary) -> None:
        super().__init__(stream, validate_crcs=True)
        self._given = summary

    def get_summary(self) -> Summary:
        return self._given


class EpisodeReader:
    """One episode.

    Args:
        bag: an episode's folder, or an .mcap file.
        walk: go through the whole file instead of trusting its summary, which leaves out chunks
            that are damaged and would otherwise end the reading.

    Attributes:
        torn: true if a file lacks its (sound) summary, as after a crash; what is whole is read.

    Raises:
        EpisodeError: nothing there, or no MCAP file.
    """

    def __init__(self, bag: str | Path, *, walk: bool = False) -> None:
        self.path = Path(bag)
        self._files = _files(self.path)
        self._scans: list[Scan] = []
        self.torn = False
        for path in self._files:
            found, torn = (scan(path), False) if walk else _open(path)
            self._scans.append(found)
            self.torn |= torn or not found.complete

    @property
    def info(self) -> EpisodeInfo:
        """episode.json; defaults for a foreign bag."""
        return read_info(self.path if self.path.is_dir() else self.path.parent)

    @property
    def counts(self) -> dict[Topic, int]:
        """Messages by topic."""
        counts: dict[Topic, int] = {}
        for contents in self._contents:
            for topic, count in contents.counts.items():
                counts[topic] = counts.get(topic, 0) + count
        return counts

    @property
    def damaged_chunks(self) -> int:
        """Chunks that were left out; known where a file had to be walked."""
        return sum(found.damaged_chunks for found in self._scans)

    @cached_property
    def _contents(self) -> list[Contents]:
        # Parses every topic's quality of service, which takes long.
        return [contents_of(found) for found in self._scans]

    @property
    def topics(self) -> dict[str, Topic]:
        """Topics by name."""
        return {topic.name: topic for topic in self.counts}

    @property
    def span_ns(self) -> tuple[int, int]:
        """Log times of the first and the last message [ns]; (0, 0) if there is none."""
        spans = [contents for contents in self._contents if contents.messages]
        if not spans:
            return 0, 0
        return min(c.start_ns for c in spans), max(c.end_ns for c in spans)

    def topic_named(self, name: str) -> Topic:
        """The topic `name`, or the only one that ends in it when the bag has a namespace.

        Raises:
            EpisodeError: there is none, or more than one.
        """
        topics, plain = self.topics, name.strip("/")
        if f"/{plain}" in topics:
            return topics[f"/{plain}"]
        similar = [topic for topic in topics if topic.endswith(f"/{plain}")]
        if len(similar) == 1:
            return topics[similar[0]]
        held = ", ".join(sorted(similar or topics)) or "no topics"
        raise EpisodeError(
            f"has {'several topics' if similar else 'no topic'} '{plain}' (it holds {held})",
            where=str(self.path),
            remedy="name one of them",
        )

    def messages(
        self,
        topics: Collection[str] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[BagMessage]:
        """Messages in the order of their log times.

        Args:
            topics: names wanted; None for all.
            start_ns: first log time wanted [ns].
            end_ns: log times from here on are left out [ns].

        Raises:
            EpisodeError: a part of the file is damaged.
        """
        for path, found in zip(self._files, self._scans, strict=True):
            for schema, message in self._raw(path, found, topics, start_ns, end_ns):
                channel = found.summary.channels[message.channel_id]
                yield BagMessage(
                    channel.topic,
                    schema.name if schema else "",
                    message.log_time,
                    message.publish_time,
                    message.data,
                    message.sequence,
                )

    def decoded(
        self,
        topics: Collection[str] | None = None,
        start_ns: int | None = None,
        end_ns: int | None = None,
    ) -> Iterator[tuple[BagMessage, Any]]:
        """Messages as in `messages`, each with its fields as attributes of an object.

        Raises:
            EpisodeError: a part is damaged, or a topic has no message definition.
        """
        factory = DecoderFactory()
        decoders: dict[str, Any] = {}
        schemas = {topic.name: topic for topic in self.counts}
        for message in self.messages(topics, start_ns, end_ns):
            if message.topic not in decoders:
                topic = schemas[message.topic]
                schema = Schema(
                    id=len(decoders) + 1,
                    name=topic.type,
                    encoding="ros2msg" if topic.schema_text else "",
                    data=topic.schema_text.encode(),
                )
                decoders[message.topic] = factory.decoder_for("cdr", schema)
            decoder = decoders[message.topic]
            if decoder is None:
                raise EpisodeError(
                    "has no message definition in the bag",
                    where=message.topic,
                    remedy="read its raw bytes instead",
                )
            try:
                yield message, decoder(message.data)
            except DAMAGE as error:
                raise _damaged(self.path, error) from None

    def _raw(
        self,
        path: Path,
        found: Scan,
        topics: Collection[str] | None,
        start_ns: int | None,
        end_ns: int | None,
    ) -> Iterator[tuple[Schema | None, Any]]:
        statistics = found.summary.statistics
        if statistics is None or not statistics.message_count:
            return
        if not found.summary.chunk_indexes:
            raise EpisodeError(
                "has no chunks", where=str(path), remedy="`mcap recover` makes a chunked copy"
            )
        if start_ns is not None and end_ns is not None and start_ns > end_ns:
            return
        with path.open("rb") as file:
            try:
                reader = _SummaryGiven(file, found.summary)
                for chunk in found.summary.chunk_indexes:
                    if (start_ns or 0) <= chunk.message_end_time:
                        _check_size(file, chunk.chunk_start_offset)
                for schema, _, message in reader.iter_messages(
                    topics, starting_at=start_ns, ending_before=end_ns
                ):
                    yield schema, message
            except DAMAGE as error:
                raise _damaged(path, error) from None


def _check_size(file: IO[bytes], offset: int) -> None:
    """Raises ValueError if the chunk at an offset is too large; the library would unpack it."""
    file.seek(offset)
    _, length = RECORD_HEAD.unpack(file.read(RECORD_HEAD.size))
    size = max(length, told_size(file, length, LARGEST_CHUNK + 1))
    if size > LARGEST_CHUNK:
        raise ValueError(f"a chunk claims {size} bytes, more than {LARGEST_CHUNK}")


def _files(bag: Path) -> list[Path]:
    if bag.is_file():
        return [bag]
    if not bag.is_dir():
        raise EpisodeError("no such bag", where=str(bag), remedy=f"look in {bag.parent}")
    paths = sorted(bag.glob("*.mcap"))
    if len(paths) > 1:  # in what order, and whether all of them, the metadata tells
        listed = read_metadata(bag).get("relative_file_paths")
        names = [Path(str(name)).name for name in listed] if isinstance(listed, list) else []
        paths = [bag / name for name in names if (bag / name).is_file()] or paths
    if not paths:
        raise EpisodeError(
            "holds no .mcap file", where=str(bag), remedy="give the folder of a recorded episode"
        )
    return paths


def _open(path: Path) -> tuple[Scan, bool]:
    """The summary of a file, read from its end or, if that is missing, made by a walk."""
    try:
        with path.open("rb") as file:
            summary = SeekingReader(file, record_size_limit=path.stat().st_size).get_summary()
        if summary is not None and summary.statistics is not None and _sound(summary, path):
            return Scan(summary=summary, end=0, complete=True), False
    except (OSError, *DAMAGE):
        # Torn or foreign; the walk says which, in one clear line.
        pass
    return scan(path), True


def _sound(summary: Summary, path: Path) -> bool:
    size = path.stat().st_size
    known = summary.channels.keys()
    return all(
        index.chunk_start_offset > 0
        and index.chunk_start_offset + index.chunk_length <= size
        and index.message_index_offsets.keys() <= known
        for index in summary.chunk_indexes
    ) and all(channel.schema_id in {0, *summary.schemas} for channel in summary.channels.values())


def _damaged(path: Path, error: Exception) -> EpisodeError:
    return EpisodeError(
        f"is damaged ({type(error).__name__}: {error})",
        where=str(path),
        remedy="cut it behind its last whole record with brs_ml.episode.recover",
    )
