// The dialog that puts a camera into a place: one of the server's, or one by its URL.

import { trimUrl } from './server.js';
import { text } from './text.js';

const byId = (id) => document.getElementById(id);
const CAMERA_URL = /^(rtsp[sh]?|rtmps?|https?):\/\/[^/]/i;

export class AddDialog {
  #place = null; // among all cameras; null: the first that is empty
  #onAdd;

  // @param onAdd  (camera, place) when a camera was chosen
  constructor(onAdd) {
    this.#onAdd = onAdd;
    byId('add-form').addEventListener('submit', (event) => this.#submit(event));
    byId('add-cancel').addEventListener('click', () => byId('add-dialog').close());
  }

  // For a new camera, or to change the one that is there.
  // @param named  the server's cameras
  open(place, named, camera) {
    this.#place = place;
    byId('add-form').reset();
    byId('add-error').textContent = '';
    byId('add-title').textContent = text(camera ? 'change_the_camera' : 'add_a_camera');
    byId('add-submit').textContent = text(camera ? 'change' : 'add');
    byId('add-url').value = camera?.camUrl ?? '';
    byId('add-type').value = camera?.camType ?? '';
    const list = byId('add-name');
    list.replaceChildren(list.options[0]);
    for (const { name, title } of named) list.add(new window.Option(title ?? name, name));
    byId('add-named').hidden = named.length === 0;
    byId('add-dialog').showModal();
    byId(camera || named.length === 0 ? 'add-url' : 'add-name').focus();
  }

  #submit(event) {
    event.preventDefault();
    const cam = byId('add-name').value;
    const camUrl = trimUrl(byId('add-url').value);
    if (cam === '' && !CAMERA_URL.test(camUrl)) {
      byId('add-error').textContent = text('url_wrong');
      byId('add-url').focus();
      return;
    }
    const camType = byId('add-type').value || undefined;
    byId('add-dialog').close();
    this.#onAdd(cam === '' ? { camUrl, camType } : { cam }, this.#place);
  }
}
