// The charts of the page, and what the reader does with them: choose, zoom, point.

const MINIMUM_SPAN = 10 * SECOND;
const WHOLE = { from: DATA.from - DATA.interval, to: Math.max(DATA.to, DATA.from + MINIMUM_SPAN) };

const state = { view: WHOLE, cursor: null, slack: 0, selection: null, kind: fullestKind(), metric: "share" };
const charts = [];
// Functions that write the values at the cursor.
const readers = [];

function fullestKind() {
  const share = (kind) => (kind.capacity > 0 ? kind.highest / kind.capacity : 0);
  return DATA.kinds.reduce((most, kind) => (share(kind) > share(most) ? kind : most), DATA.kinds[0]);
}

// Makes an element. Text is always set as text.
function make(name, properties = {}, ...children) {
  const { data, ...rest } = properties;
  const element = Object.assign(document.createElement(name), rest);
  for (const [key, value] of Object.entries(data || {})) element.setAttribute(key, value);
  element.append(...children);
  return element;
}

function percent(part, whole) {
  const percent = (100 * part) / (whole || 1);
  return percent > 0 && percent < 1 ? "<1 %" : `${Math.round(percent)} %`;
}

// What the rows of the overview show.
const METRICS = {
  share: {
    text: "peak of capacity",
    column: (kind) => kind.peak,
    value: (kind, at) => `${kind.peak[at]} of ${kind.capacity}`,
    most: (kind) => `${percent(kind.highest, kind.capacity)} of ${short(kind.capacity)}`,
    top: (kind) => kind.capacity,
    // One message of thousands is seen too.
    share: (value, top) => Math.sqrt(value / (top || 1)),
  },
  rate: {
    text: "messages per second",
    column: (kind) => kind.rate,
    value: (kind, at) => `${kind.rate[at]}/s`,
    most: (kind) => `${short(highest(kind.rate))}/s`,
    top: (kind) => highest(kind.rate),
    share: (value, top) => value / (top || 1),
  },
  wait: {
    text: "waiting time, p99",
    column: (kind) => kind.p99,
    value: (kind, at) => waitText(kind.p99[at]),
    most: (kind) => waitText(highest(kind.p99)),
    top: () => Math.max(...DATA.kinds.map((kind) => highest(kind.p99))),
    share: (value, top) => logarithmic(top).share(value),
  },
  refused: {
    text: "refused messages",
    events: true,
    column: (kind) => kind.refused,
    value: (kind, at) => String(kind.refused[at]),
    most: (kind) => numberText(kind.refused.reduce((sum, refused) => sum + refused, 0)),
    top: () => Math.max(...DATA.kinds.map((kind) => highest(kind.refused))),
    share: (value, top) => value / (top || 1),
  },
};

function addChart(canvas, draw) {
  canvas.tabIndex = 0;
  const chart = new Chart(canvas, draw);
  charts.push(chart);
  listen(chart);
  return chart;
}

// The overview: a row for each kind.
function addOverview(parent) {
  const select = make("select", { id: "metric" });
  for (const [name, { text }] of Object.entries(METRICS)) select.append(make("option", { value: name }, text));
  select.addEventListener("change", () => {
    state.metric = select.value;
    redraw();
  });
  parent.append(make("div", { className: "heading" }, make("h2", {}, "All mailboxes"),
    make("label", {}, "Rows and figures: ", select)));
  const rows = make("div", { id: "rows" });
  if (DATA.marks.length > 0) {
    const runs = make("canvas", { className: "runs", data: { "aria-hidden": "true" } });
    rows.append(make("span"), runs, make("span"));
    const chart = new Chart(runs, () => {});
    chart.labels = true;
    charts.push(chart);
  }
  for (const kind of DATA.kinds) addRow(rows, kind);
  const axis = make("canvas", { className: "axis", data: { "aria-hidden": "true" } });
  rows.append(make("span"), axis, make("span"));
  charts.push(new Chart(axis, (chart, out) => {
    chart.plot.bottom = 2;
    chart.drawTimeAxis(out);
  }));
  parent.append(rows);
}

function addRow(rows, kind) {
  const name = make("button", { type: "button", className: "kind", data: { "data-kind": kind.actor } }, kind.actor);
  const canvas = make("canvas", {
    className: "row",
    data: { role: "img", "aria-label": `${kind.actor} over time; the figures are in the tables` },
  });
  const value = make("output", { className: "value", data: { "data-kind": kind.actor, "aria-live": "off" } });
  name.addEventListener("click", () => choose(kind));
  rows.append(name, canvas, value);
  const chart = addChart(canvas, (chart, out) => drawRow(chart, out, kind));
  chart.kind = kind;
  readers.push(() => {
    name.setAttribute("aria-pressed", String(kind === state.kind));
    const metric = METRICS[state.metric];
    if (state.cursor === null) {
      value.textContent = metric.most(kind);
      value.title = "the highest of the whole log";
      return;
    }
    const at = pointAt(kind, state.cursor, state.slack);
    value.title = "";
    if (at >= 0) value.textContent = metric.value(kind, at);
    else if (gapAt(state.cursor)) value.textContent = "not running";
    else value.textContent = isSilent(state.cursor) ? "no line" : "idle";
  });
}

