// Which camera is in which place: the view that the page's address holds, and the steps that change it.

import { camerasOf, formatView, layoutFor, pageOf, parseView, placesOf } from './view.js';

// Event: 'show', when the page of cameras that is shown has changed, or may have.
export class Board extends EventTarget {
  view = parseView('');
  named = []; // the server's cameras, as the API lists them
  shown = pageOf(this.view, []); // the page that is in the grid

  // @param kept  hold on to what is shown: the server's list will come
  restore({ kept = false } = {}) {
    this.view = parseView(location.hash || location.search);
    if (!kept || !this.view.all) this.show();
  }

  show() {
    this.shown = pageOf(this.view, this.named);
    this.dispatchEvent(new Event('show'));
  }

  // @param keep  this is no step that "back" should undo
  change(next, { keep = false } = {}) {
    this.view = { ...this.view, ...next };
    const hash = formatView(this.view);
    if (hash !== location.hash) history[keep ? 'replaceState' : 'pushState'](null, '', hash);
    this.show();
  }

  // Another page.
  turn(by, { wrap = false } = {}) {
    const { page: now, pages } = this.shown;
    const next = now + by;
    const page = wrap ? ((next - 1 + pages) % pages) + 1 : next;
    if (page < 1 || page > pages || page === now) return false;
    this.change({ page }, { keep: true });
    return true;
  }

  // The camera in the first place stays in sight.
  setLayout(layout) {
    const page = Math.floor(this.shown.from / placesOf(layout)) + 1;
    this.change({ layout, page, status: false });
  }

  setGroup(group) {
    this.change({ group, page: 1, all: true, cameras: [], layout: '' });
  }

  groups() {
    return [...new Set(this.named.map(({ group }) => group).filter(Boolean))];
  }

  // What the server's list says of a camera.
  namedOf({ cam }) {
    return this.named.find(({ name }) => name === cam);
  }

  // All places as they are, so that they can be changed one by one.
  places() {
    return [...camerasOf(this.view, this.named)];
  }

  firstEmpty() {
    const free = this.places().indexOf(null);
    return free === -1 ? this.places().length : free;
  }

  indexOfName(name) {
    return this.places().findIndex((camera) => camera?.cam === name);
  }

  // @param index  here and below: among all cameras, if nothing else is said
  remove(index) {
    const cameras = this.places().map((camera, i) => (i === index ? null : camera));
    this.change({ cameras, all: false, group: '', layout: this.shown.layout });
  }

  // @param from, to  indexes within the page
  swap(from, to) {
    const cameras = this.places();
    const [a, b] = [this.shown.from + from, this.shown.from + to];
    while (cameras.length <= Math.max(a, b)) cameras.push(null);
    [cameras[a], cameras[b]] = [cameras[b], cameras[a]];
    const all = this.view.all && !cameras.includes(null);
    this.change({ cameras, all, layout: this.shown.layout });
  }

  // A camera into a place; the page that has the place is shown.
  // @param from  the place that the camera leaves
  // -> the index within the page
  put(camera, index, from = index) {
    const cameras = this.places();
    while (cameras.length <= index) cameras.push(null);
    cameras[index] = camera;
    if (from !== index && this.view.all) cameras.splice(from, 1);
    else if (from !== index) cameras[from] = null;
    const all = this.view.all && !cameras.includes(null);
    const { layout: now, pages } = this.shown;
    const fits = placesOf(now) >= cameras.length ? now : layoutFor(cameras.length);
    const layout = pages > 1 ? now : fits;
    const moved = from < index && this.view.all ? index - 1 : index;
    return this.#showPlace({ layout, cameras, all, status: false }, moved, layout);
  }

  // A camera of the server into a place, or, without a place, the page that has it: it is shown once.
  // -> the index within the page
  putNamed(camera, index) {
    const at = this.indexOfName(camera.cam);
    if (at === -1) return this.put(camera, index ?? this.firstEmpty());
    if (index === null) return this.#showPlace({ status: false }, at, this.shown.layout);
    return this.put(camera, index, at);
  }

  #showPlace(next, index, layout) {
    this.change({ ...next, page: Math.floor(index / placesOf(layout)) + 1 });
    return index - this.shown.from;
  }
}
