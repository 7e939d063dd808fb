// The dashboard: a grid of cameras that keeps itself in the address of the page.

import { AddDialog } from './add.js';
import { makeBar, showBar, showDown, summarise } from './bar.js';
import { Board } from './board.js';
import { askToken } from './dialogs.js';
import { Finder } from './finder.js';
import { Grid } from './grid.js';
import { Keys, toggleCycle, toggleStatus } from './keys.js';
import { Poll } from './poll.js';
import { rowsOf } from './rows.js';
import './save.js';
import { askEarly, operationsUrl, playUrl, wordsOf } from './server.js';
import { StatusTable } from './status.js';
import { text, translatePage } from './text.js';
import { Cycle, Wall, toggleFullScreen } from './wall.js';

askEarly();

const STATS_MS = 1000;
const LIST_MS = 2000; // that cameras wait for the list, which says whether they have sub-streams

const byId = (id) => document.getElementById(id);
const isWrong = ({ state }) => ['retrying', 'silent', 'connecting'].includes(state);
let listed = false; // the server has said which cameras it has, or that it does not say
let waited = false; // for the list, long enough

const board = new Board();
const grid = new Grid({
  onAdd: (index) => openDialog(board.shown.from + index),
  onChange: (index, camera) => openDialog(board.shown.from + index, camera),
  onRemove: remove,
  onSwap: (from, to) => board.swap(from, to),
});
const poll = new Poll({
  isUrgent: () => poll.failure !== null || grid.tiles().some(isWrong),
  mayAsk: () => !document.hidden && !byId('token-dialog').open,
});
const addDialog = new AddDialog(add);
const finder = new Finder(pick);
const table = new StatusTable(() => poll.soon());
const wall = new Wall();
const cycle = new Cycle(() => board.turn(1, { wrap: true }), mayTurn);

function mayTurn() {
  const busy = document.querySelector('dialog[open]') || document.fullscreenElement?.tile;
  return !busy && !grid.isDragging;
}

// --- cameras ---------------------------------------------------------------------------------------

function show() {
  const { group } = board.view;
  grid.show(board.shown, group ? text('empty_group', { group }) : text('empty_hint'));
  for (const tile of grid.tiles()) {
    tile.setLink(playUrl(tile.query, location.hash.slice(1)));
    tile.setNamed(board.namedOf(tile.camera));
  }
  allowStarts();
  showBar(board);
  table.show(board.view.status);
  grid.element.hidden = board.view.status;
  wall.set(board.view.kiosk);
  cycle.set(board.shown.pages > 1 ? board.view.cycle : 0);
  grid.look();
  summarise(() => grid.tiles());
}

function allowStarts() {
  for (const tile of grid.tiles())
    if (listed || waited || tile.camera.cam === undefined) tile.allowStart();
}

function openDialog(place, camera) {
  addDialog.open(place, board.named, camera);
}

function add(camera, place) {
  const index =
    camera.cam === undefined
      ? board.put(camera, place ?? board.firstEmpty())
      : board.putNamed(camera, place);
  grid.focus(index);
}

function remove(index) {
  board.remove(board.shown.from + index);
  grid.focus(index);
}

// Where the camera goes that is found: into the place one stands on, else it is opened alone.
let target = null;

function openFinder(place) {
  target = place === null ? null : board.shown.from + grid.indexOf(place);
  finder.open(rows(), text(target === null ? 'find_opens' : 'find_puts'));
}

function pick({ query, name }) {
  if (target === null) {
    location.href = playUrl(query, location.hash.slice(1));
    return;
  }
  const { from } = board.shown;
  const at = board.indexOfName(name);
  if (at === -1) board.put({ cam: name }, target);
  else board.swap(at - from, target - from);
  grid.focus(target - board.shown.from);
}

