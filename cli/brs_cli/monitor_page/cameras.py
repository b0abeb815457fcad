"""A camera: its newest key frame, where the text may be in it, and scores over time."""

from __future__ import annotations

from collections.abc import Sequence

from nicegui import ui

from brs_cli.monitor_page.charts import chart_of, color_of, drawn_texts
from brs_cli.monitor_page.model import KINDS, CameraView, TextScore
from brs_cli.monitor_page.routes import newest_address

CAPTIONS = dict(zip(KINDS, ("key frame", "heat map"), strict=True))


class CameraPanel:
    """Made inside a page.

    Args:
        name: of the camera.
        window_s: how far back its chart reaches.
    """

    def __init__(self, name: str, window_s: float) -> None:
        self._name, self._window_s = name, window_s
        self._shown: object = None
        self._shots: dict[str, tuple[ui.element, ui.label]] = {}
        self._numbers: dict[str, int | None] = dict.fromkeys(KINDS)
        self._panel = ui.element("div").classes("brs-panel mon-camera")
        self._panel.props["data-camera"] = name
        with self._panel:
            for kind in KINDS:
                self._shots[kind] = self._shot(kind)
            with ui.element("div").classes("mon-scores"):
                with ui.element("div").classes("mon-head"):
                    ui.label(name.replace("_", " ")).classes("brs-title")
                    self._problem = ui.label().classes("mon-problem")
                    ui.element("div").classes("brs-grow")
                    self._facts = ui.label().classes("brs-facts")
                self._chips = ui.element("div").classes("mon-chips")
                self._chart = ui.echart({})

    def show(self, camera: CameraView, texts: Sequence[str], focus: str | None) -> None:
        """Show a camera as it is now.

        Args:
            camera: of this name.
            texts: watched for; a text's place gives its colour.
            focus: drawn alone; None: the highest are.
        """
        for kind in KINDS:
            self._show_picture(kind, camera.pictures.get(kind))
        self._problem.text = camera.problem
        # What is seen is not what is.
        self._mark("mon-old", bool(camera.problem))
        news = camera.newest
        if news is None or self._shown == (news, tuple(texts), focus):
            return
        self._shown = news, tuple(texts), focus
        lost = f" · segments dropped: {news.dropped}" if news.dropped else ""
        self._facts.text = f"{news.latency_s:.1f} s late{lost}"
        self._mark("mon-alarm", any(row.alarm for row in news.texts))
        drawn = drawn_texts(camera.history, texts, focus)
        self._chips.clear()
        with self._chips:
            for row in news.texts:
                if row.text in drawn:
                    _chip(row, color_of(texts, row.text))
            if len(drawn) < len(texts) and focus is None:
                ui.label(f"the highest {len(drawn)} of {len(texts)}").classes("brs-facts")
        self._chart.options.clear()
        self._chart.options.update(chart_of(camera, texts, focus, self._window_s))
        self._chart.update()

    def _mark(self, name: str, holds: bool) -> None:
        self._panel.classes(add=name if holds else "", remove="" if holds else name)

    def _shot(self, kind: str) -> tuple[ui.element, ui.label]:
        with ui.element("div").classes("mon-shot"):
            picture = ui.element("img")
            picture.props["alt"] = f"{CAPTIONS[kind]} of camera {self._name}"
            picture.set_visibility(False)
            nothing = ui.label(f"no {CAPTIONS[kind]}").classes("mon-none")
            ui.label(CAPTIONS[kind]).classes("brs-caption")
        return picture, nothing

    def _show_picture(self, kind: str, number: int | None) -> None:
        """Show a picture by its number, or that there is none of now."""
        if self._numbers[kind] == number:
            return
        self._numbers[kind] = number
        picture, nothing = self._shots[kind]
        if number is not None:
            picture.props["src"] = newest_address(self._name, kind, number)
        picture.set_visibility(number is not None)
        nothing.set_visibility(number is None)


def _chip(row: TextScore, color: str) -> None:
    state = "mon-unknown" if row.score is None else "mon-alarm" if row.alarm else ""
    with ui.element("div").classes(f"mon-chip {state}"):
        ui.element("div").classes("brs-dot").style(f"background: {color}")
        ui.label(row.text).classes("mon-line")
        ui.label("unknown" if row.score is None else f"{row.score:.2f}").classes("mon-value")
        if row.reason:
            ui.tooltip(row.reason)
