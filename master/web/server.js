// What the page knows of the server: URLs, configuration, cameras, and what its errors mean.

const WORDS = {
  camera_unauthorized: 'The camera rejects the password',
  camera_unreachable: 'The camera cannot be reached',
  camera_not_found: 'The camera has no such stream',
  camera_no_video: 'The camera sends no video',
  camera_timeout: 'The camera does not answer in time',
  unsupported_codec: 'The camera sends a codec that cannot be served',
  unknown_camera: 'The server knows no camera of this name',
  bad_camera_url: 'This is not a camera URL',
  unsupported_scheme: 'This kind of URL is not supported',
  missing_camera: 'No camera was asked for',
  camera_not_allowed: 'This camera is not allowed here',
  unauthorized: 'The server needs a token',
  too_many_cameras: 'The server has too many cameras',
  too_many_viewers: 'The server has too many viewers',
  client_share: 'This address has its share of the server',
  overloaded: 'The server is overloaded',
  draining: 'The server is restarting',
  unreachable: 'The server cannot be reached',
  ended: 'The stream has ended',
  player: 'The browser cannot play this stream',
};

export function wordsOf(code, message) {
  return WORDS[code] ?? message ?? 'The stream has failed';
}

// The page's own token, given once in its address, goes along with every request.
const token = new URLSearchParams(location.search).get('token');

export function withToken(query) {
  return token === null || /(^|&)token=/.test(query)
    ? query
    : `${query}&token=${encodeURIComponent(token)}`;
}

export function playsHevc() {
  const Source = window.ManagedMediaSource ?? window.MediaSource;
  return Source?.isTypeSupported('video/mp4; codecs="hvc1.1.6.L153.B0"') ?? false;
}

// A camera is the part of a query that names it: `cam=NAME`, or `cam_url=URL` and what follows.
export function queryOf({ cam, camUrl, camType }) {
  if (cam !== undefined) return `cam=${encodeURIComponent(cam)}`;
  const type = camType ? `&cam_type=${encodeURIComponent(camType)}` : '';
  return `cam_url=${encodeURIComponent(camUrl)}${type}`;
}

function decode(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // pasted as it is, with a percent sign of its own
  }
}

function nameIn(query) {
  const match = /(?:^|&)cam=([^&]*)/.exec(query);
  return match ? decode(match[1]) : null;
}

// The host of the camera's URL, which is no secret.  What surrounds it may be: when it is not plain
// where user name and password end, nothing of the URL is shown.
function hostIn(query) {
  const match = /(?:^|&)cam_url=(.*)$/.exec(query);
  const url = match?.[1].includes('://') ? match[1] : decode(match?.[1].split('&')[0] ?? '');
  const rest = url.slice(url.indexOf('://') + 3);
  const [authority] = rest.split(/[/?#]/);
  const at = rest.lastIndexOf('@');
  return at < authority.length ? authority.slice(at + 1) : '';
}

// What a camera is called until the server has said how it shows it (`loadStream`).
export function provisionalLabel(query) {
  return nameIn(query) ?? (hostIn(query) || 'Camera');
}

// The part of a query that names the camera: without what is said about the stream.
function cameraPart(query) {
  return query.replace(/(^|&)(allow_h265|hevc|av1|audio|join)=[^&]*/g, '').replace(/^&/, '');
}

export function streamUrl(query, { webSocket = false, absolute = false } = {}) {
  const scheme = webSocket ? location.protocol.replace('http', 'ws') : location.protocol;
  const full = webSocket || absolute ? `${scheme}//${location.host}` : '';
  return `${full}/live.flv?${withToken(query)}`;
}

export function playUrl(query) {
  return `/play?${withToken(query)}`;
}

let config = { flv_port: 0, snapshot_port: 0 };
let operations = null; // origin of the port that has snapshots and the API
let searched = null; // call it when the search for that port has ended
const search = new Promise((resolve) => {
  searched = resolve;
});

function candidates() {
  const direct = `${location.protocol}//${location.hostname}:${config.snapshot_port}`;
  const port = location.port || (location.protocol === 'https:' ? '443' : '80');
  // On another port than the server's own there is a proxy or a port mapping in between.
  return Number(port) === config.flv_port ? [direct] : [location.origin, direct];
}

async function getJson(url) {
  const reply = await fetch(url, { cache: 'no-store', signal: AbortSignal.timeout(5000) });
  if (!reply.ok) throw new Error(`${reply.status}`);
  return reply.json();
}

async function getOperations(path) {
  if (operations !== null) return getJson(`${operations}${path}`);
  let failure = new Error('no server');
  for (const origin of candidates()) {
    try {
      const answer = await getJson(`${origin}${path}`);
      operations = origin;
      searched();
      return answer;
    } catch (error) {
      failure = error;
    }
  }
  searched();
  throw failure;
}

export async function loadConfig() {
  config = await getJson('/assets/config.json');
}

// Resolves when it is known which port has snapshots: after the first question to the API.
export async function snapshotUrl(query, { width } = {}) {
  await search;
  const size = width >= 16 ? `&width=${width}` : '';
  return `${operations ?? candidates()[0]}/snapshot?${withToken(cameraPart(query))}${size}`;
}

function tokenQuery() {
  return token === null ? '' : `?token=${encodeURIComponent(token)}`;
}

// Named cameras; none when the server does not say.
export async function loadCameras() {
  try {
    return (await getOperations(`/api/cameras${tokenQuery()}`)).cameras;
  } catch {
    return [];
  }
}

export async function loadStreams() {
  try {
    return (await getOperations(`/api/streams${tokenQuery()}`)).streams;
  } catch {
    return [];
  }
}

// One camera, however it is written: what the server calls it, and its stream while there is one.
// Null when the server does not say.
export async function loadStream(query) {
  try {
    const path = `/api/streams?${withToken(cameraPart(query))}`;
    const { camera, streams } = await getOperations(path);
    return { label: camera.replace(/^[a-z]+:\/\/(\*\*\*@)?/, ''), stream: streams[0] };
  } catch {
    return null;
  }
}

// Why does a stream not play?  Asks for it over plain HTTP.  Resolves to null when the server plays it now.
export async function explain(query, signal) {
  const cancel = new AbortController();
  const abort = () => cancel.abort();
  const timer = setTimeout(abort, 30000);
  signal.addEventListener('abort', abort);
  try {
    const reply = await fetch(streamUrl(query), { cache: 'no-store', signal: cancel.signal });
    if (reply.ok) return null;
    const { error } = await reply.json();
    return { code: error.code, text: wordsOf(error.code, error.message) };
  } catch {
    return { code: 'unreachable', text: wordsOf('unreachable') };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', abort);
    abort();
  }
}
