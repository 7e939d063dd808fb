// Tiles change places: by mouse, by finger, and by keys.

const MOVE_PX = 8; // a mouse that moves farther drags
const HOLD_MS = 400; // a finger or pen that rests so long drags; one that moves earlier scrolls the page
const EDGE_PX = 48; // of the window: a tile that is held there scrolls the page
const SCROLL_PX = 16;

// Does somebody drag a tile?
export function isDragging(grid) {
  return grid.querySelector('[data-dragged]') !== null;
}

class Drag {
  #grid;
  #onSwap;
  #start = null; // the pointer that is down on a tile: { element, id, x, y, timer }
  #dragged = null; // the tile's element; pages may turn while it is under way

  constructor(grid, onSwap) {
    this.#grid = grid;
    this.#onSwap = onSwap;
    grid.addEventListener('pointerdown', (event) => this.#onDown(event));
    window.addEventListener('pointermove', (event) => this.#onMove(event));
    window.addEventListener('pointerup', (event) => this.#onUp(event));
    window.addEventListener('pointercancel', (event) => this.#isOurs(event) && this.#end());
    window.addEventListener('keydown', ({ key }) => key === 'Escape' && this.#end());
    // A finger that drags does not scroll, and opens no menu.
    const prevent = (event) => this.#dragged !== null && event.preventDefault();
    grid.addEventListener('touchmove', prevent, { passive: false });
    grid.addEventListener('contextmenu', prevent);
    grid.addEventListener('dragstart', (event) => event.preventDefault()); // the browser's own
  }

  #isOurs({ pointerId }) {
    return this.#start?.id === pointerId;
  }

  #placeOf(target) {
    const place = target?.closest?.('#grid > *') ?? null;
    return place?.parentElement === this.#grid ? place : null;
  }

  #onDown(event) {
    this.#end(); // a second finger zooms or scrolls
    const element = this.#placeOf(event.target);
    const onControl = event.target.closest('button, a, input, select');
    if (!element?.tile || document.fullscreenElement === element) return;
    if (document.documentElement.dataset.kiosk === 'true') return; // nobody could undo it there
    if (onControl || event.button !== 0 || !event.isPrimary) return;
    const { pointerId: id, clientX: x, clientY: y } = event;
    this.#start = { element, id, x, y, timer: 0 };
    if (event.pointerType !== 'mouse')
      this.#start.timer = setTimeout(() => this.#begin(), HOLD_MS);
  }

  #begin() {
    this.#dragged = this.#start.element;
    this.#dragged.dataset.dragged = 'true';
  }

  #onMove(event) {
    if (!this.#isOurs(event)) return;
    if (event.pointerType === 'mouse' && event.buttons === 0) this.#end(); // released elsewhere
    else if (this.#dragged === null) this.#beginByMove(event);
    if (this.#dragged === null) return;
    this.#mark(this.#under(event));
    if (event.clientY < EDGE_PX) window.scrollBy(0, -SCROLL_PX);
    else if (event.clientY > window.innerHeight - EDGE_PX) window.scrollBy(0, SCROLL_PX);
  }

  #beginByMove({ pointerType, clientX, clientY }) {
    const far = Math.hypot(clientX - this.#start.x, clientY - this.#start.y) > MOVE_PX;
    if (far && pointerType !== 'mouse') this.#end();
    else if (far) this.#begin();
  }

  #onUp(event) {
    if (!this.#isOurs(event)) return;
    const children = [...this.#grid.children];
    const from = children.indexOf(this.#dragged);
    const to = children.indexOf(this.#under(event));
    this.#end();
    if (from !== -1 && to !== -1 && from !== to) this.#onSwap(from, to);
  }

  #under({ clientX, clientY }) {
    return this.#placeOf(document.elementFromPoint(clientX, clientY));
  }

  #mark(place) {
    for (const other of this.#grid.children) other.dataset.drop = String(other === place);
  }

  #end() {
    clearTimeout(this.#start?.timer);
    if (this.#dragged !== null) {
      delete this.#dragged.dataset.dragged;
      this.#mark(null);
    }
    this.#start = this.#dragged = null;
  }
}

// @param grid    whose children are the places
// @param onSwap  (from, to): two indexes of places
export function letDrag(grid, onSwap) {
  return new Drag(grid, onSwap);
}

// The place that an arrow leads to from another one.  -1 and 1: beyond the first and the last one,
// or beyond the edge that the arrow points to.
// -> { index } or { turn }
export function neighbour(grid, from, key) {
  const columns = window.getComputedStyle(grid).gridTemplateColumns.split(' ').length;
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[key];
  const index = from + step;
  if (index < 0) return { turn: -1 };
  return index < grid.children.length ? { index } : { turn: 1 };
}
