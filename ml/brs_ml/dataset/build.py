"""Episodes to a data set: in parallel, without half results, going on where it broke off."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from brs_ml.dataset.bag import Bag
from brs_ml.dataset.config import BuildConfig
from brs_ml.dataset.errors import DatasetError
from brs_ml.dataset.features import features_of
from brs_ml.dataset.format import Index
from brs_ml.dataset.frames import CloudMaker
from brs_ml.dataset.layout import RobotLayout
from brs_ml.dataset.probe import Probe, check_alike, probe, taken
from brs_ml.dataset.splits import split_of
from brs_ml.dataset.steps import EpisodeSteps
from brs_ml.dataset.writer import EpisodePart, PartWriter, disk_errors, join_parts, read_part
from brs_ml.episode.errors import DiskFullError, EpisodeError
from brs_ml.episode.folder import WORKING, lock
from brs_ml.episode.metadata import sync_folder

# Makes a CloudMaker in the process that needs it; a module's function or a partial of one.
CloudFactory = Callable[[], CloudMaker]
PARTS_FOLDER = "parts"
_LOCK = ".lock"


@dataclass(frozen=True)
class Job:
    """One episode to be built."""

    probe: Probe
    parts: Path
    layout: RobotLayout
    config: BuildConfig
    clouds: CloudFactory | None

    @property
    def fingerprint(self) -> str:
        """Of the episode's files and of all settings that decide what becomes of them."""
        neutral = replace(
            self.config, validation_share=0.0, split_seed=0, failures=False, differences=()
        )
        text = f"{neutral!r} {self.layout!r} {self.probe.fingerprint}"
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True)
class Outcome:
    """What became of an episode: a part, or what is wrong with it."""

    name: str
    part: EpisodePart | None
    problem: str = ""


# Told after each episode: what became of it, how many are done, how many there are.
Progress = Callable[[Outcome, int, int], None]


def build(
    episodes: Sequence[Path],
    out: Path,
    layout: RobotLayout,
    config: BuildConfig,
    *,
    clouds: CloudFactory | None = None,
    workers: int = 1,
    progress: Progress | None = None,
) -> Index:
    """Make a data set.

    It is made in `<out>.part` and renamed when it is whole. Broken off, the same call goes on
    with the episodes that were done. An episode that cannot be read does not end the build: it
    is in `left_out` of the data set, with the reason. One that is damaged in part is used as far
    as it is sound, marked `torn`, with the counts in its `source`.

    Args:
        episodes: folders of episodes (`find_episodes`).
        out: the data set's folder; must not exist.
        layout: the robot that was recorded.
        config: settings, stored with the data set.
        clouds: gives each process what makes clouds; needed unless they are recorded ones.
        workers: processes; 1 works in this one.
        progress: told after each episode.

    Returns:
        The data set's index.

    Raises:
        DatasetError: the folder exists, another build is at it, episodes do not fit together,
            none is left, or the disk fails.
        DiskFullError: nothing more fits; `out` does not exist, finished episodes are kept.
        ValueError: clouds are wanted and nothing makes them.
    """
    if config.fuses and clouds is None:
        raise ValueError("the settings want clouds, and nothing makes them")
    if out.exists():
        raise DatasetError("exists", where=str(out), remedy="choose another folder or remove it")
    left_out: dict[str, str] = {}
    probes = list(_probes(episodes, config, left_out))
    config = _settled(config, probes)
    check_alike(probes, config.differences)
    _check_robot(probes, layout)
    working = out.with_name(out.name + WORKING)
    with disk_errors(out), _owned(working):
        parts_folder = working / PARTS_FOLDER
        jobs = [Job(found, parts_folder, layout, config, clouds) for found in probes]
        parts = []
        for done, outcome in enumerate(_outcomes(jobs, workers), 1):
            if outcome.part is not None:
                parts.append(outcome.part)
            else:
                left_out[outcome.name] = outcome.problem
            if progress is not None:
                progress(outcome, done, len(jobs))
        index = join_parts(
            working,
            parts,
            _splits([part.entry.name for part in parts], config, left_out),
            robot=layout.robot,
            rate_hz=config.align.rate_hz,
            build={"config": asdict(config), "cameras": probes[0].cameras if probes else {}},
            left_out=dict(sorted(left_out.items())),
        )
        shutil.rmtree(parts_folder)
        working.rename(out)
        (out / _LOCK).unlink()
        sync_folder(out.parent)
    return index


