// Times for people: when it was, and how long ago.

import { text } from './text.js';

const UNITS = [
  ['days', 86400],
  ['hours', 3600],
  ['minutes', 60],
  ['seconds', 1],
];

// This computer's clock may be wrong by hours; times of cameras are the server's.
const SAME_MS = 2000; // the server says whole seconds
let ahead = 0; // of the server's clock, in ms

// @param time  the server's, RFC 3339; or undefined
export function keepServerTime(time) {
  const difference = new Date(time) - Date.now();
  if (!Number.isNaN(difference)) ahead = Math.abs(difference) < SAME_MS ? 0 : difference;
}

// Milliseconds since the epoch, by the server's clock.
export function serverNow() {
  return Date.now() + ahead;
}

const two = (number) => String(number).padStart(2, '0');

// '07:42:28', with the day before it unless that is today: read in any language.  A browser's own words
// cost the first tile 40 ms.
export function timeText(at) {
  const time = [at.getHours(), at.getMinutes(), at.getSeconds()].map(two).join(':');
  if (at.toDateString() === new Date(serverNow()).toDateString()) return time;
  return `${[at.getFullYear(), two(at.getMonth() + 1), two(at.getDate())].join('-')} ${time}`;
}

// 90 -> '1 min'
export function durationText(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const [unit, size] = UNITS.find(([, length]) => whole >= length) ?? UNITS.at(-1);
  return text(unit, { n: Math.floor(whole / size) });
}

export function agoText(at) {
  return durationText((serverNow() - at.getTime()) / 1000);
}

// 'since 11:40:55 (2 min)'
export function sinceText(at) {
  return text('since', { time: timeText(at), ago: agoText(at) });
}
