// Plays an episode in the page: pictures, curves, events and the 3-D robot, by one time.
//
// The page (page.py) makes the frame and calls brs.load; whatever changes files goes back to it as
// the event "brs". All text is set as text, never as HTML.

import { showCurves } from "./curves.js";
import { drawRobot } from "./robot.js";
import { before } from "./samples.js";

window.brs = (() => {
  const AHEAD_S = 0.7; // of pictures asked for before they are due
  const KEPT_PICTURES = 600;
  const SETTLE_MS = 5000;
  const LEVEL_COLORS = { INFO: "#0072b2", WARN: "#d98e04", ERROR: "#c62828" };
  const DRIVER_COLORS = { teleop: "#009e73", policy: "#7b5cc4", replay: "#d98e04" };

  let data = null; // contents of the episode that is shown
  let setup = null; // its address, and ids of the elements in the page
  let time = 0;
  let speed = 1;
  let playing = false;
  let last = null; // wall time of the last frame drawn [ms]
  let cut = { start: null, end: null };
  let drawn = null; // the time that is shown
  let waiting = false; // for a picture of that time
  let settling = 0; // until then all is drawn again, as the scene and its parts appear [ms]
  let views = {}; // camera -> its element, and the number of the picture in it
  let cloud = { index: -1, busy: false };
  let playhead = null;
  let pictures = new Map(); // address -> Image, oldest first

  const $ = (name) => document.querySelector(`.brs-${name}`);
  const clock = (s) => `${Math.floor(s / 60)}:${(s % 60).toFixed(2).padStart(5, "0")}`;

  function make(parent, name, text = "") {
    const element = document.createElement(name.startsWith("button") ? "button" : "div");
    element.className = name.split(".").slice(1).join(" ");
    element.textContent = text;
    parent.appendChild(element);
    return element;
  }

  const scene = () => getElement(setup.scene.id);
  const chart = () => getElement(setup.chart)?.chart;

  // -- pictures and clouds -------------------------------------------------------------------

  function showCameras() {
    const frame = $("cameras");
    frame.replaceChildren();
    for (const name of Object.keys(data.cameras)) {
      const box = make(frame, "div.brs-camera");
      const picture = document.createElement("img");
      picture.alt = `camera ${name}`;
      picture.draggable = false;
      box.appendChild(picture);
      make(box, "div.brs-caption", name.replaceAll("_", " "));
      views[name] = { picture, index: -1 };
    }
    if (!frame.children.length) make(frame, "div.brs-nothing", "No camera was recorded.");
  }

  function fetchPicture(name, index) {
    const url = `${setup.url}/pictures/${encodeURIComponent(name)}/${index}`;
    let image = pictures.get(url);
    if (!image) {
      image = new Image();
      image.src = url;
      pictures.set(url, image);
      if (pictures.size > KEPT_PICTURES) pictures.delete(pictures.keys().next().value);
    }
    return image;
  }

  function drawPictures() {
    for (const [name, times] of Object.entries(data.cameras)) {
      const state = views[name];
      const index = Math.max(0, before(times, time));
      if (!times.length) continue;
      const image = fetchPicture(name, index);
      if (index !== state.index) {
        if (image.complete && image.naturalWidth) {
          state.picture.src = image.src;
          state.picture.dataset.index = state.index = index;
        } else {
          waiting = true;
        }
      }
      if (!playing) continue;
      const end = before(times, time + AHEAD_S * speed);
      for (let next = index + 1; next <= end; next++) fetchPicture(name, next);
    }
  }

  async function drawCloud() {
    const index = before(data.cloud, time);
    const state = cloud;
    if (index < 0 || index === state.index || state.busy || !setup.scene.cloud) return;
    state.busy = true;
    const loaded = data;
    const response = await fetch(`${setup.url}/clouds/${index}`);
    const bytes = response.ok ? await response.arrayBuffer() : null;
    state.busy = false;
    if (!bytes || loaded !== data) return;
    state.index = index;
    const count = bytes.byteLength / 15;
    const points = Array.from(new Float32Array(bytes, 0, 3 * count));
    const colors = Array.from(new Uint8Array(bytes, 12 * count), (c) => c / 255);
    scene()?.run_method_on_component(setup.scene.cloud, "set_points", points, colors);
  }

  // -- time line -----------------------------------------------------------------------------

  const percent = (t) => `${(100 * Math.min(Math.max(t, 0), data.duration)) / (data.duration || 1)}%`;

  function span(row, from, to, name, text, color) {
    const element = make(row, `div.${name}`, text);
    element.style.left = percent(from);
    element.style.width = `calc(${percent(to)} - ${percent(from)})`;
    element.title = text;
    if (color) element.style.background = color;
  }

  function showTimeline() {
    const row = $("timeline");
    row.replaceChildren();
    for (const d of data.drivers) {
      span(row, d.start, d.stop, "brs-driver", d.source, DRIVER_COLORS[d.source] ?? "#6b7280");
    }
    for (const p of data.pauses) span(row, p.start, p.stop, "brs-pause", "paused");
    if (cut.start !== null) span(row, 0, cut.start, "brs-cut", "");
    if (cut.end !== null) span(row, cut.end, data.duration, "brs-cut", "");
    for (const event of moments()) {
      const tick = make(row, `div.brs-tick brs-${event.kind}`);
      tick.style.left = percent(event.time);
      tick.style.background = event.color;
      tick.title = `${clock(event.time)} ${event.text}`;
    }
    playhead = make(row, "div.brs-head");
  }

  function moments() {
    const marks = data.marks.map((m) => ({ time: m.time, kind: "mark", text: m.name, color: "#7b5cc4" }));
    const events = data.events.map((e) => ({
      ...e,
      color: e.kind === "task" ? "#009e73" : LEVEL_COLORS[e.level],
    }));
    return [...marks, ...events].sort((a, b) => a.time - b.time);
  }

  function showEvents() {
    const list = $("events");
    list.replaceChildren();
    for (const event of moments()) {
      const line = make(list, "button.brs-event");
      const dot = make(line, "div.brs-dot");
      dot.style.background = event.color;
      make(line, "div.brs-when", clock(Math.max(0, event.time)));
      make(line, "div.brs-what", event.kind === "mark" ? `Mark: ${event.text}` : event.text);
      line.title = event.text;
      line.addEventListener("click", () => seek(event.time));
    }
    for (const line of data.problems) make(list, "div.brs-problem", line);
    for (const line of setup.findings) make(list, "div.brs-finding", line);
    if (!list.children.length) make(list, "div.brs-nothing", "No marks, no safety events.");
  }

  function pickTime() {
    const row = $("timeline");
    const follow = (event) => {
      const box = row.getBoundingClientRect();
      if (data) seek((data.duration * (event.clientX - box.left)) / box.width);
    };
    row.addEventListener("pointerdown", (event) => {
      row.setPointerCapture(event.pointerId);
      follow(event);
    });
    row.addEventListener("pointermove", (event) => event.buttons && follow(event));
  }

  // -- playing -------------------------------------------------------------------------------

  function seek(t) {
    if (!data) return;
    time = Math.min(Math.max(t, 0), data.duration);
    draw();
  }

  function play(on = !playing) {
    if (!data) return;
    if (on && time >= data.duration) time = 0;
    playing = on;
    last = null;
    $("play").querySelector(".q-icon").textContent = on ? "pause" : "play_arrow";
    $("play").setAttribute("aria-label", on ? "Pause" : "Play");
  }

  function drawCursor() {
    const x = chart()?.convertToPixel({ xAxisIndex: 0 }, time);
    if (Number.isFinite(x)) $("cursor").style.transform = `translateX(${x}px)`;
  }

  function draw() {
    drawn = time;
    waiting = false;
    drawPictures();
    drawCloud();
    drawRobot(scene(), setup.scene, data, time);
    drawCursor();
    $("time").textContent = `${clock(time)} / ${clock(data.duration)}`;
    if (playhead) playhead.style.left = percent(time);
    $("timeline").setAttribute("aria-valuenow", time.toFixed(2));
    $("timeline").setAttribute("aria-valuemax", data.duration.toFixed(2));
  }

  function tick(now) {
    requestAnimationFrame(tick);
    if (!data) return;
    if (playing && last !== null) {
      time += (speed * (now - last)) / 1000;
      if (time >= data.duration) {
        time = data.duration;
        play(false);
      }
    }
    last = now;
    if (time !== drawn || waiting || now < settling) draw();
  }

  // -- what the page calls -------------------------------------------------------------------

  async function load(given) {
    clear("");
    setup = given;
    const response = await fetch(`${given.url}/contents`);
    if (setup !== given) return;
    if (!response.ok) {
      clear("The episode cannot be read.");
      return;
    }
    data = await response.json();
    time = 0;
    views = {};
    cloud = { index: -1, busy: false };
    cut = { start: null, end: null };
    showCameras();
    if (chart()) showCurves(chart(), data, seek);
    showTimeline();
    showEvents();
    settling = performance.now() + SETTLE_MS;
    document.body.classList.add("brs-loaded");
    document.body.dataset.episode = given.name;
  }

  function relabelled(labels) {
    if (!data) return;
    Object.assign(data, labels); // marks, drivers, pauses
    showTimeline();
    showEvents();
  }

  function clear(reason) {
    if (setup) play(false);
    data = null;
    pictures = new Map();
    document.body.classList.remove("brs-loaded");
    delete document.body.dataset.episode;
    for (const name of ["cameras", "timeline", "events"]) $(name).replaceChildren();
    if (reason) make($("cameras"), "div.brs-nothing", reason);
    if (setup) chart()?.clear();
    $("time").textContent = "";
  }

  // -- keys and buttons ----------------------------------------------------------------------

  function act(action) {
    if (action === "trim-start") cut.start = time;
    if (action === "trim-end") cut.end = time;
    if (action === "trim-reset") cut = { start: null, end: null };
    if (action.startsWith("trim-")) {
      if (data) showTimeline();
      $("part").textContent =
        cut.start === null && cut.end === null
          ? "whole"
          : `${clock(cut.start ?? 0)} – ${clock(cut.end ?? data?.duration ?? 0)}`;
      return;
    }
    const beside = (neighbour(1) ?? neighbour(-1))?.id ?? "";
    emitEvent("brs", { action, time, start: cut.start, end: cut.end, beside });
  }

  const table = () => getElement($("table").id.slice(1)).api;

  // The row so far below the selected one; the first if none is.
  function neighbour(step) {
    const row = table().getSelectedNodes()[0];
    return table().getDisplayedRowAtIndex(row ? row.rowIndex + step : 0);
  }

  function next(step) {
    const row = neighbour(step);
    if (!row) return;
    row.setSelected(true, true);
    table().ensureIndexVisible(row.rowIndex);
  }

  const KEYS = {
    " ": () => play(),
    k: () => play(),
    ArrowLeft: (event) => seek(time - (event.shiftKey ? 5 : 0.1)),
    ArrowRight: (event) => seek(time + (event.shiftKey ? 5 : 0.1)),
    Home: () => seek(0),
    End: () => seek(data?.duration ?? 0),
    ArrowUp: () => next(-1),
    ArrowDown: () => next(1),
    s: () => act("success"),
    f: () => act("failure"),
    m: () => act("mark"),
    "[": () => act("trim-start"),
    "]": () => act("trim-end"),
    Escape: () => act("trim-reset"),
    t: () => act("trim"),
    Delete: () => act("delete"),
    u: () => act("undo"),
    "/": () => document.querySelector(".brs-filter input").focus(),
    "?": () => act("help"),
  };

  function onKey(event) {
    const chosen = event.target.closest("button")?.matches(":focus-visible");
    if (chosen && (event.key === " " || event.key === "Enter")) return;
    const typing = event.target.closest("input, textarea, [contenteditable], .q-dialog");
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (typing) {
      if (event.key === "Escape") event.target.blur();
      return;
    }
    const run = KEYS[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!run || (event.repeat && !event.key.startsWith("Arrow"))) return;
    event.preventDefault();
    event.stopPropagation();
    run(event);
  }

  function start() {
    pickTime();
    clear("Choose an episode above.");
    // Before the table and buttons take them.
    document.addEventListener("keydown", onKey, true);
    requestAnimationFrame(tick);
  }

  return {
    start,
    load,
    clear,
    relabelled,
    act,
    play,
    seek,
    setSpeed: (value) => (speed = value),
    state: () => ({ time, playing, loaded: data !== null }),
  };
})();
