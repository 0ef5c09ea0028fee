// The data of the page, decoded: series of points, each with the time that it covers.

const DATA = JSON.parse(document.getElementById("data").textContent);

// The times of a series: one for each point, in milliseconds. The points are those of lines, and a line covers the
// interval before it.
function times(series) {
  const times = new Float64Array(series.steps.length);
  let period = Math.floor(DATA.from / series.unit);
  series.steps.forEach((step, at) => {
    period += step;
    times[at] = period * series.unit;
  });
  return times;
}

for (const series of [...DATA.kinds, DATA.links, DATA.account]) {
  series.times = times(series);
  series.covers = Math.max(DATA.interval, series.unit);
  series.begins = beginnings(series);
}
for (const kind of DATA.kinds) {
  kind.full = DATA.full.filter((full) => full.actor === kind.actor);
  kind.nameAt = new Map(kind.deepest.map(([at, name, depth]) => [at, { name: DATA.names[name], depth }]));
  kind.highest = kind.peak.reduce((most, peak) => Math.max(most, peak), 0);
}

// The first point whose time is not before `time`, and the number of points if there is none.
function firstFrom(series, time) {
  let [low, high] = [0, series.times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (series.times[middle] < time) low = middle + 1;
    else high = middle;
  }
  return low;
}

// The time at which the node did not run, if `time` is in one.
function gapAt(time) {
  return DATA.gaps.find(({ from, to }) => from < time && time < to);
}

// The beginning of the time that each point covers: the interval before it, or since the point before, or since the node
// was started.
function beginnings(series) {
  const { times, covers } = series;
  const starts = DATA.gaps.map(({ to }) => to).sort((one, other) => one - other);
  let [before, started, next] = [-Infinity, -Infinity, 0];
  return times.map((time) => {
    while (next < starts.length && starts[next] <= time) started = starts[next++];
    const begin = Math.max(before, time - covers, started);
    before = time;
    return begin;
  });
}

const begins = (series, at) => series.begins[at];

// The end of the time for which a figure holds that does not change while actors are idle: the beginning of the next
// point, or of a silence, or the end of the node.
function holdsUntil(series, at) {
  const [time, next] = [series.times[at], at + 1 < series.times.length ? begins(series, at + 1) : DATA.to];
  const silence = DATA.silences.find(([from]) => from >= time - DATA.interval && from < next);
  const gap = DATA.gaps.find(({ from, to }) => to > time && from < next);
  return Math.max(time, Math.min(next, silence ? silence[0] : next, gap ? gap.from : next));
}

// The point that covers a time, or is less than `slack` away; -1 if there is none, since the actors were idle or the node
// did not run. With `holds`, the point whose figure holds at that time.
function pointAt(series, time, slack, holds) {
  if (gapAt(time)) return -1;
  const at = firstFrom(series, time);
  if (at < series.times.length && begins(series, at) <= time + slack) return at;
  // Times are rounded down to the unit of the series.
  const last = at - 1;
  if (last < 0) return -1;
  const end = series.times[last] + Math.max(series.unit, slack);
  return time < (holds ? Math.max(end, holdsUntil(series, last)) : end) ? last : -1;
}

// Whether there is no line about mailboxes at that time.
function isSilent(time) {
  return gapAt(time) !== undefined || DATA.silences.some(([from, to]) => from < time && time < to - DATA.interval);
}

// The values of a series for each of `width` pixels: the highest one, or the sum of events. NaN without a point. `way` is
// "events", "holds" or nothing.
function byPixel(series, column, view, width, way) {
  const add = way === "events";
  const values = new Float64Array(width).fill(NaN);
  const scale = width / (view.to - view.from);
  const end = Math.min(series.times.length - 1, firstFrom(series, view.to + series.covers));
  const first = firstFrom(series, view.from);
  for (let at = way === "holds" ? Math.max(0, first - 1) : first; at <= end; at++) {
    const value = column[at];
    if (value === null) continue;
    const until = way === "holds" ? holdsUntil(series, at) : series.times[at];
    const to = (until - view.from) * scale;
    // An event is at one pixel; a figure holds for the time that it covers.
    const from = add ? to - 1 : (begins(series, at) - view.from) * scale;
    const last = Math.min(width - 1, Math.ceil(to) - 1);
    for (let pixel = Math.max(0, Math.floor(add ? last : from)); pixel <= last; pixel++) {
      const now = values[pixel];
      if (Number.isNaN(now)) values[pixel] = value;
      else values[pixel] = add ? now + value : Math.max(now, value);
    }
  }
  return values;
}
