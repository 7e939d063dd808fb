// How a camera is, as the server tells it: a member of the API's `streams`.

import { wordsOf } from './server.js';
import { durationText } from './since.js';
import { text } from './text.js';

const STOPPED_MS = 700; // without a new picture, of a camera that the server calls down

const date = (value) => (value ? new Date(value) : null);

// Has the camera failed since it last streamed?
function isDown({ state, down_since: downSince }) {
  return state !== 'streaming' && (Boolean(downSince) || state === 'quarantined');
}

// @param stream  undefined: the server has none of this camera
// -> { state, words, since, code }: state as tiles have it (`data-state`), since a Date or null
export function conditionOf(stream) {
  const state = stream?.state ?? 'unwatched';
  if (state === 'streaming') return { state: 'live', words: text('live'), since: null, code: '' };
  if (stream !== undefined && isDown(stream)) {
    const code = stream.reason ?? stream.last_error ?? 'failed';
    const since = date(stream.down_since ?? stream.since);
    return { state: 'retrying', words: wordsOf(code), since, code };
  }
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
  const server = conditionOf(stream);
  const plays = state === 'live' && view.quietMs < STOPPED_MS;
  if (server.state === 'retrying' && !plays) return server;
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
