// The page's scripts in a browser and before a server that are made up here.  Arguments: a folder with
// the scripts and an mpegts.js, then what goes wrong:
//   library  mpegts.js does not come, twice
//   player   the browser has no MediaSource
//   config   the server does not say its ports, once
//   turns    handshakes take 2 s each, one after the other; the last two have no answer
//   refusal  the close frame has room for a part of the error only
//   stuck    one has no answer while others open for 50 s
//   decoder  the browser's decoder fails while it plays, or before the first picture
//   frames   a stream ends before its first picture
//   queue    a stream waits for its turn while others open, and the server has pictures of it
//   tile     a tile is closed
//   wall     the scripts of a page on a wall do not come; `desk`: of another page; `up`: they have come
// or which part is tried alone:
//   gate         cameras that are known to be down wait until the others have begun
//   cycle        pages turn after 3 s without a hand on the mouse or the keyboard
//   still        the time of a dead camera's last picture, without the picture and with it
//   labels       what a camera is called until the server says it
//   clock        since when a camera is down, by a clock that is five hours behind the server's
//   quarantined  the words for a camera whose process crashes again and again
// Writes what came of it.

import { join } from 'node:path';
import { pathToFileURL } from 'node:url';

const [, , folder, fault] = process.argv;
const page = (name) => import(pathToFileURL(join(folder, name)));
const real = setTimeout;
const repeat = setInterval;
const clock = performance;
let loads = 0;
let observed = 0;
let configs = 0;
let frames = 0;
let waits = []; // of setTimeout
let address = ''; // that was asked for last

function define(name, value) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

class FakeElement extends EventTarget {
  dataset = {};
  videoWidth = 0;
  buffered = [];
  #parts = new Map();

  cloneNode() {
    return new FakeElement();
  }

  querySelector(selector) {
    if (!this.#parts.has(selector)) this.#parts.set(selector, new FakeElement());
    return this.#parts.get(selector);
  }

  querySelectorAll() {
    return [];
  }

  requestVideoFrameCallback() {
    return ++frames;
  }

  cancelVideoFrameCallback(request) {
    if (request === frames && frames > 0) frames--;
  }

  setAttribute() {}
  remove() {}
}

// It opens, and has bytes of a stream at once.
class FakeSocket {
  constructor(url) {
    address = url;
    if (url === 'ws://refuses/') {
      const error = (message) => JSON.stringify({ error: { code: 'bad_parameter', message } });
      real(() => {
        this.onmessage({ data: error('height: a number is accepted') });
        this.onclose({ code: 4400, reason: error('height: a num') });
      });
      return;
    }
    if (url === 'ws://silent/' || (fault === 'queue' && !url.includes('after='))) return;
    real(() => this.onopen?.(), Number(/after=(\d+)/.exec(url)?.[1] ?? 0));
    if (!['turns', 'stuck'].includes(fault)) real(() => this.onmessage?.({ data: new ArrayBuffer(64) }));
  }

