// Axes, and numbers and times as text.

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

// Distances of the marks on the axis of time.
const TIME_STEPS = [
  SECOND, 2 * SECOND, 5 * SECOND, 10 * SECOND, 30 * SECOND,
  MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE, 30 * MINUTE,
  HOUR, 2 * HOUR, 3 * HOUR, 6 * HOUR, 12 * HOUR,
  DAY, 2 * DAY, 7 * DAY, 14 * DAY, 28 * DAY, 91 * DAY, 364 * DAY,
];

const two = (number) => String(number).padStart(2, "0");

// `2026-11-21 09:00:50`, in UTC like the log.
function timeText(time) {
  return new Date(time).toISOString().slice(0, 19).replace("T", " ");
}

// `09:31:12 node started`.
const markText = (time, event) => `${timeText(time).slice(11)} node ${event}`;

function timeMarks(view, width) {
  const most = Math.max(2, Math.floor(width / 90));
  const span = view.to - view.from;
  const step = TIME_STEPS.find((step) => span / step <= most) || TIME_STEPS[TIME_STEPS.length - 1];
  const marks = [];
  for (let time = Math.ceil(view.from / step) * step; time <= view.to && marks.length < 100; time += step) {
    const date = new Date(time);
    const day = `${two(date.getUTCMonth() + 1)}-${two(date.getUTCDate())}`;
    const minute = `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}`;
    let text = minute;
    if (time % DAY === 0) text = day;
    else if (step < MINUTE) text = `${minute}:${two(date.getUTCSeconds())}`;
    marks.push({ time, text });
  }
  return marks;
}

// `950`, `12.3k`, `4.5M`.
function short(number) {
  for (const [unit, letter] of [[1e9, "G"], [1e6, "M"], [1e4, "k"]]) {
    if (number < unit) continue;
    const value = number / (unit === 1e4 ? 1e3 : unit);
    return `${value.toFixed(value < 100 && !Number.isInteger(value) ? 1 : 0)}${letter}`;
  }
  return String(Math.round(number * 100) / 100);
}

const numberText = (number) => number.toLocaleString("en-US", { maximumFractionDigits: 1 });

// A waiting time, given in tenths of a microsecond, as the log writes it.
function waitText(tenths) {
  if (tenths === null || tenths === undefined || Number.isNaN(tenths)) return "-";
  const micros = tenths / 10;
  if (micros < 10) return `${Number(micros.toFixed(1))}us`;
  if (micros < 1e3) return `${micros.toFixed(0)}us`;
  if (micros < 1e6) return `${(micros / 1e3).toFixed(1)}ms`;
  return `${(micros / 1e6).toFixed(1)}s`;
}

// A linear scale from 0: marks at round numbers, and the highest value below the top.
function linear(highest) {
  const rough = Math.max(highest, 1) / 3;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((factor) => factor * power).find((step) => step >= rough));
  const top = Math.ceil(Math.max(highest, 1) / step) * step;
  const marks = [];
  for (let value = 0; value <= top; value += step) marks.push({ value, text: short(value) });
  return { marks, share: (value) => value / top };
}

// A linear scale in both directions, for bars up and bars down.
function mirrored(highest) {
  const { marks, share } = linear(highest);
  const down = marks.filter(({ value }) => value > 0).map(({ value, text }) => ({ value: -value, text }));
  return { marks: [...down, ...marks], share: (value) => 0.5 + (value < 0 ? -share(-value) : share(value)) / 2 };
}

// A logarithmic scale of waiting times in tenths of a microsecond, from 1 us.
function logarithmic(highest) {
  const least = 10;
  const decades = Math.max(3, Math.ceil(Math.log10(Math.max(highest, 1) / least)));
  const marks = [];
  for (let decade = 0; decade <= decades; decade++) {
    const value = least * 10 ** decade;
    const skip = decades > 5 && decade % 2 === 1;
    if (!skip) marks.push({ value, text: waitText(value).replace(".0", "") });
  }
  return { marks, share: (value) => Math.max(0, Math.log10(Math.max(value, least) / least) / decades) };
}
