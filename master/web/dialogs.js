// The dialogs that both pages have: the server's token, and the keys.

import { keepToken, needsToken } from './server.js';
import { text } from './text.js';

const byId = (id) => document.getElementById(id);

// Ask for the token; `then` is called when it was given.
export function askToken(then) {
  const dialog = byId('token-dialog');
  if (dialog.open) return;
  byId('token-form').reset();
  byId('token-error').textContent = needsToken() ? text('token_wrong') : '';
  byId('token-form').onsubmit = () => {
    keepToken(byId('token').value.trim());
    setTimeout(then); // when the dialog is closed
  };
  dialog.showModal();
}

// @param keys  [what is pressed, key of its text]
export function showKeys(keys) {
  const rows = keys.map(([key, what]) => {
    const row = document.createElement('div');
    const name = row.appendChild(document.createElement('dt'));
    name.appendChild(document.createElement('kbd')).textContent = key;
    row.appendChild(document.createElement('dd')).textContent = text(what);
    return row;
  });
  byId('key-list').replaceChildren(...rows);
  byId('key-dialog').showModal();
}
