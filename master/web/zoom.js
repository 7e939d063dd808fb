// Zoom into a picture: by wheel, by two fingers, by keys; drag moves it, a double click ends it.

const MAX = 8;
const STEP = 1.25;

export class Zoom {
  #area;
  #pictures;
  #allowed;
  #scale = 1;
  #x = 0; // of the picture's centre, from the area's, in pixels
  #y = 0;
  #pointers = new Map();

  // @param pictures  elements that fill the area and move together
  // @param allowed   () => may one zoom now?
  constructor(area, pictures, allowed = () => true) {
    this.#area = area;
    this.#pictures = pictures;
    this.#allowed = allowed;
    area.addEventListener('wheel', (event) => this.#onWheel(event), { passive: false });
    area.addEventListener('pointerdown', (event) => this.#onDown(event));
    area.addEventListener('pointermove', (event) => this.#onMove(event));
    for (const name of ['pointerup', 'pointercancel', 'pointerleave'])
      area.addEventListener(name, (event) => this.#pointers.delete(event.pointerId));
    area.addEventListener('dblclick', (event) => this.#onPicture(event) && this.reset());
  }

  get scale() {
    return this.#scale;
  }

  reset() {
    this.#scale = 1;
    this.#x = this.#y = 0;
    this.#show();
  }

  // Larger (1) or smaller (-1), towards the middle.
  step(direction) {
    if (this.#allowed()) this.#zoom(STEP ** direction, 0, 0);
  }

  #onPicture(event) {
    return this.#allowed() && !event.target.closest('button, a, input, select, dialog');
  }

  // Offset of a point of the window from the area's centre.
  #offset({ clientX, clientY }) {
    const box = this.#area.getBoundingClientRect();
    return [clientX - box.left - box.width / 2, clientY - box.top - box.height / 2];
  }

  // The point of the picture that is at (x, y) stays there.
  #zoom(factor, x, y) {
    const scale = Math.min(MAX, Math.max(1, this.#scale * factor));
    const by = scale / this.#scale;
    this.#scale = scale;
    this.#x = x - (x - this.#x) * by;
    this.#y = y - (y - this.#y) * by;
    this.#show();
  }

  #show() {
    const { clientWidth, clientHeight } = this.#area;
    const bound = (value, size) => {
      const most = (size * (this.#scale - 1)) / 2;
      return Math.min(most, Math.max(-most, value));
    };
    this.#x = bound(this.#x, clientWidth);
    this.#y = bound(this.#y, clientHeight);
    const plain = this.#scale === 1;
    for (const picture of this.#pictures)
      picture.style.transform = plain
        ? ''
        : `translate(${this.#x}px, ${this.#y}px) scale(${this.#scale})`;
    this.#area.dataset.zoomed = String(!plain);
  }

  #onWheel(event) {
    if (!this.#onPicture(event)) return;
    event.preventDefault();
    this.#zoom(event.deltaY < 0 ? STEP : 1 / STEP, ...this.#offset(event));
  }

  #onDown(event) {
    if (!this.#onPicture(event)) return;
    this.#pointers.set(event.pointerId, event);
    if (this.#scale > 1) this.#area.setPointerCapture(event.pointerId);
  }

  #onMove(event) {
    const before = this.#pointers.get(event.pointerId);
    if (before === undefined || !this.#allowed()) return;
    this.#pointers.set(event.pointerId, event);
    const other = [...this.#pointers.values()].find((p) => p.pointerId !== event.pointerId);
    if (other !== undefined) {
      const apart = (p) => Math.hypot(p.clientX - other.clientX, p.clientY - other.clientY);
      const middle = {
        clientX: (event.clientX + other.clientX) / 2,
        clientY: (event.clientY + other.clientY) / 2,
      };
      if (apart(before) > 0) this.#zoom(apart(event) / apart(before), ...this.#offset(middle));
    } else if (this.#scale > 1) {
      this.#x += event.clientX - before.clientX;
      this.#y += event.clientY - before.clientY;
      this.#show();
    }
  }
}