function drawRow(chart, out, kind) {
  const metric = METRICS[state.metric];
  out.fillStyle = colours.panel;
  out.fillRect(0, 0, chart.width, chart.height);
  chart.drawSilences(out);
  const top = metric.top(kind);
  const scale = { share: (value) => metric.share(value, top) };
  const values = byPixel(kind, metric.column(kind), chart.view, chart.width, metric.events && "events");
  if (metric.events) chart.drawBars(out, scale, values, "red");
  else chart.drawArea(out, scale, values, "blue", 0.85, 3);
  out.fillStyle = colours.full;
  for (const full of kind.full) {
    const from = Math.max(0, chart.x(full.from - DATA.interval));
    const to = Math.min(chart.width, chart.x(full.to));
    if (to >= from) out.fillRect(from, 0, Math.max(2, to - from), 4);
  }
}

// A chart with a title and a legend that has the values at the cursor. `parts` is a function: the kind may change.
function addPanel(parent, title, name, series, parts, makeScale, after = () => {}) {
  const legend = make("span", { className: "legend" });
  const canvas = make("canvas", {
    className: "panel",
    data: { role: "img", "aria-label": `${title} over time; the figures are in the tables` },
  });
  const figure = make("figure", { data: { "data-panel": name } },
    make("figcaption", {}, make("b", {}, title), legend), canvas);
  parent.append(figure);
  addChart(canvas, (chart, out) => after(chart, out, drawPanel(chart, out, series(), parts(), makeScale)));
  readers.push(() => {
    legend.replaceChildren(...parts().map((part) => {
      const at = state.cursor === null ? -1 : pointAt(part.series || series(), state.cursor, state.slack, part.holds);
      const value = make("output", { data: { "data-value": part.name, "aria-live": "off" } });
      if (at >= 0) value.textContent = part.text(part.column[at]);
      else if (state.cursor !== null) value.textContent = !isSilent(state.cursor) && (part.zero || part.style.startsWith("bars")) ? "0" : "-";
      return make("span", {}, make("i", { className: part.colour }), `${part.name} `, value);
    }));
  });
}

// A box for charts, beside each other if there is room.
function addBox(parent) {
  const box = make("div", { className: "box" });
  parent.append(box);
  return box;
}

// The charts of one kind.
function addDetails(section) {
  const heading = make("h2", { id: "kind" });
  const facts = make("p", { className: "facts" });
  section.append(heading, facts);
  const parent = addBox(section);
  const kind = () => state.kind;
  readers.push(() => {
    const { actor, capacity, refused, restarts, instances } = state.kind;
    const sum = (column) => column.reduce((sum, value) => sum + value, 0);
    heading.textContent = actor;
    const last = instances.length - 1;
    facts.textContent = `${numberText(instances[last])} running in the last line, ${numberText(highest(instances))} ` +
      `at most; capacity of a mailbox ${numberText(capacity)}; ${numberText(sum(refused))} refused, ` +
      `${numberText(sum(restarts))} restarts`;
  });
  addPanel(parent, "Waiting messages", "depth", kind, () => [
    { name: "peak in one mailbox", column: state.kind.peak, colour: "blue", style: "area", alpha: 0.6, zero: true,
      least: 4 * state.kind.highest >= state.kind.capacity ? state.kind.capacity : 0, text: numberText },
    { name: "depth of all", column: state.kind.depth, colour: "purple", style: "line", zero: true, text: numberText },
  ], linear, (chart, out, scale) => drawCapacity(chart, out, scale, state.kind.capacity));
  addPanel(parent, "Waiting time", "wait", kind, () => [
    { name: "p99", column: state.kind.p99, colour: "orange", style: "line", text: waitText },
    { name: "p50", column: state.kind.p50, colour: "green", style: "line", text: waitText },
  ], logarithmic);
  addPanel(parent, "Handled messages per second", "rate", kind, () => [
    { name: "rate", column: state.kind.rate, colour: "green", style: "area", alpha: 0.7, zero: true, text: numberText },
  ], linear);
  addPanel(parent, "Refused messages", "refused", kind, () => [
    { name: "refused", column: state.kind.refused, colour: "red", style: "bars", text: numberText },
  ], linear);
  addNames(parent);
}

