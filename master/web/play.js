// One camera, full window.  What follows `?` in the address goes to the server as it is.

import { conditionOfView, isDown, lastPictureOf, slownessText } from './condition.js';
import { askToken, showKeys } from './dialogs.js';
import { neighboursOf } from './neighbours.js';
import {
  PAGE_PAIRS,
  isSigned,
  loadConfig,
  loadSignature,
  loadStream,
  needsToken,
  playUrl,
  provisionalLabel,
  snapshotUrl,
  streamUrl,
  takePairs,
  wordsOf,
} from './server.js';
import { sinceText } from './since.js';
import { Still } from './still.js';
import { CameraStream } from './stream.js';
import { language, text, translatePage } from './text.js';
import { bitRateText, codecName } from './tile.js';
import { Zoom } from './zoom.js';

const STATS_MS = 1000;
const GRACE_MS = 2000;
const POLL_MS = 1000; // while there is no picture, or the server's figures are shown

const byId = (id) => document.getElementById(id);
const video = byId('video');
// What the page is asked for; the rest of its query is the camera, and goes to the server as it is.
const { rest: query, values: options } = takePairs(location.search.slice(1), PAGE_PAIRS);
const CONTROLS = ['bar', 'hover', 'none'];
const FITS = ['contain', 'cover', 'fill'];
const withSound = /^(0|false|no)$/.test(options.muted ?? '');
const stream = new CameraStream(video, query, { audio: withSound });
const zoom = new Zoom(
  document.querySelector('main'),
  [video, document.getElementById('still')],
);
const still = new Still(byId('still'), byId('still-time'));
// The dashboard's address that one came from, the part after `#`.
const from = new URLSearchParams(location.hash.slice(1)).get('from') ?? '';
let graceTimer = 0;
let label = provisionalLabel(query);
let server; // the camera's stream in the last answer of the server, if any
let condition = { state: 'idle', words: '', since: null, code: '' };
let pollTimer = 0;
let neighbours = null; // { previous, next }: queries of cameras

function showLabel() {
  document.title = `${label} · CAM-HTTPFLV`;
  byId('name').textContent = label;
}

// What the server calls the camera, and how it is.
async function poll() {
  clearTimeout(pollTimer);
  if (!document.hidden) await ask();
  pollWhileNeeded();
}

// A player that plays knows all that it shows, but for the server's figures.
function pollWhileNeeded() {
  clearTimeout(pollTimer);
  if (condition.state !== 'live' || !byId('stats').hidden) pollTimer = setTimeout(poll, POLL_MS);
}

async function ask() {
  const answer = await loadStream(query);
  if (answer !== null && answer.label !== label) {
    ({ label } = answer);
    showLabel();
  }
  server = answer?.stream;
  if (server?.state === 'streaming') stream.onServerStreams();
  showState();
}

function showState() {
  const before = condition.state;
  condition = conditionOfView(stream, server);
  const { state, code, words } = condition;
  if (state === 'live') still.hide();
  else if (state === 'retrying') {
    if (before === 'live') still.keep(video, stream.pictureTime);
    still.setTime(lastPictureOf(server), isDown(server ?? {}));
  }
  document.body.dataset.state = state;
  document.body.dataset.code = code;
  byId('state').textContent = byId('why').textContent = words;
  byId('retry').hidden = stream.state !== 'retrying';
  showNote();
  if (stream.state === 'retrying' && stream.code === 'unauthorized' && !isSigned(query))
    askToken(() => stream.retryNow());
}

// Since when the camera is down, or that this computer is too slow.
function showNote() {
  const stats = stream.stats();
  const slow = stats.tooSlow ? slownessText(stats) : '';
  document.body.dataset.slow = String(stats.tooSlow);
  byId('since').textContent = condition.since ? sinceText(condition.since) : slow;
}

function showSound() {
  byId('sound').setAttribute('aria-pressed', String(!video.muted));
  byId('sound').textContent = text(video.muted ? 'sound' : 'mute');
}

function toggleSound() {
  video.muted = !video.muted;
  stream.setAudio(!video.muted);
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.().catch(() => {});
}

function toggleStats() {
  const stats = byId('stats');
  stats.hidden = !stats.hidden;
  byId('stats-button').setAttribute('aria-pressed', String(!stats.hidden));
  poll();
  showStats();
}

function showStats() {
  if (byId('stats').hidden || document.hidden) return;
  const s = stream.stats();
  const set = (id, words) => {
    byId(id).textContent = words || '–';
  };
  set('stat-codec', [codecName(s.codec), s.audioCodec && 'AAC'].filter(Boolean).join(', '));
  set('stat-camera', server && [server.video_codec, server.audio_codec].filter(Boolean).join(', '));
  set('stat-size', s.width ? `${s.width} × ${s.height}` : '');
  set('stat-rate', s.frameRate ? `${s.frameRate.toFixed(1)} /s` : '');
  set('stat-bits', s.bitRate ? bitRateText(s.bitRate) : '');
  set('stat-delay', s.width ? `${s.delay.toFixed(2)} s` : '');
  set('stat-dropped', String(s.dropped));
  set('stat-viewers', server ? String(server.viewers) : '');
  set('stat-transport', s.transport);
}

function fileName() {
  const time = new Date().toISOString().slice(0, 19).replaceAll(':', '-');
  return `${label.replace(/[^\w.-]+/g, '_')}_${time}.jpg`;
}

