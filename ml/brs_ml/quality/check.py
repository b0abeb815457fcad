"""Looks at episodes one after another, then at all together."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from pathlib import Path

import numpy as np

from brs_ml.episode.errors import EpisodeError
from brs_ml.episode.metadata import EpisodeInfo, read_metadata
from brs_ml.quality.across import check_together
from brs_ml.quality.config import QualityConfig
from brs_ml.quality.findings import Findings
from brs_ml.quality.folder import discover, may_be_read
from brs_ml.quality.labels import INFO, check_labels, read_labels
from brs_ml.quality.motion import Motion, check_motion, jerks, path_length
from brs_ml.quality.picture_rules import check_pictures
from brs_ml.quality.pictures import JudgeFactory
from brs_ml.quality.record import Record, Robots, Samples, gather
from brs_ml.quality.report import EpisodeReport, Report, curves_of
from brs_ml.quality.timing import check_times, rates_hz

# Told after each episode: its report, how many are done, how many there are.
Progress = Callable[[EpisodeReport, int, int], None]


@dataclass(frozen=True)
class Checker:
    """Checks one episode; may be handed to other processes.

    Args:
        config: limits.
        robots: knows the robots.
        judges: look at pictures; None: they are only compared with each other.
        root: no link may lead out of it.
    """

    config: QualityConfig
    robots: Robots
    judges: JudgeFactory | None
    root: Path

    def __call__(self, folder: Path) -> EpisodeReport:
        """All rules that need no other episode; whatever is wrong is in the report."""
        findings = Findings(folder.name, self.config.severity)
        report = EpisodeReport(findings.episode, ())
        if may_be_read(folder, self.root, self.config.files, findings):
            info = read_labels(folder, findings)
            if (folder / INFO).exists():
                check_labels(info, INFO, self.config.times.lost, findings)
            report = replace(report, info=info)
            try:
                report = self._read(folder, info, findings, report)
            except EpisodeError as error:
                findings.add("unreadable", error.where.rpartition("/")[2], error.what)
        return replace(report, findings=findings.all)

    def _read(
        self, folder: Path, info: EpisodeInfo, findings: Findings, report: EpisodeReport
    ) -> EpisodeReport:
        try:
            robot = self.robots(info.robot)
        except EpisodeError as error:
            findings.add("robot", "", f"{error.what}; its joints are not looked at")
            robot = self.robots("")
        record = gather(folder, info, robot, self.config, self.judges, findings)
        check_contents(record, findings)
        check_times(record, self.config.times, findings)
        motion = motion_of(record, self.config, findings)
        figures: dict[str, float] = {"seconds": record.seconds}
        if motion is not None:
            check_motion(motion, self.config.motion, findings)
            figures["path_rad"] = path_length(motion)
            if found := [value for _, value in jerks(motion, self.config.motion)]:
                figures["smoothness"] = float(np.median(found))
        for camera, track in record.cameras.items():
            limits = self.config.pictures
            check_pictures(camera, track, record.start_ns, motion, limits, findings)
        return replace(
            report,
            start_ns=record.start_ns,
            end_ns=record.end_ns,
            messages=sum(len(times.log_ns) for times in record.times.values()),
            rates_hz=rates_hz(record, self.config.times),
            cameras={
                name: track.calibration
                for name, track in record.cameras.items()
                if track.calibration is not None
            },
            figures=figures,
            digest=record.digest,
            curves=curves_of(motion) if motion is not None else None,
        )


def check(
    root: Path,
    config: QualityConfig,
    robots: Robots,
    judges: JudgeFactory | None = None,
    *,
    workers: int = 1,
    progress: Progress | None = None,
) -> Report:
    """Check all episodes of a folder, or one.

    Args:
        root: a folder of episodes, or of one.
        config: limits.
        robots: knows the robots.
        judges: look at pictures; None: they are only compared with each other.
        workers: processes; 1 works in this one.
        progress: told after each episode.

    Raises:
        EpisodeError: no such folder, nothing in it, or a library is missing.
    """
    folders = discover(root)
    checker = Checker(config, robots, judges, root)
    reports = []
    for report in _reports(checker, folders, workers):
        reports.append(report)
        if progress is not None:
            progress(report, len(reports), len(folders))
    return Report(str(root), tuple(reports), check_together(reports, config))


def _reports(checker: Checker, folders: Sequence[Path], workers: int) -> Iterator[EpisodeReport]:
    if workers == 1 or len(folders) == 1:
        yield from map(checker, folders)
        return
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        yield from pool.map(checker, folders)


def check_contents(record: Record, findings: Findings) -> None:
    """Whether all of a bag could be read, and whether it holds what its metadata says."""
    held = sum(len(times.log_ns) for times in record.times.values())
    if record.torn:
        findings.add("torn", "", f"has no end; {held} messages of it could be read")
    if not held:
        findings.add("unreadable", "", "holds no message")
    for topic, reasons in record.broken.items():
        count = len(record.times[topic].log_ns)
        text = f"{len(reasons)} of {count} messages: {reasons[0]}"
        findings.add("undecodable", topic, text, len(reasons) / count, 0.0)
    told = read_metadata(record.path).get("message_count")
    if told is not None and told != held and not record.torn:
        findings.add("metadata", "metadata.yaml", f"tells of {told} messages, there are {held}")


def motion_of(record: Record, config: QualityConfig, findings: Findings) -> Motion | None:
    """What the robot did, from the recorded state and commands."""
    width, stray_s = record.robot.layout.size, config.times.clock_jump_s

    def seconds(samples: Samples) -> tuple[np.ndarray, np.ndarray]:
        stamps, values = samples.arrays(width, stray_s)
        return (stamps - record.start_ns) * 1e-9, values

    state, command = seconds(record.state), seconds(record.command)
    return Motion.of(record.robot, state, command, config.motion, findings)
