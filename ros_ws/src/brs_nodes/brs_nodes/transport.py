"""Which way a process's messages go: shared memory or datagrams."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path

# For each of our DDS profiles, the one without shared memory.
DATAGRAMS = {
    "fastdds.xml": "fastdds_control.xml",
    "fastdds_local.xml": "fastdds_local_control.xml",
}


def talk_by_datagrams(env: MutableMapping[str, str]) -> None:
    """Let this process's DDS use UDP alone; comes before rclpy.init.

    What moves the robot must not depend on who dies: a process killed in the middle of a write
    into shared memory can leave a port that its readers, and those that come after them, never
    hear again (Fast DDS issue 5469). A datagram is sent whole or not at all. It costs nothing
    that counts for a few hundred small messages a second; pictures stay in shared memory.

    Args:
        env: os.environ. A profile that is not ours is left as it is: someone chose it.
    """
    for name in ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE"):
        profile = Path(env.get(name, ""))
        if profile.name not in DATAGRAMS:
            continue
        env[name] = str(profile.with_name(DATAGRAMS[profile.name]))
        if profile.name == "fastdds_local.xml":
            # For LOCALHOST the middleware adds shared memory to whatever a profile says. That
            # profile binds to the loopback interface and looks for others there by itself.
            env["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "SYSTEM_DEFAULT"
            env.pop("ROS_LOCALHOST_ONLY", None)


@contextlib.contextmanager
def datagrams() -> Iterator[None]:
    """What joins DDS within this block talks by UDP alone; processes started after it do not.

    Fast DDS reads its profile once a process: who needs shared memory beside it joins before.
    """
    kept = dict(os.environ)
    talk_by_datagrams(os.environ)
    try:
        yield
    finally:
        for name in set(os.environ) - set(kept):
            del os.environ[name]
        os.environ.update(kept)
