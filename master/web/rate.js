// Does this computer show the pictures that arrive?  Counts both, and tells when it is too slow.

const WINDOW_MS = 2000;
const SLOW_WINDOWS = 3; // in a row
const ENOUGH = 0.5; // of the pictures that arrive
const FEW = 4; // pictures per second that say nothing about a computer
const LATE_S = 2.0; // between what is shown and what has arrived

export class PictureRate {
  #at = 0;
  #shown = 0; // up to #at
  #arrived = 0;
  #slowWindows = 0;
  shown = 0; // pictures per second
  arriving = 0; // 0: not known

  // @param counted  totals so far, as update() takes them
  reset(now, counted) {
    this.#at = now;
    this.#shown = counted.shown;
    this.#arrived = counted.arrived;
    this.#slowWindows = this.shown = this.arriving = 0;
  }

  get tooSlow() {
    return this.#slowWindows >= SLOW_WINDOWS;
  }

  // @param counted  totals: { shown, arrived }
  // @param delay    seconds between what is shown and what has arrived
  update(now, counted, delay) {
    if (counted.shown < this.#shown) this.#shown = 0; // a new source starts from 0
    const time = now - this.#at;
    if (time < WINDOW_MS) return;
    this.shown = ((counted.shown - this.#shown) * 1000) / time;
    this.arriving = ((counted.arrived - this.#arrived) * 1000) / time;
    this.#at = now;
    this.#shown = counted.shown;
    this.#arrived = counted.arrived;
    const behind = this.shown < this.arriving * ENOUGH || (delay > LATE_S && this.shown > 0);
    this.#slowWindows = behind && this.arriving > FEW ? this.#slowWindows + 1 : 0;
  }
}
