// The part of the Add dialog that saves a camera on the server, where the server lets this page.

import { mayManage, saveCamera, trimUrl, wordsOf } from './server.js';
import { has, text } from './text.js';

const byId = (id) => document.getElementById(id);
const dialog = byId('add-dialog');
const form = byId('add-form');
const NAME_MAX = 63;
const NAME = /^(?!\.+$)(?!.*\.flv$)[A-Za-z0-9._-]{1,63}$/;
const TAKEN = ['camera_exists', 'camera_in_file'];
const TRIES = 20; // names that others may have taken since the page asked which there are

function show() {
  const chosen = byId('add-name').value !== '';
  const wanted = byId('save').checked;
  byId('save-part').hidden = !mayManage() || chosen;
  byId('save-fields').hidden = !wanted;
  byId('add-hint').textContent = text(wanted && !chosen ? 'saved_hint' : 'url_hint');
}

// A name of the title's Latin letters, or of the camera's host, for who gives none.
function suggestion() {
  const host = /^[a-z]+:\/\/(?:.*@)?\[?([\w.-]+)/i.exec(trimUrl(byId('add-url').value))?.[1] ?? '';
  const latin = byId('save-title').value.toLowerCase().replace(/[^a-z0-9._-]+/g, '-');
  return (latin.replace(/^-+|-+$/g, '') || host).slice(0, NAME_MAX);
}

// NAME, NAME-2, NAME-3 …, without those that the page knows.
function* freeNames(name) {
  const known = new Set(Array.from(byId('add-name').options, ({ value }) => value));
  for (let n = 1; ; n++) {
    const end = n === 1 ? '' : `-${n}`;
    const next = name.slice(0, NAME_MAX - end.length) + end;
    if (!known.has(next)) yield next;
  }
}

function fail(words, field) {
  byId('add-error').textContent = words;
  field.focus();
}

// The codes that the page has words for; else what the server says.
function reasonOf({ code, message }) {
  return has(code) ? wordsOf(code) : message || text('failed');
}

// Save it under the first of these names that is free.  -> that name
async function saveAs(names, tries, camera) {
  for (let left = tries; ; left--) {
    const name = names.next().value;
    try {
      await saveCamera(name, camera);
      return name;
    } catch (error) {
      if (!TAKEN.includes(error.code) || left <= 1) throw error;
    }
  }
}

async function save() {
  const typed = byId('save-name').value.trim();
  let name = typed || suggestion();
  if (!NAME.test(name)) {
    fail(text('name_wrong'), byId('save-name'));
    return;
  }
  byId('add-submit').disabled = true;
  try {
    const names = typed ? [typed].values() : freeNames(name);
    name = await saveAs(names, typed ? 1 : TRIES, {
      camera_url: trimUrl(byId('add-url').value),
      cam_type: byId('add-type').value || null,
      title: byId('save-title').value.trim() || null,
    });
  } catch (error) {
    fail(reasonOf(error), byId(TAKEN.includes(error.code) ? 'save-name' : 'add-url'));
    return;
  } finally {
    byId('add-submit').disabled = false;
  }
  // From here on it is a camera of this server like the others.
  const saved = new window.Option(name, name);
  byId('add-name').add(saved);
  byId('add-name').value = name;
  byId('save').checked = false;
  show();
  const told = new window.CustomEvent('camerasaved', { detail: { done: [] } });
  document.dispatchEvent(told);
  await Promise.all(told.detail.done);
  form.requestSubmit();
}

// Before the dashboard's own listener: what is to be saved is added when it is.
form.addEventListener(
  'submit',
  (event) => {
    if (byId('save-part').hidden || !byId('save').checked) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    save();
  },
  { capture: true },
);
for (const id of ['save', 'add-name']) byId(id).addEventListener('change', show);
new window.MutationObserver(() => dialog.open && show()).observe(dialog, { attributeFilter: ['open'] });
