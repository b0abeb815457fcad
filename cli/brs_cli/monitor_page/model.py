"""What the page shows, from what the monitor's node says. Plain values: no ROS, no web, no clock.

Everything kept is bounded, whatever comes and for however long.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

OK, WARNING = 0, 1  # levels of diagnostic_msgs/DiagnosticStatus; above, it is an error
KINDS = ("key_frame", "heat_map")  # of pictures
NODE_GONE = "the monitor's node is not there; start it with `brs launch monitor.launch.py`"


@dataclass(frozen=True)
class TextScore:
    """What a segment says about one text."""

    text: str
    score: float | None  # 0 to 1, smoothed; None is unknown
    parts: tuple[float | None, ...] = ()  # key frame, position, temporal; None is unknown
    reason: str = ""
    alarm: bool = False
    judged: bool = False  # whether the judge was asked

    @property
    def unknown(self) -> bool:
        """Whether this segment says nothing; a smoothed score may go on for a while."""
        return self.score is None or None in self.parts


@dataclass(frozen=True)
class SegmentNews:
    """What the node says about one camera's newest segment."""

    camera: str
    begin_s: float  # ROS time of its oldest and
    end_s: float  # newest frame [s]
    texts: tuple[TextScore, ...]
    dropped: int = 0  # segments so far for which there was no time
    latency_s: float = 0.0


@dataclass(frozen=True)
class Picture:
    """A JPEG as the node made it, with faces blurred."""

    stamp_s: float  # ROS time [s]
    jpeg: bytes


@dataclass(frozen=True)
class Alarm:
    """A text whose score went above its threshold."""

    text: str
    score: float | None
    reason: str
    stamp_s: float  # ROS time of the segment's end [s]


@dataclass(frozen=True)
class Clip:
    """What a camera saw before and after its alarms."""

    camera: str
    began_s: float  # time of day of the first alarm [s since 1970]
    alarms: tuple[Alarm, ...]  # each text once
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Point:
    """A segment in a camera's history."""

    begin_s: float
    end_s: float
    scores: Mapping[str, float | None]  # text -> score
    alarm: bool


@dataclass(frozen=True)
class CameraView:
    """A camera as it is now."""

    name: str
    newest: SegmentNews | None
    history: tuple[Point, ...]  # oldest first
    pictures: Mapping[str, int]  # kind -> number of the newest, which rises
    problem: str  # empty: all is well


@dataclass(frozen=True)
class View:
    """All that the page shows of the present."""

    cameras: tuple[CameraView, ...]  # by name
    queries: tuple[str, ...] | None  # watched for; None: not known yet
    problems: tuple[str, ...]  # the worst first; empty: all is well
    filming: tuple[Clip, ...]  # clips that are not whole yet


@dataclass(frozen=True)
class ModelConfig:
    """How much is kept, and what counts as wrong."""

    history_s: float = 600.0  # of scores
    most_points: int = 1000  # segments of a camera's history
    most_cameras: int = 16
    most_texts: int = 100
    most_letters: int = 400  # of a text or reason
    largest_picture_bytes: int = 4 << 20
    before: int = 6  # pictures of a clip before its alarm, and
    after: int = 6  # from the alarm on
    longest_clip_s: float = 60.0  # a clip is whole then, however few pictures came
    camera_silent_s: float = 15.0  # a camera without scores for so long is gone
    node_silent_s: float = 6.0  # so is a node without any news; it has diagnostics every second
    settle_s: float = 10.0  # after a change of texts, older scores may still name the old ones


@dataclass
class _Filming:
    clip: Clip
    since_s: float  # `now_s` of its beginning
    missing: int  # pictures to come


@dataclass
class _Camera:
    name: str
    last_news_s: float
    history: deque[Point]
    before: deque[Picture]
    newest: SegmentNews | None = None
    pictures: dict[str, Picture] = field(default_factory=dict)  # newest by kind
    numbers: dict[str, int] = field(default_factory=dict)
    refused: str = ""  # why the newest picture is not shown
    alarming: set[str] = field(default_factory=set)  # texts
    filming: _Filming | None = None


