// Times for people: when it was, and how long ago.

import { language, text } from './text.js';

const UNITS = [
  ['days', 86400],
  ['hours', 3600],
  ['minutes', 60],
  ['seconds', 1],
];

export function timeText(at) {
  const today = at.toDateString() === new Date().toDateString();
  return today ? at.toLocaleTimeString(language) : at.toLocaleString(language);
}

// 90 -> '1 min'
export function durationText(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [unit, size] = UNITS.find(([, length]) => whole >= length) ?? UNITS.at(-1);
  return text(unit, { n: Math.floor(whole / size) });
}

// 'since 11:40:55 (2 min)'
export function sinceText(at, now = Date.now()) {
  const ago = durationText((now - at.getTime()) / 1000);
  return text('since', { time: timeText(at), ago });
}
