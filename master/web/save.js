// The part of the Add dialog that saves a camera on the server, where the server lets this page.

import { mayManage, saveCamera, wordsOf } from './server.js';
import { has, text } from './text.js';

const byId = (id) => document.getElementById(id);
const dialog = byId('add-dialog');
const form = byId('add-form');
const NAME = /^(?!\.+$)(?!.*\.flv$)[A-Za-z0-9._-]{1,63}$/;

function show() {
  const chosen = byId('add-name').value !== '';
  const wanted = byId('save').checked;
  byId('save-part').hidden = !mayManage() || chosen;
  byId('save-fields').hidden = !wanted;
  byId('add-hint').textContent = text(wanted && !chosen ? 'saved_hint' : 'url_hint');
}

// A name of the title's Latin letters, or of the camera's host, for who gives none.
function suggestion() {
  const host = /^[a-z]+:\/\/(?:.*@)?\[?([\w.-]+)/i.exec(byId('add-url').value.trim())?.[1] ?? '';
  const latin = byId('save-title').value.toLowerCase().replace(/[^a-z0-9._-]+/g, '-');
  return (latin.replace(/^-+|-+$/g, '') || host).slice(0, 63);
}

function fail(words, field) {
  byId('add-error').textContent = words;
  field.focus();
}

// The codes that the page has words for; else what the server says.
function reasonOf({ code, message }) {
  return has(code) ? wordsOf(code) : message || text('failed');
}

async function save() {
  const name = byId('save-name').value.trim() || suggestion();
  if (!NAME.test(name)) {
    fail(text('name_wrong'), byId('save-name'));
    return;
  }
  byId('add-submit').disabled = true;
  try {
    await saveCamera(name, {
      camera_url: byId('add-url').value.trim(),
      cam_type: byId('add-type').value || null,
      title: byId('save-title').value.trim() || null,
    });
  } catch (error) {
    fail(reasonOf(error), byId(error.code === 'camera_in_file' ? 'save-name' : 'add-url'));
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
