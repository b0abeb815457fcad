"""metadata.yaml and episode.json: what rosbag2 and we keep beside the messages."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from brs_ml.episode.errors import EpisodeError

# rosbag2's metadata of Jazzy and Kilted: QoS policies by name, type hashes, ROS distribution.
METADATA_VERSION = 9
LONGEST_NAME = 80
_CSafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_DEEPEST = 4_000  # levels that libyaml goes down in any case
INFINITE = {"sec": 9223372036, "nsec": 854775807}


@dataclass(frozen=True)
class Qos:
    """Quality of service a publisher offered, by rosbag2's names."""

    history: str = "keep_last"
    depth: int = 10
    reliability: str = "reliable"  # reliable, best_effort
    durability: str = "volatile"  # volatile, transient_local

    def to_rosbag2(self) -> dict[str, Any]:
        """The profile in metadata version 9."""
        return {
            "history": self.history,
            "depth": self.depth,
            "reliability": self.reliability,
            "durability": self.durability,
            "deadline": dict(INFINITE),
            "lifespan": dict(INFINITE),
            "liveliness": "automatic",
            "liveliness_lease_duration": dict(INFINITE),
            "avoid_ros_namespace_conventions": False,
        }

    @classmethod
    def from_rosbag2(cls, profile: Mapping[str, Any]) -> Qos:
        """From a profile of any metadata version; what is unknown gets the default."""
        known = {"reliability": ("reliable", "best_effort"), "history": ("keep_last", "keep_all")}
        known["durability"] = ("transient_local", "volatile")
        kwargs: dict[str, Any] = {}
        for name, values in known.items():
            value = profile.get(name)
            # Up to version 8 the policies are numbers, 1 and 2 in this order; 0 is the default.
            if isinstance(value, int) and value in (1, 2):
                kwargs[name] = values[value - 1]
            elif isinstance(value, str) and value in values:
                kwargs[name] = value
        if isinstance(profile.get("depth"), int):
            kwargs["depth"] = profile["depth"]
        return cls(**kwargs)


@dataclass(frozen=True)
class Topic:
    """One recorded topic."""

    name: str
    type: str  # package/msg/Name
    schema_text: str = ""  # definition with dependencies, empty if unknown
    qos: tuple[Qos, ...] = ()  # offered, one a publisher
    type_hash: str = ""  # RIHS01_...

    def qos_yaml(self) -> str:
        """Offered profiles as the YAML text that rosbag2 keeps in the channel's metadata."""
        return yaml.safe_dump([qos.to_rosbag2() for qos in self.qos], sort_keys=False).strip()


@dataclass(frozen=True)
class Contents:
    """What a bag holds."""

    start_ns: int  # log time of the first message [ns]
    end_ns: int  # log time of the last message [ns]
    counts: Mapping[Topic, int]

    @property
    def messages(self) -> int:
        """Messages on all topics."""
        return sum(self.counts.values())


@dataclass(frozen=True)
class EpisodeInfo:
    """episode.json: what was done, by whom, and how it ended."""

    name: str = ""
    task: str = ""
    instruction: str = ""
    operator: str = ""
    seed: int = 0
    robot: str = ""
    success: bool | None = None  # None: not judged
    # recording, review, saved, discarded, interrupted, disk_full or recovered
    status: str = "recording"
    interrupted: bool = False
    start_ns: int = 0  # [ns, ROS clock]
    stop_ns: int = 0  # [ns, ROS clock]
    messages: int = 0
    lost: int = 0
    note: str = ""  # the recorder's own word, e.g. why it stopped
    notes: str = ""  # what a person wrote down
    # Moments a person named, e.g. the beginning of a sub-task: {"name", "at_ns"} [ns, ROS clock]
    marks: Sequence[Mapping[str, Any]] = ()
    # Spans in which recording was paused: {"start_ns", "stop_ns"} [ns, ROS clock]
    pauses: Sequence[Mapping[str, int]] = ()
    # Who drove when: {"source": teleop, policy or replay, "start_ns", "stop_ns"} [ns, ROS clock]
    drivers: Sequence[Mapping[str, Any]] = ()
    versions: Mapping[str, str] = field(default_factory=dict)
    # Contents of the calibration files in use, by their names
    calibration: Mapping[str, Any] = field(default_factory=dict)
    # Of an episode that is a part of another: {"name", "start_ns", "stop_ns"} [ns, ROS clock]
    trimmed_from: Mapping[str, Any] = field(default_factory=dict)

    def changed(self, **changes: Any) -> EpisodeInfo:
        """A copy with some fields changed."""
        return replace(self, **changes)


def check_mark(name: str) -> str:
    """A mark's name without blanks around it.

    Raises:
        EpisodeError: it is empty, longer than 80 letters, or has control characters.
    """
    name = name.strip()
    if not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise EpisodeError(
            f"{name[:LONGEST_NAME]!r} is no name of a mark",
            remedy=f"give 1 to {LONGEST_NAME} letters on one line",
        )
    return name


def write_info(folder: Path, info: EpisodeInfo) -> None:
    """Write episode.json atomically."""
    write_atomically(folder / "episode.json", json.dumps(asdict(info), indent=2) + "\n")


