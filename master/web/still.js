// The last picture of a camera, shown with its time while the video shows none.
//
// A stream that ends leaves its last picture here.  When somebody looks (again), one snapshot of the
// server is shown until the stream is there.  Nothing is asked for while nobody looks.

import { language, text } from './text.js';

const SOON_MS = 3000; // the picture kept is still good enough

function timeText(at) {
  const today = at.toDateString() === new Date().toDateString();
  return today ? at.toLocaleTimeString(language) : at.toLocaleString(language);
}

export class Still {
  #canvas;
  #label;
  #cancel = new AbortController();
  #at = 0; // when its picture was taken; 0: there is none

  constructor(canvas, label) {
    this.#canvas = canvas;
    this.#label = label;
  }

  // What the video shows, before the video loses it.
  keep(video, at) {
    if (video.videoWidth === 0 || video.readyState < 2) return;
    this.#draw(video, video.videoWidth, video.videoHeight, at);
  }

  // The video shows a picture of its own again.
  hide() {
    this.#cancel.abort();
    this.#canvas.hidden = this.#label.hidden = true;
  }

  cancel() {
    this.#cancel.abort();
  }

  // Somebody looks, and there may be no stream for a while.
  // @param url  a promise of the snapshot's URL
  async refresh(url) {
    if (Date.now() - this.#at < SOON_MS) return;
    this.#cancel.abort();
    this.#cancel = new AbortController();
    const { signal } = this.#cancel;
    try {
      const reply = await fetch(await url, { cache: 'no-store', signal });
      if (!reply.ok) return;
      const at = Date.now() - Number(reply.headers.get('X-Snapshot-Age-Ms') ?? 0);
      const picture = await createImageBitmap(await reply.blob());
      if (!signal.aborted) this.#draw(picture, picture.width, picture.height, at);
      picture.close();
    } catch {
      // The older picture stays; why there is no stream is said by the stream.
    }
  }

  #draw(picture, width, height, at) {
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.#canvas.getContext('2d').drawImage(picture, 0, 0, width, height);
    this.#at = at;
    this.#label.dateTime = new Date(at).toISOString();
    this.#label.textContent = text('picture_of', { time: timeText(new Date(at)) });
    this.#canvas.hidden = this.#label.hidden = false;
  }
}
