// What the dashboard shows, as the part of its address after `#`, so that it can be bookmarked:
//
//   #layout=9&page=2&group=Gate&cycle=15&kiosk=1&status=1
//       the server's cameras, also those that it gets later
//   #layout=4&cam=front-door&cam_url=rtsp%3A%2F%2F…&cam_type=rtsp-udp&cam=
//       these cameras and no others; the last place is empty
//   #all=1&cam=yard
//       the server's cameras, this one first
//
// Without `layout` the smallest grid that fits is taken.

import { queryOf } from './server.js';

// In the order that they are offered in.  `1+5`: a large one among five small ones.
export const LAYOUTS = ['1', '2', '4', '6', '1+5', '9', '12', '16', '25', '36', '49'];
const GRIDS = ['1', '2', '4', '6', '9', '12', '16']; // that are taken by themselves
const MAX_PLACES = 256;
const CYCLE_MIN_S = 3;

export function placesOf(layout) {
  return layout === '1+5' ? 6 : Number(layout);
}

export function layoutFor(count) {
  return GRIDS.find((layout) => placesOf(layout) >= count) ?? GRIDS.at(-1);
}

const EMPTY_VIEW = {
  layout: '', // '': the smallest that fits
  cameras: [], // null is an empty place
  all: true, // the server's cameras follow
  group: '',
  page: 1,
  cycle: 0, // seconds per page; 0: none
  kiosk: false,
  status: false,
};

const flag = (value) => /^(1|yes|true|)$/.test(value);
const natural = (value) => (/^\d{1,6}$/.test(value) ? Number(value) : 0);
const period = (seconds) => (seconds === 0 ? 0 : Math.max(CYCLE_MIN_S, seconds));

// name -> what it sets
const PAIRS = {
  // `+` is a space in an address that was typed
  layout: (view, value) => (view.layout = LAYOUTS.find((l) => l === value.replace(' ', '+')) ?? ''),
  group: (view, value) => (view.group = value),
  page: (view, value) => (view.page = Math.max(1, natural(value))),
  cycle: (view, value) => (view.cycle = period(natural(value))),
  kiosk: (view, value) => (view.kiosk = flag(value)),
  status: (view, value) => (view.status = flag(value)),
  all: (view, value) => (view.all = flag(value)),
  cam: (view, value) => view.cameras.push(value === '' ? null : { cam: value }),
  cam_url: (view, value) => view.cameras.push({ camUrl: value }),
  cam_type: (view, value) => {
    if (view.cameras.at(-1)?.camUrl) view.cameras.at(-1).camType = value;
  },
};

// @param address  what follows `#` or `?`
export function parseView(address) {
  const pairs = [...new URLSearchParams(address.replace(/^[#?]/, ''))];
  const view = { ...EMPTY_VIEW, cameras: [] };
  view.all = !pairs.some(([name]) => name === 'cam' || name === 'cam_url');
  for (const [name, value] of pairs) PAIRS[name]?.(view, value);
  view.cameras.length = Math.min(view.cameras.length, MAX_PLACES);
  return view;
}

export function formatView(view) {
  const used = view.cameras.findLastIndex((camera) => camera !== null) + 1;
  const places = view.cameras.slice(0, used).map((camera) => (camera ? queryOf(camera) : 'cam='));
  if (places.length === 0 && !view.all) places.push('cam=');
  const pairs = [
    view.layout && `layout=${encodeURIComponent(view.layout)}`,
    view.group && `group=${encodeURIComponent(view.group)}`,
    view.page > 1 && `page=${view.page}`,
    view.cycle > 0 && `cycle=${view.cycle}`,
    view.kiosk && 'kiosk=1',
    view.status && 'status=1',
    view.all && places.length > 0 && 'all=1',
    ...places,
  ];
  return `#${pairs.filter(Boolean).join('&')}`;
}

// The cameras of all pages, in their order.
// @param named  the server's cameras: { name, group }
export function camerasOf(view, named) {
  if (!view.all) return view.cameras;
  const wanted = named.filter(({ group }) => !view.group || (group ?? '') === view.group);
  const names = new Set(wanted.map(({ name }) => name));
  const isNew = ({ cam }) => cam === undefined || names.delete(cam); // of the list, for the first time
  const first = view.cameras.filter((camera) => camera !== null && isNew(camera));
  const rest = wanted.filter(({ name }) => names.has(name)).map(({ name }) => ({ cam: name }));
  return [...first, ...rest];
}

// One page of them.
// -> { layout, cameras, from (index of the first one), pages, page, total }
export function pageOf(view, named) {
  const all = camerasOf(view, named);
  const layout = view.layout || layoutFor(all.length);
  const size = placesOf(layout);
  const pages = Math.max(1, Math.ceil(all.length / size));
  const page = Math.min(view.page, pages);
  const from = (page - 1) * size;
  const cameras = Array.from({ length: size }, (_, i) => all[from + i] ?? null);
  return { layout, cameras, from, pages, page, total: all.length };
}
