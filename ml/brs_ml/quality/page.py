"""The report as one HTML page that needs nothing else: no network, no other file."""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

from brs_ml.episode.metadata import write_atomically
from brs_ml.quality import plots
from brs_ml.quality.findings import ERROR, NOTE, RULES, WARNING, Finding
from brs_ml.quality.report import EpisodeReport, Report

_STYLE = """
body { font: 14px/1.45 system-ui, sans-serif; margin: 2em auto; max-width: 1150px; color: #222;
  padding: 0 1em }
h1 { font-size: 1.5em } h2 { font-size: 1.15em; margin-top: 2em }
table { border-collapse: collapse } img { max-width: 100% }
th, td { text-align: left; padding: .25em .7em .25em 0; border-bottom: 1px solid #ddd;
  vertical-align: top }
td { overflow-wrap: anywhere } .episodes td:not(:first-child), .rule { white-space: nowrap }
th.sortable { cursor: pointer } th.sortable::after { content: " \\2195"; color: #aaa }
.error { color: #c62828; font-weight: 600 } .warning { color: #b86e00 } .note { color: #607d8b }
.good { color: #2e7d32 }
"""
_SCRIPT = """
for (const head of document.querySelectorAll("th.sortable")) {
  head.addEventListener("click", () => {
    const body = head.closest("table").tBodies[0], column = head.cellIndex;
    const up = head.dataset.up !== "1";
    head.dataset.up = up ? "1" : "0";
    const key = row => row.cells[column].dataset.key;
    const rows = [...body.rows].sort((a, b) => {
      const x = key(a), y = key(b), numbers = x !== "" && y !== "" && !isNaN(x) && !isNaN(y);
      return (numbers ? x - y : x.localeCompare(y)) * (up ? 1 : -1);
    });
    body.append(...rows);
  });
}
"""
_DRAWN = 30  # of more episodes only those with findings get a plot
_HEADS = ("episode", "task", "success", "length", "messages", "errors", "warnings", "notes")


def write_html(report: Report, path: Path) -> None:
    """Write the page.

    Raises:
        EpisodeError: Matplotlib is not installed.
        OSError: it cannot be written.
    """
    write_atomically(path, html(report))


def html(report: Report) -> str:
    """The page. All that comes from episodes is escaped, and only our script may run.

    Raises:
        EpisodeError: Matplotlib is not installed.
    """
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src 'sha256-{digest}'"
    )
    parts = [
        '<!doctype html><html lang="en"><head><meta charset="utf-8">',
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">',
        '<meta name="viewport" content="width=device-width">',
        f"<title>Episodes: {escape(Path(report.source).name)}</title>",
        f"<style>{_STYLE}</style></head><body>",
        f"<h1>Episodes in {escape(report.source)}</h1><p>{escape(report.summary())}</p>",
        *_rules(report.findings),
        *_table(report),
    ]
    read = [episode for episode in report.episodes if episode.digest]
    if read:
        parts.append(_image(plots.overview(read), "lengths, paths and rates"))
    for_all = [finding for finding in report.together if not finding.episode]
    if for_all:
        parts += ["<h2>All together</h2>", *_findings(for_all)]
    for number, episode in enumerate(report.episodes):
        found = report.of(episode)
        is_drawn = bool(found) or len(report.episodes) <= _DRAWN
        parts += _episode(number, episode, found, is_drawn)
    return "\n".join([*parts, f"<script>{_SCRIPT}</script></body></html>\n"])


def _rules(findings: Sequence[Finding]) -> Iterable[str]:
    """How often each rule was broken, and what it looks at."""
    counts = Counter((finding.severity, finding.rule) for finding in findings)
    if not counts:
        yield '<p class="good">Nothing was found.</p>'
        return
    yield "<h2>Rules</h2><table><tbody>"
    for severity in (ERROR, WARNING, NOTE):
        for rule, (_, text) in RULES.items():
            if count := counts[severity, rule]:
                yield (
                    f'<tr><td class="rule {severity}">{severity}</td><td class="rule">{rule}</td>'
                    f"<td>{count}</td><td>{escape(text)}</td></tr>"
                )
    yield "</tbody></table>"


def _table(report: Report) -> Iterable[str]:
    heads = "".join(f'<th class="sortable">{head}</th>' for head in _HEADS)
    yield f'<h2>Episodes</h2><table class="episodes"><thead><tr>{heads}</tr></thead><tbody>'
    for number, episode in enumerate(report.episodes):
        counts = Counter(finding.severity for finding in report.of(episode))
        success = {True: "yes", False: "no", None: "?"}[episode.info.success]
        link = f'<a href="#e{number}">{escape(episode.name)}</a>'
        cells = [
            _cell(link, episode.name),
            _cell(escape(episode.info.task), episode.info.task),
            _cell(success, success),
            _cell(f"{episode.seconds:.1f} s", episode.seconds),
            _cell(str(episode.messages), episode.messages),
        ]
        for severity in (ERROR, WARNING, NOTE):
            count = counts[severity]
            shown = f'<span class="{severity}">{count}</span>' if count else "0"
            cells.append(_cell(shown, count))
        yield f"<tr>{''.join(cells)}</tr>"
    yield "</tbody></table>"


def _cell(content: str, key: object) -> str:
    return f'<td data-key="{escape(str(key))}">{content}</td>'


def _episode(
    number: int, episode: EpisodeReport, findings: Sequence[Finding], is_drawn: bool
) -> Iterable[str]:
    yield f'<h2 id="e{number}">{escape(episode.name)}</h2>'
    if episode.info.instruction:
        yield f"<p>{escape(episode.info.instruction)}</p>"
    yield from _findings(findings)
    if is_drawn and episode.curves is not None:
        yield _image(plots.timeline(episode, findings), "speeds, and when findings happened")


def _findings(findings: Sequence[Finding]) -> Iterable[str]:
    if not findings:
        yield '<p class="good">Nothing was found.</p>'
        return
    yield "<table><tbody>"
    for finding in findings:
        severity, text = finding.severity, escape(finding.text)
        yield (
            f'<tr><td class="rule {severity}">{severity}</td><td class="rule">{finding.rule}</td>'
            f"<td>{escape(finding.where)}</td><td>{text}</td>"
            f"<td>{_limit(finding)}</td><td>{_when(finding)}</td></tr>"
        )
    yield "</tbody></table>"


def _limit(finding: Finding) -> str:
    return "" if finding.limit is None else f"limit {finding.limit:g}"


def _when(finding: Finding) -> str:
    if not finding.spans_s:
        return ""
    begin_s, end_s = (max(moment_s, 0.0) for moment_s in finding.spans_s[0])
    more = f" and {len(finding.spans_s) - 1} more" if len(finding.spans_s) > 1 else ""
    return f"{begin_s:.1f} to {end_s:.1f} s{more}" if end_s > begin_s else f"{begin_s:.1f} s{more}"


def _image(png: bytes, text: str) -> str:
    data = base64.b64encode(png).decode()
    return f'<p><img alt="{escape(text)}" src="data:image/png;base64,{data}"></p>'
