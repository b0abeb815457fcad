"""The page itself: what is wrong, cameras with their scores, texts, alarms."""

from __future__ import annotations

import time

from nicegui import ui

from brs_cli.browser.page import STATIC
from brs_cli.monitor_page.alarms import AlarmList
from brs_cli.monitor_page.cameras import CameraPanel
from brs_cli.monitor_page.style import STYLE
from brs_cli.monitor_page.texts import SetQueries, TextList
from brs_cli.monitor_page.watch import Watch

LOOK_S = 0.5  # between looks for something new


class MonitorPage:
    """One person's view. Made inside a page function.

    Args:
        watch: what is shown.
        set_queries: tells the node what to watch for.
        window_s: how far back charts reach.
    """

    def __init__(self, watch: Watch, set_queries: SetQueries, window_s: float) -> None:
        self._watch, self._window_s = watch, window_s
        self._focus: str | None = None
        self._panels: dict[str, CameraPanel] = {}
        ui.add_css((STATIC / "style.css").read_text(encoding="utf-8") + STYLE)
        with ui.row().classes("brs-top"):
            ui.label("Monitor").classes("brs-title")
            with ui.row().classes("mon-state") as self._state:
                ui.element("div").classes("mon-dot")
                self._line = ui.label().classes("mon-line")
            self._more = ui.label().classes("brs-facts")
            with self._more:
                self._others = ui.tooltip().style("white-space: pre-line")
            ui.element("div").classes("brs-grow")
            self._count = ui.label().classes("brs-count")
        with ui.element("div").classes("mon-main"):
            self._cameras = ui.element("div").classes("mon-cameras")
            with ui.element("div").classes("mon-side"):
                self._texts = TextList(set_queries, self._focus_on)
                self._alarms = AlarmList(watch.delete_clip)
        self._refresh()
        ui.timer(LOOK_S, self._refresh)

    def _refresh(self) -> None:
        view, clips, complaint = self._watch.view(time.monotonic())
        self._say([*view.problems, *([complaint] if complaint else [])])
        self._count.text = f"cameras: {len(view.cameras)}, clips kept: {len(clips)}"
        for camera in view.cameras:
            if camera.name not in self._panels:
                with self._cameras:
                    self._panels[camera.name] = CameraPanel(camera.name, self._window_s)
            self._panels[camera.name].show(camera, view.queries or (), self._focus)
        self._texts.show(view.queries)
        self._alarms.show(view.filming, clips)

    def _say(self, problems: list[str]) -> None:
        """The worst in one line, and how many more there are."""
        self._state.classes(
            add="mon-bad" if problems else "", remove="" if problems else "mon-bad"
        )
        self._line.text = problems[0] if problems else "all cameras are watched"
        self._more.text = f"and {len(problems) - 1} more" if len(problems) > 1 else ""
        self._others.text = "\n".join(problems[1:])

    def _focus_on(self, text: str | None) -> None:
        self._focus = text
        self._refresh()
