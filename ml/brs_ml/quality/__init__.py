"""Tells whether recorded episodes and data sets are fit to learn from."""

from brs_ml.quality.built import check_dataset, is_dataset
from brs_ml.quality.check import check
from brs_ml.quality.config import QualityConfig
from brs_ml.quality.findings import RULES, Finding
from brs_ml.quality.page import write_html
from brs_ml.quality.pictures import Picture, PictureJudge
from brs_ml.quality.record import RobotFacts
from brs_ml.quality.repair import repair_bag
from brs_ml.quality.report import EpisodeReport, Report, write_json

__all__ = [
    "RULES",
    "EpisodeReport",
    "Finding",
    "Picture",
    "PictureJudge",
    "QualityConfig",
    "Report",
    "RobotFacts",
    "check",
    "check_dataset",
    "is_dataset",
    "repair_bag",
    "write_html",
    "write_json",
]
