"""The table of episodes: filtered and sorted in the browser, which draws only rows in sight."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nicegui import events, ui

# (field, title, width [px], what else AG Grid should know)
NUMBER = {"type": "rightAligned", "filter": "agNumberColumnFilter"}
COLUMNS: tuple[tuple[str, str, int, dict[str, Any]], ...] = (
    ("name", "Episode", 210, {"pinned": "left"}),
    ("task", "Task", 90, {}),
    ("instruction", "Instruction", 200, {"flex": 2}),
    ("operator", "Operator", 90, {}),
    ("drivers", "Driven by", 120, {}),
    (
        "success",
        "Success",
        92,
        {
            "cellClassRules": {
                "brs-good": "value === 'success'",
                "brs-bad": "value === 'failure'",
            }
        },
    ),
    ("length_s", "Length [s]", 92, NUMBER),
    ("topics", "Topics", 76, NUMBER),
    ("lost", "Lost", 68, NUMBER),
    ("size_mb", "Size [MB]", 90, NUMBER),
    ("findings", "Findings", 86, NUMBER),
    ("problem", "Problem", 150, {"flex": 1, "cellClass": "brs-bad"}),
)

OPTIONAL = ("findings", "problem")


class EpisodeTable:
    """Rows of episodes, one of which is selected. Made inside a page.

    Columns that no row has anything for are left out.

    Args:
        rows: as `library.row_of` makes them.
        on_select: told the name of an episode that is selected.
    """

    def __init__(self, rows: list[dict[str, Any]], on_select: Callable[[str], Any]) -> None:
        empty = _empty(rows)
        columns = [
            {"field": name, "headerName": title, "width": width, "hide": name in empty, **more}
            for name, title, width, more in COLUMNS
        ]
        self._on_select = on_select
        self._grid = ui.aggrid(
            {
                "columnDefs": columns,
                "defaultColDef": {
                    "sortable": True,
                    "filter": "agTextColumnFilter",
                    "resizable": True,
                },
                "rowData": rows,
                ":getRowId": "params => params.data.name",
                "rowSelection": {
                    "mode": "singleRow",
                    "checkboxes": False,
                    "enableClickSelection": True,
                },
                "rowHeight": 27,
                "headerHeight": 30,
                "suppressCellFocus": True,
                "overlayNoRowsTemplate": "No episodes.",
            },
            theme="balham",
            auto_size_columns=False,
        ).classes("brs-table")
        # The event itself does not tell which row it is.
        selected = f"getElement({self._grid.id}).api.getSelectedNodes()[0]?.id ?? ''"
        self._grid.on("selectionChanged", self._selected, js_handler=f"() => emit({selected})")

    def update(self, rows: list[dict[str, Any]]) -> None:
        """Show other rows; filter, order and selection stay."""
        self._grid.options["rowData"][:] = rows
        self._grid.run_grid_method("setGridOption", "rowData", rows)
        for name in OPTIONAL:
            self._grid.run_grid_method("setColumnsVisible", [name], name not in _empty(rows))

    def change(self, row: dict[str, Any]) -> None:
        """Show what has changed in one row."""
        rows = self._grid.options["rowData"]
        rows[:] = [row if each["name"] == row["name"] else each for each in rows]
        self._grid.run_grid_method("applyTransaction", {"update": [row]})

    def filter(self, text: str) -> None:
        """Show only rows that hold all words of a text."""
        self._grid.run_grid_method("setGridOption", "quickFilterText", text)

    def select(self, name: str) -> None:
        """Select an episode."""
        self._grid.run_row_method(name, "setSelected", True, True)

    def _selected(self, event: events.GenericEventArguments) -> Any:
        return self._on_select(event.args) if event.args else None


def _empty(rows: list[dict[str, Any]]) -> set[str]:
    return {name for name in OPTIONAL if all(row[name] in (None, "") for row in rows)}
