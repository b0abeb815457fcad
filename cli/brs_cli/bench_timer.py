"""The floor of any control jitter here: how late the system wakes a process that only sleeps."""

from __future__ import annotations

import json
import sys
import time

import numpy as np

from brs_nodes.common import Priority, set_priority


def lateness_ms(seconds: float, rate_hz: float = 100.0) -> list[float]:
    """Delays [ms] behind a steady beat, at the priority of control nodes."""
    set_priority(Priority.CONTROL)
    late = []
    due_s = time.monotonic()
    for _ in range(round(seconds * rate_hz)):
        due_s += 1.0 / rate_hz
        time.sleep(max(0.0, due_s - time.monotonic()))
        late.append(1e3 * (time.monotonic() - due_s))
    return late


if __name__ == "__main__":
    late = np.array(lateness_ms(float(sys.argv[1])))
    jitter = np.abs(np.diff(late))
    sys.stdout.write(json.dumps({"p99_ms": float(np.percentile(jitter, 99))}) + "\n")
