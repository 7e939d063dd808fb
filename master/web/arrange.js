// Tiles change places: by drag, and by keys.

const DRAGGED = 'application/x-cam-httpflv-place';

// Does somebody drag a tile?
export function isDragging(grid) {
  return grid.querySelector('[data-dragged]') !== null;
}

// @param grid    whose children are the places
// @param onSwap  (from, to): two indexes of places
export function letDrag(grid, onSwap) {
  let dragged = null; // pages may turn while it is under way
  const end = () => {
    if (dragged !== null) delete dragged.dataset.dragged;
    dragged = null;
  };
  const placeOf = (target) => target.closest?.('#grid > *') ?? null;
  const indexOf = (element) => [...grid.children].indexOf(element);
  const mark = (element) => {
    for (const other of grid.children) other.dataset.drop = String(other === element);
  };
  grid.addEventListener('dragstart', (event) => {
    const element = placeOf(event.target);
    if (!element?.tile || document.fullscreenElement === element) return event.preventDefault();
    dragged = element;
    element.dataset.dragged = 'true';
    event.dataTransfer.setData(DRAGGED, '');
    event.dataTransfer.effectAllowed = 'move';
    return undefined;
  });
  grid.addEventListener('dragover', (event) => {
    const element = placeOf(event.target);
    if (element === null || !event.dataTransfer.types.includes(DRAGGED)) return;
    event.preventDefault();
    mark(element);
  });
  grid.addEventListener('drop', (event) => {
    const element = placeOf(event.target);
    mark(null);
    if (element === null || !event.dataTransfer.types.includes(DRAGGED)) return;
    event.preventDefault();
    const from = dragged === null ? -1 : indexOf(dragged);
    end();
    if (from !== -1 && from !== indexOf(element)) onSwap(from, indexOf(element));
  });
  window.addEventListener('pointerdown', end); // if a tile that was moved meanwhile heard of no end
  grid.addEventListener('dragend', () => {
    mark(null);
    end();
  });
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
