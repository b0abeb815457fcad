"""Where installed ROS packages keep their files, by the ament index."""

from __future__ import annotations

import os
from pathlib import Path

from ament_index_python import PackageNotFoundError, get_package_prefix, get_packages_with_prefixes

from brs_launch.errors import LaunchError, did_you_mean

# Of the source tree, where this package is a link into it or is used in place.
SOURCE_ROOT = Path(__file__).resolve().parents[4]


def package_prefix(name: str) -> Path:
    """Install prefix of a package.

    Raises:
        LaunchError: no prefix of AMENT_PREFIX_PATH holds it.
    """
    try:
        return Path(get_package_prefix(name))
    except PackageNotFoundError:
        known = get_packages_with_prefixes()
        raise LaunchError(
            f"package '{name}' is not installed",
            where="AMENT_PREFIX_PATH",
            remedy=f"{did_you_mean(name, known)} Or build and source the workspace",
        ) from None
    except (LookupError, ValueError) as error:
        raise LaunchError(
            str(error), where="AMENT_PREFIX_PATH", remedy="source the workspace's setup.bash"
        ) from None


def find_executable(package: str, executable: str) -> Path:
    """Path of a package's executable, `<prefix>/lib/<package>/<executable>`.

    Raises:
        LaunchError: unknown package, no such file, or it may not be executed.
    """
    folder = package_prefix(package) / "lib" / package
    path = folder / executable
    if not path.is_file():
        known = [entry.name for entry in folder.glob("*")] if folder.is_dir() else []
        raise LaunchError(
            f"package '{package}' has no executable '{executable}'",
            where=str(folder),
            remedy=did_you_mean(executable, known),
        )
    if not os.access(path, os.X_OK):
        raise LaunchError("not executable", where=str(path), remedy=f"chmod +x {path}")
    return path


def find_launch_file(name: str) -> Path:
    """A launch file by path, or by its name among those of package `brs`.

    Raises:
        LaunchError: there is none.
    """
    path = Path(name)
    if path.is_file():
        return path.resolve().parent / path.name
    folders = [SOURCE_ROOT / "launch"]
    for prefix in reversed(os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)):
        folders.insert(0, Path(prefix) / "share" / "brs" / "launch")
    if path.name == name:
        for folder in folders:
            for candidate in (folder / name, folder / f"{name}.launch.py"):
                if candidate.is_file():
                    return candidate
    known = {
        entry.name.removesuffix(".launch.py")
        for folder in folders
        for entry in folder.glob("*.launch.py")
    }
    word = path.name.removesuffix(".py").removesuffix(".launch")
    raise LaunchError("no such launch file", where=name, remedy=did_you_mean(word, known))