  close() {}
}

const root = { dataset: fault === 'up' ? { up: 'true' } : {} };

const timeOf = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();

// The page's port has no API, and refuses whoever has no token.
function answer(url) {
  if (url === './') return [200, {}];
  if (url.includes('/assets/')) {
    if (fault === 'config' && configs++ === 0) throw new TypeError('Failed to fetch');
    return [200, { flv_port: 8005, snapshot_port: 8006 }];
  }
  if (!url.includes('token=')) return [401, { error: { code: 'unauthorized', message: '' } }];
  if (url.includes(':8005/')) return [404, { error: { code: 'not_found', message: '' } }];
  if (url.includes('/api/streams')) return [200, { time: timeOf(5 * 3600), streams: [] }];
  return [200, { cameras: [{ name: 'gate' }] }];
}

define('window', globalThis);
define('document', { hidden: false, fullscreenElement: null, documentElement: root });
define('navigator', { language: 'en' });
define('history', {});
define('location', {
  href: `http://server:8005/${fault === 'desk' ? '' : '#layout=4&kiosk=1'}`,
  protocol: 'http:',
  hostname: 'server',
  port: '8005',
  search: '',
  reload: () => loads++,
});
define('setTimeout', (call, ms) => {
  waits.push(ms);
  return real(call, ms / 100);
});
define('performance', { now: () => clock.now() * 100 });
define('setInterval', (call, ms) => repeat(call, ms / 100));
define('devicePixelRatio', 1);
define('WebSocket', FakeSocket);
define('ResizeObserver', class {
  observe() {
    observed++;
  }

  disconnect() {
    observed--;
  }
});
define('fetch', async (url) => {
  const [status, body] = answer(String(url));
  return { ok: status === 200, status, json: async () => body };
});

const passed = (ms) => new Promise((resolve) => real(resolve, ms));

async function until(holds) {
  for (let i = 0; i < 3000 && !holds(); i++) await passed(10);
}

// -> states of a stream, up to and with the wanted one
async function play(wanted, then = () => {}) {
  const { CameraStream } = await page('stream.js');
  const stream = new CameraStream(new FakeElement(), 'cam=gate');
  const states = [];
  stream.addEventListener('state', () => states.push(`${stream.state} ${stream.code}`.trim()));
  stream.start();
  await until(wanted(states, stream));
  then(stream);
  return states;
}

const faults = {
  async library() {
    globalThis.refusals = 2;
    let hurried = false;
    await play((states, stream) => () => {
      if (stream.state === 'retrying') {
        stream.onServerStreams();
        hurried ||= stream.state !== 'retrying';
      }
      return globalThis.players > 0;
    });
    return { players: globalThis.players, hurried };
  },

  async frames() {
    globalThis.refusals = 0;
    let requested = 0;
    const isMade = () => () => frames > 0;
    await play(isMade, (stream) => {
      requested = frames;
      stream.stop();
    });
    return [requested, frames];
  },

  async player() {
    globalThis.refusals = 0;
    globalThis.hasNoMediaSource = true;
    return (await play((states) => () => states.length >= 2)).slice(0, 2);
  },

  async decoder() {
    globalThis.refusals = 0;
    const { CameraStream } = await page('stream.js');
    let now = 1;
    let shown = 0;
    define('performance', { now: () => now });
    define('MediaSource', { isTypeSupported: () => true });
    const start = async () => {
      globalThis.players = 0;
      const video = Object.assign(new FakeElement(), { videoWidth: 640 });
      video.getVideoPlaybackQuality = () => ({ totalVideoFrames: shown, droppedVideoFrames: 0 });
      const stream = new CameraStream(video, 'cam=gate');
      stream.start();
      await until(() => globalThis.players === 1);
      return stream;
    };
    // -> the wait before the next attempt, without its random part
    const fail = async (stream) => {
      const { players } = globalThis;
      waits = [];
      globalThis.tellPage.error('MediaError');
      await until(() => globalThis.players > players);
      const [wait] = waits.filter((ms) => ms >= 90 && ms <= 15000);
      return [100, 1000, 2000].find((ms) => Math.abs(wait - ms) <= ms / 10) ?? wait;
    };
    const told = { plays: [] };
    let stream = await start();
    for (const playedMs of [2000, 5000, 11000, 900]) {
      shown++;
      await until(() => stream.state === 'live');
      now += playedMs;
      told.plays.push(await fail(stream));
    }
    stream.stop();
    for (const codec of ['hvc1', 'avc1', '']) {
      shown = 0;
      stream = await start();
      told[codec] = [];
      for (let times = 0; times < 2; times++) {
        globalThis.tellPage.media({ videoCodec: codec });
        told[codec].push([await fail(stream), address.includes('allow_h265=false')]);
      }
      stream.stop();
    }
    return told;
  },

  async config() {
    const { keepToken, loadCameras } = await page('server.js');
    const first = await loadCameras().catch(({ code }) => code);
    keepToken('the token');
    return [first, await loadCameras().catch(({ code }) => code)];
  },

  async turns() {
    const { FlvSocket } = await page('socket.js');
    const told = [];
    const open = (url) =>
      new FlvSocket(url, { bytes: 0 }, {
        onOpen: () => told.push('open'),
        onClose: ({ stuck }) => told.push(stuck ? 'stuck' : 'closed'),
      });
    for (let turn = 1; turn <= 6; turn++) open(`ws://server/?after=${turn * 20}`);
    open('ws://silent/');
    open('ws://silent/');
    await until(() => told.length === 8);
    return told;
  },

  async refusal() {
    const { FlvSocket } = await page('socket.js');
    const told = [];
    const onClose = ({ error }) => told.push(error.message);
    new FlvSocket('ws://refuses/', { bytes: 0 }, { onClose });
    await until(() => told.length > 0);
    return told[0];
  },

  async stuck() {
    const { FlvSocket } = await page('socket.js');
    const told = [];
    const events = { onOpen: () => told.push('open'), onClose: () => told.push('stuck') };
    new FlvSocket('ws://silent/', { bytes: 0 }, events);
    for (let turn = 1; turn <= 25; turn++) {
      new FlvSocket('ws://server/?after=20', { bytes: 0 }, events);
      await until(() => told.filter((end) => end === 'open').length === turn);
    }
    return told.includes('stuck');
  },

  async queue() {
    const { FlvSocket } = await page('socket.js');
    const counter = { bytes: 0, read() {} };
    let opened = 0;
    const events = { onOpen: () => opened++, onData() {}, onClose() {} };
    for (let turn = 1; turn <= 6; turn++) new FlvSocket(`ws://s/?after=${turn * 20}`, counter, events);
    return play((states, stream) => () => {
      if (opened === 6) stream.onServerStreams(); // 12 s have passed
      return opened === 6;
    });
  },

  async tile() {
    globalThis.refusals = 0;
    const { Tile } = await page('tile.js');
    const template = { content: { firstElementChild: new FakeElement() } };
    const tile = new Tile(template, { cam: 'gate' }, {});
    const before = observed;
    tile.close();
    return [before, observed];
  },
};

// -> has the page been loaded again?
async function withoutScripts(wanted) {
  await page('early.js');
  if (wanted) await until(() => loads > 0);
  else await passed(1000);
  return loads > 0;
}

faults.wall = () => withoutScripts(true);
faults.desk = faults.up = () => withoutScripts(false);

// -> the order in which tasks began
faults.gate = async () => {
  const { Gate } = await page('gate.js');
  const [gate, order, ends, stop] = [new Gate(1), [], [], new AbortController()];
  const task = (name) => () =>
    new Promise((resolve) => {
      order.push(name);
      ends.push(resolve);
    });
  gate.run(task('first'));
  gate.run(task('down'), undefined, true);
  gate.run(task('given up'), stop.signal).catch(() => order.push('aborted'));
  gate.run(task('good'));
  gate.run(task('down too'), undefined, true);
  stop.abort();
  for (let i = 0; i < 4; i++) {
    await passed(1);
    ends[i]();
  }
  return order;
};

// -> how many pages were turned after each step, by a clock of the test
faults.cycle = async () => {
  const browser = new EventTarget();
  define('addEventListener', browser.addEventListener.bind(browser));
  let [now, may, turns, look] = [0, true, 0, null];
  define('performance', { now: () => now });
  define('setInterval', (call) => {
    look = call;
  });
  const { Cycle } = await page('wall.js');
  const after = (time) => {
    now = time;
    look();
    return turns;
  };
  const happens = (type, more) => browser.dispatchEvent(Object.assign(new Event(type), more));
  const cycle = new Cycle(
    () => turns++,
    () => may,
  );
  cycle.set(3);
  const found = [after(2900)];
  happens('pointermove', { movementX: 1, movementY: 0 });
  found.push(after(5800));
  happens('pointermove', { movementX: 0, movementY: 0 }); // something came under a pointer that rests
  found.push(after(6000));
  happens('keydown', { key: 'x' });
  may = false;
  found.push(after(9000));
  may = true;
  found.push(after(11900), after(12000));
  cycle.set(0);
  found.push(after(100000));
  return found;
};

faults.still = async () => {
  const { Still } = await page('still.js');
  const [at, label, told] = [new Date(2026, 0, 2, 3, 4, 5), {}, []];
  const still = new Still({ getContext: () => ({ drawImage() {} }) }, label);
  const tell = () => told.push(label.textContent ?? '');
  still.setTime(null, true);
  tell();
  still.setTime(at, false);
  tell();
  still.keep({ videoWidth: 640, videoHeight: 360, readyState: 2 }, at.getTime() + 1500);
  tell();
  still.setTime(at, false); // others may have come since
  tell();
  still.setTime(at, true);
  tell();
  return told;
};

faults.labels = async () => {
  const { provisionalLabel } = await page('server.js');
  const queries = ['cam=', 'cam=gate', 'cam_url=', 'cam_url=javascript:alert(1)'];
  return [...queries, 'cam_url=rtsp%3A%2F%2Fu%3Ap%4010.0.0.9%2Fs'].map(provisionalLabel);
};

faults.clock = async () => {
  const { keepToken, loadStreams } = await page('server.js');
  const { sinceText } = await page('since.js');
  keepToken('the token');
  await loadStreams();
  return /\(.*\)/.exec(sinceText(new Date(timeOf(5 * 3600 - 150))))[0];
};

faults.quarantined = async () => {
  const { conditionOf } = await page('condition.js');
  const at = (minute) => new Date(2026, 0, 2, 3, minute, 5).toISOString();
  const times = { down_since: at(4), next_try: at(5) };
  return conditionOf({ state: 'quarantined', reason: 'overloaded', ...times }).words;
};

process.on('unhandledRejection', (error) => {
  console.log(JSON.stringify({ unhandled: String(error) }));
  process.exit(0);
});
console.log(JSON.stringify(await faults[fault]()));
process.exit(0);
