"""Episodes on disk: written while they happen, kept through crashes, read again anywhere."""

from brs_ml.episode.buttons import Presses
from brs_ml.episode.edit import (
    episode_folder,
    mark,
    move_to_trash,
    relabel,
    restore,
    trim,
    unmark,
)
from brs_ml.episode.errors import DiskFullError, EpisodeError
from brs_ml.episode.folder import recover, recover_all
from brs_ml.episode.losses import LossCounter
from brs_ml.episode.metadata import EpisodeInfo, Qos, Topic
from brs_ml.episode.reader import BagMessage, EpisodeReader
from brs_ml.episode.schema import MessageDefinitions, share_folders
from brs_ml.episode.session import EpisodeSession, SessionOptions, State, Status
from brs_ml.episode.timeline import (
    CommandSpan,
    Pace,
    check_start,
    command_times_ns,
    commands_to_replay,
    parse_remaps,
)
from brs_ml.episode.writer import EpisodeWriter

__all__ = [
    "BagMessage",
    "CommandSpan",
    "DiskFullError",
    "EpisodeError",
    "EpisodeInfo",
    "EpisodeReader",
    "EpisodeSession",
    "EpisodeWriter",
    "LossCounter",
    "MessageDefinitions",
    "Pace",
    "Presses",
    "Qos",
    "SessionOptions",
    "State",
    "Status",
    "Topic",
    "check_start",
    "command_times_ns",
    "commands_to_replay",
    "episode_folder",
    "mark",
    "move_to_trash",
    "parse_remaps",
    "recover",
    "recover_all",
    "relabel",
    "restore",
    "share_folders",
    "trim",
    "unmark",
]
