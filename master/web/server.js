// What the page knows of the server: URLs, configuration, cameras, and what its errors mean.

import { keepServerTime } from './since.js';
import { has, text } from './text.js';

const TOKEN_KEY = 'cam-httpflv-token';
const EARLY_MS = 5000; // an answer of the server that is older is not used

export function wordsOf(code, message) {
  return has(code) ? text(code) : (message ?? text('failed'));
}

// --- token -------------------------------------------------------------------------------------

let token = null;

// Storage may be forbidden, in frames of other sites for instance.
export function keepToken(value) {
  token = value;
  try {
    window.sessionStorage.setItem(TOKEN_KEY, value);
  } catch {
    // it is kept as long as this page
  }
}

const SERVER_PAIRS = (
  'cam cam_type stream allow_h265 hevc av1 audio join token expires signature width height quality fps picture crop after'
).split(' ');

// What `/play` is asked for, not the server.
export const PAGE_PAIRS = ['controls', 'muted', 'fit'];

// With a number they get around caches.  The second ones may be a camera's own, as in `t=90`: in a
// URL with a `?`, only the times of clocks and fractions are not.
const CACHE_BUSTER = /^(?:_|rnd|random|nocache)=(?:\d+\.?\d*|\.\d+)$/;
const CLOCK = /^(?:t|ts|time|timestamp)=(?:\d+\.?\d*|\.\d+)$/;
const CLOCK_TIME = /=(?:0\.|(?:\.?\d){10})/;

function isCacheBuster(pair, before) {
  const ofClock = CLOCK_TIME.test(pair) || !before.some((p) => p.includes('?'));
  return CACHE_BUSTER.test(pair) || (ofClock && CLOCK.test(pair));
}

const nameOf = (pair) => pair.split('=', 1)[0];

// Players append `.flv`, after a cache buster too; the server takes it off the last pair, as here.
function withoutSuffix(query) {
  const pairs = query.split('&');
  const last = pairs.pop();
  const bare = last.replace(/\.flv$/, '');
  const known = [...SERVER_PAIRS, ...PAGE_PAIRS].includes(nameOf(bare));
  return bare !== last && (known || isCacheBuster(bare, pairs)) ? query.slice(0, -4) : query;
}

// Take pairs off a query.  A raw camera URL, as people paste it, may have pairs of its own: of
// what follows it only the end is looked at, as the server does.
// @param names  some of SERVER_PAIRS and PAGE_PAIRS
// -> { rest, values }
export function takePairs(asked, names) {
  const query = withoutSuffix(asked);
  const raw = /(?:^|&)cam_url=[^&]*:\/\//.exec(query);
  const head = raw ? query.slice(0, raw.index).split('&') : query.split('&');
  const url = raw ? query.slice(raw.index).replace(/^&/, '').split('&') : [];
  const tail = [];
  // A camera's own URL may have a `stream`; only named cameras have sub-streams.
  const known = (pair) =>
    nameOf(pair) !== 'stream' && [...SERVER_PAIRS, ...PAGE_PAIRS].includes(nameOf(pair));
  while (url.length > 1 && (known(url.at(-1)) || isCacheBuster(url.at(-1), url.slice(0, -1))))
    tail.unshift(url.pop());
  const values = {};
  const kept = (pair) => {
    if (!names.includes(nameOf(pair))) return pair !== '';
    values[nameOf(pair)] = decode(pair.slice(nameOf(pair).length + 1));
    return false;
  };
  const rest = [...head.filter(kept), ...(url.length ? [url.join('&')] : []), ...tail.filter(kept)];
  return { rest: rest.join('&'), values };
}

// A token in the address is kept for the tab and taken out of the address.
function findToken() {
  const { rest, values } = takePairs(location.search.slice(1), ['token']);
  if (values.token !== undefined) {
    keepToken(values.token);
    const query = rest === '' ? '' : `?${rest}`;
    history.replaceState(history.state, '', location.pathname + query + location.hash);
    return;
  }
  try {
    token = window.sessionStorage.getItem(TOKEN_KEY);
  } catch {
    // there is none
  }
}

