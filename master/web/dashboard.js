// The dashboard: a grid of cameras that keeps itself in the address of the page.

import { isDragging, letDrag, neighbour } from './arrange.js';
import { askToken, showKeys } from './dialogs.js';
import { Finder } from './finder.js';
import { Poll } from './poll.js';
import { rowsOf } from './rows.js';
import { loadConfig, operationsUrl, playUrl, queryOf, wordsOf } from './server.js';
import { StatusTable } from './status.js';
import { text, translatePage } from './text.js';
import { LAYOUTS, camerasOf, formatView, layoutFor, pageOf, parseView, placesOf } from './view.js';
import { Tile } from './tile.js';
import { Cycle, Wall, toggleFullScreen } from './wall.js';

const STATS_MS = 1000;
const SILENCE_MS = 300; // after a change, before the summary is spoken
const CYCLE_S = 15; // of the button
const LIST_MS = 2000; // that cameras wait for the list, which says whether they have sub-streams

const byId = (id) => document.getElementById(id);
const grid = byId('grid');
const dialog = byId('add-dialog');
let view = parseView('');
let shown = pageOf(view, []); // the page of it that is in the grid
let current = null; // the element of the grid that is in the order of the Tab key
let place = null; // among all cameras, for the camera being added
let summaryTimer = 0;
let listed = false; // the server has said which cameras it has, or that it does not say
let waited = false; // for the list, long enough

const sight = new IntersectionObserver(
  (entries) => {
    for (const entry of entries) entry.target.tile?.setInSight(entry.isIntersecting);
  },
  { threshold: 0.01 },
);
const poll = new Poll({
  isUrgent: () => poll.failure !== null || tiles().some(({ state }) => isWrong(state)),
  mayAsk: () => !document.hidden && !byId('token-dialog').open,
});
const finder = new Finder(pick);
const table = new StatusTable(() => poll.soon());
const wall = new Wall();
const cycle = new Cycle(
  () => turn(1, { wrap: true }),
  () =>
    !document.querySelector('dialog[open]') &&
    !document.fullscreenElement?.tile &&
    !isDragging(grid),
);

const isWrong = (state) => state === 'retrying' || state === 'silent' || state === 'connecting';

function tiles() {
  return [...grid.children].map((element) => element.tile).filter(Boolean);
}

// --- summary -------------------------------------------------------------------------------------

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

// Of all cameras of the server, those in sight or not: how many are down?
function showDown(all) {
  const down = all.filter(({ condition }) => condition.state === 'retrying').length;
  byId('down').textContent = down === 0 ? '' : text('some_down', { down });
  const title = `${text('cameras')} · CAM-HTTPFLV`;
  document.title = down === 0 ? title : `${text('some_down', { down })} · ${title}`;
}

// --- grid ------------------------------------------------------------------------------------------

function emptyPlace() {
  const element = byId('empty-template').content.firstElementChild.cloneNode(true);
  element.querySelector('button').addEventListener('click', () => openDialog(indexOf({ element })));
  return element;
}

// One element of the grid is in the order of the Tab key; arrows lead to the others.
function setCurrent(element = null) {
  current = element;
  for (const other of grid.children) other.tile?.setTabStop(other === element);
}

// The tile of a camera: one of the old ones, if there is one, because it plays already.
function tileOf(camera, old) {
  const kept = old.get(queryOf(camera))?.shift();
  if (kept) return kept;
  const tile = new Tile(byId('tile-template'), camera, {
    onRemove: remove,
    onChange: () => openDialog(indexOf(tile), tile.camera),
  });
  sight.observe(tile.element);
  return tile;
}

function elementsOf(cameras) {
  const old = new Map();
  for (const tile of tiles()) old.set(tile.query, [...(old.get(tile.query) ?? []), tile]);
  const elements = cameras.map((c) => (c === null ? emptyPlace() : tileOf(c, old).element));
  for (const left of [...old.values()].flat()) {
    sight.unobserve(left.element);
    left.close();
  }
  return elements;
}

function show() {
  shown = pageOf(view, poll.named);
  grid.dataset.layout = shown.layout; // before the tiles ask how large they are
  const elements = elementsOf(shown.cameras);
  // Moving an element stops its video, so those that stay in place are left alone.
  elements.forEach((element, i) => {
    if (grid.children[i] !== element) grid.insertBefore(element, grid.children[i] ?? null);
  });
  while (grid.children.length > elements.length) grid.lastElementChild.remove();
  setCurrent(elements.includes(current) ? current : elements.find(({ tile }) => tile));
  for (const tile of tiles()) {
    tile.setLink(playUrl(tile.query, location.hash.slice(1)));
    tile.setNamed(namedOf(tile));
  }
  allowStarts();
  showBar();
  table.show(view.status);
  grid.hidden = view.status;
  wall.set(view.kiosk);
  cycle.set(shown.pages > 1 ? view.cycle : 0);
  summarise();
}

