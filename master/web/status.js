// The table of all cameras: how each one is, since when, and a button that makes its session anew.

import { loadStream, restartStream, wordsOf } from './server.js';
import { follow, matches } from './rows.js';
import { agoText, timeText } from './since.js';
import { text } from './text.js';
import { bitRateText } from './tile.js';

const keyOf = ({ id, name }) => id ?? name;
const byId = (id) => document.getElementById(id);
const SLOW_LOOK_MS = 2000; // a state that changed to and fro between two looks is still told

function sizeText({ width, height } = {}) {
  return width ? `${width} × ${height}` : '';
}

// No line ends within a value.
const whole = (words) => words.replaceAll(' ', '\u00a0');

function rateText({ frame_rate: frameRate, bit_rate: bitRate } = {}) {
  if (!frameRate) return '';
  const pictures = whole(`${Number(frameRate).toFixed(1)} /s`);
  return bitRate ? `${pictures}, ${whole(bitRateText(bitRate))}` : pictures;
}

function sinceCell({ condition, since, stream }) {
  const at = condition.since ?? (stream === undefined ? null : since);
  if (at === null) return '';
  return `${timeText(at)} (${whole(agoText(at))})`;
}

// Column -> its words
const CELLS = {
  name: ({ label }) => label,
  group: ({ group }) => group,
  state: ({ state }) => state,
  since: sinceCell,
  reason: ({ reason }) => reason,
  codec: ({ stream }) => [stream?.video_codec, stream?.audio_codec].filter(Boolean).map(whole).join(', '),
  size: ({ stream }) => sizeText(stream),
  rate: ({ stream }) => rateText(stream),
  viewers: ({ stream }) => (stream ? String(stream.viewers) : ''),
  last: ({ lastPicture }) => (lastPicture ? timeText(lastPicture) : ''),
};

// Of a camera that is listed by another name, only the server knows the stream.
async function idOf({ id, name, query }) {
  return id ?? (query && (await loadStream(query))?.stream?.id) ?? name;
}

export class StatusTable {
  #rows = [];
  #onChange;

  // @param onChange  called when the server was asked to do something
  constructor(onChange) {
    this.#onChange = onChange;
    byId('status-filter').addEventListener('input', () => this.#show());
  }

  update(rows) {
    this.#rows = rows;
    if (!byId('status').hidden) this.#show();
  }

  show(shown) {
    byId('status').hidden = !shown;
    this.update(this.#rows);
  }

  #show() {
    const found = this.#rows.filter((row) => matches(row, byId('status-filter').value));
    follow(byId('status-rows'), found, {
      keyOf,
      make: (row) => this.#makeRow(row),
      update: (element, row) => this.#showRow(element, row),
    });
    byId('status-count').textContent = text('found', { n: found.length });
  }

  #makeRow({ label }) {
    const row = byId('status-template').content.firstElementChild.cloneNode(true);
    const button = row.querySelector('button');
    button.setAttribute('aria-label', text('of_camera', { action: text('restart'), camera: label }));
    button.addEventListener('click', () => this.#restart(row.dataset.key, button));
    return row;
  }

  #showRow(element, row) {
    element.dataset.state = row.condition.state;
    for (const [part, words] of Object.entries(CELLS)) {
      const cell = element.querySelector(`[data-part="${part}"]`);
      const shown = words(row) || '–';
      if (cell.textContent !== shown) cell.textContent = shown;
    }
    element.querySelector('button').hidden = row.condition.state === 'idle';
  }

  async #restart(key, button) {
    const row = this.#rows.find((r) => keyOf(r) === key);
    if (row === undefined) return;
    button.disabled = true;
    try {
      await restartStream(await idOf(row));
      byId('status-note').textContent = text('restarted', { camera: row.label });
    } catch ({ code, message }) {
      byId('status-note').textContent = wordsOf(code, message);
    }
    setTimeout(() => {
      button.disabled = false;
    }, SLOW_LOOK_MS);
    this.#onChange();
  }
}
