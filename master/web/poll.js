// Asks the server again and again: its cameras, their streams, and whether it is there at all.
// One request at a time.

import { loadCameras, loadStreams } from './server.js';

const POLL_MS = 2000;
const ALERT_MS = 1000; // while something is wrong
const SOON_MS = 300; // between two requests, whatever happens
const NAMED_EVERY = 3; // the list of cameras, each so many polls

export class Poll extends EventTarget {
  named = []; // cameras of the server, as the API lists them
  streams = [];
  failure = null; // why the last answer is missing: a ServerError
  #count = 0;
  #timer = 0;
  #busy = false;
  #answer = null; // a promise
  #at = -Infinity;
  #started = false;
  #isUrgent;
  #mayAsk;

  // @param isUrgent  () => is something wrong that the server may explain, or that may be over?
  // @param mayAsk    () => does anybody look?
  // Events: 'named', 'streams', 'failure', 'return' (the server answers again).
  constructor({ isUrgent, mayAsk }) {
    super();
    this.#isUrgent = isUrgent;
    this.#mayAsk = mayAsk;
  }

  // The first answers.  Then it goes on by itself.
  async start() {
    this.#started = true;
    await this.#answer; // of a question under way, which may be older than what happened
    this.#count = 0;
    await this.#ask();
  }

  // Something happened that the server knows more about.
  soon() {
    if (this.#busy || !this.#started) return;
    clearTimeout(this.#timer);
    const wait = Math.max(0, this.#at + SOON_MS - performance.now());
    this.#timer = setTimeout(() => this.#ask(), wait);
  }

  async #ask() {
    if (this.#busy) return;
    this.#busy = true;
    clearTimeout(this.#timer);
    this.#at = performance.now();
    if (this.#mayAsk()) this.#answer = this.#read();
    await this.#answer;
    this.#busy = false;
    this.#timer = setTimeout(() => this.#ask(), this.#isUrgent() ? ALERT_MS : POLL_MS);
  }

  async #read() {
    try {
      if (this.#count++ % NAMED_EVERY === 0) await this.#readNamed();
      this.streams = await loadStreams();
      const returned = this.failure !== null;
      this.failure = null;
      this.#tell('streams');
      if (returned) this.#tell('return');
    } catch (error) {
      this.#count = 0; // the list may have changed meanwhile
      this.failure = error;
      this.streams = [];
      this.#tell('failure');
    }
  }

  async #readNamed() {
    this.named = await loadCameras();
    this.#tell('named');
  }

  #tell(name) {
    this.dispatchEvent(new Event(name));
  }
}
