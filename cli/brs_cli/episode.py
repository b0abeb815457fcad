"""`brs episode COMMAND EPISODE`: labels, marks, trims, trashes and restores finished episodes."""

from __future__ import annotations

import argparse
from pathlib import Path

from brs_ml.episode import EpisodeReader, mark, move_to_trash, relabel, restore, trim, unmark


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line options."""
    parser = argparse.ArgumentParser(prog="brs episode", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    def command(name: str, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text)
        added.add_argument("episode", type=Path, help="its folder")
        return added

    command("show", "what is known of an episode beside its messages")
    label = command("label", "change what was done, and whether it was done")
    judged = label.add_mutually_exclusive_group()
    judged.add_argument("--success", action="store_true", default=None, help="the task was done")
    judged.add_argument(
        "--failure", dest="success", action="store_false", help="the task was not done"
    )
    label.add_argument("--task", help="what was to be done")
    label.add_argument("--instruction", help="the task in words")
    label.add_argument("--notes", help="anything worth knowing")
    marked = command("mark", "name a moment, e.g. the beginning of a sub-task")
    marked.add_argument("at_s", type=float, help="since the first message [s]")
    marked.add_argument("name", help="one line")
    command("unmark", "take a mark away").add_argument("name", help="of the mark")
    trimmed = command("trim", "copy a part; the whole is kept")
    trimmed.add_argument("start_s", type=float, help="since the first message [s]")
    trimmed.add_argument("end_s", type=float, nargs="?", default=float("inf"), help="default: end")
    command("trash", "move to trash/, from where it can be restored")
    command("restore", "bring back from trash/")
    return parser.parse_args(arguments)


def show(path: Path) -> str:
    """A few lines about an episode."""
    reader = EpisodeReader(path)
    info, (first_ns, last_ns) = reader.info, reader.span_ns
    first_ns = first_ns or info.start_ns  # nothing was recorded
    success = {True: "success", False: "failure", None: "not judged"}[info.success]
    lines = [
        f"{info.name}: {info.task or 'no task'}, {success}, {info.status}",
        f"  {max(0, last_ns - first_ns) * 1e-9:.2f} s, {info.messages} messages, {info.lost} lost",
    ]
    lines += [
        f"  {name}: {text}"
        for name in ("instruction", "operator", "notes")
        if (text := getattr(info, name))
    ]
    spans = [("paused", each) for each in info.pauses]
    spans += [(f"driven by {each['source']}", each) for each in info.drivers]
    for what, span in spans:
        begin_s, end_s = ((span[key] - first_ns) * 1e-9 for key in ("start_ns", "stop_ns"))
        lines.append(f"  {begin_s:8.2f} .. {end_s:.2f} s  {what}")
    lines += [
        f"  {(each['at_ns'] - first_ns) * 1e-9:8.2f} s  {each['name']}" for each in info.marks
    ]
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Entry point of `brs episode`. Raises EpisodeError."""
    options = parse(arguments)
    path = options.episode.absolute()
    if options.command == "label":
        labels = ("success", "task", "instruction", "notes")
        relabel(path, **{name: getattr(options, name) for name in labels})
    elif options.command == "mark":
        mark(path, options.at_s, options.name)
    elif options.command == "unmark":
        unmark(path, options.name)
    elif options.command == "trim":
        path = trim(path, options.start_s, options.end_s)
    elif options.command == "trash":
        path = move_to_trash(path)
    elif options.command == "restore":
        path = restore(path)
    print(path if options.command in ("trim", "trash", "restore") else show(path))
