// The keys of the dashboard.

import { showKeys } from './dialogs.js';
import { toggleFullScreen } from './wall.js';

const CYCLE_S = 15; // for each page, when the button or the key starts it

const HELP = [
  ['← ↑ → ↓', 'key_arrows'],
  ['Shift + ← ↑ → ↓', 'key_move'],
  ['PageUp PageDown', 'key_pages'],
  ['Enter', 'key_enter'],
  ['/', 'key_find'],
  ['t', 'key_status'],
  ['m', 'key_m'],
  ['f', 'key_f'],
  ['c', 'key_cycle'],
  ['k', 'key_kiosk'],
  ['+ −', 'key_zoom'],
  ['Delete', 'key_delete'],
  ['a', 'key_a'],
  ['1 2 4 5 6 9 0', 'key_layout'],
  ['?', 'key_help'],
];
const LAYOUT_KEYS = { 1: '1', 2: '2', 4: '4', 5: '1+5', 6: '6', 9: '9', 0: '16' };

export function toggleCycle(board) {
  board.change({ cycle: board.view.cycle > 0 ? 0 : CYCLE_S });
}

export function toggleStatus(board) {
  board.change({ status: !board.view.status });
}

export class Keys {
  #board;
  #grid;
  #ofPage;
  #ofTile;
  #onFind;

  // @param board, grid  a Board and the Grid that shows it
  // @param onAdd     ()
  // @param onRemove  (index within the page)
  // @param onFind    (the place that has the focus, or null)
  constructor(board, grid, { onAdd, onRemove, onFind }) {
    this.#board = board;
    this.#grid = grid;
    this.#onFind = onFind;
    this.#ofPage = {
      a: onAdd,
      '?': () => showKeys(HELP),
      t: () => toggleStatus(board),
      c: () => toggleCycle(board),
      k: () => board.change({ kiosk: !board.view.kiosk }),
      PageUp: () => board.turn(-1),
      PageDown: () => board.turn(1),
    };
    this.#ofTile = {
      m: (tile) => tile.toggleSound(),
      f: (tile) => tile.toggleFullScreen(),
      Delete: ({ element }) => onRemove(grid.indexOf(element)),
      '+': (tile) => tile.zoom(1),
      '-': (tile) => tile.zoom(-1),
    };
    document.addEventListener('keydown', (event) => this.#onKey(event));
  }

  #onKey(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target.closest('dialog')) return;
    if (event.target.matches('input:not([type="radio"]), select')) return;
    const place = this.#grid.placeOf(event.target);
    const action = this.#actionOf(event, place, event.target === place);
    if (!action) return;
    event.preventDefault();
    action();
  }

  // What a key does at this place, or undefined.
  #actionOf({ key, shiftKey }, place, onTile) {
    if (LAYOUT_KEYS[key]) return () => this.#board.setLayout(LAYOUT_KEYS[key]);
    if (this.#ofPage[key]) return this.#ofPage[key];
    if (key === '/') return () => this.#onFind(place);
    if (!place) return this.#withoutPlace(key);
    if (key.startsWith('Arrow')) return () => this.#move(place, key, shiftKey);
    if (key === 'Enter' && onTile) return () => place.querySelector('[data-part="open"]')?.click();
    return place.tile && this.#ofTile[key] && (() => this.#ofTile[key](place.tile));
  }

  // Without a tile to stand on, arrows turn pages.
  #withoutPlace(key) {
    const turn = (by) => () => this.#board.turn(by);
    return { ArrowLeft: turn(-1), ArrowRight: turn(1), f: toggleFullScreen }[key];
  }

  #move(place, key, withTile) {
    if (withTile) this.#grid.moveTile(place, key);
    else this.#grid.moveFocus(place, key, (by) => this.#board.turn(by));
  }
}