findToken();

function withToken(query) {
  return token === null || isSigned(query)
    ? query
    : `${query}&token=${encodeURIComponent(token)}`;
}

// A signature opens stream and pictures, not the API.
export function isSigned(query) {
  return takePairs(query, ['signature']).values.signature !== undefined;
}

// --- cameras -----------------------------------------------------------------------------------

export function playsHevc() {
  const Source = window.ManagedMediaSource ?? window.MediaSource;
  return Source?.isTypeSupported('video/mp4; codecs="hvc1.1.6.L153.B0"') ?? false;
}

const SPACE = /^[\s\p{Cf}\u0085]+|[\s\p{Cf}\u0085]+$/gu;
const QUOTE =
  '["`<>\u00ab\u00bb\u2018-\u201f\u2032-\u2036\u2039\u203a\u3008-\u300f\u301d-\u301f\uff02]';
const IN_QUOTES = new RegExp(`^${QUOTE}(.*)${QUOTE}$`, 'su');
const IN_APOSTROPHES = /^['\uff07](.*)['\uff07]$/su;

// A pasted URL without white space and pairs of quotes around it, as the server takes them off.
export function trimUrl(pasted) {
  for (let url = pasted; ; ) {
    url = url.replace(SPACE, '');
    const quoted = IN_QUOTES.exec(url) ?? IN_APOSTROPHES.exec(url);
    if (quoted === null) return url;
    [, url] = quoted;
  }
}

// A camera is the part of a query that names it: `cam=NAME`, or `cam_url=URL` and what follows.
export function queryOf({ cam, camUrl, camType }) {
  if (cam !== undefined) return `cam=${encodeURIComponent(cam)}`;
  const type = camType ? `&cam_type=${encodeURIComponent(camType)}` : '';
  return `cam_url=${encodeURIComponent(camUrl)}${type}`;
}

function decode(encoded) {
  try {
    return decodeURIComponent(encoded);
  } catch {
    return encoded; // pasted as it is, with a percent sign of its own
  }
}

