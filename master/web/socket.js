// A stream by WebSocket: keeps what the server says when it closes, counts the pictures that arrive,
// and gives the bytes to mpegts.js.

const TAG_HEADER = 11;
const TAG_VIDEO = 9;
const FILE_HEADER = 9 + 4; // of FLV, with the size of the tag before the first one
const OWN_CODES = 4000; // close codes of an application (RFC 6455 section 7.4.2)
const HANDSHAKE_MS = 8000; // longer is a failure: Chromium may hold one back for 5 s, the server answers at once

const HANDSHAKE_MAX_MS = 30000; // whatever others do

// Handshakes to one host take turns in browsers: one that waits for its turn is not stuck.
let openedAt = -Infinity; // the last one of this page

// Pictures in a stream of FLV bytes, however it is cut into messages.
export class PictureCounter {
  pictures = 0;
  bytes = 0;
  #skip = FILE_HEADER; // bytes until the next tag begins
  #head = []; // of a tag, while it is not complete

  read(bytes) {
    this.bytes += bytes.length;
    let at = 0;
    while (at < bytes.length) {
      const skipped = Math.min(this.#skip, bytes.length - at);
      this.#skip -= skipped;
      at += skipped;
      while (this.#skip === 0 && at < bytes.length && this.#head.length < TAG_HEADER)
        this.#head.push(bytes[at++]);
      if (this.#head.length === TAG_HEADER) this.#endHead();
    }
  }

  #endHead() {
    const [type, high, middle, low] = this.#head;
    if ((type & 0x1f) === TAG_VIDEO) this.pictures++;
    this.#skip = high * 65536 + middle * 256 + low + 4;
    this.#head = [];
  }
}

// -> { code, message } or null, of the server's error as JSON
function readError(json) {
  try {
    const answer = JSON.parse(json);
    const { code, message } = answer.error ?? answer;
    return typeof code === 'string' ? { code, message } : null;
  } catch {
    return null;
  }
}

// FLV by WebSocket.  It is opened before there is a player: many cameras may be silent, and a player
// that waits for one costs the browser as much as one that plays.
export class FlvSocket {
  #socket;
  #counter;
  #events;
  #opened = false;
  #begunAt = performance.now();
  #deadline;
  #waiting = []; // what came while nobody reads
  #said = null; // the error that came as text: a close frame may have room for a part of it only
  #reader = null;

  // @param counter  a PictureCounter
  // @param events   onOpen(): the handshake is done.  onData(): the first bytes are there.
  //                 onClose({ opened, stuck, error }): the connection has ended by itself; stuck: the
  //                 handshake had no answer for too long; error: what the server says, or null
  constructor(url, counter, events) {
    this.#counter = counter;
    this.#events = events;
    this.#socket = new window.WebSocket(url);
    this.#socket.binaryType = 'arraybuffer';
    this.#deadline = setTimeout(() => this.#onDeadline(), HANDSHAKE_MS);
    this.#socket.onopen = () => this.#onOpen();
    this.#socket.onmessage = ({ data }) => this.#onMessage(data);
    this.#socket.onclose = (event) => this.#onClose(event);
    this.#socket.onerror = () => this.#end(null);
  }

  get opened() {
    return this.#opened;
  }

  // @param reader  called with an ArrayBuffer: what has come so far, and each message from now on
  read(reader) {
    this.#reader = reader;
    for (const data of this.#waiting.splice(0)) reader(data);
  }

  close() {
    const socket = this.#socket;
    this.#socket = null;
    clearTimeout(this.#deadline);
    if (socket === null) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    socket.close();
  }

  #onDeadline() {
    const end = Math.min(openedAt + HANDSHAKE_MS, this.#begunAt + HANDSHAKE_MAX_MS);
    const left = end - performance.now();
    if (left > 0) this.#deadline = setTimeout(() => this.#onDeadline(), left);
    else this.#end(null, true);
  }

  #onOpen() {
    clearTimeout(this.#deadline);
    openedAt = performance.now();
    this.#opened = true;
    this.#events.onOpen();
  }

  #onMessage(data) {
    if (typeof data === 'string') {
      this.#said = readError(data);
      return;
    }
    const first = this.#counter.bytes === 0;
    this.#counter.read(new Uint8Array(data));
    if (this.#reader === null) this.#waiting.push(data);
    else this.#reader(data);
    if (first) this.#events.onData();
  }

  // A code of an application comes with the server's error.
  #onClose({ code, reason }) {
    const error = code < OWN_CODES ? null : readError(reason);
    this.#end(error?.code === this.#said?.code ? this.#said : error);
  }

  #end(error, stuck = false) {
    if (this.#socket === null) return;
    this.close();
    this.#events.onClose({ opened: this.#opened, stuck, error });
  }
}

// How mpegts.js reads from a FlvSocket: a class.
export function socketLoader(socket) {
  return class SocketLoader extends mpegts.BaseLoader {
    #received = 0;

    constructor() {
      super('websocket-loader');
      this._needStash = true;
    }

    destroy() {
      this.abort();
      super.destroy();
    }

    open() {
      this._status = mpegts.LoaderStatus.kBuffering;
      // What has come already is given when mpegts.js is ready for it.
      window.queueMicrotask(() => {
        if (this._status === mpegts.LoaderStatus.kBuffering) socket.read((data) => this.#take(data));
      });
    }

    abort() {
      this._status = mpegts.LoaderStatus.kComplete;
      socket.close();
    }

    #take(data) {
      const start = this.#received;
      this.#received += data.byteLength;
      this._onDataArrival?.(data, start, this.#received);
    }
  };
}
