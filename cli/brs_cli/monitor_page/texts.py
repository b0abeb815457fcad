"""The list of texts that are watched for, to be edited."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from nicegui import run, ui

from brs_cli.monitor_page.charts import color_of
from brs_hardware.errors import BrsError

SetQueries = Callable[[Sequence[str]], str]


class TextList:
    """Texts with their colours. A press puts one in focus. Made inside a page.

    Args:
        set_queries: tells the node; blocks, raises BrsError.
        on_focus: told the text in focus, or None.
    """

    def __init__(self, set_queries: SetQueries, on_focus: Callable[[str | None], None]) -> None:
        self._set_queries, self._on_focus = set_queries, on_focus
        self._texts: tuple[str, ...] | None = None
        self._focus: str | None = None
        self._busy = False
        self._panel = ui.element("div").classes("brs-panel mon-texts")
        with self._panel:
            ui.label("Watched for").classes("brs-title")
            self._list = ui.element("div").classes("mon-list")
            with ui.element("div").classes("mon-add"):
                self._field = ui.input(placeholder="what should not happen")
                self._field.props('dense outlined aria-label="New text"')
                self._field.on("keydown.enter", self._add)
                self._button = ui.button(icon="add", on_click=self._add)
                self._button.props('flat dense round aria-label="Watch for this, too"')
        self._draw()

    def show(self, texts: tuple[str, ...] | None) -> None:
        """Show what is watched for; None: it is not known, so it cannot be changed either."""
        if texts == self._texts:
            return
        self._texts = texts
        if self._focus is not None and self._focus not in (texts or ()):
            self._focus_on(None)
        self._draw()

    def _draw(self) -> None:
        self._list.clear()
        self._allow()
        with self._list:
            if self._texts is None:
                ui.label("not known until the monitor's node tells").classes("mon-nothing")
            for text in self._texts or ():
                self._row(text)

    def _row(self, text: str) -> None:
        row = ui.element("div").classes("mon-text")
        row.classes(toggle="mon-focus" if text == self._focus else None)
        row.on("click", lambda: self._focus_on(None if text == self._focus else text))
        with row:
            dot = ui.element("div").classes("brs-dot")
            dot.style(f"background: {color_of(self._texts or (), text)}")
            ui.label(text).classes("mon-line")
            ui.element("div").classes("brs-grow")
            button = ui.button(icon="close").props("flat dense round size=sm color=grey")
            button.props["aria-label"] = f"Do not watch for {text} any more"
            button.on("click.stop", lambda: self._remove(text))

    def _focus_on(self, text: str | None) -> None:
        self._focus = text
        self._on_focus(text)
        self._draw()

    async def _add(self) -> None:
        text = " ".join((self._field.value or "").split())
        texts = self._texts
        if text and texts is not None and text not in texts and await self._tell((*texts, text)):
            self._field.value = ""

    async def _remove(self, text: str) -> None:
        await self._tell(tuple(other for other in self._texts or () if other != text))

    async def _tell(self, texts: tuple[str, ...]) -> bool:
        """Whether the node takes them; if not, the reason is shown."""
        if self._busy:
            return False
        self._busy = True
        self._allow()
        # The row that was pressed may be gone meanwhile.
        with self._panel:
            try:
                said = await run.io_bound(self._set_queries, texts)
            except BrsError as error:
                ui.notify(str(error), type="negative", multi_line=True, close_button="OK")
                return False
            finally:
                self._busy = False
                self._allow()
            ui.notify(said or "the node watches for them", type="positive", timeout=1500)
            return True

    def _allow(self) -> None:
        self._field.set_enabled(self._texts is not None and not self._busy)
        self._button.set_enabled(self._texts is not None and not self._busy)