function rows() {
  const watched = grid.tiles().filter(({ state }) => state !== 'idle');
  const streams = poll.failure === null ? poll.streams : null;
  return rowsOf(
    board.named,
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

// --- the server --------------------------------------------------------------------------------------

function onStreams() {
  byId('notice').hidden = true;
  for (const tile of grid.tiles()) tile.onStreams(poll.streams, board.namedOf(tile.camera));
  for (const tile of grid.tiles()) if (tile.isUnknown) tile.identify();
  showRows();
}

// The page says why it cannot tell how the cameras are.
function onFailure() {
  const { code, message } = poll.failure;
  if (code === 'unauthorized') {
    askToken(begin);
    return;
  }
  byId('notice').textContent =
    code === 'unreachable'
      ? text('no_operations', { url: operationsUrl() })
      : text('no_list', { reason: wordsOf(code, message || undefined) });
  byId('notice').hidden = false;
  onList();
  for (const tile of grid.tiles()) tile.onStreams([], undefined);
  showRows();
}

// The list is read again and again; the grid follows what concerns it.
let listShown = '';
function onList() {
  board.named = poll.named;
  const own = ({ name, title, group, sub }) => [name, title, group, Boolean(sub)];
  const list = JSON.stringify(board.named.map(own));
  if (listed && list === listShown) return;
  listed = true;
  listShown = list;
  board.show();
}

function onReturn() {
  for (const tile of grid.tiles()) tile.onServerReturn();
  wall.onReturn();
}

function onVisibility() {
  for (const tile of grid.tiles()) {
    tile.setTabVisible(!document.hidden);
    if (!document.hidden) tile.retryNow();
  }
  wall.onVisible();
  if (!document.hidden) poll.soon();
}

// Browsers may keep a page that was left, its connections open, in case one goes back to it.
function onPageHide() {
  for (const tile of grid.tiles()) tile.pause();
}

async function begin() {
  board.restore({ kept: !listed }); // a bookmark need not wait long for the list of cameras
  setTimeout(() => {
    waited = true;
    allowStarts();
  }, LIST_MS);
  await poll.start();
  for (const tile of grid.tiles()) tile.retryNow();
}

// --- start -------------------------------------------------------------------------------------------

function listenToServer() {
  poll.addEventListener('named', onList);
  poll.addEventListener('streams', onStreams);
  poll.addEventListener('failure', onFailure);
  poll.addEventListener('return', onReturn);
  grid.element.addEventListener('tilequiet', () => poll.soon());
  window.addEventListener('online', () => {
    for (const tile of grid.tiles()) tile.onServerReturn();
    poll.soon();
  });
}

function listenToBar() {
  makeBar({ onLayout: (layout) => board.setLayout(layout), onGroup: (name) => board.setGroup(name) });
  byId('add').addEventListener('click', () => openDialog(null));
  byId('previous').addEventListener('click', () => board.turn(-1));
  byId('next').addEventListener('click', () => board.turn(1));
  byId('cycle').addEventListener('click', () => toggleCycle(board));
  byId('find-button').addEventListener('click', () => openFinder(null));
  byId('status-button').addEventListener('click', () => toggleStatus(board));
  byId('full').addEventListener('click', toggleFullScreen);
}

function listen() {
  board.addEventListener('show', show);
  document.addEventListener('visibilitychange', onVisibility);
  document.addEventListener('pointerup', () => wall.onTouch());
  document.addEventListener('camerasaved', (event) => event.detail.done.push(poll.start()));
  grid.element.addEventListener('tilestate', () => summarise(() => grid.tiles()));
  window.addEventListener('pagehide', onPageHide);
  window.addEventListener('pageshow', onVisibility);
  window.addEventListener('popstate', () => board.restore({ kept: !listed }));
  setInterval(() => {
    if (!document.hidden) grid.tiles().forEach((tile) => tile.showStats());
  }, STATS_MS);
}

function start() {
  translatePage(byId('language'));
  showDown([]);
  listen();
  listenToBar();
  listenToServer();
  new Keys(board, grid, { onAdd: () => openDialog(null), onRemove: remove, onFind: openFinder });
  begin();
  document.documentElement.dataset.up = 'true';
}

start();
