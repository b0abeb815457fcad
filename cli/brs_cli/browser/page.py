"""The page itself: a table of episodes, and below it the one that is selected."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nicegui import events, run, ui

from brs_cli.browser.findings import Findings
from brs_cli.browser.library import SUCCESS, Library, labels_of, row_of
from brs_cli.browser.routes import address
from brs_cli.browser.scene import RobotView
from brs_cli.browser.table import EpisodeTable
from brs_hardware.errors import BrsError
from brs_ml.episode import EpisodeError
from brs_ml.episode.edit import mark, move_to_trash, relabel, restore, trim
from brs_ml.episode.store import Entry

STATIC = Path(__file__).parent / "static"
PROGRESS_S = 0.2
KEYS = (
    ("Space", "play or pause"),
    ("← →", "0.1 s back or on; with Shift 5 s"),
    ("Home End", "to the beginning or end"),
    ("↑ ↓", "the episode above or below"),
    ("S F", "the task was done, or was not"),
    ("M", "mark this moment"),
    ("[ ]", "a part begins or ends here; Esc: the whole again"),
    ("T", "save that part as a new episode"),
    ("Delete", "move the episode to the trash"),
    ("U", "undo the last deletion"),
    ("/", "filter the table"),
)


class BrowserPage:
    """One person's view of the library. Made inside a page function.

    Args:
        library: the episodes.
        findings: of their quality report.
        deleted: where episodes went that were moved to the trash; shared by all pages.
    """

    def __init__(self, library: Library, findings: Findings, deleted: list[Path]) -> None:
        self._library, self._findings, self._deleted = library, findings, deleted
        self._entry: Entry | None = None
        self._start_ns = 0
        self._progress = 1.0
        ui.add_css((STATIC / "style.css").read_text(encoding="utf-8"))
        # Vue's templates know no scripts; the player is a file of this server's.
        ui.add_head_html('<script type="module" src="/static/player.js"></script>')
        self._keys = self._key_dialog()
        self._top_bar()
        self._table = EpisodeTable(self._rows(), self._select)
        self._detail()
        ui.on("brs", self._act)
        ui.timer(PROGRESS_S, self._show_progress)
        ui.run_javascript("brs.start()")

    # -- parts of the page -------------------------------------------------------------------

    def _top_bar(self) -> None:
        with ui.row().classes("brs-top"):
            ui.label("Episodes").classes("brs-title")
            ui.label(str(self._library.store.root)).classes("brs-folder")
            ui.element("div").classes("brs-grow")
            self._count = ui.label().classes("brs-count")
            field = ui.input(placeholder="Filter, e.g. shelves failure").props(
                "dense outlined clearable debounce=150 aria-label=Filter"
            )
            field.classes("brs-filter").on_value_change(
                lambda e: self._table.filter(e.value or "")
            )
            _icon_button("refresh", "Read the folder again", self._refresh)
            self._undo = _icon_button("undo", "Undo the last deletion (U)", self._undo_delete)
            _icon_button("restore_from_trash", "Trash", self._show_trash)
            _icon_button("keyboard", "Keys (?)", self._keys.open)

    def _detail(self) -> None:
        with ui.element("div").classes("brs-detail"):
            with ui.element("div").classes("brs-panel brs-bar"):
                self._transport()
            with ui.element("div").classes("brs-panel"):
                ui.element("div").classes("brs-cameras")
            with ui.element("div").classes("brs-panel"), ui.element("div").classes("brs-curves"):
                self._chart = ui.echart({})
                ui.element("div").classes("brs-cursor")
            with ui.element("div").classes("brs-side"):
                with ui.element("div").classes("brs-panel"):
                    self._view = RobotView()
                with ui.element("div").classes("brs-panel brs-form"):
                    self._form()
                with ui.element("div").classes("brs-panel"):
                    ui.element("div").classes("brs-events")

    def _transport(self) -> None:
        with ui.element("div").classes("brs-line"):
            _script_button("play_arrow", "Play", "brs.play()").classes("brs-play")
            ui.label().classes("brs-time")
            speeds = {0.25: "¼×", 0.5: "½×", 1: "1×", 2: "2×", 4: "4×"}
            speed = ui.select(speeds, value=1).props("dense borderless options-dense")
            speed.props("aria-label=Speed").on_value_change(
                lambda e: ui.run_javascript(f"brs.setSpeed({float(e.value)})")
            )
            ui.element("div").classes("brs-rule")
            self._name = ui.label("No episode is selected").classes("brs-name")
            self._facts = ui.label().classes("brs-facts")
            ui.element("div").classes("brs-grow")
            _script_button("check_circle", "Success (S)", "brs.act('success')", "green")
            _script_button("cancel", "Failure (F)", "brs.act('failure')", "red")
            _script_button("flag", "Mark this moment (M)", "brs.act('mark')")
            ui.element("div").classes("brs-rule")
            _script_button("first_page", "The part begins here ([)", "brs.act('trim-start')")
            ui.label("whole").classes("brs-part")
            _script_button("last_page", "The part ends here (])", "brs.act('trim-end')")
            _script_button("content_cut", "Save the part as a new episode (T)", "brs.act('trim')")
            ui.element("div").classes("brs-rule")
            _script_button("delete", "Move to the trash (Delete)", "brs.act('delete')")
        line = ui.element("div").classes("brs-timeline")
        line.props('role=slider tabindex=0 aria-label="Time" aria-valuemin=0 aria-valuenow=0')
        self._bar = ui.linear_progress(1.0, show_value=False, size="3px").classes("brs-progress")
        self._bar.set_visibility(False)

    def _form(self) -> None:
        self._fields = {}
        for name in ("instruction", "task", "notes"):
            field = ui.input(name.capitalize()).props("dense outlined").classes(f"brs-{name}")
            field.on("blur", lambda name=name: self._label(name))
            field.on("keydown.enter", lambda name=name: self._label(name))
            self._fields[name] = field

    def _key_dialog(self) -> ui.dialog:
        with ui.dialog() as dialog, ui.card():
            ui.label("Keys").classes("brs-title")
            with ui.element("div").classes("brs-keys"):
                for key, meaning in KEYS:
                    ui.label(key).style("font-weight: 600")
                    ui.label(meaning)
        return dialog

    # -- the table -----------------------------------------------------------------------------

    def _rows(self) -> list[dict[str, Any]]:
        entries = self._library.store.entries()
        sizes = sum(entry.size_bytes for entry in entries)
        self._count.text = f"{len(entries)} episodes, {sizes / 1e9:.1f} GB"
        self._undo.set_enabled(bool(self._deleted))
        return [self._row(entry) for entry in entries]

    def _row(self, entry: Entry) -> dict[str, Any]:
        return row_of(entry, self._findings.count(entry.name))

    def _refresh(self) -> None:
        self._table.update(self._rows())

    # -- the episode that is shown ---------------------------------------------------------------

    async def _select(self, name: str) -> None:
        if self._entry is not None and self._entry.name == name:
            return
        try:
            entry = self._entry = self._library.store.entry(name)
        except EpisodeError as error:
            self._complain(error)
            return
        self._show_labels()
        reason = entry.problem or "Reading the episode …"
        self._run(f"brs.clear({json.dumps(reason)})")
        if not entry.playable:
            return
        self._progress = 0.0
        try:
            opened = await run.io_bound(self._library.open, name, self._set_progress)
            if opened is None or self._entry is None or self._entry.path != entry.path:
                return  # another one was chosen meanwhile
            self._start_ns = opened.contents.start_ns
            scene = self._view.show(opened)
        except (EpisodeError, BrsError) as error:
            self._complain(error)
            self._run(f"brs.clear({json.dumps(error.what)})")
            return
        except OSError as error:
            self._run(f"brs.clear({json.dumps(f'cannot be read ({error.strerror})')})")
            return
        finally:
            self._progress = 1.0
        setup = {
            "name": name,
            "url": address(name),
            "chart": self._chart.id,
            "scene": scene,
            "findings": self._findings.lines(name),
        }
        self._run(f"brs.load({json.dumps(setup)})")

    def _show_labels(self) -> None:
        entry = self._entry
        info = entry.info if entry else None
        self._name.text = entry.name if entry else "No episode is selected"
        self._facts.text = ""
        if info is not None:
            robot = f"{info.robot or 'robot not told'}, seed {info.seed}"
            facts = (SUCCESS[info.success], robot, f"{info.messages} messages")
            self._facts.text = " · ".join(facts)
        for name, field in self._fields.items():
            field.value = getattr(info, name) if info else ""
            field.set_enabled(info is not None)

    def _set_progress(self, share: float) -> None:
        self._progress = share

    def _show_progress(self) -> None:
        self._bar.set_visibility(self._progress < 1.0)
        self._bar.value = self._progress

    # -- changes ---------------------------------------------------------------------------------

    async def _act(self, event: events.GenericEventArguments) -> None:
        asked = event.args
        if asked["action"] == "help":
            self._keys.open()
        elif asked["action"] == "undo":
            self._undo_delete()
        elif self._entry is not None:
            try:
                await self._change(self._entry, asked)
            except EpisodeError as error:
                self._complain(error)

    async def _change(self, entry: Entry, asked: dict[str, Any]) -> None:
        match asked["action"]:
            case "success" | "failure":
                relabel(entry.path, success=asked["action"] == "success")
                self._changed(f"{entry.name}: {asked['action']}")
            case "mark":
                await self._mark(entry, float(asked["time"]))
            case "trim":
                await self._trim(entry, asked["start"], asked["end"])
            case "delete":
                self._delete(entry, str(asked["beside"]))

    def _label(self, name: str) -> None:
        entry, value = self._entry, self._fields[name].value
        if entry is None or value == getattr(entry.info, name):
            return
        try:
            relabel(entry.path, **{name: value})
            self._changed(f"{name} saved")
        except EpisodeError as error:
            self._complain(error)

    async def _mark(self, entry: Entry, at_s: float) -> None:
        with ui.dialog() as dialog, ui.card():
            ui.label(f"Mark {at_s:.2f} s").classes("brs-title")
            field = ui.input("Name of the mark").props("dense outlined autofocus")
            field.on("keydown.enter", lambda: dialog.submit(field.value))
            with ui.row():
                ui.button("Mark", on_click=lambda: dialog.submit(field.value)).props("unelevated")
                ui.button("Cancel", on_click=lambda: dialog.submit("")).props("flat")
        name = await dialog
        dialog.delete()
        if name:
            mark(entry.path, at_s, name)
            self._changed(f"marked {name}")

    async def _trim(self, entry: Entry, start_s: float | None, end_s: float | None) -> None:
        if start_s is None and end_s is None:
            ui.notify("Choose a part first, with [ and ]", type="warning")
            return
        self._progress = 0.0
        try:
            made = await run.io_bound(
                trim, entry.path, start_s or 0.0, float("inf") if end_s is None else end_s
            )
        finally:
            self._progress = 1.0
        if made is not None:
            self._refresh()
            ui.notify(f"made {made.name}; the whole is kept", type="positive")

    def _delete(self, entry: Entry, beside: str) -> None:
        self._deleted.append(move_to_trash(entry.path))
        self._entry = None
        self._show_labels()
        self._run("brs.clear('No episode is selected.')")
        self._refresh()
        if beside:
            self._table.select(beside)
        ui.notify(f"{entry.name} is in the trash; U brings it back", type="info")

    def _undo_delete(self) -> None:
        if self._deleted:
            self._restore(self._deleted[-1])
        else:
            ui.notify("Nothing was deleted since the start; look in the trash", type="warning")

    async def _show_trash(self) -> None:
        entries = self._library.store.trash()
        with ui.dialog() as dialog, ui.card():
            ui.label("Trash").classes("brs-title")
            for entry in entries:
                with ui.row().classes("items-center"):
                    ui.label(entry.name)
                    ui.label(entry.info.task).classes("brs-facts")
                    button = ui.button("Restore").props("flat dense")
                    button.on_click(lambda path=entry.path: dialog.submit(path))
            if not entries:
                ui.label("It is empty.")
        path = await dialog
        dialog.delete()
        if path is not None:
            self._restore(path)

    def _restore(self, trashed: Path) -> None:
        if trashed in self._deleted:
            self._deleted.remove(trashed)
        try:
            path = restore(trashed)
        except EpisodeError as error:
            self._complain(error)
            return
        self._refresh()
        self._table.select(path.name)
        ui.notify(f"{path.name} is back", type="positive")

    def _changed(self, line: str) -> None:
        """Show what episode.json says now."""
        if self._entry is not None:
            self._entry = self._library.store.entry(self._entry.name)
            labels = labels_of(self._entry.info, self._start_ns)
            self._run(f"brs.relabelled({json.dumps(labels)})")
            self._table.change(self._row(self._entry))
        self._show_labels()
        ui.notify(line, type="positive", timeout=1500)

    def _complain(self, error: EpisodeError | BrsError) -> None:
        ui.notify(str(error), type="negative", multi_line=True, close_button="OK")

    def _run(self, script: str) -> None:
        ui.run_javascript(script)


def _icon_button(icon: str, hint: str, on_click: Callable[[], Any]) -> ui.button:
    button = ui.button(icon=icon, on_click=on_click).props(f'flat dense round aria-label="{hint}"')
    return button.tooltip(hint)


def _script_button(icon: str, hint: str, script: str, color: str = "") -> ui.button:
    """A button of the player's: what it does begins in the browser, as its key does."""
    button = ui.button(icon=icon, color=color or "primary")
    button.props(f'flat dense round aria-label="{hint}"').tooltip(hint)
    button.on("click", js_handler=f"() => {script}")
    return button