async function saveSnapshot() {
  const button = byId('snapshot');
  button.disabled = true;
  try {
    const reply = await fetch(await snapshotUrl(query), { cache: 'no-store' });
    if (!reply.ok) {
      const answer = await reply.json();
      throw new Error(wordsOf(answer.error.code, answer.error.message));
    }
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await reply.blob());
    link.download = fileName();
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    byId('note').textContent = text('snapshot_saved');
  } catch (error) {
    const reason = error instanceof TypeError ? wordsOf('unreachable') : error.message;
    byId('note').textContent = text('no_snapshot', { reason });
  }
  button.disabled = false;
}

// Links for others: signed where the server can sign, and without the token in any case.
async function fillLinks() {
  const { key, expires } = await loadSignature(query);
  const withKey = (part) => `${part}${key}`;
  const flv = streamUrl(query, { withKey });
  const player = new URL(playUrl(withKey(query)).replace(/#.*/, ''), location.href).href;
  const shell = `'${flv.replaceAll("'", "'\\''")}'`;
  byId('link-flv').value = flv;
  byId('link-ws').value = streamUrl(query, { webSocket: true, withKey });
  byId('link-snapshot').value = await snapshotUrl(query, { withKey });
  byId('link-mjpeg').value = byId('link-snapshot').value.replace('/snapshot?', '/mjpeg?');
  byId('link-iframe').value =
    `<iframe src="${player.replaceAll('&', '&amp;')}" allow="autoplay; fullscreen"></iframe>`;
  byId('link-ffplay').value = `ffplay ${shell}`;
  byId('link-vlc').value = `vlc --network-caching=300 ${shell}`;
  byId('links-note').textContent = linksNote(expires);
}

function linksNote(expires) {
  if (expires !== null) return text('links_signed', { time: expires.toLocaleString(language) });
  return needsToken() && !isSigned(query) ? text('links_need_token') : '';
}

async function copy(input) {
  try {
    await navigator.clipboard.writeText(input.value);
  } catch {
    input.select(); // pages without TLS may not write to the clipboard by themselves
    document.execCommand('copy');
  }
  byId('note').textContent = text('copied');
}

// To the camera before or after this one, with the same options.
function go(to) {
  if (!neighbours?.[to]) return;
  const own = PAGE_PAIRS.filter((name) => options[name] !== undefined);
  const pairs = own.map((name) => `${name}=${encodeURIComponent(options[name])}`);
  location.replace(playUrl([neighbours[to], ...pairs].join('&'), from));
}

async function findNeighbours() {
  if (window.parent !== window || isSigned(query)) return;
  neighbours = await neighboursOf(query, from);
  for (const to of ['previous', 'next']) byId(to).hidden = !neighbours?.[to];
}

const KEYS = [
  ['← →', 'key_other'],
  ['m', 'key_m'],
  ['f', 'key_f'],
  ['i', 'key_i'],
  ['s', 'key_s'],
  ['+ −', 'key_zoom'],
  ['?', 'key_help'],
];
const ACTIONS = {
  ArrowLeft: () => go('previous'),
  ArrowRight: () => go('next'),
  PageUp: () => go('previous'),
  PageDown: () => go('next'),
  m: toggleSound,
  f: toggleFullScreen,
  i: toggleStats,
  s: saveSnapshot,
  '+': () => zoom.step(1),
  '-': () => zoom.step(-1),
  '?': () => showKeys(KEYS),
};

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest('dialog')) return;
  const action = ACTIONS[event.key];
  if (!action) return;
  event.preventDefault();
  action();
}

function pause() {
  clearTimeout(graceTimer);
  stream.stop();
  still.cancel();
}

function onVisibility() {
  clearTimeout(graceTimer);
  if (document.hidden) {
    graceTimer = setTimeout(pause, GRACE_MS);
  } else if (stream.running) {
    stream.retryNow();
  } else {
    stream.start();
    still.refresh(snapshotUrl(query));
  }
}

// How the page looks, as its address says.
function dress() {
  const { body } = document;
  body.dataset.controls = CONTROLS.includes(options.controls) ? options.controls : 'bar';
  body.dataset.fit = FITS.includes(options.fit) ? options.fit : 'contain';
  body.dataset.framed = String(window.parent !== window);
  byId('back').href = `./#${from}`;
  video.muted = !withSound;
  showSound();
}

function listen() {
  video.addEventListener('volumechange', showSound);
  byId('sound').addEventListener('click', toggleSound);
  byId('full').addEventListener('click', toggleFullScreen);
  byId('stats-button').addEventListener('click', toggleStats);
  byId('snapshot').addEventListener('click', saveSnapshot);
  byId('previous').addEventListener('click', () => go('previous'));
  byId('next').addEventListener('click', () => go('next'));
  byId('retry').addEventListener('click', () => stream.retryNow());
  byId('links-button').addEventListener('click', () => {
    fillLinks();
    byId('links').showModal();
  });
  for (const button of document.querySelectorAll('button[data-copy]'))
    button.addEventListener('click', () => copy(byId(button.dataset.copy)));
  document.addEventListener('keydown', onKey);
  document.addEventListener('visibilitychange', onVisibility);
  // Browsers may keep a page that was left, its connections open, in case one goes back to it.
  window.addEventListener('pagehide', pause);
  window.addEventListener('pageshow', onVisibility);
  window.addEventListener('online', () => stream.onServerReturn());
  stream.addEventListener('state', () => {
    showState();
    pollWhileNeeded();
  });
  stream.addEventListener('quiet', poll);
  stream.addEventListener('closing', () => still.keep(video, stream.pictureTime));
  setInterval(() => {
    showNote();
    showStats();
  }, STATS_MS);
}

async function start() {
  translatePage(byId('language'));
  showLabel();
  dress();
  listen();
  onVisibility();
  await loadConfig();
  poll();
  findNeighbours();
}

start();
