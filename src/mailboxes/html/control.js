// Mouse, keys and buttons: the cursor, zoom, and the theme.

// Shows another span of the log, within the log and not shorter than can be seen.
function zoomTo(from, to) {
  const whole = WHOLE.to - WHOLE.from;
  const span = Math.min(whole, Math.max(MINIMUM_SPAN, Math.abs(to - from)));
  const begin = Math.min(Math.max(Math.min(from, to), WHOLE.from), WHOLE.to - span);
  state.view = { from: begin, to: begin + span };
  redraw();
}

// Makes the span longer or shorter; what is at `time` stays where it is.
function zoomBy(factor, time) {
  const { from, to } = state.view;
  const at = time === null ? (from + to) / 2 : Math.min(Math.max(time, from), to);
  zoomTo(at - (at - from) * factor, at + (to - at) * factor);
}

function moveBy(share) {
  const { from, to } = state.view;
  const step = (to - from) * share;
  const within = Math.min(Math.max(step, WHOLE.from - from), WHOLE.to - to);
  zoomTo(from + within, to + within);
}

const showWhole = () => zoomTo(WHOLE.from, WHOLE.to);

// Moves the cursor. Between two lines of the log it is at the one that is drawn at the same pixel.
function moveCursor(time, chart) {
  state.cursor = time;
  state.slack = (state.view.to - state.view.from) / chart.width;
  redraw();
}

// The events of one chart.
function listen(chart) {
  const { canvas } = chart;
  const timeOf = (event) => chart.time(event.clientX - canvas.getBoundingClientRect().left);
  let dragFrom = null;
  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    dragFrom = { x: event.clientX, time: timeOf(event) };
    canvas.setPointerCapture(event.pointerId);
  });
  canvas.addEventListener("pointermove", (event) => {
    state.selection = dragFrom ? [dragFrom.time, timeOf(event)] : null;
    moveCursor(timeOf(event), chart);
  });
  canvas.addEventListener("pointerup", (event) => {
    const wasDragged = dragFrom && Math.abs(event.clientX - dragFrom.x) > 4;
    if (wasDragged) zoomTo(dragFrom.time, timeOf(event));
    else if (dragFrom && chart.kind) choose(chart.kind);
    stopDrag();
  });
  const stopDrag = () => {
    dragFrom = null;
    state.selection = null;
    redraw();
  };
  canvas.addEventListener("pointercancel", stopDrag);
  canvas.addEventListener("pointerleave", () => {
    if (!dragFrom) moveCursor(null, chart);
  });
  canvas.addEventListener("dblclick", showWhole);
  canvas.addEventListener("wheel", (event) => {
    // Without a key, the wheel scrolls the page.
    if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
    event.preventDefault();
    const turned = event.deltaY || event.deltaX;
    zoomBy(turned > 0 ? 1.3 : 1 / 1.3, timeOf(event));
  }, { passive: false });
  canvas.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && dragFrom) stopDrag();
    else if (pressed(event, chart)) event.preventDefault();
  });
}

// Returns whether the key means something for a chart.
function pressed({ key, shiftKey, ctrlKey, altKey, metaKey }, chart) {
  if (ctrlKey || altKey || metaKey) return false;
  const { from, to } = state.view;
  const middle = (from + to) / 2;
  const step = Math.max(DATA.interval, (to - from) / 200);
  const cursor = state.cursor === null ? middle : state.cursor;
  const at = (time) => Math.min(Math.max(time, from), to);
  if (key === "ArrowLeft" || key === "ArrowRight") {
    const way = key === "ArrowLeft" ? -1 : 1;
    if (shiftKey) moveBy(way / 4);
    else {
      moveCursor(at(cursor + way * step), chart);
      say();
    }
  } else if (key === "+" || key === "=") zoomBy(1 / 1.5, state.cursor);
  else if (key === "-") zoomBy(1.5, state.cursor);
  else if (key === "0") showWhole();
  else return false;
  return true;
}

// Has a screen reader say the values at the cursor, which was moved by a key.
function say() {
  const { kind, cursor } = state;
  if (!kind) return;
  const at = pointAt(kind, cursor, state.slack);
  const idle = gapAt(cursor) ? "the node does not run" : "idle";
  const values = at < 0 ? idle :
    `peak ${kind.peak[at]} of ${kind.capacity}, depth ${kind.depth[at]}, p99 ${waitText(kind.p99[at])}, ` +
    `${kind.rate[at]} per second, ${kind.refused[at]} refused`;
  document.getElementById("said").textContent = `${timeText(cursor)} ${kind.actor}: ${values}`;
}

// The line above the charts: the time, and the buttons.
function addTools(parent) {
  const span = make("output", { id: "span", data: { "aria-live": "off" } });
  const button = (text, title, act) => {
    const made = make("button", { type: "button", title, data: { "aria-label": title } }, text);
    made.addEventListener("click", act);
    return made;
  };
  parent.append(make("div", { id: "tools" }, span,
    button("◀", "earlier", () => moveBy(-0.5)),
    button("▶", "later", () => moveBy(0.5)),
    button("+", "zoom in", () => zoomBy(0.5, null)),
    button("−", "zoom out", () => zoomBy(2, null)),
    button("Whole log", "show the whole log", showWhole)));
  parent.append(make("p", { className: "hint" },
    "Drag across a chart to zoom; Ctrl and the mouse wheel zoom too; double-click shows the whole log. " +
    "Keys on a chart: ← → move the cursor, with Shift the view; + − zoom; 0 shows the whole log. " +
    "A row grows with the square root of peak / capacity, red above it: a mailbox was full. " +
    "On the right: the highest of the whole log, or the value at the cursor."));
  parent.append(make("p", { id: "said", className: "hidden", data: { "aria-live": "polite" } }));
  readers.push(() => {
    const { view, cursor } = state;
    if (cursor === null) {
      span.textContent = `${timeText(view.from)} to ${timeText(view.to)} UTC`;
      return;
    }
    // A mark a few pixels away is meant too.
    const near = DATA.marks.filter(({ time }) => Math.abs(time - cursor) <= 4 * state.slack);
    const marks = near.map(({ time, event }) => `, ${markText(time, event)}`).join("");
    span.textContent = `${timeText(cursor)} UTC${marks}`;
  });
}

function addTheme() {
  const button = document.getElementById("theme");
  const themes = ["system", "light", "dark"];
  let theme = 0;
  button.hidden = false;
  button.addEventListener("click", () => {
    theme = (theme + 1) % themes.length;
    button.textContent = `Theme: ${themes[theme]}`;
    document.documentElement.dataset.theme = themes[theme];
    readColours();
    redraw();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
    readColours();
    redraw();
  });
}

function start() {
  const section = document.getElementById("charts");
  addTheme();
  section.hidden = false;
  addTools(section);
  // Of a log in which all were idle, only the tables have the kinds.
  if (DATA.kinds.length > 0) {
    addOverview(section);
    addDetails(section);
  }
  addLinks(section);
  addAccount(section);
  readColours();
  new ResizeObserver(redraw).observe(section);
  redraw();
}

start();
