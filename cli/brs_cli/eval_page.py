"""The report as one HTML page; all in it but the films, which lie beside it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from urllib.parse import quote

from brs_cli.eval_report import Report, RowReport, Share

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1150px; color: #222;
  padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
table { border-collapse: collapse }
th, td { text-align: left; padding: .25em .9em .25em 0; border-bottom: 1px solid #ddd }
td, th { overflow-wrap: anywhere } .bad { color: #c62828 }
.scenes td { padding: .1em .25em; text-align: center; border: 1px solid #fff; font-size: 11px }
.all { background: #66bb6a } .some { background: #ffe082 } .none { background: #ef9a9a }
"""
_HEADS = ("driver", "entire task", "", "sub-tasks", "time to success")
_BAR = 160  # [px]


def html(report: Report) -> str:
    """The page. All names are escaped, and nothing in it may run or be loaded but films."""
    rows = report.rows
    percent = f"{100 * report.settings.confidence:g} %"
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        '<meta http-equiv="Content-Security-Policy" '
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
        '<meta name="viewport" content="width=device-width">',
        f"<title>Evaluation: {escape(report.task)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>Evaluation: {escape(report.task)}</h1>",
        f"<p>Intervals are Wilson's, {percent}. A trial ends after "
        f"{report.settings.trial(report.task).limit_s:g} simulated seconds; success must hold "
        f"for {report.settings.settle_s:g} s. ",
        ", ".join(f"{escape(k)} {escape(v)}" for k, v in report.versions.items()),
        "</p><h2>Entire task and sub-tasks</h2>",
        *_table(_HEADS, map(_figures, rows)),
        *_notes(rows),
        "<h2>Sub-tasks</h2>",
        *_table(
            ("driver", *(share.name for share in rows[0].subtasks)),
            ([_name(row), *(_share(share) for share in row.subtasks)] for row in rows),
        ),
        "<h2>Breaches of safety</h2>",
        *_table(("driver", "kind", "trials with one", "in all"), _violations(rows)),
    ]
    if report.pairs:
        heads = ("first", "second", "scenes", "only first", "only second", "difference", "chance")
        parts += [
            "<h2>In the same scenes</h2><p>Chance: of so large a difference between equally good "
            "drivers (McNemar, exact, two-sided).</p>",
            *_table(heads, _pairs(report)),
        ]
    parts += ["<h2>Scenes</h2>", *_scenes(rows), *_failures(rows), "</body></html>"]
    return "\n".join(parts)


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> Iterator[str]:
    """Heads are escaped here, cells by who makes them."""
    yield "<table><tr>" + "".join(f"<th>{escape(head)}</th>" for head in heads) + "</tr>"
    for row in rows:
        yield "<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>"
    yield "</table>"


def _figures(row: RowReport) -> list[str]:
    time = "-" if row.success_s is None else f"{row.success_s:.1f} s"
    return [
        _name(row), _bar(row.success), _share(row.success), f"{row.subtask_mean:.0%}", time
    ]  # fmt: skip


def _name(row: RowReport) -> str:
    return escape(row.name)


def _share(share: Share) -> str:
    return f"{share.share:.0%} ({share.count}/{share.trials}), {share.low:.0%} to {share.high:.0%}"


def _bar(share: Share) -> str:
    low, high = _BAR * share.low, _BAR * share.high
    return (
        f'<svg width="{_BAR}" height="14"><rect width="{_BAR}" height="14" fill="#eee"/>'
        f'<rect width="{_BAR * share.share:.1f}" height="14" fill="#66bb6a"/>'
        f'<rect x="{low:.1f}" y="6" width="{max(high - low, 1):.1f}" height="2"/></svg>'
    )


def _notes(rows: Iterable[RowReport]) -> Iterator[str]:
    """What must be known to read the figures."""
    for row in rows:
        if row.kind == "replay":
            yield f"<p>{_name(row)}: each episode in its own scene.</p>"
        elif not row.held_out:
            yield (
                f'<p class="bad">{_name(row)}: nobody knows what scenes it learnt from; it may '
                "have seen these.</p>"
            )
        if row.about:
            about = ", ".join(f"{key} {value}" for key, value in row.about.items())
            yield f"<p>{_name(row)}: {escape(about)}</p>"
        for seed, why in row.lost.items():
            yield f'<p class="bad">{_name(row)}, seed {seed}: {escape("; ".join(why))}</p>'


def _violations(rows: Iterable[RowReport]) -> Iterator[list[str]]:
    for row in rows:
        for kind, (trials, count) in row.violations.items():
            yield [_name(row), escape(kind), str(trials), str(count)]
        if not row.violations:
            yield [_name(row), "none", "0", "0"]


def _pairs(report: Report) -> Iterator[list[str]]:
    for pair in report.pairs:
        counts = (str(n) for n in (pair.scenes, pair.first_only, pair.second_only))
        names = (escape(name) for name in (pair.first, pair.second))
        yield [*names, *counts, f"{100 * pair.difference:+.0f} points", f"{pair.chance:.2g}"]


def _scenes(rows: Iterable[RowReport]) -> Iterator[str]:
    """A square a trial: green for success, else how many sub-tasks were done."""
    yield '<table class="scenes">'
    for row in rows:
        yield f"<tr><th>{_name(row)}</th>"
        for trial in row.trials:
            kind = "all" if trial.success else "some" if any(trial.done) else "none"
            tip = f"seed {trial.seed}: {trial.ended}, {trial.length_s:g} s"
            yield f'<td class="{kind}" title="{escape(tip)}">{sum(trial.done)}</td>'
        yield "</tr>"
    yield "</table><p>Each number is how many sub-tasks were done in one scene.</p>"


def _failures(rows: Iterable[RowReport]) -> Iterator[str]:
    for row in rows:
        if row.films:
            yield f"<h2>Failures of {_name(row)}</h2><ul>"
            for seed, film in row.films.items():
                yield f'<li><a href="{quote(film)}">seed {escape(seed)}</a></li>'
            yield "</ul>"
