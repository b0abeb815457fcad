"""Make the working environment: virtual environment, pinned dependencies, ROS workspace.

Standard library only, because it runs before anything is installed. Each step leaves a stamp,
so a second call returns at once.
"""

from __future__ import annotations

import argparse
import ctypes.util
import hashlib
import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
PYTHON = VENV / "bin" / "python"
INSTALL = ROOT / "ros_ws" / "install"
SYSTEM_ROS = os.environ.get("ROS_DISTRO") if os.environ.get("AMENT_PREFIX_PATH") else None


def say(message: str) -> None:
    print(f"[setup] {message}", flush=True)


def missing_prerequisites() -> list[str]:
    """What this machine lacks, each with the Debian/Ubuntu package that brings it."""
    missing = [
        f"{tool} (apt install {package})"
        for tool, package in {"git": "git", "cmake": "cmake", "g++": "g++", "make": "make"}.items()
        if shutil.which(tool) is None
    ]
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        missing.append(f"Python 3.10 to 3.13 (this is {sys.version.split()[0]}; make PYTHON=...)")
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        missing.append("the Python headers (apt install python3-dev)")
    try:
        import ensurepip  # noqa: F401
    except ImportError:
        missing.append("venv (apt install python3-venv)")
    if not (ctypes.util.find_library("EGL") or ctypes.util.find_library("OSMesa")):
        missing.append("a software GL (apt install libegl1 libegl-mesa0)")
    return missing


def stamp_current(name: str, key: str) -> bool:
    path = VENV / f".{name}.stamp"
    return path.exists() and path.read_text() == key


def write_stamp(name: str, key: str) -> None:
    (VENV / f".{name}.stamp").write_text(key)


def digest(paths: list[Path]) -> str:
    total = hashlib.sha256(f"{sys.version_info[:2]} {SYSTEM_ROS}".encode())
    for path in sorted(paths):
        total.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return total.hexdigest()


def run(*command: str | Path, env: dict[str, str] | None = None) -> None:
    result = subprocess.run([str(part) for part in command], cwd=ROOT, env=env)
    if result.returncode:
        raise SystemExit(f"[setup] failed ({result.returncode}): {' '.join(map(str, command))}")


def make_venv() -> None:
    if PYTHON.exists():
        return
    say(f"creating {VENV.name} with Python {sys.version.split()[0]}")
    venv.create(VENV, with_pip=True, system_site_packages=SYSTEM_ROS is not None)


def lock_key(lock: Path) -> str:
    return digest([lock, ROOT / "pyproject.toml"])


def install(lock: Path) -> None:
    key = lock_key(lock)
    if stamp_current(lock.stem, key):
        return
    if SYSTEM_ROS:
        say(f"using the ROS 2 {SYSTEM_ROS} that is sourced")
    say(f"installing the pinned packages of requirements/{lock.name}")
    pip = (PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
    # Without the sourced ROS 2 in sight, pip looks only at what is in the environment itself.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    run(*pip, "-r", lock, env=env)
    run(*pip, "--no-deps", "--no-build-isolation", "--editable", ROOT, env=env)
    if not SYSTEM_ROS:
        mend_baked_paths()
    write_stamp(lock.stem, key)


def mend_baked_paths() -> None:
    """Point the wheels' CMake files at this Python; they carry their build machine's paths."""
    wanted = subprocess.run(
        [PYTHON, "-c", "import numpy; print(numpy.get_include())"],
        check=True, capture_output=True, text=True,
    ).stdout.strip()  # fmt: skip
    tag = f"cp{sys.version_info.major}{sys.version_info.minor}"
    baked = f"/opt/python/{tag}-{tag}"
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    swaps = {
        f"{baked}/lib/{version}/site-packages/numpy/_core/include": wanted,
        f"{baked}/include/{version}": sysconfig.get_paths()["include"],
    }
    mended = 0
    for path in (VENV / "share").rglob("*.cmake"):
        text = path.read_text()
        if baked in text:
            for old, new in swaps.items():
                text = text.replace(old, new)
            path.write_text(text)
            mended += 1
    say(f"mended the baked paths of {mended} CMake files")


def build_workspace() -> None:
    sources = [ROOT / "package.xml", ROOT / "CMakeLists.txt"]
    for folder in ("ros_ws/src", "launch", "config"):
        sources += [
            path
            for path in (ROOT / folder).rglob("*")
            if path.is_file() and "__pycache__" not in path.parts and path.suffix != ".pyc"
        ]
    # Python and YAML are installed as links: only their names matter, not what is in them.
    linked = {".py", ".yaml", ".urdf", ".xml"}
    built = [p for p in sources if p.suffix not in linked or p.name == "package.xml"]
    names = hashlib.sha256("\n".join(sorted(map(str, sources))).encode()).hexdigest()
    key = digest(built) + names
    if INSTALL.exists() and stamp_current("workspace", key):
        return
    say("building the ROS workspace with colcon (about a minute the first time)")
    env = dict(os.environ)
    env["PATH"] = f"{VENV / 'bin'}:{env['PATH']}"
    env["VIRTUAL_ENV"] = str(VENV)
    if not SYSTEM_ROS:
        env["AMENT_PREFIX_PATH"] = env["CMAKE_PREFIX_PATH"] = str(VENV)
    # Where the vendor's SDK or ROS 2 brings these itself, its own are the ones to speak.
    underlay = [
        Path(prefix) / "share"
        for prefix in env.get("AMENT_PREFIX_PATH", "").split(os.pathsep)
        if prefix and Path(prefix) != INSTALL
    ]
    there = [
        package
        for package in ("hdas_msg", "tf2_msgs")
        if any((share / package).is_dir() for share in underlay)
    ]
    skip = ("--packages-skip", *there) if there else ()
    run(
        VENV / "bin" / "colcon", "--log-base", "ros_ws/log", "build", *skip,
        "--base-paths", ".", "ros_ws/src",
        "--build-base", "ros_ws/build", "--install-base", "ros_ws/install",
        "--merge-install", "--symlink-install", "--event-handlers", "console_direct-",
        "--cmake-args", f"-DPython3_EXECUTABLE={PYTHON}", "-DCMAKE_BUILD_TYPE=Release",
        "-DBUILD_TESTING=OFF", "--no-warn-unused-cli",
        env=env,
    )  # fmt: skip
    write_stamp("workspace", key)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dev", action="store_true", help="also what the tests need")
    options = parser.parse_args()
    missing = missing_prerequisites()
    if missing:
        raise SystemExit("[setup] this machine lacks:\n  - " + "\n  - ".join(missing))
    make_venv()
    # A sourced ROS 2 brings rclpy, built against its own generation of numpy.
    locks = ROOT / "requirements"
    lock = locks / ("system_ros.lock" if SYSTEM_ROS else "dev.lock")
    # Where what the tests need is installed, all that the demo needs is.
    if not (SYSTEM_ROS or options.dev or stamp_current(lock.stem, lock_key(lock))):
        lock = locks / "run.lock"
    install(lock)
    build_workspace()


if __name__ == "__main__":
    main()
