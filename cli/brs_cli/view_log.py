"""Writes what is seen to a rerun recording: numbers gathered into columns, states on change."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from brs_hardware.errors import ConfigError

CAPTURE, LOG_TIME = "capture", "log_time"


def import_rerun() -> Any:
    """The module `rerun`.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import rerun
        import rerun.blueprint
        import rerun.urdf
    except ImportError:
        raise ConfigError(
            "viewing needs rerun, which is not installed", remedy="pip install brs[view]"
        ) from None
    return rerun


class When(NamedTuple):
    """The two times of a message."""

    capture_ns: int  # header stamp
    log_ns: int  # reception


class ViewLog:
    """A rerun recording with the time lines `capture` and `log_time`.

    Numbers and transforms wait for `flush`, which sends each entity's as one block of columns.

    Args:
        stream: rerun's RecordingStream, kept as the attribute of that name.
    """

    def __init__(self, stream: Any) -> None:
        self._rr = import_rerun()
        self.stream = stream
        # Ours has the same name, and also holds for bags.
        stream.set_log_time_enabled(False)
        stream.set_log_tick_enabled(False)
        self._numbers: dict[str, tuple[list[When], list[np.ndarray]]] = {}
        self._transforms: dict[str, list[tuple[When, np.ndarray, list[str], list[str]]]] = {}
        self._states: dict[str, str] = {}

    def static(self, entity: str, *archetypes: Any) -> None:
        """What holds at all times."""
        self.stream.log(entity, *archetypes, static=True)

    def at(self, when: When, entity: str, *archetypes: Any) -> None:
        """Anything that rerun can show."""
        self.stream.set_time(CAPTURE, timestamp=np.datetime64(when.capture_ns, "ns"))
        self.stream.set_time(LOG_TIME, timestamp=np.datetime64(when.log_ns, "ns"))
        self.stream.log(entity, *archetypes)

    def text(self, when: When, entity: str, level: str, line: str) -> None:
        """A line of a log; levels are rerun's: ERROR, WARN, INFO."""
        self.at(when, entity, self._rr.TextLog(line, level=level))

    def state(self, when: When, entity: str, state: str) -> bool:
        """A state that holds from now on; says whether it is another than before."""
        if self._states.get(entity) == state:
            return False
        self._states[entity] = state
        self.at(when, entity, self._rr.StateChange(state=state))
        return True

    def numbers(self, when: When, entity: str, values: np.ndarray) -> None:
        """(k,) numbers of a curve each; NaN leaves a gap. Their count must not change."""
        times, rows = self._numbers.setdefault(entity, ([], []))
        if rows and rows[-1].shape != values.shape:
            raise ValueError(f"{values.size} numbers, {rows[-1].size} before")
        times.append(when)
        rows.append(values)

    def transforms(
        self,
        when: When,
        entity: str,
        translations: np.ndarray,
        quaternions: np.ndarray,
        parents: list[str],
        children: list[str],
    ) -> None:
        """Poses of frames in their parents.

        Args:
            when: of all of them.
            entity: that holds them; a frame must always come with the same.
            translations: (n, 3) [m].
            quaternions: (n, 4), x y z w.
            parents: (n,) names of frames.
            children: (n,) names of frames.
        """
        pose = np.concatenate([translations, quaternions], axis=1)
        self._transforms.setdefault(entity, []).append((when, pose, parents, children))

    def flush(self) -> None:
        """Send what waits."""
        for entity, (times, rows) in self._numbers.items():
            columns = self._rr.Scalars.columns(scalars=np.stack(rows))
            self.stream.send_columns(entity, self._indexes(times), columns)
        for entity, blocks in self._transforms.items():
            poses = np.concatenate([pose for _, pose, _, _ in blocks])
            columns = self._rr.Transform3D.columns(
                translation=poses[:, :3],
                quaternion=poses[:, 3:],
                parent_frame=[name for _, _, parents, _ in blocks for name in parents],
                child_frame=[name for _, _, _, children in blocks for name in children],
            )
            times = [when for when, pose, _, _ in blocks for _ in range(len(pose))]
            self.stream.send_columns(entity, self._indexes(times), columns)
        self._numbers.clear()
        self._transforms.clear()

    def close(self) -> str:
        """Send what waits, and wait until it has arrived; says why if it has not."""
        self.flush()
        try:
            self.stream.flush()
        except RuntimeError as error:  # rerun's, when who shows it is gone
            return str(error)
        finally:
            self.stream.disconnect()
        return ""

    def _indexes(self, times: list[When]) -> list[Any]:
        both = np.array(times, dtype=np.int64).astype("datetime64[ns]")
        return [
            self._rr.TimeColumn(name, timestamp=np.ascontiguousarray(both[:, column]))
            for column, name in enumerate((CAPTURE, LOG_TIME))
        ]
