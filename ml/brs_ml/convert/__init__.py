"""Data sets in other formats: BRS's HDF5, LeRobotDataset v3.0, Hugging Face's hub."""

from brs_ml.convert.convert import TARGETS, ConvertOptions, convert, kind_of
from brs_ml.convert.hdf5_layout import LINKS, BrsRobot, RobotOf
from brs_ml.convert.lerobot_export import PICTURES, LeRobotOptions

__all__ = [
    "LINKS",
    "PICTURES",
    "TARGETS",
    "BrsRobot",
    "ConvertOptions",
    "LeRobotOptions",
    "RobotOf",
    "convert",
    "kind_of",
]
