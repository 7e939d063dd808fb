// The places of one page: a tile for each camera, and places that are empty.

import { isDragging, letDrag, neighbour } from './arrange.js';
import { queryOf } from './server.js';
import { Tile } from './tile.js';

const byId = (id) => document.getElementById(id);
const focusable = (element) => (element?.tile ? element : element?.querySelector('button'));

function lookAt(element) {
  const { clientWidth: width, clientHeight: height } = element;
  const { top, bottom } = element.getBoundingClientRect();
  return { width, height, inSight: bottom > 0 && top < window.innerHeight };
}

export class Grid {
  #element = byId('grid');
  #actions;
  #hint = '';
  #current = null; // the element that is in the order of the Tab key
  #sight = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) entry.target.tile?.setInSight(entry.isIntersecting);
    },
    { threshold: 0.01 },
  );

  // @param actions  { onAdd, onChange, onRemove, onSwap }: of indexes within the page
  constructor(actions) {
    this.#actions = actions;
    letDrag(this.#element, actions.onSwap);
    this.#element.addEventListener('focusin', (event) => {
      const element = this.placeOf(event.target);
      if (element?.tile) this.#setCurrent(element);
    });
  }

  get element() {
    return this.#element;
  }

  get isDragging() {
    return isDragging(this.#element);
  }

  tiles() {
    return [...this.#element.children].map((element) => element.tile).filter(Boolean);
  }

  // The place that something is in, or null.
  placeOf(element) {
    return element.closest('#grid > *');
  }

  indexOf(element) {
    return [...this.#element.children].indexOf(element);
  }

  focus(index) {
    focusable(this.#element.children[index])?.focus();
  }

  // @param shown  a page, as pageOf() makes it
  // @param hint   what an empty grid says
  show({ layout, cameras }, hint) {
    this.#hint = hint;
    this.#element.dataset.layout = layout; // before the tiles ask how large they are
    const elements = this.#elementsOf(cameras);
    // Moving an element stops its video, so those that stay in place are left alone.
    elements.forEach((element, i) => {
      const there = this.#element.children[i];
      if (there !== element) this.#element.insertBefore(element, there ?? null);
    });
    while (this.#element.children.length > elements.length) this.#element.lastElementChild.remove();
    const stays = elements.includes(this.#current);
    this.#setCurrent(stays ? this.#current : elements.find(({ tile }) => tile));
  }

  // Observers tell how large tiles are and which are in sight only with the next frame, which takes
  // long on a full wall.
  look() {
    const tiles = this.tiles();
    const looks = tiles.map(({ element }) => lookAt(element)); // all, before anything changes the page
    tiles.forEach((tile, i) => tile.onLook(looks[i]));
  }

  // One element of the grid is in the order of the Tab key; arrows lead to the others.
  #setCurrent(element = null) {
    this.#current = element;
    for (const other of this.#element.children) other.tile?.setTabStop(other === element);
  }

  #elementsOf(cameras) {
    const old = new Map();
    for (const tile of this.tiles()) old.set(tile.query, [...(old.get(tile.query) ?? []), tile]);
    const elements = cameras.map((camera) =>
      camera === null ? this.#emptyPlace() : this.#tileOf(camera, old).element,
    );
    for (const left of [...old.values()].flat()) {
      this.#sight.unobserve(left.element);
      left.close();
    }
    return elements;
  }

  // The tile of a camera: one of the old ones, if there is one, because it plays already.
  #tileOf(camera, old) {
    const kept = old.get(queryOf(camera))?.shift();
    if (kept) return kept;
    const { onRemove, onChange } = this.#actions;
    const tile = new Tile(byId('tile-template'), camera, {
      onRemove: ({ element }) => onRemove(this.indexOf(element)),
      onChange: ({ element }) => onChange(this.indexOf(element), camera),
    });
    this.#sight.observe(tile.element);
    return tile;
  }

  #emptyPlace() {
    const element = byId('empty-template').content.firstElementChild.cloneNode(true);
    const add = () => this.#actions.onAdd(this.indexOf(element));
    element.querySelector('button').addEventListener('click', add);
    element.querySelector('.hint').textContent = this.#hint;
    return element;
  }

  // The place that an arrow leads to, focused.
  // @param turn  (by) => was there another page?
  moveFocus(from, key, turn) {
    const { index, turn: by } = neighbour(this.#element, this.indexOf(from), key);
    if (by === undefined) this.focus(index);
    else if (turn(by)) this.focus(by > 0 ? 0 : this.#element.children.length - 1);
  }

  // The tile changes places with the one that an arrow leads to.
  moveTile(from, key) {
    const index = this.indexOf(from);
    const { index: to } = neighbour(this.#element, index, key);
    if (to === undefined || !from.tile) return;
    this.#actions.onSwap(index, to);
    this.focus(to);
  }
}
