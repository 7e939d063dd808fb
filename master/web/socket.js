// How mpegts.js reads a stream from a WebSocket: keeps what the server says when it closes, and
// counts the pictures that arrive.

const TAG_HEADER = 11;
const TAG_VIDEO = 9;
const FILE_HEADER = 9 + 4; // of FLV, with the size of the tag before the first one
const OWN_CODES = 4000; // close codes of an application (RFC 6455 section 7.4.2)

// Pictures in a stream of FLV bytes, however it is cut into messages.
export class PictureCounter {
  pictures = 0;
  #skip = FILE_HEADER; // bytes until the next tag begins
  #head = []; // of a tag, while it is not complete

  read(bytes) {
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

// What a close frame says: the server's error as JSON, or nothing of use.
// -> { code, message } or null
export function readCloseReason(closeCode, reason) {
  if (closeCode < OWN_CODES) return null;
  try {
    const answer = JSON.parse(reason);
    const { code, message } = answer.error ?? answer;
    return typeof code === 'string' ? { code, message } : null;
  } catch {
    return null;
  }
}

// A class for mpegts.js.
// @param counter  a PictureCounter
// @param onClose  is called with ({ opened, error }) when the connection ends by itself
export function socketLoader(counter, onClose) {
  return class SocketLoader extends mpegts.BaseLoader {
    #socket = null;
    #opened = false;
    #received = 0;

    constructor() {
      super('websocket-loader');
      this._needStash = true;
    }

    destroy() {
      this.abort();
      super.destroy();
    }

    open({ url }) {
      this.#socket = new window.WebSocket(url);
      this.#socket.binaryType = 'arraybuffer';
      this.#socket.onopen = () => {
        this.#opened = true;
        this._status = mpegts.LoaderStatus.kBuffering;
      };
      this.#socket.onmessage = ({ data }) => this.#take(data);
      this.#socket.onclose = ({ code, reason }) => this.#end(readCloseReason(code, reason));
      this.#socket.onerror = () => this.#end(null);
      this._status = mpegts.LoaderStatus.kConnecting;
    }

    abort() {
      const socket = this.#socket;
      this.#socket = null;
      this._status = mpegts.LoaderStatus.kComplete;
      if (socket === null) return;
      socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
      socket.close();
    }

    #take(data) {
      counter.read(new Uint8Array(data));
      const start = this.#received;
      this.#received += data.byteLength;
      this._onDataArrival?.(data, start, this.#received);
    }

    #end(error) {
      if (this.#socket === null) return;
      this.abort();
      onClose({ opened: this.#opened, error });
    }
  };
}
