// The page on a wall, where nobody has a mouse: it fills the screen, keeps it awake, turns its pages.

import { givesAll, ownVersion, servedPage } from './server.js';

const VERSION_MS = 10 * 60 * 1000;
const AGAIN_MS = 10 * 1000; // the server did not give all of it
const YOUNG_MS = 60 * 1000; // two servers of different versions behind one proxy: load no page more often

export function toggleFullScreen() {
  if (document.fullscreenElement) document.exitFullscreen();
  else document.documentElement.requestFullscreen?.().catch(() => {});
}

// Browsers allow it on pages that came by HTTPS or from this computer.
let awake = null;
async function keepAwake() {
  if (document.hidden || awake !== null) return;
  try {
    awake = await navigator.wakeLock.request('screen');
    awake.addEventListener('release', () => {
      awake = null;
    });
  } catch {
    awake = null; // not allowed here, or the battery is low
  }
}

// Another version of the page is on the server, after an upgrade: take it, when all of it is there.
// @return false: the server does not give all of a page now, ask again soon
async function takeNewVersion() {
  const served = await servedPage();
  if (served === null) return false;
  if (served.version === ownVersion()) return true;
  if (!(await givesAll(served.files))) return false;
  location.reload();
  return true;
}

export class Wall {
  #on = false;
  #timer = 0;

  set(on) {
    if (on === this.#on) return;
    this.#on = on;
    document.documentElement.dataset.kiosk = String(on);
    clearTimeout(this.#timer);
    if (on) {
      keepAwake();
      this.#look();
    } else awake?.release();
  }

  // The page is seen again: browsers took the screen's lock when it was hidden.
  onVisible() {
    if (this.#on) keepAwake();
  }

  // The server answers again: it may be another version.
  onReturn() {
    if (this.#on) this.#look();
  }

  async #look() {
    const young = YOUNG_MS - performance.now();
    const wait = young > 0 ? young : (await takeNewVersion()) ? VERSION_MS : AGAIN_MS;
    clearTimeout(this.#timer);
    if (this.#on) this.#timer = setTimeout(() => this.#look(), wait);
  }

  // Browsers fill the screen only after somebody touched the page.
  onTouch() {
    if (this.#on && !document.fullscreenElement) toggleFullScreen();
  }
}

// Browsers tell of a pointer that rests too, when something else comes under it.
function moved({ type, movementX, movementY }) {
  return type !== 'pointermove' || movementX !== 0 || movementY !== 0;
}

// Turns pages, but not while somebody is there.
export class Cycle {
  #seconds = 0;
  #at = 0;

  // @param mayTurn  () => may the page be turned now?
  constructor(turn, mayTurn) {
    for (const name of ['pointermove', 'pointerdown', 'keydown', 'wheel'])
      window.addEventListener(name, (event) => moved(event) && this.#wait(), { passive: true });
    setInterval(() => {
      if (this.#seconds === 0 || performance.now() - this.#at < this.#seconds * 1000) return;
      this.#wait();
      if (mayTurn()) turn();
    }, 250);
  }

  set(seconds) {
    if (seconds !== this.#seconds) this.#wait();
    this.#seconds = seconds;
  }

  #wait() {
    this.#at = performance.now();
  }
}
