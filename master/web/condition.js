// How a camera is, as the server tells it: a member of the API's `streams`.

import { wordsOf } from './server.js';
import { durationText, timeText } from './since.js';
import { text } from './text.js';

const STOPPED_MS = 700; // without a new picture, of a camera that the server calls down

const date = (value) => (value ? new Date(value) : null);

// Has the camera failed since it last streamed?
export function isDown({ state, down_since: downSince }) {
  return state !== 'streaming' && (Boolean(downSince) || state === 'quarantined');
}

// Why a camera is down.
function failureOf(stream) {
  const since = date(stream.down_since ?? stream.since);
  const next = date(stream.next_try);
  const quarantined = stream.state === 'quarantined';
  const code = quarantined ? 'quarantined' : (stream.reason ?? stream.last_error ?? 'failed');
  const reason = quarantined ? text('quarantined') : wordsOf(code);
  const words = next ? text('next_try', { reason, time: timeText(next) }) : reason;
  return { state: 'retrying', words, since, code };
}

// It was down when somebody watched it last: nobody knows how it is now.
function lastFailureOf(stream) {
  const { words: reason, since, code } = failureOf(stream);
  const lastTime = text('last_time', { reason, time: timeText(since) });
  const words = text('unwatched_last', { unwatched: text('unwatched'), lastTime });
  return { state: 'idle', words, since: null, code, lastTime };
}

// The server does not answer.
export function unknownCondition() {
  return { state: 'idle', words: text('unknown'), since: null, code: '' };
}

// @param stream  a member of `streams` or of `cameras`; undefined: the server has none of this camera
// @param watched  this page shows it: nobody watches it between two attempts alone
// -> { state, words, since, code, lastTime }: state as tiles have it (`data-state`), since a Date or null;
// lastTime: how it failed when somebody watched it last, undefined unless words say that
export function conditionOf(stream, watched = false) {
  const state = stream?.state ?? 'unwatched';
  if (state === 'streaming') return { state: 'live', words: text('live'), since: null, code: '' };
  if (stream !== undefined && isDown(stream))
    return state === 'unwatched' && !watched ? lastFailureOf(stream) : failureOf(stream);
  const words = { connecting: 'connecting', stopped: 'stopped' }[state] ?? 'unwatched';
  const shown = state === 'connecting' ? 'connecting' : 'idle';
  return { state: shown, words: text(words), since: null, code: '' };
}

// Of what this page shows: its stream knows what is seen here, the server why nothing is seen.
// @param view    a CameraStream
// @param stream  as above
export function conditionOfView(view, stream) {
  const { state, code } = view;
  if (state === 'idle') return { state, words: text('paused'), since: null, code };
  const plays = state === 'live' && view.quietMs < STOPPED_MS;
  if (stream !== undefined && isDown(stream) && !plays) return failureOf(stream);
  return { state, words: view.text, since: null, code };
}

// Of a CameraStream: this computer is too slow for it, in words.
export function slownessText({ frameRate, arriving, delay }) {
  const shown = Math.round(frameRate);
  const words = text('too_slow', { shown, arriving: Math.round(arriving) });
  const behind = text('behind', { delay: durationText(delay) });
  return delay < 1 ? words : `${words}${text('list_separator')}${behind}`;
}

// When the camera's last picture came, a Date or null.
export function lastPictureOf(stream) {
  return date(stream?.last_frame_at);
}
