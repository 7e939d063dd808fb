// The dashboard: a grid of cameras that keeps itself in the address of the page.

import { askToken, showKeys } from './dialogs.js';
import { loadCameras, loadConfig, loadStreams, operationsUrl, playUrl } from './server.js';
import { text, translatePage } from './text.js';
import { LAYOUTS, formatView, layoutFor, parseView } from './view.js';
import { Tile } from './tile.js';

const POLL_MS = 3000;
const STATS_MS = 1000;
const SILENCE_MS = 300; // after a change, before the summary is spoken

const byId = (id) => document.getElementById(id);
const grid = byId('grid');
const dialog = byId('add-dialog');
let view = { layout: 4, cameras: [] };
let named = [];
let streams = [];
let current = null; // the element of the grid that is in the order of the Tab key
let place = null; // of the grid, for the camera being added
let summaryTimer = 0;

const sight = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) entry.target.tile?.setInSight(entry.isIntersecting);
  },
  { threshold: 0.01 },
);

function tiles() {
  return [...grid.children].map((element) => element.tile).filter(Boolean);
}

function summaryText() {
  const states = tiles().map((tile) => tile.state);
  const count = (state) => states.filter((s) => s === state).length;
  const paused = count('idle');
  const watched = states.length - paused;
  const parts = [
    watched && text('some_live', { live: count('live'), watched }),
    paused && text('some_paused', { paused }),
  ];
  return parts.filter(Boolean).join(text('list_separator'));
}

function summarise() {
  clearTimeout(summaryTimer);
  summaryTimer = setTimeout(() => {
    byId('summary').textContent = summaryText();
  }, SILENCE_MS);
}

function emptyPlace(index) {
  const element = byId('empty-template').content.firstElementChild.cloneNode(true);
  element.querySelector('button').addEventListener('click', () => openDialog(index));
  return element;
}

function titleOf(camera) {
  return named.find(({ name }) => name === camera.cam)?.title ?? undefined;
}

// One element of the grid is in the order of the Tab key; arrows lead to the others.
function setCurrent(element = null) {
  current = element;
  for (const other of grid.children) other.tile?.setTabStop(other === element);
}

// The tile of a camera: one of the old ones, if there is one, because it plays already.
function tileOf(camera, old) {
  const fresh = new Tile(byId('tile-template'), camera, {
    title: titleOf(camera),
    onRemove: remove,
    onChange: (tile) => openDialog(indexOf(tile), tile.camera),
  });
  const kept = old.get(fresh.query)?.shift();
  if (!kept) sight.observe(fresh.element);
  return kept ?? fresh;
}

function show() {
  const old = new Map();
  for (const tile of tiles()) old.set(tile.query, [...(old.get(tile.query) ?? []), tile]);
  const elements = [];
  for (let i = 0; i < view.layout; i++) {
    const camera = view.cameras[i] ?? null;
    elements.push(camera === null ? emptyPlace(i) : tileOf(camera, old).element);
  }
  for (const left of [...old.values()].flat()) {
    sight.unobserve(left.element);
    left.close();
  }
  // Moving an element stops its video, so those that stay in place are left alone.
  elements.forEach((element, i) => {
    if (grid.children[i] !== element) grid.insertBefore(element, grid.children[i] ?? null);
  });
  while (grid.children.length > elements.length) grid.lastElementChild.remove();
  setCurrent(elements.includes(current) ? current : elements.find(({ tile }) => tile));
  for (const tile of tiles()) tile.setLink(playUrl(tile.query, location.hash.slice(1)));
  grid.dataset.layout = view.layout;
  document.querySelector(`input[name="layout"][value="${view.layout}"]`).checked = true;
  summarise();
}

function change(next) {
  view = next;
  const hash = formatView(view);
  if (hash !== location.hash) history.pushState(null, '', hash);
  show();
}

function indexOf(tile) {
  return [...grid.children].indexOf(tile.element);
}

function remove(tile) {
  const index = indexOf(tile);
  change({ ...view, cameras: view.cameras.map((camera, i) => (i === index ? null : camera)) });
  grid.children[index]?.querySelector('button')?.focus();
}

function setLayout(layout) {
  change({ ...view, layout });
}

// For a new camera, or to change the one that is there.
function openDialog(index, camera) {
  place = index;
  byId('add-form').reset();
  byId('add-error').textContent = '';
  byId('add-title').textContent = text(camera ? 'change_the_camera' : 'add_a_camera');
  byId('add-submit').textContent = text(camera ? 'change' : 'add');
  byId('add-url').value = camera?.camUrl ?? '';
  byId('add-type').value = camera?.camType ?? '';
  const list = byId('add-name');
  list.replaceChildren(list.options[0]);
  for (const { name, title } of named) list.add(new window.Option(title ?? name, name));
  byId('add-named').hidden = named.length === 0;
  dialog.showModal();
  byId(camera || named.length === 0 ? 'add-url' : 'add-name').focus();
}

function firstEmpty() {
  const free = view.cameras.findIndex((camera) => camera === null);
  return free === -1 ? view.cameras.length : free;
}

