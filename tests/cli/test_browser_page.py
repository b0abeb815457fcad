"""The page in a real browser: list, look, play, label, cut, delete, undo; by mouse and by keys."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ml.dataset.synthetic_episodes import Recipe, record
from view_samples import SampleBag
from view_samples import cloud as sample_cloud
from view_samples import state as sample_state

from brs_ml.episode.edit import move_to_trash

pytest.importorskip("nicegui", reason="the page needs NiceGUI: pip install brs[view]")
sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium here"),
    pytest.mark.timeout(300),
]

SECONDS = 3.0
PATIENCE_MS = 60_000
SERVE = "from brs_cli.dataset import main; main()"
# 3-D without a graphics card.
SOFTWARE = ("--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader")
HOSTILE = "<img src=x onerror=window.hacked=1>"


def relabelled(folder: Path, **values: Any) -> None:
    path = folder / "episode.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def info(folder: Path) -> dict[str, Any]:
    values: dict[str, Any] = json.loads((folder / "episode.json").read_text())
    return values


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Episodes, one for each test that changes one."""
    root = tmp_path_factory.mktemp("browser") / "episodes"
    for name in ("cut", "gone", "hostile", "label", "old", "play"):
        record(root / name, Recipe(seconds=SECONDS, drivers=(("teleop", 0.0, 2.0),)))
    relabelled(root / "label", task="laundry", success=None)
    relabelled(root / "hostile", task=HOSTILE, instruction=HOSTILE, success=False)
    (root / "foreign").mkdir()
    bag = SampleBag(root)
    for step in range(5):
        bag.put("/robot/state", "brs_interfaces/msg/WholeBodyState", 0.1 * step, sample_state(0.0))
        points = np.full((10 + step, 3), 0.5, np.float32)
        message = sample_cloud(points, np.full((10 + step, 3), 200, np.uint8))
        bag.put("/perception/cloud", "sensor_msgs/msg/PointCloud2", 0.1 * step, message)
    bag.finish().rename(root / "cloudy")
    return root


@pytest.fixture(scope="module")
def address(root: Path) -> Iterator[str]:
    # NiceGUI behaves otherwise where it believes to be tested.
    environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST")}
    command = [sys.executable, "-c", SERVE, "view", str(root), "--port", "0", "--no-open"]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)
    assert server.stderr is not None
    told = server.stderr.readline()
    found = re.search(r"http://\S+", told)
    try:
        assert found, told + server.stderr.read()
        yield found[0]
    finally:
        server.terminate()
        _, rest = server.communicate(timeout=60)
    assert "Traceback" not in rest, rest


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*SOFTWARE])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, address: str) -> Iterator[Any]:
    """The page; its requests are in `page.asked`. Ends with an error if the console has one."""
    # Small, as software draws it.
    context = browser.new_context(viewport={"width": 1100, "height": 720})
    page = context.new_page()
    page.set_default_timeout(PATIENCE_MS)
    page.asked, wrong = [], []
    page.on("request", lambda request: page.asked.append(request.url))
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda line: wrong.append(line.text) if line.type == "error" else None)
    page.goto(address)
    page.wait_for_selector(".ag-row")
    yield page
    assert not wrong
    context.close()


def rows(page: Any) -> list[str]:
    """Names as they are seen, from above; their elements may be in any order."""
    found: list[str] = page.evaluate(
        """() => [...document.querySelectorAll(".ag-cell[col-id=name]")]
          .map(cell => [+cell.closest(".ag-row").getAttribute("row-index"), cell.innerText])
          .sort((a, b) => a[0] - b[0]).map(([_, name]) => name)"""
    )
    return found


def choose(page: Any, name: str) -> None:
    page.locator(f".ag-row[row-id='{name}'] .ag-cell[col-id=name]").click()
    page.wait_for_selector(f"body.brs-loaded[data-episode='{name}']", state="attached")


def pictures_are_there(page: Any) -> None:
    picture = page.locator(".brs-camera img")
    until(page, lambda: picture.last.get_attribute("data-index") == "0", "the first pictures")


def state(page: Any) -> dict[str, Any]:
    values: dict[str, Any] = page.evaluate("brs.state()")
    return values


