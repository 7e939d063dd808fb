// The dialog that finds a camera as one types: all of the server's, with state and reason.

import { follow, matches } from './rows.js';
import { sinceText } from './since.js';
import { text } from './text.js';

const byId = (id) => document.getElementById(id);

export class Finder {
  #rows = [];
  #onPick;

  // @param onPick  (row) when a camera was chosen
  constructor(onPick) {
    this.#onPick = onPick;
    byId('find').addEventListener('input', () => this.#show());
    byId('find-form').addEventListener('submit', (event) => {
      event.preventDefault();
      byId('find-list').querySelector('button')?.click();
    });
    byId('find-close').addEventListener('click', () => byId('find-dialog').close());
    byId('find-dialog').addEventListener('keydown', (event) => this.#onKey(event));
  }

  get isOpen() {
    return byId('find-dialog').open;
  }

  // @param hint  what a choice does, in words
  open(rows, hint) {
    byId('find').value = '';
    byId('find-hint').textContent = hint;
    this.update(rows);
    byId('find-dialog').showModal();
    byId('find').focus();
  }

  update(rows) {
    this.#rows = rows;
    this.#show();
  }

  #show() {
    const found = this.#rows.filter((row) => row.query && matches(row, byId('find').value));
    byId('find-count').textContent = text('found', { n: found.length });
    follow(byId('find-list'), found, {
      keyOf: ({ query }) => query,
      make: ({ query }) => this.#makeItem(query),
      update: showItem,
    });
  }

  #makeItem(query) {
    const item = byId('find-template').content.firstElementChild.cloneNode(true);
    item.querySelector('button').addEventListener('click', () => {
      byId('find-dialog').close();
      this.#onPick(this.#rows.find((row) => row.query === query));
    });
    return item;
  }

  #onKey(event) {
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const stops = [byId('find'), ...byId('find-list').querySelectorAll('button')];
    const at = stops.indexOf(document.activeElement);
    stops[Math.min(stops.length - 1, Math.max(0, at + step))].focus();
  }
}

function showItem(item, { label, group, condition }) {
  const set = (part, words) => {
    item.querySelector(`[data-part="${part}"]`).textContent = words;
  };
  item.dataset.state = condition.state;
  set('name', label);
  set('group', group);
  set('words', condition.words);
  set('since', condition.since === null ? '' : sinceText(condition.since));
}