function add(event) {
  event.preventDefault();
  const cam = byId('add-name').value;
  const camUrl = byId('add-url').value.trim();
  if (cam === '' && !/^(rtsp[sh]?|rtmps?|https?):\/\/[^/]/i.test(camUrl)) {
    byId('add-error').textContent = text('url_wrong');
    byId('add-url').focus();
    return;
  }
  const camType = byId('add-type').value || undefined;
  const index = place ?? firstEmpty();
  if (index >= LAYOUTS.at(-1)) {
    byId('add-error').textContent = text('places_taken');
    return;
  }
  const cameras = [...view.cameras];
  while (cameras.length <= index) cameras.push(null);
  cameras[index] = cam === '' ? { camUrl, camType } : { cam };
  dialog.close();
  change({ layout: Math.max(view.layout, layoutFor(index + 1)), cameras });
  grid.children[index].focus();
}

function moveFocus(from, key) {
  const columns = window.getComputedStyle(grid).gridTemplateColumns.split(' ').length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  const target = grid.children[[...grid.children].indexOf(from) + step];
  (target?.tile ? target : target?.querySelector('button'))?.focus();
}

const KEYS = [
  ['← ↑ → ↓', 'key_arrows'],
  ['Enter', 'key_enter'],
  ['m', 'key_m'],
  ['f', 'key_f'],
  ['+ −', 'key_zoom'],
  ['Delete', 'key_delete'],
  ['a', 'key_a'],
  ['1 4 9 0', 'key_layout'],
  ['?', 'key_help'],
];
const LAYOUT_KEYS = { 1: 1, 4: 4, 9: 9, 0: 16 };
const TILE_KEYS = {
  m: (tile) => tile.toggleSound(),
  f: (tile) => tile.toggleFullScreen(),
  Delete: (tile) => remove(tile),
  '+': (tile) => tile.zoom(1),
  '-': (tile) => tile.zoom(-1),
};

// What a key does at this element, or undefined.
function actionOf(key, element, onTile) {
  if (LAYOUT_KEYS[key]) return () => setLayout(LAYOUT_KEYS[key]);
  if (key === 'a') return () => openDialog(null);
  if (key === '?') return () => showKeys(KEYS);
  if (!element) return undefined;
  if (key.startsWith('Arrow')) return () => moveFocus(element, key);
  if (key === 'Enter' && onTile) return () => element.querySelector('[data-part="open"]')?.click();
  return element.tile && TILE_KEYS[key] && (() => TILE_KEYS[key](element.tile));
}

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest('dialog')) return;
  if (event.target.matches('input:not([type="radio"]), select')) return;
  const element = event.target.closest('#grid > *');
  const action = actionOf(event.key, element, event.target === element);
  if (!action) return;
  event.preventDefault();
  action();
}

async function poll() {
  if (!document.hidden && !byId('token-dialog').open) {
    streams = await loadStreams();
    const unknown = tiles().filter((tile) => tile.state !== 'idle' && !tile.isIn(streams));
    await Promise.all(unknown.map((tile) => tile.identify()));
  }
  setTimeout(poll, POLL_MS);
}

function onVisibility() {
  for (const tile of tiles()) {
    tile.setTabVisible(!document.hidden);
    if (!document.hidden) tile.retryNow();
  }
}

// Browsers may keep a page that was left, its connections open, in case one goes back to it.
function onPageHide() {
  for (const tile of tiles()) tile.pause();
}

function restore() {
  view = parseView(location.hash);
  show();
}

// The cameras of the configuration.  When the server does not tell them, the page says why.
async function loadNamed() {
  const notice = byId('notice');
  try {
    named = await loadCameras();
    notice.hidden = true;
  } catch (error) {
    if (error.code === 'unauthorized') return askToken(begin);
    notice.textContent = text('no_operations', { url: operationsUrl() });
    notice.hidden = false;
  }
  return undefined;
}

// What the address says, else the cameras of the configuration.
async function begin() {
  if (location.hash !== '') restore(); // a bookmark need not wait for the list of cameras
  await loadNamed();
  for (const tile of tiles()) tile.retryNow();
  if (location.hash === '') {
    const cameras = named.slice(0, LAYOUTS.at(-1)).map(({ name }) => ({ cam: name }));
    view = { layout: cameras.length === 0 ? 1 : layoutFor(cameras.length), cameras };
  }
  show();
}

function listen() {
  document.addEventListener('visibilitychange', onVisibility);
  document.addEventListener('keydown', onKey);
  grid.addEventListener('tilestate', summarise);
  grid.addEventListener('focusin', (event) => {
    const element = event.target.closest('#grid > *');
    if (element?.tile) setCurrent(element);
  });
  window.addEventListener('pagehide', onPageHide);
  window.addEventListener('pageshow', onVisibility);
  window.addEventListener('popstate', restore);
  window.addEventListener('online', () => tiles().forEach((tile) => tile.retryNow()));
  byId('add').addEventListener('click', () => openDialog(null));
  byId('add-form').addEventListener('submit', add);
  byId('add-cancel').addEventListener('click', () => dialog.close());
  for (const input of document.querySelectorAll('input[name="layout"]'))
    input.addEventListener('change', () => setLayout(Number(input.value)));
  setInterval(() => {
    if (!document.hidden) tiles().forEach((tile) => tile.showStats(streams));
  }, STATS_MS);
}

async function start() {
  translatePage(byId('language'));
  document.title = `${text('cameras')} · CAM-HTTPFLV`;
  listen();
  mpegts.LoggingControl.enableAll = false;
  await loadConfig().catch(() => {});
  await begin();
  poll();
}

start();
