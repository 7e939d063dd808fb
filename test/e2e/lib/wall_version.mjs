// master/web/wall.js in a browser and before a server that are made up here, with a clock of its
// own: when is the page loaded again?  The page is version 1.  Arguments: wall.js, then a word a step:
//   all VERSION   the server gives this version of the page
//   part VERSION  all of it but one file
//   other         it gives something that is not the page
//   kiosk, return  what happens to the page
//   wait SECONDS
// Writes how many times the page has been loaded again after each step.

import { pathToFileURL } from 'node:url';

const [, , wall, ...steps] = process.argv;
const files = ['/', '/assets/a.js', '/assets/b.css'].map((path) => `http://server${path}`);
const pageOf = (version) => `<head>
<meta name="version" content="${version}">
<link rel="stylesheet" href="assets/b.css">
<script src="assets/a.js" type="module"></script>`;
let now = 0;
let timers = [];
let version = null;
let missing = '';
let loads = 0;

const settle = () => new Promise((resolve) => setImmediate(resolve));

function define(name, value) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true });
}

define('window', globalThis);
define('document', {
  hidden: false,
  documentElement: { dataset: {} },
  querySelector: () => ({ content: '1' }),
});
define('navigator', { language: 'en' });
define('history', {});
define('location', { href: files[0], pathname: '/', search: '', hash: '', reload: () => loads++ });
define('performance', { now: () => now });
define('fetch', async (url) => ({
  ok: version !== null && url !== missing && files.includes(url),
  text: async () => (version === 'other' ? '<h1>Log in</h1>' : pageOf(version)),
}));
const start = (every) => (call, ms) => {
  const id = timers.length + 1;
  timers.push({ id, call, at: now + ms, every: every ? ms : 0 });
  return id;
};
const stop = (id) => {
  timers = timers.map((timer) => (timer.id === id ? { ...timer, at: Infinity } : timer));
};
define('setTimeout', start(false));
define('setInterval', start(true));
define('clearTimeout', stop);
define('clearInterval', stop);

async function wait(ms) {
  const until = now + ms;
  for (;;) {
    await settle();
    const next = timers.reduce((a, b) => (b.at < a.at ? b : a), { at: Infinity });
    if (next.at > until) break;
    now = next.at;
    next.at = next.every > 0 ? now + next.every : Infinity;
    next.call();
  }
  now = until;
}

const { Wall } = await import(pathToFileURL(wall));
const page = new Wall();
const told = [];
while (steps.length > 0) {
  const step = steps.shift();
  if (step === 'all' || step === 'part') {
    version = steps.shift();
    missing = step === 'part' ? files[2] : '';
  } else if (step === 'other') version = step;
  else if (step === 'kiosk') page.set(true);
  else if (step === 'return') page.onReturn();
  else await wait(Number(steps.shift()) * 1000);
  for (let i = 0; i < 20; i++) await settle();
  told.push(loads);
}
console.log(JSON.stringify(told));
process.exit(0);
