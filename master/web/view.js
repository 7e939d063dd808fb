// What the dashboard shows, as the part of its address after `#`, so that it can be bookmarked:
// `#layout=4&cam=front-door&cam_url=rtsp%3A%2F%2F…&cam_type=rtsp-udp&cam=` (an empty place).

import { queryOf } from './server.js';

export const LAYOUTS = [1, 4, 9, 16];

export function layoutFor(count) {
  return LAYOUTS.find((n) => n >= count) ?? LAYOUTS.at(-1);
}

export function parseView(hash) {
  const cameras = [];
  let layout = 0;
  for (const [name, value] of new URLSearchParams(hash.replace(/^#/, ''))) {
    if (name === 'layout') layout = Number(value);
    else if (name === 'cam') cameras.push(value === '' ? null : { cam: value });
    else if (name === 'cam_url') cameras.push({ camUrl: value });
    else if (name === 'cam_type' && cameras.at(-1)?.camUrl) cameras.at(-1).camType = value;
  }
  return {
    layout: LAYOUTS.includes(layout) ? layout : layoutFor(cameras.length),
    cameras: cameras.slice(0, LAYOUTS.at(-1)),
  };
}

export function formatView({ layout, cameras }) {
  const used = cameras.findLastIndex((camera) => camera !== null) + 1;
  const places = cameras.slice(0, used).map((camera) => (camera ? queryOf(camera) : 'cam='));
  return `#${[`layout=${layout}`, ...places].join('&')}`;
}