// The host of the camera's URL, which is no secret.  What surrounds it may be: when it is not plain
// where user name and password end, nothing of the URL is shown.
function hostIn(query) {
  const match = /(?:^|&)cam_url=(.*)$/.exec(query);
  const url = match?.[1].includes('://') ? match[1] : decode(match?.[1].split('&')[0] ?? '');
  if (!url.includes('://')) return '';
  const rest = url.slice(url.indexOf('://') + 3);
  const [authority] = rest.split(/[/?#]/);
  const at = rest.lastIndexOf('@');
  return at < authority.length ? authority.slice(at + 1) : '';
}

// What a camera is called until the server has said how it shows it (`loadStream`).
export function provisionalLabel(query) {
  return takePairs(query, ['cam']).values.cam || hostIn(query) || text('camera');
}

// The part of a query that names the camera: without what is said about the stream.
export function cameraPart(query) {
  return takePairs(query, ['allow_h265', 'hevc', 'av1', 'audio', 'join']).rest;
}

// --- URLs --------------------------------------------------------------------------------------

// The folder that this page is in: `/`, or where a proxy has put it.
const base = new URL('.', location.href);

export function streamUrl(query, { webSocket = false, withKey = withToken } = {}) {
  const url = new URL(`live.flv?${withKey(query)}`, base);
  if (webSocket) url.protocol = base.protocol.replace('http', 'ws');
  return url.href;
}

// @param from  the part of the dashboard's address after `#`, for the way back
export function playUrl(query, from = '') {
  return `play?${query}#from=${encodeURIComponent(from)}`;
}

let config = { flv_port: 0, snapshot_port: 0 };
let operations = null; // URL of the folder that has snapshots and the API
let searched = null; // call it when the search for that port has ended
const search = new Promise((resolve) => {
  searched = resolve;
});
let asked = null; // the question for the ports, a promise
let configured = null; // call it when the ports are known, or will not be
const configuration = new Promise((resolve) => {
  configured = resolve;
});

function candidates() {
  const direct = `${location.protocol}//${location.hostname}:${config.snapshot_port}/`;
  const port = location.port || (location.protocol === 'https:' ? '443' : '80');
  // On another port than the server's own there is a proxy or a port mapping in between.
  return Number(port) === config.flv_port ? [direct] : [base.href, direct];
}

// Where snapshots and the API are, or should be.
export function operationsUrl() {
  return operations ?? candidates().at(-1);
}

class ServerError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

async function errorOf(reply) {
  const answer = await reply.json().catch(() => null);
  return new ServerError(answer?.error?.code ?? 'unreachable', answer?.error?.message ?? '');
}

async function getJson(url) {
  const options = { cache: 'no-store', signal: AbortSignal.timeout(5000) };
  const reply = await fetch(url, options).catch(() => null);
  if (reply === null) throw new ServerError('unreachable', '');
  if (!reply.ok) throw await errorOf(reply);
  return reply.json();
}

// Which of the candidates is the port of the API?  The one that answers, if only to refuse.
async function findOperations(path) {
  let failure = null;
  for (const url of candidates()) {
    try {
      const answer = await getJson(`${url}${path}`);
      operations = url;
      return answer;
    } catch (error) {
      failure = error;
      if (error.code !== 'unreachable' && error.code !== 'not_found') {
        if (config.flv_port !== 0) operations = url; // else any port that wants a token refuses
        break;
      }
    }
  }
  throw failure;
}

async function getOperations(path) {
  if (operations === null) await loadConfig();
  if (operations !== null) return getJson(`${operations}${path}`);
  try {
    return await findOperations(path);
  } finally {
    searched();
  }
}

async function readConfig() {
  try {
    config = await getJson(new URL('assets/config.json', base).href);
  } catch {
    asked = null; // the ports are guessed, until somebody asks again
  } finally {
    configured();
  }
}

// The ports, if the server says them.  Never throws.
export function loadConfig() {
  asked ??= readConfig();
  return asked;
}

// Resolves when it is known which port has snapshots: after the first question to the API.
export async function snapshotUrl(query, { width, withKey = withToken } = {}) {
  await (isSigned(query) ? configuration : search); // a signature does not open the API
  const size = width >= 16 ? `&width=${width}` : '';
  return `${operations ?? candidates()[0]}snapshot?${withKey(cameraPart(query))}${size}`;
}

function tokenQuery() {
  return token === null ? '' : `?token=${encodeURIComponent(token)}`;
}

let manage = false; // requests may save cameras

let early = null; // the answer to the first question for the cameras, a promise

function askCameras() {
  return getOperations(`api/cameras${tokenQuery()}`);
}

// Ask for the cameras before anybody wants them: the page is still being made.
export function askEarly() {
  early = askCameras();
  early.catch(() => {}); // whoever wants them is told
  setTimeout(() => {
    early = null; // a page that nobody looks at asks later
  }, EARLY_MS);
}

// Named cameras.  Throws a ServerError when the server does not say.
export async function loadCameras() {
  const answered = early ?? askCameras();
  early = null;
  const answer = await answered;
  manage = answer.manage === true;
  return answer.cameras;
}

// May this page save cameras on the server?
export function mayManage() {
  return manage && token !== null;
}

// Save a new camera of this server ({ camera_url, cam_type, title }).  Throws a ServerError when the
// server refuses: camera_exists, if it has one of this name.
export async function saveCamera(name, camera) {
  const url = `${operationsUrl()}api/cameras/${encodeURIComponent(name)}`;
  const headers = {
    'Content-Type': 'application/json',
    Authorization: `Bearer ${token}`,
    'If-None-Match': '*',
  };
  const options = { method: 'PUT', headers, body: JSON.stringify(camera) };
  const reply = await fetch(url, options).catch(() => null);
  if (reply === null) throw new ServerError('unreachable', '');
  if (!reply.ok) throw await errorOf(reply);
}

// The streams that the server has.  Throws a ServerError when the server does not say.
export async function loadStreams() {
  const { time, streams } = await getOperations(`api/streams${tokenQuery()}`);
  keepServerTime(time);
  return streams;
}

// Make the session with a camera anew.  Throws a ServerError when the server refuses.
export async function restartStream(id) {
  const url = `${operationsUrl()}api/streams/${encodeURIComponent(id)}/restart${tokenQuery()}`;
  const reply = await fetch(url, { method: 'POST' }).catch(() => null);
  if (reply === null) throw new ServerError('unreachable', '');
  if (!reply.ok) throw await errorOf(reply);
}

let answering = null; // the question that serverAnswers() asks now

// Is the server there at all?  Asked once for all who want to know at the same time.
export function serverAnswers() {
  answering ??= getJson(new URL('assets/config.json', base).href)
    .then(() => true)
    .catch(({ code }) => code !== 'unreachable')
    .finally(() => {
      answering = null;
    });
  return answering;
}

// What to put behind a link that is given to others: a signature, never the token.
// -> { key, expires }; expires is a Date, null without a signature.
export async function loadSignature(query) {
  const none = { key: '', expires: null };
  if (isSigned(query) || token === null) return none;
  try {
    const answer = await getOperations(`api/signature?${withToken(cameraPart(query))}`);
    if (answer.signature === null) return none;
    const key = `&expires=${answer.expires}&signature=${answer.signature}`;
    return { key, expires: new Date(answer.expires * 1000) };
  } catch {
    return none;
  }
}

export function needsToken() {
  return token !== null;
}

// One camera, however it is written: what the server calls it, and its stream while there is one.
// Null when the server does not say.
export async function loadStream(query) {
  if (isSigned(query)) return null;
  try {
    const path = `api/streams?${withToken(cameraPart(query))}`;
    const { camera, title, time, streams } = await getOperations(path);
    keepServerTime(time);
    return { label: title ?? camera.replace(/^[a-z]+:\/\/(\*\*\*@)?/, ''), stream: streams[0] };
  } catch {
    return null;
  }
}

// What a refusal of the server means for this camera.
export function reasonOf(query, { code, message }) {
  const refused = code === 'unauthorized' && isSigned(query);
  return { code, text: wordsOf(refused ? 'link_refused' : code, message) };
}

// Why does a stream not play?  Asks for it over plain HTTP, which may take as long as the camera
// does.  Resolves to null when the server plays it now.
export async function explain(query, signal) {
  const cancel = new AbortController();
  const abort = () => cancel.abort();
  const timer = setTimeout(abort, 30000);
  signal.addEventListener('abort', abort);
  try {
    const reply = await fetch(streamUrl(query), { cache: 'no-store', signal: cancel.signal });
    if (reply.ok) return null;
    return reasonOf(query, await errorOf(reply));
  } catch {
    return { code: 'unreachable', text: wordsOf('unreachable') };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
    abort();
  }
}

// --- the page's own files ------------------------------------------------------------------------

const VERSION = /<meta name="version" content="(\w+)">/;

// Of all files that this page was made of; the build writes it into the document.
export function ownVersion() {
  return document.querySelector('meta[name="version"]')?.content;
}

// The page as the server gives it now: its version, and the files that it names.  Null when there is
// none, or something else in its place.
export async function servedPage() {
  const options = { cache: 'no-store', signal: AbortSignal.timeout(5000) };
  const reply = await fetch(base.href, options).catch(() => null);
  const html = reply?.ok ? await reply.text().catch(() => '') : '';
  const version = VERSION.exec(html)?.[1];
  if (version === undefined) return null;
  const files = [...html.matchAll(/"(assets\/[^"]+)"/g)].map(([, file]) => new URL(file, base).href);
  return { version, files };
}

// Does the server give all of them?
export async function givesAll(files) {
  for (const file of files) {
    const options = { method: 'HEAD', cache: 'no-store', signal: AbortSignal.timeout(5000) };
    const reply = await fetch(file, options).catch(() => null);
    if (!reply?.ok) return false;
  }
  return true;
}
