// A bound on what may be under way at the same time.
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
  // @param last  it can wait: those that cannot go first
  async run(task, signal, last = false) {
    if (this.#free > 0) this.#free--;
    else await this.#wait(signal, last);
    try {
      signal?.throwIfAborted();
      return await task();
    } finally {
      this.#leave();
    }
  }

  #wait(signal, last) {
    return new Promise((resolve, reject) => {
      const entry = { resolve, last };
      const before = last ? -1 : this.#waiting.findIndex((other) => other.last);
      this.#waiting.splice(before === -1 ? this.#waiting.length : before, 0, entry);
      signal?.addEventListener('abort', () => {
        const at = this.#waiting.indexOf(entry);
        if (at === -1) return;
        this.#waiting.splice(at, 1);
        reject(signal.reason);
      });
    });
  }

  #leave() {
    const next = this.#waiting.shift();
    if (next) next.resolve();
    else this.#free++;
  }
}
