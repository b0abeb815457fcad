"""`brs monitor` in a real browser, fed over DDS by a node that says what a monitor's would."""

from __future__ import annotations

import io
import os
import re
import shutil
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brs_interfaces.msg import AnomalyScores
from brs_interfaces.srv import SetAnomalyQueries
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from harness import ROOT, Harness
from monitor_rooms import SEGMENTS, TEXTS, Rooms
from PIL import Image
from sensor_msgs.msg import CompressedImage

from brs_nodes import conversions

pytest.importorskip("nicegui", reason="the page needs NiceGUI: pip install brs[view]")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here")

NAMESPACE = "home"
CAMERAS = ("living_room", "kitchen", "hall")
HOSTILE = "<img src=x onerror=window.hacked=1>"
SEGMENT_S = 2.4
BEGIN_S = 1_800_000_000.0
# The picture of the documentation is written anew: BRS_WRITE_PICTURES=1.
WRITE = bool(os.environ.get("BRS_WRITE_PICTURES"))
SHOT = ROOT / "docs" / "images" / "monitor.png"


class FakeMonitor:
    """Publishes segments one after the other, each when it is told to.

    Args:
        ros: of the test.
        texts: watched for.
        score: of a camera's number, a text's number and a segment's; None is unknown.
        draw: key frame and heat map of a camera and a segment, (h, w, 3) uint8.
    """

    def __init__(
        self,
        ros: Harness,
        texts: list[str],
        score: Callable[[int, int, int], float | None],
        draw: Callable[[int, int], tuple[np.ndarray, np.ndarray]],
    ) -> None:
        self._score, self._draw = score, draw
        self.texts, self.number, self.refuse = texts, 0, ""
        self._diagnosed_s = -1.0
        node = ros.node
        base = f"/{NAMESPACE}/anomaly"
        self._scores = node.create_publisher(AnomalyScores, f"{base}/scores", 10)
        self._pictures = {
            (camera, kind): node.create_publisher(
                CompressedImage, f"{base}/{camera}/{kind}/compressed", 2
            )
            for camera in CAMERAS
            for kind in ("key_frame", "heat_map")
        }
        self._diagnostics = node.create_publisher(DiagnosticArray, "/diagnostics", 10)
        node.create_service(SetAnomalyQueries, f"{base}/set_queries", self._set)

    @property
    def followed(self) -> bool:
        """Whether the page takes all there is."""
        publishers = [self._scores, self._diagnostics, *self._pictures.values()]
        return all(publisher.get_subscription_count() for publisher in publishers)

    def diagnose(self) -> None:
        """Say that all is well, once a second."""
        if time.monotonic() < self._diagnosed_s + 1.0:
            return
        self._diagnosed_s = time.monotonic()
        status = DiagnosticStatus(level=b"\0", name=f"/{NAMESPACE}/anomaly_monitor")
        self._diagnostics.publish(DiagnosticArray(status=[status]))

    def segment(self) -> None:
        """Scores and pictures of the next segment of all cameras."""
        self.diagnose()
        end_s = BEGIN_S + SEGMENT_S * self.number
        for i, camera in enumerate(CAMERAS):
            rows = [self._score(i, k, self.number) for k in range(len(self.texts))]
            scores = array("f", [np.nan if row is None else row for row in rows])
            message = AnomalyScores(
                camera=camera,
                begin=conversions.to_time(end_s - SEGMENT_S),
                texts=self.texts,
                scores=scores,
                key_frame=scores,
                position=scores,
                temporal=scores,
                reasons=["the picture is black" if row is None else "seen" for row in rows],
                alarms=[row is not None and row > 0.5 for row in rows],
                judged=[row is not None for row in rows],
                dropped=i,
                latency_s=0.6,
            )
            message.header.stamp = conversions.to_time(end_s)
            self._scores.publish(message)
            for kind, picture in zip(
                ("key_frame", "heat_map"), self._draw(i, self.number), strict=True
            ):
                jpeg = io.BytesIO()
                Image.fromarray(picture).save(jpeg, "JPEG", quality=90)
                self._pictures[camera, kind].publish(
                    conversions.compressed_image(end_s, camera, "jpeg", jpeg.getvalue())
                )
        self.number += 1

    def _set(self, request: Any, response: Any) -> Any:
        response.success, response.message = not self.refuse, self.refuse
        if response.success:
            self.texts = list(request.queries)
        return response


