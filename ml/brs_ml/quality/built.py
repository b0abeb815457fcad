"""The same rules for a data set that is built: its columns instead of a bag's messages."""

from __future__ import annotations

import hashlib
import zlib
from pathlib import Path

import numpy as np

from brs_ml.dataset import Dataset, DatasetError, EpisodeEntry
from brs_ml.dataset.format import INDEX
from brs_ml.episode.metadata import EpisodeInfo
from brs_ml.quality.across import check_together
from brs_ml.quality.config import QualityConfig
from brs_ml.quality.findings import Findings
from brs_ml.quality.labels import check_labels
from brs_ml.quality.motion import Motion, check_motion, path_length
from brs_ml.quality.picture_rules import check_frozen_pictures
from brs_ml.quality.record import RobotFacts, Robots
from brs_ml.quality.report import EpisodeReport, Report, curves_of


def is_dataset(root: Path) -> bool:
    """Whether a folder claims to be a data set."""
    return (root / INDEX).is_file()


def check_dataset(root: Path, config: QualityConfig, robots: Robots) -> Report:
    """Check all episodes of a data set, and every file's checksum.

    Args:
        root: its folder.
        config: limits; those of times and of judged pictures are for recorded episodes only.
        robots: knows the robots.

    Raises:
        EpisodeError: a library is missing, or the robot is not known.
    """
    together = Findings("", config.severity)
    try:
        dataset = Dataset(root, verify=True)
    except DatasetError as error:
        together.add("unreadable", error.where.rpartition("/")[2], error.what)
        return Report(str(root), (), together.all)
    robot = robots(dataset.index.robot)
    for name, reason in dataset.index.left_out.items():
        together.add("left_out", name, reason)
    episodes = tuple(_checked(dataset, entry, robot, config) for entry in dataset.episodes)
    return Report(str(root), episodes, (*together.all, *check_together(episodes, config)))


def _checked(
    dataset: Dataset, entry: EpisodeEntry, robot: RobotFacts, config: QualityConfig
) -> EpisodeReport:
    findings = Findings(entry.name, config.severity)
    known = ("name", "task", "instruction", "operator", "success", "robot", "seed")
    info = EpisodeInfo(status="saved", **{name: getattr(entry, name) for name in known})
    check_labels(info, INDEX, config.times.lost, findings)
    if entry.torn:
        findings.add("torn", "", "was built of a bag without its end")
    rows = slice(entry.first, entry.first + entry.steps)
    column = {
        name: np.array(dataset.column(name)[rows])
        for name in ("proprioception", "action", "valid", "action_valid", "stamp_ns")
    }
    invalid = float((~column["valid"]).mean())
    if invalid > config.motion.invalid_share:
        text = f"{invalid:.0%} of {entry.steps} steps are not valid"
        findings.add("invalid_steps", "", text, invalid, config.motion.invalid_share)
    stamps_ns = column["stamp_ns"]
    times_s = (stamps_ns - stamps_ns[0]) * 1e-9
    state, action = (
        (times_s[column[valid]], column[name][column[valid]].astype(np.float64))
        for name, valid in (("proprioception", "valid"), ("action", "action_valid"))
    )
    figures = {"seconds": float(times_s[-1])}
    motion = Motion.of(robot, state, action, config.motion, findings)
    if motion is not None:
        check_motion(motion, config.motion, findings)
        figures["path_rad"] = path_length(motion)
        _check_pictures(dataset, entry, times_s, column["valid"], motion, config, findings)
    digest = hashlib.blake2b(digest_size=16)
    for name in ("proprioception", "action"):
        digest.update(np.ascontiguousarray(column[name]).data)
    return EpisodeReport(
        entry.name,
        findings.all,
        info,
        start_ns=int(stamps_ns[0]),
        end_ns=int(stamps_ns[-1]),
        figures=figures,
        digest=digest.hexdigest(),
        curves=curves_of(motion) if motion is not None else None,
    )


def _check_pictures(
    dataset: Dataset,
    entry: EpisodeEntry,
    times_s: np.ndarray,
    valid: np.ndarray,
    motion: Motion,
    config: QualityConfig,
    findings: Findings,
) -> None:
    steps = entry.first + np.flatnonzero(valid)
    for name, feature in dataset.index.features.items():
        if feature.encoding != "jpeg":
            continue
        try:
            digests = [zlib.crc32(dataset.packed(name, (int(step),))[0]) for step in steps]
        except DatasetError as error:
            findings.add("unreadable", name, error.what)
            continue
        camera = name.removeprefix("image.")
        check_frozen_pictures(camera, times_s[valid], digests, motion, config.pictures, findings)
