// All cameras in one list: those that the server knows by name, and those that somebody watches by URL.

import { conditionOf, lastPictureOf, unknownCondition } from './condition.js';
import { text } from './text.js';

function stateText({ state, words, lastTime }) {
  if (state === 'retrying') return text('down');
  return lastTime === undefined ? words : text('unwatched');
}

// @param how  the stream, or what the list of cameras says of it; null: nobody knows
function rowOf(how, stream, { name, title, group, query, watched }) {
  const condition = how === null ? unknownCondition() : conditionOf(how, watched);
  return {
    name,
    label: title || name,
    group: group ?? '',
    query,
    id: stream?.id,
    condition,
    state: stateText(condition),
    reason: condition.state === 'retrying' ? condition.words : (condition.lastTime ?? ''),
    since: how?.since ? new Date(how.since) : null,
    lastPicture: lastPictureOf(how ?? undefined),
    stream: how ?? undefined,
  };
}

const isDown = ({ condition }) => condition.state === 'retrying';

// The sub-stream of a camera, which is worth a row while it is down.
function subRowOf({ name, title, group, sub }, stream) {
  const label = text('sub_of', { camera: title || name });
  return rowOf(stream ?? sub, stream, { name: `${name}:sub`, title: label, group });
}

// @param named, streams  as the API lists them; streams is null when the server does not answer
// @param watched         the names of cameras that this page shows
export function rowsOf(named, streams, watched) {
  const more = ({ name }) => ({
    query: `cam=${encodeURIComponent(name)}`,
    watched: watched.includes(name),
  });
  if (streams === null)
    return named.map((camera) => rowOf(null, undefined, { ...camera, ...more(camera) }));
  const byName = new Map(streams.filter(({ name }) => name).map((s) => [s.name, s]));
  const known = named.flatMap((camera) => {
    const stream = byName.get(camera.name);
    // The server lists a camera that has two names by one of them.
    const row = rowOf(stream ?? camera, stream, { ...camera, ...more(camera) });
    if (!camera.sub) return [row];
    return [row, ...[subRowOf(camera, byName.get(`${camera.name}:sub`))].filter(isDown)];
  });
  const names = new Set(named.map(({ name }) => name));
  const others = streams
    .filter(({ name, sub_of: subOf }) => !subOf && (!name || !names.has(name)))
    .map((s) => rowOf(s, s, { name: s.name || s.camera_url, title: s.title }));
  return [...known, ...others];
}

// Does a row hold all words that were typed?
export function matches(row, typed) {
  const { label, name, group, state, condition } = row;
  const held = [label, name, group, state, condition.words].join(' ').toLowerCase();
  return typed
    .toLowerCase()
    .split(/\s+/)
    .every((word) => held.includes(word));
}

// Make the children of an element follow a list: those that stay are kept, with their focus.
// @param make    (item) -> element
// @param update  (element, item)
export function follow(parent, items, { keyOf, make, update }) {
  const old = new Map([...parent.children].map((element) => [element.dataset.key, element]));
  items.forEach((item, i) => {
    const key = keyOf(item);
    const element = old.get(key) ?? make(item);
    old.delete(key);
    element.dataset.key = key;
    update(element, item);
    if (parent.children[i] !== element) parent.insertBefore(element, parent.children[i] ?? null);
  });
  for (const element of old.values()) element.remove();
}
