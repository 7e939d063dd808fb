// A bound on requests that may wait for a camera.
//
// A browser has six connections to a host and port.  Requests that wait for silent cameras must
// never take them all: the API, and what good cameras ask for, need some too.

export class Gate {
  #free;
  #waiting = [];

  constructor(most) {
    this.#free = most;
  }

  // Will the next one have to wait?
  get full() {
    return this.#free === 0;
  }

  // Run a task when fewer than `most` others run.  Throws an AbortError when the signal comes first.
  async run(task, signal) {
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal);
    try {
      signal?.throwIfAborted();
      return await task();
    } finally {
      this.#leave();
    }
  }

  #wait(signal) {
    return new Promise((resolve, reject) => {
      this.#waiting.push(resolve);
      signal?.addEventListener('abort', () => {
        const at = this.#waiting.indexOf(resolve);
        if (at === -1) return;
        this.#waiting.splice(at, 1);
        reject(signal.reason);
      });
    });
  }

  #leave() {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#free++;
  }
}