class MonitorModel:
    """Collects news of all cameras. `now_s` is any clock that goes on steadily [s].

    Args:
        config: bounds.
        now_s: when it begins.
    """

    def __init__(self, config: ModelConfig, now_s: float) -> None:
        self.config = config
        self._cameras: dict[str, _Camera] = {}
        self._queries: tuple[str, ...] | None = None
        self._queries_set_s = -float("inf")
        self._node_seen_s = now_s - config.node_silent_s
        self._diagnosis = (OK, "")
        self._whole: list[Clip] = []
        self._too_many = False

    # -- news --------------------------------------------------------------------------------

    def segment(self, news: SegmentNews, now_s: float, time_of_day_s: float) -> None:
        """A camera's scores. Where an alarm begins, so does a clip, unless one is being filmed.

        Args:
            news: of one segment; texts beyond the bounds are cut.
            now_s: when they came.
            time_of_day_s: when they came [s since 1970].
        """
        camera = self._camera(news.camera, now_s)
        if camera is None:
            return
        news = self._bounded(news)
        camera.last_news_s = self._node_seen_s = now_s
        if camera.newest is not None and news.end_s < camera.newest.begin_s:
            # Time was set back: a simulation or a recording begins anew.
            camera.history.clear()
            camera.before.clear()
        camera.newest = news
        scores = {row.text: row.score for row in news.texts}
        alarm = any(row.alarm for row in news.texts)
        camera.history.append(Point(news.begin_s, news.end_s, scores, alarm))
        while camera.history[0].end_s < news.end_s - self.config.history_s:
            camera.history.popleft()
        self._watched(tuple(scores), now_s)
        self._note_alarms(camera, news, now_s, time_of_day_s)

    def picture(self, name: str, kind: str, picture: Picture, now_s: float) -> None:
        """A camera's newest picture of a kind, of KINDS."""
        camera = self._camera(name, now_s)
        if camera is None:
            return
        data = picture.jpeg
        if not data.startswith(b"\xff\xd8") or len(data) > self.config.largest_picture_bytes:
            camera.refused = f"a picture of {len(data)} bytes is refused"
            return
        camera.refused = ""
        camera.pictures[kind] = picture
        camera.numbers[kind] = camera.numbers.get(kind, 0) + 1
        if kind != "key_frame":
            return
        heat_map = camera.pictures.get("heat_map")
        if heat_map is not None and heat_map.stamp_s < picture.stamp_s:
            # Of another moment: there is one only where the judge was asked.
            del camera.pictures["heat_map"]
        camera.before.append(picture)
        if (filming := camera.filming) is not None:
            shots = (*filming.clip.pictures, picture)
            filming.clip = replace(filming.clip, pictures=shots)
            filming.missing -= 1
            self._cut(camera, now_s)

    def diagnosis(self, level: int, line: str, no_texts: bool, now_s: float) -> None:
        """What the node says of itself.

        Args:
            level: of diagnostic_msgs/DiagnosticStatus.
            line: what is wrong where the level is not OK.
            no_texts: it watches for nothing yet.
            now_s: when it came.
        """
        self._node_seen_s = now_s
        self._diagnosis = level, line[: self.config.most_letters]
        if no_texts:
            self._watched((), now_s)

    def told(self, texts: Sequence[str], now_s: float) -> None:
        """The node took these texts; for a while, scores of others are old ones."""
        self._queries, self._queries_set_s = tuple(texts), now_s

    # -- what is shown -----------------------------------------------------------------------

    def view(self, now_s: float) -> View:
        """All that is shown."""
        cameras = tuple(
            CameraView(
                name,
                camera.newest,
                tuple(camera.history),
                {kind: camera.numbers[kind] for kind in camera.pictures},
                self._problem_of(camera, now_s),
            )
            for name, camera in sorted(self._cameras.items())
        )
        filming = [camera.filming.clip for camera in self._cameras.values() if camera.filming]
        return View(cameras, self._queries, self._problems(cameras, now_s), tuple(filming))

    def newest(self, name: str, kind: str) -> Picture | None:
        """The newest picture of a camera; None if there is none."""
        camera = self._cameras.get(name)
        return camera.pictures.get(kind) if camera else None

    def whole_clips(self, now_s: float, all_now: bool = False) -> list[Clip]:
        """Clips that became whole since this was asked; each is given once.

        Args:
            now_s: now.
            all_now: also those that pictures are still missing from.
        """
        for camera in self._cameras.values():
            self._cut(camera, now_s, all_now)
        clips, self._whole = self._whole, []
        return clips

    # -- details -----------------------------------------------------------------------------

    def _watched(self, texts: tuple[str, ...], now_s: float) -> None:
        if now_s - self._queries_set_s >= self.config.settle_s:
            self._queries = texts

    def _camera(self, name: str, now_s: float) -> _Camera | None:
        if name not in self._cameras:
            if len(self._cameras) >= self.config.most_cameras:
                self._too_many = True
                return None
            self._cameras[name] = _Camera(
                name,
                now_s,
                deque(maxlen=self.config.most_points),
                deque(maxlen=self.config.before + 1),
            )
        return self._cameras[name]

    def _bounded(self, news: SegmentNews) -> SegmentNews:
        letters = self.config.most_letters
        rows = tuple(
            replace(row, text=row.text[:letters], reason=row.reason[:letters])
            for row in news.texts[: self.config.most_texts]
        )
        return replace(news, begin_s=min(news.begin_s, news.end_s), texts=rows)

    def _note_alarms(
        self, camera: _Camera, news: SegmentNews, now_s: float, time_of_day_s: float
    ) -> None:
        """Alarms that were not there before; an unknown score ends none."""
        begun = [row for row in news.texts if row.alarm and row.text not in camera.alarming]
        unknown = {row.text for row in news.texts if row.score is None}
        camera.alarming &= unknown
        camera.alarming |= {row.text for row in news.texts if row.alarm}
        self._cut(camera, now_s)
        if not begun:
            return
        if camera.filming is None:
            # The segment's own picture may have come before its scores.
            own = [shot for shot in camera.before if shot.stamp_s >= news.end_s]
            early = [shot for shot in camera.before if shot.stamp_s < news.end_s]
            shots = (*early[-self.config.before :], *own)
            clip = Clip(news.camera, time_of_day_s, (), shots)
            camera.filming = _Filming(clip, now_s, self.config.after - len(own))
        filming = camera.filming
        known = {alarm.text for alarm in filming.clip.alarms}
        new = [row for row in begun if row.text not in known]
        alarms = [Alarm(row.text, row.score, row.reason, news.end_s) for row in new]
        alarms = [*filming.clip.alarms, *alarms][: self.config.most_texts]
        filming.clip = replace(filming.clip, alarms=tuple(alarms))

    def _cut(self, camera: _Camera, now_s: float, at_once: bool = False) -> None:
        filming = camera.filming
        if filming is None:
            return
        overdue = now_s - filming.since_s >= self.config.longest_clip_s
        if at_once or overdue or filming.missing <= 0:
            self._whole.append(filming.clip)
            camera.filming = None

    def _problems(self, cameras: tuple[CameraView, ...], now_s: float) -> tuple[str, ...]:
        if now_s - self._node_seen_s >= self.config.node_silent_s:
            return (NODE_GONE,)
        level, line = self._diagnosis
        lines = [
            line if level > WARNING else "",
            *(f"camera {each.name}: {each.problem}" for each in cameras if each.problem),
            line if level == WARNING else "",
            f"there are more than {len(cameras)} cameras" if self._too_many else "",
            "" if cameras else "no camera has sent a picture or score yet",
        ]
        return tuple(line for line in lines if line)

    def _problem_of(self, camera: _Camera, now_s: float) -> str:
        if (silent_s := now_s - camera.last_news_s) >= self.config.camera_silent_s:
            return f"no scores for {silent_s:.0f} s"
        rows = camera.newest.texts if camera.newest else ()
        unknown = [row for row in rows if row.unknown]
        if silent := [row.reason for row in unknown if row.judged]:
            return f"the judge does not answer ({silent[0]})"
        if unknown and len(unknown) == len(rows):
            return f"nothing is known ({rows[0].reason})"
        return camera.refused
