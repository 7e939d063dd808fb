// The bar of the dashboard: pages, groups, layouts, how many cameras are live and how many are down.

import { text } from './text.js';
import { LAYOUTS, placesOf } from './view.js';

const SILENCE_MS = 300; // after a change, before the summary is spoken

const byId = (id) => document.getElementById(id);
let summaryTimer = 0;

// One button for each layout, among which one chooses.
// @param onLayout, onGroup  called with what was chosen
export function makeBar({ onLayout, onGroup }) {
  for (const layout of LAYOUTS) {
    const label = byId('layout-template').content.firstElementChild.cloneNode(true);
    const input = label.querySelector('input');
    input.value = layout;
    label.querySelector('span').textContent = layout;
    input.addEventListener('change', () => onLayout(layout));
    document.querySelector('.layouts').append(label);
  }
  byId('group').addEventListener('change', ({ target }) => onGroup(target.value));
}

// @param board  a Board
export function showBar(board) {
  const { view, shown } = board;
  const { layout, pages, page, from, total } = shown;
  document.querySelector(`input[name="layout"][value="${layout}"]`).checked = true;
  byId('pages').hidden = pages === 1;
  const to = Math.min(total, from + placesOf(layout));
  byId('page').textContent = text('page_of', { from: from + 1, to, total });
  byId('cycle').setAttribute('aria-pressed', String(view.cycle > 0));
  byId('previous').disabled = page === 1;
  byId('next').disabled = page === pages;
  byId('status-button').setAttribute('aria-pressed', String(view.status));
  showGroups(board.groups(), view.group);
}

function showGroups(groups, chosen) {
  const select = byId('group');
  const names = [...new Set([...groups, chosen])].filter(Boolean);
  if (names.join('\n') !== [...select.options].slice(1).map(({ value }) => value).join('\n'))
    select.replaceChildren(select.options[0], ...names.map((name) => new window.Option(name)));
  select.value = chosen;
  select.hidden = names.length === 0;
}

function summaryText(states) {
  const count = (state) => states.filter((s) => s === state).length;
  const paused = count('idle');
  const watched = states.length - paused;
  const parts = [
    watched && text('some_live', { live: count('live'), watched }),
    paused && text('some_paused', { paused }),
  ];
  return parts.filter(Boolean).join(text('list_separator'));
}

// Says how many of the tiles that are shown are live.
// @param tiles  () => the tiles
export function summarise(tiles) {
  clearTimeout(summaryTimer);
  summaryTimer = setTimeout(() => {
    byId('summary').textContent = summaryText(tiles().map(({ state }) => state));
  }, SILENCE_MS);
}

// Says how many cameras of the server are down, in sight or not.
// @param rows  as rowsOf() makes them
export function showDown(rows) {
  const down = rows.filter(({ condition }) => condition.state === 'retrying').length;
  byId('down').textContent = down === 0 ? '' : text('some_down', { down });
  const title = `${text('cameras')} · CAM-HTTPFLV`;
  document.title = down === 0 ? title : `${text('some_down', { down })} · ${title}`;
}