function namedOf({ camera }) {
  return poll.named.find(({ name }) => name === camera.cam);
}

function allowStarts() {
  for (const tile of tiles())
    if (listed || waited || tile.camera.cam === undefined) tile.allowStart();
}

function groups() {
  return [...new Set(poll.named.map(({ group }) => group).filter(Boolean))];
}

function showBar() {
  const { layout, pages, page, from, total } = shown;
  document.querySelector(`input[name="layout"][value="${layout}"]`).checked = true;
  byId('pages').hidden = pages === 1;
  const to = Math.min(total, from + placesOf(layout));
  byId('page').textContent = text('page_of', { from: from + 1, to, total });
  byId('cycle').setAttribute('aria-pressed', String(view.cycle > 0));
  byId('previous').disabled = page === 1;
  byId('next').disabled = page === pages;
  byId('status-button').setAttribute('aria-pressed', String(view.status));
  const select = byId('group');
  const names = [...new Set([...groups(), view.group])].filter(Boolean);
  if (names.join('\n') !== [...select.options].slice(1).map(({ value }) => value).join('\n'))
    select.replaceChildren(select.options[0], ...names.map((name) => new window.Option(name)));
  select.value = view.group;
  select.hidden = names.length === 0;
}

// @param keep  this is no step that "back" should undo
function change(next, { keep = false } = {}) {
  view = next;
  const hash = formatView(view);
  if (hash !== location.hash) history[keep ? 'replaceState' : 'pushState'](null, '', hash);
  show();
}

// Another page.
function turn(by, { wrap = false } = {}) {
  const next = shown.page + by;
  const page = wrap ? ((next - 1 + shown.pages) % shown.pages) + 1 : next;
  if (page < 1 || page > shown.pages || page === shown.page) return false;
  change({ ...view, page }, { keep: true });
  return true;
}

// The index among all cameras.
function indexOf(tile) {
  return shown.from + [...grid.children].indexOf(tile.element);
}

// All places as they are, so that they can be changed one by one.
function places() {
  return [...camerasOf(view, poll.named)];
}

function remove(tile) {
  const index = indexOf(tile);
  const cameras = places().map((camera, i) => (i === index ? null : camera));
  change({ ...view, cameras, all: false, group: '', layout: shown.layout });
  grid.children[index - shown.from]?.querySelector('button')?.focus();
}

// @param from, to  indexes within the page
function swap(from, to) {
  const cameras = places();
  while (cameras.length <= shown.from + Math.max(from, to)) cameras.push(null);
  const [a, b] = [shown.from + from, shown.from + to];
  [cameras[a], cameras[b]] = [cameras[b], cameras[a]];
  const all = view.all && !cameras.includes(null);
  change({ ...view, cameras, all, layout: shown.layout });
}

// The camera in the first place stays in sight.
function setLayout(layout) {
  const page = Math.floor(shown.from / placesOf(layout)) + 1;
  change({ ...view, layout, page, status: false });
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
  for (const { name, title } of poll.named) list.add(new window.Option(title ?? name, name));
  byId('add-named').hidden = poll.named.length === 0;
  dialog.showModal();
  byId(camera || poll.named.length === 0 ? 'add-url' : 'add-name').focus();
}

function firstEmpty() {
  const free = places().indexOf(null);
  return free === -1 ? places().length : free;
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
  dialog.close();
  if (cam === '') put({ camUrl, camType }, index);
  else putNamed({ cam }, index);
}

// A camera of the server into a place, or the page that has it: it is shown once.
function putNamed(camera, index) {
  const at = places().findIndex((c) => c?.cam === camera.cam);
  if (at === -1) put(camera, index);
  else if (place === null) showPlace({ ...view, status: false }, at, shown.layout);
  else put(camera, index, at);
}

// A camera into a place; the page that has the place is shown.
// @param from  the place that the camera leaves
function put(camera, index, from = index) {
  const cameras = places();
  while (cameras.length <= index) cameras.push(null);
  cameras[index] = camera;
  if (from !== index && view.all) cameras.splice(from, 1);
  else if (from !== index) cameras[from] = null;
  const all = view.all && !cameras.includes(null);
  const fits = placesOf(shown.layout) >= cameras.length ? shown.layout : layoutFor(cameras.length);
  const layout = shown.pages > 1 ? shown.layout : fits;
  const moved = from < index && view.all ? index - 1 : index;
  showPlace({ ...view, layout, cameras, all, status: false }, moved, layout);
}

