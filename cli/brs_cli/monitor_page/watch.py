"""What the page is fed with and shows: the present in memory, alarms on disk; threads share it."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from brs_cli.monitor_page.model import MonitorModel, Picture, SegmentNews, View
from brs_cli.monitor_page.store import AlarmStore, StoredClip
from brs_hardware.errors import BrsError


class Watch:
    """A model and a store behind one lock.

    Args:
        model: of the present.
        store: of alarms.
    """

    def __init__(self, model: MonitorModel, store: AlarmStore) -> None:
        self._model, self._store = model, store
        self._lock = threading.Lock()
        self._complaint = ""

    def segment(self, news: SegmentNews, now_s: float, time_of_day_s: float) -> None:
        """A camera's scores; as the model's."""
        with self._lock:
            self._model.segment(news, now_s, time_of_day_s)

    def picture(self, camera: str, kind: str, picture: Picture, now_s: float) -> None:
        """A camera's newest picture; as the model's."""
        with self._lock:
            self._model.picture(camera, kind, picture, now_s)

    def diagnosis(self, level: int, line: str, no_texts: bool, now_s: float) -> None:
        """What the node says of itself; as the model's."""
        with self._lock:
            self._model.diagnosis(level, line, no_texts, now_s)

    def told(self, texts: Sequence[str], now_s: float) -> None:
        """The node was told what to watch for; as the model's."""
        with self._lock:
            self._model.told(texts, now_s)

    def keep(self, now_s: float, all_now: bool = False) -> None:
        """Put clips that are whole on disk; called about once a second.

        Args:
            now_s: now.
            all_now: also those that are not whole, at the end.
        """
        with self._lock:
            for clip in self._model.whole_clips(now_s, all_now):
                try:
                    self._store.keep(clip)
                    self._complaint = ""
                except BrsError as error:
                    self._complaint = str(error)

    def view(self, now_s: float) -> tuple[View, tuple[StoredClip, ...], str]:
        """The present, the alarms of the past, the newest first, and why one was not kept."""
        with self._lock:
            return self._model.view(now_s), self._store.clips, self._complaint

    def newest(self, camera: str, kind: str) -> bytes | None:
        """The newest picture of a camera, a JPEG; None if there is none."""
        with self._lock:
            picture = self._model.newest(camera, kind)
        return picture.jpeg if picture else None

    def clip_picture(self, name: str, number: int) -> bytes | None:
        """A picture of a clip, a JPEG; None if there is none."""
        with self._lock:
            return self._store.picture(name, number)

    def delete_clip(self, name: str) -> None:
        """Erase a clip."""
        with self._lock:
            self._store.delete(name)
