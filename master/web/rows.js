// All cameras in one list: those that the server knows by name, and those that somebody watches by URL.

import { conditionOf, lastPictureOf } from './condition.js';
import { text } from './text.js';

function rowOf(stream, { name, title, group, query }) {
  const condition = conditionOf(stream);
  return {
    name,
    label: title || name,
    group: group ?? '',
    query,
    id: stream?.id,
    condition,
    state: condition.state === 'retrying' ? text('down') : condition.words,
    since: stream?.since ? new Date(stream.since) : null,
    lastPicture: lastPictureOf(stream),
    stream,
  };
}

// @param named, streams  as the API lists them
export function rowsOf(named, streams) {
  const byName = new Map(streams.filter(({ name }) => name).map((s) => [s.name, s]));
  const known = named.map((camera) =>
    rowOf(byName.get(camera.name), {
      ...camera,
      query: `cam=${encodeURIComponent(camera.name)}`,
    }),
  );
  const names = new Set(named.map(({ name }) => name));
  const others = streams
    .filter(({ name, sub_of: subOf }) => !subOf && (!name || !names.has(name)))
    .map((s) => rowOf(s, { name: s.name || s.camera_url, title: s.title }));
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