def until(page: Any, holds: Callable[[], bool], what: str) -> None:
    for _ in range(PATIENCE_MS // 100):
        if holds():
            return
        page.wait_for_timeout(100)
    pytest.fail(f"never: {what}")


def test_the_list_is_complete_escaped_filtered_and_sorted_before_any_bag_is_read(
    page: Any,
) -> None:
    assert {"hostile", "foreign", "label", "play"} <= set(rows(page))
    assert rows(page) == sorted(rows(page))
    table = page.locator(".brs-table")
    assert "holds no .mcap file" in table.inner_text()
    assert HOSTILE in table.inner_text()
    assert "token" not in page.url

    page.get_by_label("Filter").fill("laundry")
    until(page, lambda: rows(page) == ["label"], "only what is filtered for")
    page.get_by_label("Filter").fill("")
    until(page, lambda: "play" in rows(page), "all again")

    page.locator(".ag-header-cell[col-id=name]").click()
    page.locator(".ag-header-cell[col-id=name]").click()
    until(page, lambda: rows(page) == sorted(rows(page), reverse=True), "the other way round")
    assert page.evaluate("window.hacked") is None
    assert not [url for url in page.asked if "/episodes/" in url]


def test_playing_moves_pictures_cursor_and_robot_together(page: Any) -> None:
    choose(page, "play")
    picture = page.locator(".brs-camera img").first
    until(page, lambda: picture.get_attribute("data-index") == "0", "the first picture")
    cursor = page.locator(".brs-cursor")
    before = cursor.evaluate("element => element.style.transform")

    page.keyboard.press("Space")
    until(page, lambda: state(page)["time"] > 0.5, "the time goes on")
    page.keyboard.press("Space")
    until(page, lambda: not state(page)["playing"], "it pauses")
    assert cursor.evaluate("element => element.style.transform") != before

    page.evaluate("brs.seek(2.0)")
    # 15 pictures a second; the newest at or before the time.
    until(page, lambda: picture.get_attribute("data-index") in ("29", "30"), "the picture of 2 s")
    robot = """() => {
      const id = document.querySelector(".brs-scene").id.slice(1);
      const base = [...getElement(id).objects.values()].find(o => o.mesh?.type === "Group").mesh;
      return [getElement(id).objects.size, base.position.x];
    }"""
    # The base drives 1 m/s along x.
    until(page, lambda: abs(page.evaluate(robot)[1] - 2.0) < 0.05, "the robot is where it was")
    assert page.evaluate(robot)[0] > 50


def test_a_click_in_a_plot_or_on_the_time_line_seeks(page: Any) -> None:
    choose(page, "play")
    box = page.locator(".brs-curves canvas").first.bounding_box()
    page.mouse.click(box["x"] + 0.7 * box["width"], box["y"] + 0.5 * box["height"])
    wanted = """([x]) => {
      const id = document.querySelector(".brs-curves .nicegui-echart").id.slice(1);
      return getElement(id).chart.convertFromPixel({ xAxisIndex: 0 }, x);
    }"""
    seen = page.evaluate(wanted, [0.7 * box["width"]])
    assert 1.5 < seen < 2.5
    assert state(page)["time"] == pytest.approx(seen, abs=0.02)

    box = page.locator(".brs-timeline").bounding_box()
    page.mouse.click(box["x"] + 0.25 * box["width"], box["y"] + 5)
    assert state(page)["time"] == pytest.approx(0.25 * SECONDS, abs=0.05)


def test_the_cloud_of_the_time_is_in_the_scene(page: Any) -> None:
    choose(page, "cloudy")
    points = """() => {
      const id = document.querySelector(".brs-scene").id.slice(1);
      const cloud = [...getElement(id).objects.values()].find(o => o.mesh?.type === "Points");
      return cloud?.mesh.geometry.attributes.position.count;
    }"""
    until(page, lambda: page.evaluate(points) == 10, "the first cloud")
    page.evaluate("brs.seek(0.35)")
    until(page, lambda: page.evaluate(points) == 13, "the cloud of 0.3 s")


def test_keys_walk_through_time_and_episodes(page: Any) -> None:
    choose(page, "hostile")
    page.keyboard.press("End")
    assert state(page)["time"] == pytest.approx(SECONDS, abs=0.1)
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert state(page)["time"] == pytest.approx(0.1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("body.brs-loaded[data-episode=old]", state="attached")
    assert state(page)["time"] == 0.0
    page.keyboard.press("?")
    page.get_by_text("undo the last deletion").wait_for()


def test_labels_are_written(page: Any, root: Path) -> None:
    choose(page, "label")
    page.keyboard.press("s")
    until(page, lambda: info(root / "label")["success"] is True, "success in episode.json")
    cell = page.locator(".ag-row[row-id=label] .ag-cell[col-id=success]")
    until(page, lambda: cell.inner_text() == "success", "success in the table")
    page.get_by_label("Failure (F)").click()
    until(page, lambda: info(root / "label")["success"] is False, "failure in episode.json")

    # Letters typed into a field are no keys.
    page.get_by_label("Notes").fill("a shirt fell")
    page.get_by_label("Notes").press("Enter")
    until(page, lambda: info(root / "label")["notes"] == "a shirt fell", "notes in episode.json")
    page.get_by_label("Notes").type(" sf")
    page.keyboard.press("Escape")
    until(
        page, lambda: info(root / "label")["notes"] == "a shirt fell sf", "notes when it is left"
    )
    assert info(root / "label")["success"] is False
    assert info(root / "label")["task"] == "laundry"

    page.evaluate("brs.seek(1.0)")
    page.keyboard.press("m")
    page.get_by_label("Name of the mark").fill(HOSTILE)
    page.get_by_label("Name of the mark").press("Enter")
    until(page, lambda: bool(info(root / "label")["marks"]), "a mark in episode.json")
    assert info(root / "label")["marks"][0]["name"] == HOSTILE
    page.locator(".brs-event", has_text=HOSTILE).click()
    assert state(page)["time"] == pytest.approx(1.0, abs=0.01)
    assert page.evaluate("window.hacked") is None


def test_a_part_becomes_a_new_episode(page: Any, root: Path) -> None:
    choose(page, "cut")
    page.evaluate("brs.seek(0.5)")
    page.keyboard.press("[")
    page.evaluate("brs.seek(1.5)")
    page.keyboard.press("]")
    assert page.locator(".brs-part").inner_text() == "0:00.50 – 0:01.50"
    page.keyboard.press("t")
    until(page, lambda: "cut-trimmed" in rows(page), "the part in the table")
    assert (root / "cut").is_dir()
    choose(page, "cut-trimmed")
    page.keyboard.press("End")
    assert state(page)["time"] == pytest.approx(1.0, abs=0.05)


def test_deleting_can_be_undone(page: Any, root: Path) -> None:
    choose(page, "gone")
    pictures_are_there(page)
    page.keyboard.press("Delete")
    until(page, lambda: "gone" not in rows(page), "it is gone from the table")
    assert (root / "trash" / "gone").is_dir()
    # The next one is shown instead.
    page.wait_for_selector("body.brs-loaded[data-episode=hostile]", state="attached")
    page.keyboard.press("u")
    until(page, lambda: "gone" in rows(page), "it is back in the table")
    assert info(root / "gone")["task"] == "shelves"
    page.wait_for_selector("body.brs-loaded[data-episode=gone]", state="attached")


def test_the_trash_gives_back_what_was_deleted_long_ago(page: Any, root: Path) -> None:
    move_to_trash(root / "old")
    page.get_by_label("Read the folder again").click()
    until(page, lambda: "old" not in rows(page), "it is gone from the table")
    page.get_by_label("Trash", exact=True).click()
    page.get_by_role("button", name="Restore").click()
    until(page, lambda: "old" in rows(page), "it is back in the table")
    assert (root / "old" / "old_0.mcap").is_file()


def test_what_cannot_be_shown_says_why(page: Any) -> None:
    page.locator(".ag-row[row-id=foreign] .ag-cell[col-id=name]").click()
    page.locator(".brs-cameras", has_text="holds no .mcap file").wait_for()
    assert not state(page)["loaded"]


def test_without_the_token_nothing_is_served(browser: Any, address: str) -> None:
    stranger = browser.new_context().new_page()
    for path in ("/", "/episodes/play/contents", "/static/player.js"):
        assert stranger.goto(address.split("/?")[0] + path).status == 403
    stranger.context.close()