def read_info(folder: Path) -> EpisodeInfo:
    """episode.json of a folder.

    A missing or damaged file, unknown keys and values of another kind than ours are tolerated.
    """
    try:
        values = json.loads((folder / "episode.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return EpisodeInfo(name=folder.name)
    if not isinstance(values, dict):
        return EpisodeInfo(name=folder.name)
    known = vars(EpisodeInfo())
    return EpisodeInfo(
        **{key: value for key, value in values.items() if key in known and _fits(key, value)}
    )


_ENTRIES: dict[str, dict[str, type]] = {
    "marks": {"name": str, "at_ns": int},
    "pauses": {"start_ns": int, "stop_ns": int},
    "drivers": {"source": str, "start_ns": int, "stop_ns": int},
}


def _fits(key: str, value: Any) -> bool:
    """Whether a value read is of the kind that the field of EpisodeInfo has."""
    if key in _ENTRIES:
        return isinstance(value, list) and all(
            isinstance(entry, dict)
            and all(isinstance(entry.get(name), kind) for name, kind in _ENTRIES[key].items())
            for entry in value
        )
    default = getattr(EpisodeInfo(), key)
    return (
        value is None or isinstance(value, bool)
        if default is None
        else type(value) is type(default)
    )


def update_info(folder: Path, **changes: Any) -> None:
    """Change fields of episode.json atomically; keys that are not known here are kept.

    Raises:
        EpisodeError: there is an episode.json, and it cannot be read.
        OSError: it cannot be written.
    """
    path = folder / "episode.json"
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(values, dict):
            raise ValueError("it holds no table")
    except FileNotFoundError:
        values = {}
    except ValueError as error:
        raise EpisodeError(
            f"is damaged ({error})", where=str(path), remedy="mend or remove it"
        ) from None
    known = {**asdict(EpisodeInfo(name=folder.name, status="saved")), **values}
    write_atomically(path, json.dumps({**known, **changes}, indent=2) + "\n")


def write_metadata(
    folder: Path, file_name: str, contents: Contents, custom: Mapping[str, str], distro: str
) -> None:
    """Write rosbag2's metadata.yaml atomically.

    Args:
        folder: the episode's folder.
        file_name: the MCAP file in it.
        contents: counts and times.
        custom: custom_data, strings only.
        distro: ROS distribution, e.g. kilted.
    """
    start = {"nanoseconds_since_epoch": contents.start_ns}
    duration = {"nanoseconds": max(0, contents.end_ns - contents.start_ns)}
    information = {
        "version": METADATA_VERSION,
        "storage_identifier": "mcap",
        "duration": duration,
        "starting_time": start,
        "message_count": contents.messages,
        "topics_with_message_count": [
            {
                "topic_metadata": {
                    "name": topic.name,
                    "type": topic.type,
                    "serialization_format": "cdr",
                    "offered_qos_profiles": [qos.to_rosbag2() for qos in topic.qos],
                    "type_description_hash": topic.type_hash,
                },
                "message_count": count,
            }
            for topic, count in contents.counts.items()
        ],
        # The chunks are compressed inside the MCAP file; rosbag2 means other compression here.
        "compression_format": "",
        "compression_mode": "",
        "relative_file_paths": [file_name],
        "files": [
            {
                "path": file_name,
                "starting_time": dict(start),
                "duration": dict(duration),
                "message_count": contents.messages,
            }
        ],
        "custom_data": dict(custom),
        "ros_distro": distro,
    }
    text = yaml.safe_dump({"rosbag2_bagfile_information": information}, sort_keys=False)
    write_atomically(folder / "metadata.yaml", text)


def read_metadata(folder: Path) -> dict[str, Any]:
    """rosbag2_bagfile_information of metadata.yaml, empty if it is missing or damaged."""
    try:
        values = parse_yaml((folder / "metadata.yaml").read_text(encoding="utf-8"))
    except (OSError, ValueError, yaml.YAMLError):
        return {}
    information = values.get("rosbag2_bagfile_information") if isinstance(values, dict) else None
    return information if isinstance(information, dict) else {}


def parse_yaml(text: str) -> Any:
    """What `yaml.safe_load` makes of a text, ten times as fast where libyaml is there.

    Raises:
        yaml.YAMLError: it is malformed.
        RecursionError: it is nested too deeply.
    """
    # libyaml overruns its stack where PyYAML's own loader raises. A level in brackets takes one,
    # a level without one column of a line at least, in which two can begin.
    brackets = text.count("[") + text.count("{")
    columns = max(map(len, text.splitlines()), default=0)
    shallow = brackets + 2 * columns <= _DEEPEST
    return yaml.load(text, Loader=_CSafeLoader) if shallow else yaml.safe_load(text)


def parse_qos(text: str) -> tuple[Qos, ...]:
    """Profiles from the YAML text in a channel's metadata; empty if it cannot be read."""
    try:
        profiles = parse_yaml(text)
    except yaml.YAMLError:
        return ()
    if not isinstance(profiles, list):
        return ()
    return tuple(Qos.from_rosbag2(profile) for profile in profiles if isinstance(profile, dict))


def write_atomically(path: Path, text: str) -> None:
    """Replace a file so that a crash leaves the old or the new text, never half of one."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        with temporary.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames and new files in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
