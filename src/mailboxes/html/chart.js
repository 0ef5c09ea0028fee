// Draws charts on canvases. All charts have the same axis of time, and show the cursor and the selection.

// Colours by the names of the style sheet, read again when the theme changes.
let colours = {};
function readColours() {
  const style = getComputedStyle(document.documentElement);
  const names = ["ink", "dim", "grid", "panel", "silence", "gap", "selection", "full",
    "blue", "green", "orange", "purple", "red", "grey"];
  colours = Object.fromEntries(names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
}

// Colours of the strip with the deepest instances.
const NAME_COLOURS = ["blue", "orange", "green", "purple", "red", "grey"];

// The words about starts and stops of the node, in rows above the plot.
const LABEL_ROWS = 2;
const LABEL_HEIGHT = 14;

// A chart: a canvas with its plot. `plot` is set when it is drawn.
class Chart {
  constructor(canvas, draw) {
    this.canvas = canvas;
    this.draw = draw;
  }

  // Draws everything in the span `view`, with the cursor and the selection of `marks`.
  show(view, marks) {
    const { canvas } = this;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight];
    if (width === 0) return;
    const ratio = window.devicePixelRatio || 1;
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
    const out = canvas.getContext("2d");
    out.scale(ratio, ratio);
    out.font = "11px system-ui, sans-serif";
    out.textBaseline = "middle";
    this.view = view;
    this.plot = { left: 0, top: 0, right: width, bottom: height };
    this.draw(this, out);
    this.drawRuns(out);
    this.drawMarks(out, marks);
  }

  // Makes room for axes.
  pad(left, top, right, bottom) {
    this.plot.left += left;
    this.plot.top += top;
    this.plot.right -= right;
    this.plot.bottom -= bottom;
  }

  get width() {
    return Math.max(1, Math.round(this.plot.right - this.plot.left));
  }

  get height() {
    return this.plot.bottom - this.plot.top;
  }

  x(time) {
    const { left } = this.plot;
    return left + ((time - this.view.from) / (this.view.to - this.view.from)) * this.width;
  }

  time(x) {
    const share = (x - this.plot.left) / this.width;
    return this.view.from + Math.min(1, Math.max(0, share)) * (this.view.to - this.view.from);
  }

  drawMarks(out, { cursor, selection }) {
    const { left, right, top, bottom } = this.plot;
    if (selection) {
      const [from, to] = selection.map((time) => this.x(time));
      out.fillStyle = colours.selection;
      out.fillRect(Math.min(from, to), top, Math.abs(to - from), bottom - top);
    }
    if (cursor !== null) {
      const x = Math.round(this.x(cursor)) + 0.5;
      if (x < left || x > right) return;
      out.strokeStyle = colours.ink;
      out.globalAlpha = 0.6;
      line(out, x, top, x, bottom);
      out.globalAlpha = 1;
    }
  }

  // The parts of the log without lines, and those in which the node did not run.
  drawSilences(out) {
    const fill = (from, to, colour) => {
      out.fillStyle = colour;
      const left = Math.max(this.plot.left, this.x(from));
      const right = Math.min(this.plot.right, this.x(to));
      if (right > left) out.fillRect(left, this.plot.top, right - left, this.height);
    };
    for (const [from, to] of DATA.silences) fill(from, to - DATA.interval, colours.silence);
    for (const { from, to } of DATA.gaps) fill(from, to, colours.gap);
  }

  // The starts and stops of the node: a line each, and above them what fits of the words if the chart has `labels`.
  drawRuns(out) {
    const { left, right, top, bottom } = this.plot;
    out.font = "11px system-ui, sans-serif";
    out.textAlign = "left";
    // The end of the last label in each row.
    const free = new Array(LABEL_ROWS).fill(-Infinity);
    for (const { time, event } of DATA.marks) {
      const x = Math.round(this.x(time)) + 0.5;
      if (x < left || x > right) continue;
      out.strokeStyle = colours.ink;
      out.setLineDash(event === "started" ? [] : [3, 3]);
      line(out, x, this.labels ? 0 : top, x, bottom);
      out.setLineDash([]);
      if (!this.labels) continue;
      const text = markText(time, event);
      const width = out.measureText(text).width + 6;
      // A stop is named on the left of its line and a start on the right of it, if there is room.
      const wanted = event === "started" ? x + 2 : x - 2 - width;
      const from = Math.min(Math.max(wanted, left), this.canvas.clientWidth - width);
      const row = free.findIndex((end) => end <= from);
      if (row < 0) continue;
      free[row] = from + width;
      const y = row * LABEL_HEIGHT;
      out.fillStyle = colours.panel;
      out.globalAlpha = 0.85;
      out.fillRect(from, y, width, LABEL_HEIGHT);
      out.globalAlpha = 1;
      out.fillStyle = colours.ink;
      out.fillText(text, from + 3, y + LABEL_HEIGHT / 2);
    }
  }

  // The pixels at which a line begins anew, since the node was started.
  starts() {
    const pixel = (time) => Math.floor(this.x(time) - this.plot.left);
    return new Set(DATA.gaps.map(({ to }) => pixel(to)));
  }

  // Whether nothing is known about a pixel: the node did not run, or wrote nothing, or its last line was before.
  isUnknownAt(pixel) {
    const time = this.time(this.plot.left + pixel + 0.5);
    return isSilent(time) || gapAt(time + DATA.interval) !== undefined;
  }

  drawTimeAxis(out) {
    const { top, bottom } = this.plot;
    for (const { time, text } of timeMarks(this.view, this.width)) {
      const x = Math.round(this.x(time)) + 0.5;
      out.strokeStyle = colours.grid;
      line(out, x, top, x, bottom);
      const half = out.measureText(text).width / 2;
      out.fillStyle = colours.dim;
      out.textAlign = "center";
      const within = Math.min(Math.max(x, half), this.canvas.clientWidth - half);
      out.fillText(text, within, bottom + 10);
    }
  }

  drawValueAxis(out, scale) {
    for (const { value, text } of scale.marks) {
      const y = Math.round(this.y(scale, value)) + 0.5;
      out.strokeStyle = colours.grid;
      line(out, this.plot.left, y, this.plot.right, y);
      out.fillStyle = colours.dim;
      out.textAlign = "right";
      out.fillText(text, this.plot.left - 6, y);
    }
  }

  y(scale, value) {
    return this.plot.bottom - Math.min(1, scale.share(value)) * this.height;
  }

  // Columns from the bottom up, one pixel wide and at least `least` high.
  drawArea(out, scale, values, colour, alpha = 1, least = 1) {
    out.fillStyle = colours[colour];
    out.globalAlpha = alpha;
    values.forEach((value, pixel) => {
      if (!(value > 0)) return;
      const y = this.y(scale, value);
      const height = Math.max(least, this.plot.bottom - y);
      out.fillRect(this.plot.left + pixel, this.plot.bottom - height, 1, height);
    });
    out.globalAlpha = 1;
  }

  // A line that is interrupted where there is no value.
  drawLine(out, scale, values, colour) {
    out.strokeStyle = colours[colour];
    out.lineWidth = 1.5;
    out.lineJoin = "round";
    out.beginPath();
    out.fillStyle = colours[colour];
    let before = NaN;
    const starts = this.starts();
    values.forEach((value, pixel) => {
      if (starts.has(pixel)) before = NaN;
      if (!Number.isNaN(value)) {
        const [x, y] = [this.plot.left + pixel, this.y(scale, value)];
        if (Number.isNaN(before)) out.moveTo(x, y);
        else out.lineTo(x, y);
        out.lineTo(x + 1, y);
        // A single line of the log between idle times.
        if (Number.isNaN(before) && !(values[pixel + 2] >= 0)) out.fillRect(x - 1, y - 1.5, 3, 3);
      }
      before = value;
    });
    out.stroke();
    out.lineWidth = 1;
  }

  // Bars of events, at least two pixels wide and high, so that a single one is seen.
  drawBars(out, scale, values, colour) {
    out.fillStyle = colours[colour];
    const base = this.y(scale, 0);
    values.forEach((value, pixel) => {
      if (!(value > 0)) return;
      const y = this.y(scale, value);
      const length = Math.max(2, Math.abs(base - y));
      out.fillRect(this.plot.left + pixel - 0.5, y < base ? base - length : base, 2, length);
    });
  }

  // The same downwards.
  drawBarsDown(out, scale, values, colour) {
    this.drawBars(out, { share: (value) => scale.share(-value) }, values, colour);
  }
}

