"""`brs monitor serve`: a page of cameras, scores, texts to watch for, and alarms with clips."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from brs_cli.page_options import add_page_options, serve
from brs_hardware.errors import ConfigError
from brs_hardware.user_data import data_folder


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """Command-line options."""
    parser = argparse.ArgumentParser(prog="brs monitor serve", description=__doc__)
    add_page_options(parser, port=8081)
    parser.add_argument("--namespace", default="", help="of the monitor's node")
    parser.add_argument(
        "--folder", type=Path, help="keeps the clips of alarms (in the user's data folder)"
    )
    parser.add_argument("--keep-mb", type=float, default=500.0, help="at most, of clips [MB]")
    parser.add_argument("--minutes", type=float, default=5.0, help="that charts reach back")
    options = parser.parse_args(arguments)
    if options.minutes <= 0.0 or options.keep_mb < 0.0:
        parser.error("--minutes must be positive, --keep-mb not negative")
    return options


def main(arguments: list[str] | None = None) -> None:
    """Entry point. Raises BrsError."""
    options = parse(arguments)
    try:
        from brs_cli.browser.server import PageServer
        from brs_cli.monitor_page.page import MonitorPage
        from brs_cli.monitor_page.routes import router
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"the page needs {error.name}, which is not installed", remedy="pip install brs[view]"
        ) from None
    try:
        from brs_cli.monitor_page.feed import Feed
    except ImportError as error:
        raise ConfigError(
            f"the workspace is not built ({error})", remedy="run `make setup`"
        ) from None
    from brs_cli.monitor_page.model import ModelConfig, MonitorModel
    from brs_cli.monitor_page.store import AlarmStore
    from brs_cli.monitor_page.watch import Watch

    window_s = 60.0 * options.minutes
    model = MonitorModel(ModelConfig(history_s=window_s), time.monotonic())
    folder = options.folder or data_folder() / "alarms"
    watch = Watch(model, AlarmStore(folder, int(options.keep_mb * 1e6)))
    feed = Feed(watch, options.namespace)
    server = PageServer(
        "Monitor",
        lambda: MonitorPage(watch, feed.set_queries, window_s),
        router(watch),
        options.host,
        options.port,
    )
    with feed:
        serve(server, options, "sees the cameras and changes what is watched for")
