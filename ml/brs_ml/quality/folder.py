"""What lies in a folder of episodes, and whether it may be opened at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from brs_ml.dataset.format import check_name
from brs_ml.episode.errors import EpisodeError
from brs_ml.episode.folder import TRASH, WORKING
from brs_ml.episode.metadata import read_metadata
from brs_ml.quality.bounds import sizes
from brs_ml.quality.config import FileLimits
from brs_ml.quality.findings import Findings

TORN = "torn"  # originals of episodes that were repaired
_TEXTS = ("metadata.yaml", "episode.json")
_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".lz4")


def discover(root: Path) -> list[Path]:
    """Everything in a folder that is, or claims to be, an episode; or the folder, if it is one.

    Archives, links and folders without a bag are among them, so that each is told of. Discarded
    episodes, the originals of repaired ones and hidden files are not.

    Raises:
        EpisodeError: no folder, or there is nothing of that kind.
    """
    if not root.is_dir():
        raise EpisodeError(
            "is no folder", where=str(root), remedy="give a folder of episodes or a data set"
        )
    if any(root.glob("*.mcap")):
        return [root]
    found = [
        path
        for path in sorted(root.iterdir())
        if not path.name.startswith(".")
        and path.name not in (TRASH, TORN)
        and (path.is_symlink() or path.is_dir() or path.name.lower().endswith(_ARCHIVES))
    ]
    if not found:
        raise EpisodeError(
            "holds no episode", where=str(root), remedy="give recorded episodes or their folder"
        )
    return found


def may_be_read(folder: Path, root: Path, limits: FileLimits, findings: Findings) -> bool:
    """Whether an episode's files are safe to open; what is wrong is added to the findings.

    Args:
        folder: of one episode.
        root: no link may lead out of it.
        limits: how much may be unpacked.
        findings: of this episode.
    """
    try:
        check_name(folder.name)
    except ValueError as error:
        findings.add("name", "", str(error))
    if not folder.resolve().is_relative_to(root.resolve()):
        findings.add("link", "", f"leads to {folder.resolve()}")
        return False
    if not folder.is_dir():
        findings.add("archive", "", "is no folder; unpack it where that is safe, then check it")
        return False
    if folder.name.endswith(WORKING):
        findings.add("unfinished", "", "is being recorded, or a crash left it: see `brs record`")
        return False
    try:
        unsafe = list(_unsafe(folder, root, limits))
    except OSError as error:
        unsafe = [("unreadable", "", f"cannot be read ({error.strerror})")]
    for rule, where, text in unsafe:
        findings.add(rule, where, text)
    return not unsafe and _has_one_bag(folder, limits, findings)


def _unsafe(folder: Path, root: Path, limits: FileLimits) -> Iterator[tuple[str, str, str]]:
    for path in sorted(folder.iterdir()):
        if not path.resolve().is_relative_to(root.resolve()):
            yield "link", path.name, f"leads to {path.resolve()}"
        elif path.suffix == ".mcap" or path.name in _TEXTS:
            if not path.is_file():
                yield "unreadable", path.name, "is no file"
            elif path.name in _TEXTS and path.stat().st_size > limits.largest_text_mb * 2**20:
                yield "oversized", path.name, f"has {path.stat().st_size / 2**20:.0f} MB"


def _has_one_bag(folder: Path, limits: FileLimits, findings: Findings) -> bool:
    bags = sorted(path.name for path in folder.glob("*.mcap"))
    if not bags:
        findings.add("no_bag", "", "holds no .mcap file")
        return False
    try:
        listed = _listed(folder, findings)
    except RecursionError:
        findings.add("metadata", "metadata.yaml", "is nested too deeply")
        return False
    if len(bags) > 1 and set(bags) != set(listed):
        findings.add("several_bags", "", f"holds {len(bags)} bags that are not one recording")
        return False
    problems = {}
    for name in bags:
        try:
            problems[name] = sizes(folder / name, limits).problem(limits)
        except OSError as error:
            findings.add("unreadable", name, f"cannot be read ({error.strerror})")
            return False
    for name, problem in problems.items():
        if problem:
            findings.add("oversized", name, problem)
    return not any(problems.values())


def _listed(folder: Path, findings: Findings) -> list[str]:
    """Files that metadata.yaml lists."""
    path = folder / "metadata.yaml"
    if not path.exists():
        findings.add("metadata", path.name, "is missing; other tools will not open the bag")
        return []
    information = read_metadata(folder)
    if not information:
        findings.add("metadata", path.name, "is damaged")
    names = information.get("relative_file_paths")
    names = [str(name) for name in names] if isinstance(names, list) else []
    for name in names:
        if name != Path(name).name or name in ("", ".", ".."):
            findings.add("name", path.name, f"'{name}' leads out of the folder")
        elif not (folder / name).is_file():
            findings.add("metadata", path.name, f"lists {name}, which is not there")
    return names