def plain(camera: int, number: int) -> tuple[np.ndarray, np.ndarray]:
    key_frame = np.full((48, 64, 3), 40 + 60 * camera, np.uint8)
    key_frame[:, number % 64] = 255
    return key_frame, key_frame[:, ::-1].copy()


@pytest.fixture
def page() -> Iterator[Any]:
    """A browser's page; ends with an error if its console has one."""
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 900})
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
        yield page
        browser.close()
        assert not wrong


def open_page(ros: Harness, page: Any) -> Any:
    """The serving process, once its page is there."""
    command = [sys.executable, "-m", "brs_cli.main", "monitor", "serve", "--port", "0"]
    command += ["--no-open", "--namespace", NAMESPACE]
    # NiceGUI behaves otherwise where it believes to be tested.
    without = [f"--unset={key}" for key in os.environ if key.startswith("PYTEST")]
    process = ros.start("monitor", ["env", *without, *command])
    found = ros.wait_for(lambda: re.search(r"http://\S+", process.output), "the address")
    page.goto(found[0])
    page.wait_for_selector(".mon-main")
    return process


def lines_of(page: Any, camera: str) -> dict[str, list[list[float | None]]]:
    """Name -> data of each line in a camera's chart."""
    found: dict[str, list[list[float | None]]] = page.evaluate(
        """camera => {
          const element = document.querySelector(`[data-camera=${camera}] .nicegui-echart`);
          const series = getElement(element.id.slice(1)).chart?.getOption()?.series ?? [];
          return Object.fromEntries(series.slice(0, -1).map(s => [s.name, s.data]));
        }""",
        camera,
    )
    return found


