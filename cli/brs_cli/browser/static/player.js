// Plays an episode in the page: pictures, curves, events and the 3-D robot, by one time.
//
// The page (page.py) makes the frame and calls brs.load; whatever changes files goes back to it as
// the event "brs". All text is set as text, never as HTML.
"use strict";

window.brs = (() => {
  const AHEAD_S = 0.7; // of pictures asked for before they are due
  const KEPT_PICTURES = 600;
  const SETTLE_MS = 5000;
  const TITLE_SHARE = 0.22; // of a panel of curves
  const AXIS_SHARE = 0.05; // of all of them, for the times below
  const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b7280"];
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

  // Index of the last time at or before t, or -1.
  function before(times, t) {
    let low = 0;
    let high = times.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (times[middle] <= t) low = middle + 1;
      else high = middle;
    }
    return low - 1;
  }

  // All columns at a time, by lines between the samples; null before the first.
  function at(samples, t) {
    const i = before(samples.t, t);
    if (i < 0) return samples.t.length ? samples.columns.map((column) => column[0]) : null;
    const j = Math.min(i + 1, samples.t.length - 1);
    const gap = samples.t[j] - samples.t[i];
    const share = gap > 0 ? Math.min(1, (t - samples.t[i]) / gap) : 0;
    return samples.columns.map((c) =>
      c[i] === null || c[j] === null ? c[i] : c[i] + share * (c[j] - c[i]),
    );
  }

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

  // -- robot ---------------------------------------------------------------------------------

  const scene = () => getElement(setup.scene.id);

  function times3(a, b) {
    return a.map((row) => [0, 1, 2].map((j) => row[0] * b[0][j] + row[1] * b[1][j] + row[2] * b[2][j]));
  }

  function turn([x, y, z], angle) {
    const [c, s, v] = [Math.cos(angle), Math.sin(angle), 1 - Math.cos(angle)];
    return [
      [c + x * x * v, x * y * v - z * s, x * z * v + y * s],
      [y * x * v + z * s, c + y * y * v, y * z * v - x * s],
      [z * x * v - y * s, z * y * v + x * s, c + z * z * v],
    ];
  }

  function turnBy([x, y, z, w]) {
    return [
      [1 - 2 * (y * y + z * z), 2 * (x * y - z * w), 2 * (x * z + y * w)],
      [2 * (x * y + z * w), 1 - 2 * (x * x + z * z), 2 * (y * z - x * w)],
      [2 * (x * z - y * w), 2 * (y * z + x * w), 1 - 2 * (x * x + y * y)],
    ];
  }

  function drawRobot() {
    const view = scene();
    if (!view?.objects || !setup.scene.root) return;
    const values = Object.fromEntries(data.panels.map((p) => [p.key, at(p.measured, time)]));
    for (const joint of setup.scene.joints) {
      const value = values[joint.panel]?.[joint.column];
      if (value === undefined || value === null) continue;
      const q = joint.offset + joint.scale * value;
      if (joint.slides) {
        const along = joint.rotation.map((row) => row.reduce((sum, r, i) => sum + r * joint.axis[i], 0));
        view.move(joint.id, ...joint.position.map((p, i) => p + q * along[i]));
      } else {
        view.rotate(joint.id, times3(joint.rotation, turn(joint.axis, q)));
      }
    }
    const base = at(data.base, time);
    if (base && !base.includes(null)) {
      view.move(setup.scene.root, base[0], base[1], setup.scene.height);
      view.rotate(setup.scene.root, turn([0, 0, 1], base[2]));
    }
    for (const [name, id] of Object.entries(setup.scene.boxes)) {
      const pose = at(data.boxes[name], time);
      if (!pose || pose.includes(null)) continue;
      view.move(id, ...pose.slice(0, 3));
      view.rotate(id, turnBy(pose.slice(3)));
    }
  }

  // -- curves --------------------------------------------------------------------------------

  const chart = () => getElement(setup.chart)?.chart;

  function lines(panel, kind, index) {
    const samples = panel[kind];
    return panel.names.map((name, i) => ({
      name: kind === "measured" ? name : `${name} commanded`,
      type: "line",
      xAxisIndex: index,
      yAxisIndex: index,
      showSymbol: false,
      silent: true,
      sampling: "lttb",
      color: COLORS[i % COLORS.length],
      lineStyle: { width: kind === "measured" ? 1.6 : 1, type: kind === "measured" ? "solid" : [3, 3] },
      data: samples.columns[i]?.map((value, k) => [samples.t[k], value]) ?? [],
    }));
  }

  function title(panel) {
    const textStyle = { fontSize: 11, fontWeight: "bold", color: "#374151" };
    return { text: panel.title, padding: 4, textStyle };
  }

  function legend(panel) {
    const rich = Object.fromEntries(COLORS.map((color, i) => [`c${i}`, { color, fontSize: 11 }]));
    const text = panel.labels.map((label, i) => `{c${i % COLORS.length}|● ${label}}`).join("  ");
    return { text, padding: 4, textStyle: { fontSize: 11, rich } };
  }

  function showCurves() {
    const bottom = data.panels.length - 1;
    const share = (100 * (1 - AXIS_SHARE)) / data.panels.length;
    const grids = data.panels.map((_, i) => ({
      left: 44,
      right: 16,
      top: `${(i + TITLE_SHARE) * share}%`,
      height: `${(1 - TITLE_SHARE - 0.05) * share}%`,
    }));
    chart()?.setOption(
      {
        animation: false,
        title: data.panels.flatMap((panel, i) => [
          { ...title(panel), left: 6, top: `${i * share}%` },
          { ...legend(panel), right: 12, top: `${i * share}%` },
        ]),
        grid: grids,
        axisPointer: { link: [{ xAxisIndex: "all" }] },
        tooltip: {
          trigger: "axis",
          confine: true,
          textStyle: { fontSize: 11 },
          padding: 6,
          valueFormatter: (value) => (typeof value === "number" ? value.toFixed(3) : "–"),
        },
        xAxis: grids.map((_, i) => ({
          gridIndex: i,
          type: "value",
          min: 0,
          max: data.duration,
          axisLabel: {
            show: i === bottom,
            showMaxLabel: false,
            fontSize: 10,
            color: "#6b7280",
            formatter: (value) => `${value} s`,
          },
          axisTick: { show: i === bottom },
          axisLine: { lineStyle: { color: "#9ca3af" }, onZero: false },
          splitLine: { lineStyle: { color: "#f1f3f5" } },
        })),
        yAxis: grids.map((_, i) => ({
          gridIndex: i,
          type: "value",
          scale: true,
          splitNumber: 3,
          axisLabel: { fontSize: 10, color: "#6b7280" },
          splitLine: { lineStyle: { color: "#eceff2" } },
        })),
        series: data.panels.flatMap((panel, i) => [
          ...lines(panel, "commanded", i),
          ...lines(panel, "measured", i),
        ]),
      },
      true,
    );
    watchCurves();
  }

  function watchCurves() {
    const renderer = chart()?.getZr();
    if (!renderer || renderer.brsWatched) return;
    renderer.brsWatched = true;
    let pressed = false;
    const follow = (event) => {
      const t = chart().convertFromPixel({ xAxisIndex: 0 }, event.offsetX);
      if (data && Number.isFinite(t)) seek(t);
    };
    renderer.on("mousedown", (event) => follow(event, (pressed = true)));
    renderer.on("mousemove", (event) => pressed && follow(event));
    renderer.on("mouseup", () => (pressed = false));
    renderer.on("globalout", () => (pressed = false));
  }

  function drawCursor() {
    const x = chart()?.convertToPixel({ xAxisIndex: 0 }, time);
    if (Number.isFinite(x)) $("cursor").style.transform = `translateX(${x}px)`;
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

  function draw() {
    drawn = time;
    waiting = false;
    drawPictures();
    drawCloud();
    drawRobot();
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
    showCurves();
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