function line(out, x0, y0, x1, y1) {
  out.beginPath();
  out.moveTo(x0, y0);
  out.lineTo(x1, y1);
  out.stroke();
}

const highest = (...columns) =>
  columns.reduce((most, values) => values.reduce((most, value) => (value > most ? value : most), most), 0);

// A chart of lines, areas and bars with both axes. `parts` are drawn in their order; each has its own series, or `series`.
function drawPanel(chart, out, series, parts, makeScale) {
  chart.labels = true;
  chart.pad(56, DATA.marks.length > 0 ? LABEL_ROWS * LABEL_HEIGHT + 2 : 8, 8, 20);
  const columns = parts.map((part) => {
    const way = part.style.startsWith("bars") ? "events" : part.holds && "holds";
    return byPixel(part.series || series, part.column, chart.view, chart.width, way);
  });
  const least = parts.reduce((most, part) => Math.max(most, part.least || 0), 0);
  const scale = makeScale(Math.max(least, highest(...columns)));
  chart.drawSilences(out);
  chart.drawValueAxis(out, scale);
  chart.drawTimeAxis(out);
  parts.forEach((part, at) => {
    const orZero = (value, pixel) => (Number.isNaN(value) && !chart.isUnknownAt(pixel) ? 0 : value);
    const values = part.zero ? columns[at].map(orZero) : columns[at];
    if (part.style === "area") chart.drawArea(out, scale, values, part.colour, part.alpha);
    else if (part.style === "bars") chart.drawBars(out, scale, values, part.colour);
    else if (part.style === "bars down") chart.drawBarsDown(out, scale, values, part.colour);
    else chart.drawLine(out, scale, values, part.colour);
  });
  return scale;
}

// The capacity, as a dashed line, if the values come near it.
function drawCapacity(chart, out, scale, capacity) {
  if (scale.share(capacity) > 1) return;
  const y = Math.round(chart.y(scale, capacity)) + 0.5;
  out.strokeStyle = colours.red;
  out.setLineDash([5, 4]);
  line(out, chart.plot.left, y, chart.plot.right, y);
  out.setLineDash([]);
}

// The instance with the most waiting messages, as a strip of colours. One name has one colour.
function drawNames(chart, out, kind, colourOf) {
  chart.pad(56, 2, 8, 2);
  out.fillStyle = colours.grid;
  out.fillRect(chart.plot.left, chart.plot.top, chart.width, chart.height);
  chart.drawSilences(out);
  for (const [at, name] of kind.deepest) {
    const from = Math.max(chart.plot.left, chart.x(begins(kind, at)));
    const to = Math.min(chart.plot.right, chart.x(kind.times[at]));
    if (to < from) continue;
    out.fillStyle = colours[colourOf(DATA.names[name])];
    out.fillRect(from, chart.plot.top, Math.max(1, to - from), chart.height);
  }
}