def test_what_the_monitor_says_is_seen_and_what_it_watches_for_is_changed(
    ros: Harness, page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BRS_DATA", str(tmp_path / "data"))

    def score(camera: int, text: int, number: int) -> float | None:
        if camera == 1 and 3 <= number < 6:
            return None
        return 0.8 if (camera, text) == (0, 0) and number >= 4 else 0.1

    process = open_page(ros, page)
    state = page.locator(".mon-state")
    assert "the monitor's node is not there" in state.inner_text()
    assert page.get_by_label("New text").is_disabled()

    monitor = FakeMonitor(ros, ["a spill", HOSTILE], score, plain)
    ros.wait_for(lambda: monitor.followed, "the page listens")
    see_scores_and_pictures(ros, page, monitor)
    see_the_clip(ros, page, monitor, tmp_path / "data" / "alarms")
    change_texts(ros, page, monitor)
    assert page.evaluate("window.hacked") is None

    # Nothing more comes.
    ros.wait_for(lambda: "the monitor's node is not there" in state.inner_text(), "it is gone")
    page.goto("about:blank")  # else it complains of a server that is gone
    assert process.stop() == 0, process.output
    assert "Traceback" not in process.output, process.output


def play(ros: Harness, page: Any, monitor: FakeMonitor, segments: int) -> None:
    """Publish segments, each when the page shows the one before: pictures come best effort."""
    newest = """() => document.querySelector("[data-camera=living_room] img")?.src ?? ''"""
    for _ in range(segments):
        monitor.segment()
        end = f"?{monitor.number}"
        ros.wait_for(lambda end=end: page.evaluate(newest).endswith(end), "a picture")


def see_scores_and_pictures(ros: Harness, page: Any, monitor: FakeMonitor) -> None:
    play(ros, page, monitor, 4)
    kitchen = page.locator("[data-camera=kitchen]")
    ros.wait_for(lambda: "unknown" in kitchen.inner_text(), "no score", tick=monitor.diagnose)
    told = page.locator(".mon-state")
    why = "camera kitchen: nothing is known (the picture is black)"
    ros.wait_for(lambda: told.inner_text() == why, "why it is so", tick=monitor.diagnose)
    ros.wait_for(lambda: len(lines_of(page, "hall").get("a spill", ())) == 9, "a chart")
    hall, gap = (lines_of(page, camera)["a spill"] for camera in ("hall", "kitchen"))
    assert [height for _, height in hall] == [None, *[0.1] * 8]
    # Unknown is where the line ends, and no 0.
    assert [height for _, height in gap] == [None, *[0.1] * 6]
    assert "mon-old" in kitchen.get_attribute("class")
    assert "mon-old" not in page.locator("[data-camera=hall]").get_attribute("class")
    assert gap[-1][0] == pytest.approx(-SEGMENT_S)
    assert set(lines_of(page, "hall")) == {"a spill", HOSTILE}
    widths = "() => [...document.querySelectorAll('.mon-shot img')].map(i => i.naturalWidth)"
    ros.wait_for(lambda: page.evaluate(widths) == [64] * 6, "pictures", tick=monitor.diagnose)


def see_the_clip(ros: Harness, page: Any, monitor: FakeMonitor, folder: Path) -> None:
    alarms = page.locator(".mon-entry")
    play(ros, page, monitor, 1)
    ros.wait_for(lambda: "being filmed" in "".join(alarms.all_inner_texts()), "an alarm")
    assert "mon-alarm" in page.locator("[data-camera=living_room]").get_attribute("class")
    play(ros, page, monitor, 6)
    ros.wait_for(lambda: "score 0.80" in alarms.first.inner_text(), "a clip")
    assert alarms.count() == 1 and "a spill" in alarms.first.inner_text()
    assert len(list(folder.glob("*/*.jpg"))) == 10  # four before it, its own and five more
    alarms.first.click()
    player = page.locator(".mon-player")
    player.get_by_text("0.0 s after the alarm").wait_for()
    page.get_by_label("Play or pause").click()
    player.get_by_text("2.4 s after the alarm").wait_for()
    page.get_by_role("button", name="Close").click()
    player.wait_for(state="detached")

    alarms.first.click()
    page.get_by_role("button", name="Erase").click()
    page.get_by_text("none so far").wait_for()
    assert not list(folder.iterdir())


def change_texts(ros: Harness, page: Any, monitor: FakeMonitor) -> None:
    field = page.get_by_label("New text")
    field.fill("  a   raised arm ")
    field.press("Enter")
    wanted = ["a spill", HOSTILE, "a raised arm"]
    ros.wait_for(lambda: monitor.texts == wanted, "the new text", tick=monitor.diagnose)
    texts = page.locator(".mon-text")
    ros.wait_for(lambda: texts.count() == 3, "three texts", tick=monitor.diagnose)

    page.get_by_label(f"Do not watch for {HOSTILE} any more").click()
    wanted = ["a spill", "a raised arm"]
    ros.wait_for(lambda: monitor.texts == wanted, "one text less", tick=monitor.diagnose)
    ros.wait_for(lambda: texts.count() == 2, "two texts", tick=monitor.diagnose)

    texts.first.click()  # the chart shows it alone
    ros.wait_for(lambda: set(lines_of(page, "hall")) == {"a spill"}, "one line")

    monitor.refuse = "these are no words"
    field.fill("xx")
    field.press("Enter")
    told = page.locator(".q-notification", has_text="these are no words")
    ros.wait_for(lambda: told.count() == 1, "the reason", tick=monitor.diagnose)
    assert texts.count() == 2 and field.input_value() == "xx"


if WRITE:

    def test_the_picture_of_the_documentation(
        ros: Harness, page: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Rooms of the simulator; scores and heat maps are made up."""
        monkeypatch.setenv("BRS_DATA", str(tmp_path / "data"))
        monkeypatch.setenv("TZ", "UTC")
        rooms = Rooms()
        open_page(ros, page)
        monitor = FakeMonitor(ros, list(TEXTS), rooms.score, rooms.draw)
        ros.wait_for(lambda: monitor.followed, "the page listens")
        play(ros, page, monitor, SEGMENTS)
        alarms = page.locator(".mon-entry")
        ros.wait_for(lambda: alarms.count() == 2, "alarms", tick=monitor.diagnose)
        done = lambda: "filmed" not in "".join(alarms.all_inner_texts())  # noqa: E731
        ros.wait_for(done, "clips", tick=monitor.diagnose)
        page.wait_for_timeout(1000)
        shot = Image.open(io.BytesIO(page.screenshot()))
        shot.convert("RGB").quantize(256, kmeans=4).save(SHOT, optimize=True)