function showPlace(next, index, layout) {
  change({ ...next, page: Math.floor(index / placesOf(layout)) + 1 });
  grid.children[index - shown.from]?.focus();
}

// --- finder and table ------------------------------------------------------------------------------

// Where the camera goes that is found: into the place one stands on, else it is opened alone.
let target = null;

function openFinder(element) {
  target = element === null ? null : indexOf({ element });
  finder.open(rows(), text(target === null ? 'find_opens' : 'find_puts'));
}

function pick({ query, name }) {
  if (target === null) {
    location.href = playUrl(query, location.hash.slice(1));
    return;
  }
  const at = places().findIndex((camera) => camera?.cam === name);
  if (at === -1) put({ cam: name }, target);
  else swap(at - shown.from, target - shown.from);
  grid.children[target - shown.from]?.focus();
}

function rows() {
  const watched = tiles().filter(({ state }) => state !== 'idle');
  const streams = poll.failure === null ? poll.streams : null;
  return rowsOf(
    poll.named,
    streams,
    watched.map(({ camera }) => camera.cam),
  );
}

function showRows() {
  const all = rows();
  showDown(all);
  table.update(all);
  if (finder.isOpen) finder.update(all);
}

// --- keys --------------------------------------------------------------------------------------------

const focusable = (element) => (element?.tile ? element : element?.querySelector('button'));

function moveFocus(from, key) {
  const { index, turn: by } = neighbour(grid, [...grid.children].indexOf(from), key);
  if (by === undefined) focusable(grid.children[index])?.focus();
  else if (turn(by)) focusable(by > 0 ? grid.firstElementChild : grid.lastElementChild)?.focus();
}

function moveTile(from, key) {
  const index = [...grid.children].indexOf(from);
  const { index: to } = neighbour(grid, index, key);
  if (to === undefined || !from.tile) return;
  swap(index, to);
  focusable(grid.children[to])?.focus();
}

const KEYS = [
  ['← ↑ → ↓', 'key_arrows'],
  ['Shift + ← ↑ → ↓', 'key_move'],
  ['PageUp PageDown', 'key_pages'],
  ['Enter', 'key_enter'],
  ['/', 'key_find'],
  ['t', 'key_status'],
  ['m', 'key_m'],
  ['f', 'key_f'],
  ['c', 'key_cycle'],
  ['k', 'key_kiosk'],
  ['+ −', 'key_zoom'],
  ['Delete', 'key_delete'],
  ['a', 'key_a'],
  ['1 2 4 5 6 9 0', 'key_layout'],
  ['?', 'key_help'],
];
const LAYOUT_KEYS = { 1: '1', 2: '2', 4: '4', 5: '1+5', 6: '6', 9: '9', 0: '16' };
const PAGE_KEYS = {
  a: () => openDialog(null),
  '?': () => showKeys(KEYS),
  t: () => change({ ...view, status: !view.status }),
  c: () => change({ ...view, cycle: view.cycle > 0 ? 0 : CYCLE_S }),
  k: () => change({ ...view, kiosk: !view.kiosk }),
  PageUp: () => turn(-1),
  PageDown: () => turn(1),
};
const TILE_KEYS = {
  m: (tile) => tile.toggleSound(),
  f: (tile) => tile.toggleFullScreen(),
  Delete: (tile) => remove(tile),
  '+': (tile) => tile.zoom(1),
  '-': (tile) => tile.zoom(-1),
};

// Without a tile to stand on, arrows turn pages.
function turnBy(key) {
  return { ArrowLeft: () => turn(-1), ArrowRight: () => turn(1), f: toggleFullScreen }[key];
}

// What a key does at this element, or undefined.
function actionOf({ key, shiftKey }, element, onTile) {
  if (LAYOUT_KEYS[key]) return () => setLayout(LAYOUT_KEYS[key]);
  if (PAGE_KEYS[key]) return PAGE_KEYS[key];
  if (key === '/') return () => openFinder(element);
  if (!element) return turnBy(key);
  if (key.startsWith('Arrow')) return () => (shiftKey ? moveTile : moveFocus)(element, key);
  if (key === 'Enter' && onTile) return () => element.querySelector('[data-part="open"]')?.click();
  return element.tile && TILE_KEYS[key] && (() => TILE_KEYS[key](element.tile));
}

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest('dialog')) return;
  if (event.target.matches('input:not([type="radio"]), select')) return;
  const element = event.target.closest('#grid > *');
  const action = actionOf(event, element, event.target === element);
  if (!action) return;
  event.preventDefault();
  action();
}