@contextmanager
def _owned(working: Path) -> Iterator[None]:
    """Hold a working folder against other builds.

    Raises:
        DatasetError: another build has it, or it is a link.
    """
    for path in (working, working / PARTS_FOLDER):
        if path.is_symlink():
            raise DatasetError(
                f"leads elsewhere, to {path.resolve()}", where=str(path), remedy="remove that link"
            )
    working.mkdir(parents=True, exist_ok=True)
    (working / _LOCK).touch()
    try:
        descriptor = lock(working / _LOCK)
    except BlockingIOError:
        raise DatasetError(
            "another build is at it", where=str(working), remedy="wait for it"
        ) from None
    try:
        yield
    finally:
        os.close(descriptor)


def _probes(
    episodes: Sequence[Path], config: BuildConfig, left_out: dict[str, str]
) -> Iterator[Probe]:
    """Episodes that can be read and are wanted; the reasons of the others go to `left_out`."""
    for path in episodes:
        try:
            found = probe(path, config)
        except EpisodeError as error:
            left_out[path.name] = str(error)
            continue
        if reason := taken(found, config):
            left_out[path.name] = reason
        else:
            yield found


def _settled(config: BuildConfig, probes: Sequence[Probe]) -> BuildConfig:
    """The settings with one source of clouds: those of two sources are never mixed in a set."""
    if config.cloud_source != "auto":
        return config
    recorded = bool(probes) and all(found.recorded_clouds for found in probes)
    return replace(config, cloud_source="recorded" if recorded else "fused")


def _check_robot(probes: Sequence[Probe], layout: RobotLayout) -> None:
    for found in probes:
        if found.info.robot not in ("", layout.robot):
            raise DatasetError(
                f"was recorded with robot {found.info.robot}, not {layout.robot}",
                where=str(found.path),
                remedy=f"--robot {found.info.robot}",
            )


def _splits(names: Sequence[str], config: BuildConfig, left_out: dict[str, str]) -> dict[str, str]:
    if not names:
        raise DatasetError(
            "no episode can be used: "
            + "; ".join(f"{name}: {reason}" for name, reason in sorted(left_out.items())),
            remedy="mend or record episodes",
        )
    splits = {n: split_of(n, config.validation_share, config.split_seed) for n in names}
    if "train" not in splits.values():
        raise DatasetError(
            f"all episodes ({len(names)}) fall into the validation split",
            remedy="ask for a smaller share for validation, or another seed of the split",
        )
    return splits


def _outcomes(jobs: Sequence[Job], workers: int) -> Iterator[Outcome]:
    if workers <= 1 or len(jobs) <= 1:
        yield from map(build_episode, jobs)
        return
    # A fresh interpreter for each worker: forking one that has threads is not safe.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), mp_context=context) as pool:
        futures = [pool.submit(build_episode, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool:
            raise DatasetError(
                "a worker was killed, perhaps for want of memory",
                where=str(jobs[0].parts.parent),
                remedy="start the same build again with fewer workers; what is done is kept",
            ) from None
        finally:
            pool.shutdown(cancel_futures=True)


def build_episode(job: Job) -> Outcome:
    """Build one episode, unless it was built before.

    Raises:
        DiskFullError: nothing more fits.
        OSError: the disk fails otherwise.
    """
    name, config = job.probe.name, job.config
    fingerprint = job.fingerprint
    part = read_part(job.parts / name, fingerprint)
    if part is not None:
        return Outcome(name, part)
    sizes = {key: (int(c["height"]), int(c["width"])) for key, c in job.probe.cameras.items()}
    features = features_of(job.layout, config, sizes)
    try:
        reader = Bag(job.probe.path, past_damage=True, views=True)
        make_cloud = job.clouds() if config.fuses and job.clouds is not None else None
        with PartWriter(job.parts, name, features) as writer:
            steps = EpisodeSteps(reader, job.layout, config, make_cloud, writer)
            aligned = steps.run()
            part = writer.finish(
                aligned.columns,
                [int(tick) for tick in aligned.ticks_ns],
                fingerprint=fingerprint,
                **_entry(job.probe, reader, aligned.columns["valid"], aligned.report),
            )
    except DiskFullError:
        raise
    except EpisodeError as error:
        return Outcome(name, None, str(error))
    return Outcome(name, part)


def _entry(found: Probe, reader: Bag, valid: Any, report: dict[str, Any]) -> dict[str, Any]:
    info = found.info
    return {
        "task": info.task,
        "instruction": info.instruction,
        "operator": info.operator,
        "success": info.success,
        "robot": info.robot,
        "seed": info.seed,
        "invalid_steps": int((~valid).sum()),
        "torn": reader.torn or reader.damaged_chunks > 0,
        "source": {
            "bag": found.name,
            "fingerprint": found.fingerprint,
            "rates_hz": {key: round(rate, 2) for key, rate in found.rates_hz.items()},
            **report,
        },
    }
