"""Data sets for training: built from episodes, mapped from disk, read in windows."""

from brs_ml.dataset.augment import AugmentConfig
from brs_ml.dataset.build import Outcome, build
from brs_ml.dataset.config import CLOUD_SOURCES, DIFFERENCES, AlignConfig, BuildConfig
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.format import EpisodeEntry, Feature, Index
from brs_ml.dataset.frames import CloudMaker, Frame
from brs_ml.dataset.layout import PARTS, Part, RobotLayout
from brs_ml.dataset.loader import BatchPlan, WindowLoader, WindowReader
from brs_ml.dataset.probe import find_episodes
from brs_ml.dataset.reader import Dataset
from brs_ml.dataset.windows import WindowSpec, windows_of

__all__ = [
    "CLOUD_SOURCES",
    "DIFFERENCES",
    "PARTS",
    "AlignConfig",
    "AugmentConfig",
    "BatchPlan",
    "BuildConfig",
    "CloudMaker",
    "Dataset",
    "DatasetError",
    "EpisodeEntry",
    "Feature",
    "Frame",
    "Index",
    "Outcome",
    "Part",
    "RobotLayout",
    "WindowLoader",
    "WindowReader",
    "WindowSpec",
    "build",
    "find_episodes",
    "windows_of",
]
