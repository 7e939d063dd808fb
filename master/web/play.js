// One camera, full window.  What follows `?` in the address goes to the server as it is.

import {
  loadConfig,
  loadStream,
  provisionalLabel,
  snapshotUrl,
  streamUrl,
} from './server.js';
import { Still } from './still.js';
import { CameraStream } from './stream.js';
import { bitRateText, codecName } from './tile.js';

const STATS_MS = 1000;
const GRACE_MS = 2000;

const byId = (id) => document.getElementById(id);
const video = byId('video');
const query = location.search.slice(1);
const stream = new CameraStream(video, query);
const still = new Still(byId('still'), byId('still-time'));
let graceTimer = 0;
let label = provisionalLabel(query);

function showLabel() {
  document.title = `${label} · CAM-HTTPFLV`;
  byId('name').textContent = label;
}

// What the server calls the camera, and its stream while there is one.
async function ask() {
  const answer = await loadStream(query);
  if (answer !== null && answer.label !== label) {
    ({ label } = answer);
    showLabel();
  }
  return answer?.stream;
}

function showState() {
  const { state, text, code } = stream;
  if (state === 'live') still.hide();
  document.body.dataset.state = state;
  document.body.dataset.code = code;
  byId('state').textContent = state === 'idle' ? 'Paused' : text;
  byId('retry').hidden = state !== 'retrying';
}

function toggleSound() {
  const on = video.muted;
  video.muted = !on;
  stream.setAudio(on);
  byId('sound').setAttribute('aria-pressed', String(on));
  byId('sound').textContent = on ? 'Mute' : 'Sound';
}

function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.().catch(() => {});
}

function toggleStats() {
  const stats = byId('stats');
  stats.hidden = !stats.hidden;
  byId('stats-button').setAttribute('aria-pressed', String(!stats.hidden));
  showStats();
}

async function showStats() {
  if (byId('stats').hidden || document.hidden) return;
  const s = stream.stats();
  const server = await ask();
  const set = (id, text) => {
    byId(id).textContent = text || '–';
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
    if (!reply.ok) throw new Error(`${reply.status}`);
    const link = document.createElement('a');
    link.href = URL.createObjectURL(await reply.blob());
    link.download = fileName();
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
    byId('note').textContent = 'Snapshot saved';
  } catch {
    byId('note').textContent = 'No snapshot: the server did not answer';
  }
  button.disabled = false;
}

async function fillLinks() {
  const flv = streamUrl(query, { absolute: true });
  const shell = `'${flv.replaceAll("'", "'\\''")}'`;
  byId('link-flv').value = flv;
  byId('link-ws').value = streamUrl(query, { webSocket: true });
  byId('link-ffplay').value = `ffplay ${shell}`;
  byId('link-vlc').value = `vlc --network-caching=300 ${shell}`;
  byId('link-snapshot').value = await snapshotUrl(query);
}

async function copy(input) {
  try {
    await navigator.clipboard.writeText(input.value);
  } catch {
    input.select(); // pages without TLS may not write to the clipboard by themselves
    document.execCommand('copy');
  }
  byId('note').textContent = 'Copied';
}

function onKey(event) {
  if (event.ctrlKey || event.altKey || event.metaKey || event.target.matches('input')) return;
  const action = { m: toggleSound, f: toggleFullScreen, i: toggleStats, s: saveSnapshot }[event.key];
  if (!action || byId('links').open) return;
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

async function start() {
  showLabel();
  byId('sound').addEventListener('click', toggleSound);
  byId('full').addEventListener('click', toggleFullScreen);
  byId('stats-button').addEventListener('click', toggleStats);
  byId('snapshot').addEventListener('click', saveSnapshot);
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
  window.addEventListener('online', () => stream.retryNow());
  stream.addEventListener('state', showState);
  stream.addEventListener('closing', () => still.keep(video, stream.pictureTime));
  setInterval(showStats, STATS_MS);
  mpegts.LoggingControl.enableAll = false;
  onVisibility();
  await loadConfig().catch(() => {});
  ask();
}

start();