// The strip with the deepest instances.
function addNames(parent) {
  const legend = make("span", { className: "legend" });
  const canvas = make("canvas", {
    className: "names",
    data: { role: "img", "aria-label": "Deepest instance over time; the figures are in the tables" },
  });
  parent.append(make("figure", { data: { "data-panel": "deepest" } },
    make("figcaption", {}, make("b", {}, "Deepest instance"), legend), canvas));
  addChart(canvas, (chart, out) => drawNames(chart, out, state.kind, nameColour));
  readers.push(() => {
    const at = state.cursor === null ? -1 : pointAt(state.kind, state.cursor, state.slack);
    const found = state.kind.nameAt.get(at);
    const shown = found ? [found] : [];
    if (state.cursor === null) {
      const names = [...commonNames(state.kind)].slice(0, NAME_COLOURS.length - 1);
      shown.push(...names.map(([name]) => ({ name })));
    }
    legend.replaceChildren(...shown.map(({ name, depth }) => {
      const text = depth === undefined ? name : `${name}: ${numberText(depth)}`;
      const value = make("output", { data: { "data-value": "deepest", "aria-live": "off" } }, text);
      return make("span", {}, make("i", { className: nameColour(name) }), value);
    }));
    if (shown.length === 0) legend.append("nothing waits");
  });
}

// The names that were the deepest, the most frequent first.
function commonNames(kind) {
  if (!kind.names) {
    const counts = new Map();
    for (const [, name] of kind.deepest) counts.set(DATA.names[name], (counts.get(DATA.names[name]) || 0) + 1);
    kind.names = new Map([...counts].sort((one, other) => other[1] - one[1]));
  }
  return kind.names;
}

function nameColour(name) {
  const place = [...commonNames(state.kind).keys()].indexOf(name);
  return NAME_COLOURS[Math.min(place, NAME_COLOURS.length - 1)];
}

function addLinks(section) {
  const { links } = DATA;
  const colours = { outgoing: "blue", incoming: "green", component: "purple" };
  const streams = DATA.kinds.filter((kind) => colours[kind.actor]);
  if (links.times.length === 0 && streams.length === 0) return;
  section.append(make("h2", {}, "Links"));
  const parent = addBox(section);
  const sum = (columns) => links.steps.map((_, at) => columns.reduce((sum, column) => sum + column[at], 0));
  const [opened, closed] = [sum(links.opened), sum(links.closed)];
  addPanel(parent, "Links opened and closed", "links", () => links, () => [
    { name: "opened", column: opened, colour: "green", style: "bars", text: numberText },
    { name: "closed", column: closed, colour: "grey", style: "bars down", text: numberText },
    { name: "no link", column: links.failed, colour: "red", style: "bars down", text: numberText },
  ], mirrored);
  addPanel(parent, "Running streams", "streams", () => links, () => streams.map((kind) => ({
    name: kind.actor, series: kind, column: kind.instances, colour: colours[kind.actor], style: "line", holds: true,
    text: numberText,
  })), linear);
}

function addAccount(section) {
  const { account } = DATA;
  if (account.times.length === 0) return;
  section.append(make("h2", {}, "Account of all stanzas"));
  const parent = addBox(section);
  const rate = (column) => column.map((value, at) => {
    const seconds = Math.max(1, (account.times[at] - begins(account, at)) / SECOND);
    return value / Math.min(seconds, account.covers / SECOND);
  });
  const [taken, written, answered] = [rate(account.taken), rate(account.written), rate(account.answered)];
  addPanel(parent, "Stanzas per second", "account", () => account, () => [
    { name: "taken", column: taken, colour: "blue", style: "area", alpha: 0.35, zero: true, text: numberText },
    { name: "written", column: written, colour: "green", style: "line", zero: true, text: numberText },
    { name: "answered or expired", column: answered, colour: "orange", style: "line", zero: true, text: numberText },
  ], linear);
  addPanel(parent, "Waiting stanzas", "waiting", () => account, () => [
    { name: "waiting", column: account.waiting, colour: "purple", style: "area", alpha: 0.6, zero: true, text: numberText },
    { name: "difference", column: account.difference, colour: "red", style: "line", zero: true, text: numberText },
  ], linear);
}

function choose(kind) {
  state.kind = kind;
  redraw();
}

let drawing = false;
function redraw() {
  if (drawing) return;
  drawing = true;
  requestAnimationFrame(() => {
    drawing = false;
    const { view, cursor, selection } = state;
    charts.forEach((chart) => chart.show(view, { cursor, selection }));
    readers.forEach((read) => read());
  });
}
