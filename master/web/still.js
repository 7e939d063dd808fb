// The last picture of a camera, shown with its time while the video shows none.
//
// A stream that ends leaves its last picture here.  When somebody looks (again), one snapshot of the
// server is shown until the stream is there.  Nothing is asked for while nobody looks.

import { Gate } from './gate.js';
import { serverNow, timeText } from './since.js';
import { text } from './text.js';

const SOON_MS = 3000; // the picture kept is still good enough
const WAIT_MS = 5000; // for one snapshot
const STREAM_MS = 700; // a stream that comes within it needs no snapshot, which costs the server a picture
const snapshots = new Gate(2); // a silent camera's takes long, and the API is on the same port

// Resolves after so many milliseconds, or throws when the signal comes first.
function pause(ms, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms);
    signal.addEventListener('abort', () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
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

  // The server knows when the last picture came.
  // @param at     a Date or null
  // @param isLast  no other has come since: the one that is shown is this one, and was shown a little later
  setTime(at, isLast) {
    if (at === null) return;
    if (this.#at === 0) this.#setLabel(at, 'last_picture_at');
    else if (isLast && at.getTime() < this.#at) {
      this.#at = at.getTime();
      this.#setLabel(at, 'picture_of');
    }
  }

  #setLabel(at, words) {
    this.#label.dateTime = at.toISOString();
    this.#label.textContent = text(words, { time: timeText(at) });
    this.#label.hidden = false;
  }

  cancel() {
    this.#cancel.abort();
  }

  // Somebody looks, and there may be no stream for a while.
  // @param url  a promise of the snapshot's URL
  async refresh(url) {
    if (serverNow() - this.#at < SOON_MS) return;
    this.#cancel.abort();
    this.#cancel = new AbortController();
    const { signal } = this.#cancel;
    try {
      await pause(STREAM_MS, signal);
      const reply = await snapshots.run(async () => this.#fetch(await url, signal), signal);
      if (!reply.ok) return;
      const at = serverNow() - Number(reply.headers.get('X-Snapshot-Age-Ms') ?? 0);
      const picture = await createImageBitmap(await reply.blob());
      if (!signal.aborted) this.#draw(picture, picture.width, picture.height, at);
      picture.close();
    } catch {
      // The older picture stays; why there is no stream is said by the stream.
    }
  }

  #fetch(url, signal) {
    return fetch(url, {
      cache: 'no-store',
      signal: AbortSignal.any?.([signal, AbortSignal.timeout(WAIT_MS)]) ?? signal,
    });
  }

  #draw(picture, width, height, at) {
    this.#canvas.width = width;
    this.#canvas.height = height;
    this.#canvas.getContext('2d').drawImage(picture, 0, 0, width, height);
    this.#at = at;
    this.#setLabel(new Date(at), 'picture_of');
    this.#canvas.hidden = false;
  }
}