// --- the server --------------------------------------------------------------------------------------

function onStreams() {
  byId('notice').hidden = true;
  for (const tile of tiles()) tile.onStreams(poll.streams, namedOf(tile));
  for (const tile of tiles()) if (tile.isUnknown) tile.identify();
  showRows();
}

// The page says why it cannot tell how the cameras are.
function onFailure() {
  const { code, message } = poll.failure;
  if (code === 'unauthorized') return askToken(begin);
  byId('notice').textContent =
    code === 'unreachable'
      ? text('no_operations', { url: operationsUrl() })
      : text('no_list', { reason: wordsOf(code, message || undefined) });
  byId('notice').hidden = false;
  onList();
  for (const tile of tiles()) tile.onStreams([], undefined);
  showRows();
  return undefined;
}

// The list is read again and again; the grid follows what concerns it.
let listShown = '';
function onList() {
  const own = ({ name, title, group, sub }) => [name, title, group, Boolean(sub)];
  const list = JSON.stringify(poll.named.map(own));
  if (listed && list === listShown) return;
  listed = true;
  listShown = list;
  show();
}

function onReturn() {
  for (const tile of tiles()) tile.onServerReturn();
  wall.onReturn();
}

function onVisibility() {
  for (const tile of tiles()) {
    tile.setTabVisible(!document.hidden);
    if (!document.hidden) tile.retryNow();
  }
  wall.onVisible();
  if (!document.hidden) poll.soon();
}

// Browsers may keep a page that was left, its connections open, in case one goes back to it.
function onPageHide() {
  for (const tile of tiles()) tile.pause();
}

function restore() {
  view = parseView(location.hash || location.search);
  if (listed || !view.all) show();
}

async function begin() {
  restore(); // a bookmark need not wait long for the list of cameras
  setTimeout(() => {
    waited = true;
    allowStarts();
  }, LIST_MS);
  await poll.start();
  for (const tile of tiles()) tile.retryNow();
}

// --- start -------------------------------------------------------------------------------------------

function listenToServer() {
  poll.addEventListener('named', onList);
  poll.addEventListener('streams', onStreams);
  poll.addEventListener('failure', onFailure);
  poll.addEventListener('return', onReturn);
  grid.addEventListener('tilequiet', () => poll.soon());
  window.addEventListener('online', () => {
    for (const tile of tiles()) tile.onServerReturn();
    poll.soon();
  });
}

function listenToBar() {
  byId('add').addEventListener('click', () => openDialog(null));
  byId('add-form').addEventListener('submit', add);
  byId('add-cancel').addEventListener('click', () => dialog.close());
  byId('previous').addEventListener('click', () => turn(-1));
  byId('next').addEventListener('click', () => turn(1));
  byId('cycle').addEventListener('click', PAGE_KEYS.c);
  byId('find-button').addEventListener('click', () => openFinder(null));
  byId('status-button').addEventListener('click', PAGE_KEYS.t);
  byId('full').addEventListener('click', toggleFullScreen);
  byId('group').addEventListener('change', ({ target: { value: group } }) =>
    change({ ...view, group, page: 1, all: true, cameras: [], layout: '' }),
  );
  for (const input of document.querySelectorAll('input[name="layout"]'))
    input.addEventListener('change', () => setLayout(input.value));
}

function listen() {
  document.addEventListener('visibilitychange', onVisibility);
  document.addEventListener('keydown', onKey);
  document.addEventListener('pointerup', () => wall.onTouch());
  document.addEventListener('camerasaved', (event) => event.detail.done.push(poll.start()));
  grid.addEventListener('tilestate', summarise);
  grid.addEventListener('focusin', (event) => {
    const element = event.target.closest('#grid > *');
    if (element?.tile) setCurrent(element);
  });
  letDrag(grid, swap);
  window.addEventListener('pagehide', onPageHide);
  window.addEventListener('pageshow', onVisibility);
  window.addEventListener('popstate', restore);
  setInterval(() => {
    if (!document.hidden) tiles().forEach((tile) => tile.showStats());
  }, STATS_MS);
}

// One for each layout, among which one chooses.
function makeLayoutButtons() {
  for (const layout of LAYOUTS) {
    const label = byId('layout-template').content.firstElementChild.cloneNode(true);
    label.querySelector('input').value = layout;
    label.querySelector('span').textContent = layout;
    document.querySelector('.layouts').append(label);
  }
}

async function start() {
  translatePage(byId('language'));
  makeLayoutButtons();
  showDown([]);
  listen();
  listenToBar();
  listenToServer();
  mpegts.LoggingControl.enableAll = false;
  await loadConfig().catch(() => {});
  begin();
}

start();
