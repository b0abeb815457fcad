"""Alarms of the past with their clips, and the ones that are being filmed."""

from __future__ import annotations

import bisect
import time
from collections.abc import Callable, Sequence

from nicegui import ui

from brs_cli.monitor_page.model import Alarm, Clip
from brs_cli.monitor_page.routes import clip_address
from brs_cli.monitor_page.store import StoredClip

MOST_ENTRIES = 50  # that are listed
PICTURE_S = 0.45  # for which each picture of a clip is shown


class AlarmList:
    """The newest first. Made inside a page.

    Args:
        delete: erases a clip.
    """

    def __init__(self, delete: Callable[[str], None]) -> None:
        self._delete = delete
        self._shown: object = None
        self._panel = ui.element("div").classes("brs-panel mon-alarms")
        with self._panel:
            ui.label("Alarms").classes("brs-title")
            self._list = ui.element("div").classes("mon-list")

    def show(self, filming: Sequence[Clip], clips: Sequence[StoredClip]) -> None:
        """Show alarms that are being filmed, and those that are kept, the newest first."""
        now = [(clip.camera, clip.began_s, clip.alarms) for clip in filming]
        if self._shown == (now, clips):
            return
        self._shown = now, clips
        self._list.clear()
        with self._list:
            for camera, began_s, alarms in now:
                self._entry(camera, began_s, alarms, None)
            for clip in clips[:MOST_ENTRIES]:
                self._entry(clip.camera, clip.began_s, clip.alarms, clip)
            if len(clips) > MOST_ENTRIES:
                ui.label(f"and {len(clips) - MOST_ENTRIES} older ones").classes("mon-nothing")
            if not now and not clips:
                ui.label("none so far").classes("mon-nothing")

    def _entry(
        self, camera: str, began_s: float, alarms: Sequence[Alarm], clip: StoredClip | None
    ) -> None:
        row = ui.element("button").classes("mon-entry")
        with row:
            with ui.element("div").classes("mon-shot"):
                if clip is not None and clip.stamps_s:
                    picture = ui.element("img").props('loading=lazy alt=""')
                    picture.props["src"] = clip_address(clip.name, at_alarm(clip))
            with ui.element("div"):
                ui.label(", ".join(alarm.text for alarm in alarms)).classes("mon-what")
                ui.label(f"{camera.replace('_', ' ')} · {_time(began_s)}").classes("brs-facts")
                if clip is None:
                    ui.label("being filmed …").classes("mon-filming")
                else:
                    ui.label(_highest(alarms)).classes("brs-facts")
        if clip is not None:
            row.on("click", lambda: self._play(clip))

    def _play(self, clip: StoredClip) -> None:
        number = at_alarm(clip)
        # Not in the list, which a new alarm draws anew.
        with self._panel, ui.dialog(value=True) as dialog, ui.card().classes("mon-card"):
            dialog.on("hide", dialog.delete)
            ui.label(f"{clip.camera.replace('_', ' ')} · {_time(clip.began_s)}").classes(
                "brs-title"
            )
            for alarm in clip.alarms:
                ui.label(f"{alarm.text}: {_highest([alarm])}. {alarm.reason}")
            with ui.element("div").classes("mon-shot mon-player"):
                picture = ui.element("img").props(f'alt="clip {clip.name}"')
                if not clip.stamps_s:
                    ui.label("no picture came").classes("mon-none")
                caption = ui.label().classes("brs-caption")

            def show(number: int) -> None:
                picture.props["src"] = clip_address(clip.name, number)
                since_s = clip.stamps_s[number] - clip.alarms[0].stamp_s
                way = "before" if since_s < 0.0 else "after"
                caption.text = f"{abs(since_s):.1f} s {way} the alarm"

            with ui.row().classes("brs-line"):
                if clip.stamps_s:
                    last = len(clip.stamps_s) - 1
                    slider = ui.slider(min=0, max=max(last, 1), value=number)
                    slider.props('aria-label="Picture"').classes("brs-grow")
                    slider.on_value_change(lambda e: show(min(int(e.value), last)))
                    play = ui.timer(
                        PICTURE_S,
                        lambda: slider.set_value((int(slider.value) + 1) % (last + 1)),
                        active=False,
                    )
                    button = ui.button(icon="play_arrow").props("flat dense round")
                    button.props('aria-label="Play or pause"')
                    button.on_click(lambda: _toggle(play, button))
                    show(number)
                erase = ui.button("Erase", icon="delete").props("flat dense color=red")
                erase.on_click(lambda: (self._delete(clip.name), dialog.close()))
                ui.button("Close", on_click=dialog.close).props("flat dense")


def at_alarm(clip: StoredClip) -> int:
    """Number of the first picture not before the alarm, or of the last."""
    number = bisect.bisect_left(clip.stamps_s, clip.alarms[0].stamp_s)
    return min(number, len(clip.stamps_s) - 1)


def _toggle(play: ui.timer, button: ui.button) -> None:
    play.active = not play.active
    button.props["icon"] = "pause" if play.active else "play_arrow"


def _highest(alarms: Sequence[Alarm]) -> str:
    known = [alarm.score for alarm in alarms if alarm.score is not None]
    return f"score {max(known):.2f}" if known else "score unknown"


def _time(began_s: float) -> str:
    return time.strftime("%d %b %Y, %H:%M:%S", time.localtime(began_s))
