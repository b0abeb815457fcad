// Curves of an episode, a panel a part of the robot: measured solid, commanded dashed.

const TITLE_SHARE = 0.22; // of a panel of curves
const AXIS_SHARE = 0.05; // of all of them, for the times below
const COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#6b7280"];

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

// Shows all curves in an ECharts chart; a press in it seeks.
export function showCurves(chart, data, seek) {
  const bottom = data.panels.length - 1;
  const share = (100 * (1 - AXIS_SHARE)) / data.panels.length;
  const grids = data.panels.map((_, i) => ({
    left: 44,
    right: 16,
    top: `${(i + TITLE_SHARE) * share}%`,
    height: `${(1 - TITLE_SHARE - 0.05) * share}%`,
  }));
  chart.setOption(
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
  watch(chart, seek);
}

function watch(chart, seek) {
  const renderer = chart.getZr();
  if (renderer.brsWatched) return;
  renderer.brsWatched = true;
  let pressed = false;
  const follow = (event) => {
    const t = chart.convertFromPixel({ xAxisIndex: 0 }, event.offsetX);
    if (Number.isFinite(t)) seek(t);
  };
  renderer.on("mousedown", (event) => follow(event, (pressed = true)));
  renderer.on("mousemove", (event) => pressed && follow(event));
  renderer.on("mouseup", () => (pressed = false));
  renderer.on("globalout", () => (pressed = false));
}
