// One place of the grid: a camera's live picture, or the still of it while nobody looks.

import { loadStream, playUrl, provisionalLabel, queryOf, snapshotUrl } from './server.js';
import { Still } from './still.js';
import { CameraStream } from './stream.js';

const CODECS = { avc1: 'H.264', hvc1: 'H.265', hev1: 'H.265', av01: 'AV1' };
// A glance at another tab, or a quick scroll, does not cost a new connection.
const GRACE_MS = 2000;

export function codecName(codec) {
  return CODECS[codec.split('.')[0]] ?? codec;
}

export function bitRateText(bitsPerSecond) {
  return bitsPerSecond >= 1e6
    ? `${(bitsPerSecond / 1e6).toFixed(1)} Mbit/s`
    : `${Math.round(bitsPerSecond / 1e3)} kbit/s`;
}

export class Tile {
  #template;
  #video;
  #still;
  #stream;
  #inSight = false;
  #tabVisible = !document.hidden;
  #graceTimer = 0;
  #streamId; // in /api/streams; undefined until the server has said it

  constructor(template, camera, { onRemove, onChange }) {
    this.camera = camera;
    this.query = queryOf(camera);
    this.element = template.content.firstElementChild.cloneNode(true);
    this.#template = (name) => this.element.querySelector(`[data-part="${name}"]`);
    this.#video = this.#template('video');
    this.#still = new Still(this.#template('still'), this.#template('still-time'));
    this.#stream = new CameraStream(this.#video, this.query);
    this.#stream.addEventListener('state', () => this.#showState());
    this.#stream.addEventListener('closing', () => this.#keepPicture());
    this.element.tile = this;
    this.#template('open').href = playUrl(this.query);
    this.#template('sound').addEventListener('click', () => this.toggleSound());
    this.#template('full').addEventListener('click', () => this.toggleFullScreen());
    this.#template('remove').addEventListener('click', () => onRemove(this));
    this.#template('change').addEventListener('click', () => onChange(this));
    this.#template('change').hidden = camera.camUrl === undefined;
    this.#template('retry').addEventListener('click', () => this.#stream.retryNow());
    this.#streamId = camera.cam; // a name is the ID, unless cam_type asks for another transport
    this.#setLabel(provisionalLabel(this.query));
  }

  get state() {
    return this.#stream.state;
  }

  setInSight(inSight) {
    this.#inSight = inSight;
    this.#update();
  }

  setTabVisible(visible) {
    this.#tabVisible = visible;
    this.#update();
  }

  toggleSound() {
    const on = this.#video.muted;
    this.#video.muted = !on;
    this.#stream.setAudio(on);
    const button = this.#template('sound');
    button.setAttribute('aria-pressed', String(on));
    button.textContent = on ? 'Mute' : 'Sound';
  }

  toggleFullScreen() {
    if (document.fullscreenElement) document.exitFullscreen();
    else this.element.requestFullscreen?.().catch(() => {});
  }

  retryNow() {
    this.#stream.retryNow();
  }

  isIn(streams) {
    return this.#find(streams) !== undefined;
  }

  // Ask the server what it calls this camera, and which of its streams is this one.
  async identify() {
    const answer = await loadStream(this.query);
    if (answer === null) return;
    this.#streamId = answer.stream?.id ?? this.#streamId;
    this.#setLabel(answer.label);
  }

  #find(streams) {
    return streams.find((s) => s.id === this.#streamId);
  }

  #setLabel(label) {
    if (label === this.label) return;
    this.label = label;
    this.#template('name').textContent = this.#template('name').title = label;
    this.#showState();
  }

  showStats(streams) {
    const stats = this.#stream.stats();
    const server = this.#find(streams);
    const live = this.state === 'live';
    const set = (name, text) => {
      this.#template(name).textContent = text || '–';
    };
    set('codec', live ? this.#codecText(codecName(stats.codec), server?.video_codec) : '');
    set('size', stats.width ? `${stats.width} × ${stats.height}` : '');
    set('rate', live && stats.frameRate ? `${stats.frameRate.toFixed(1)} /s` : '');
    set('bits', live && stats.bitRate ? bitRateText(stats.bitRate) : '');
    set('delay', live ? `${stats.delay.toFixed(1)} s` : '');
    set('viewers', server === undefined ? '' : String(server.viewers));
  }

  #codecText(played, sent) {
    return sent && sent !== played ? `${played} from ${sent}` : played;
  }

  pause() {
    clearTimeout(this.#graceTimer);
    this.#stream.stop();
    this.#still.cancel();
  }

  close() {
    this.pause();
    this.element.remove();
  }

  #update() {
    const wanted = this.#inSight && this.#tabVisible;
    clearTimeout(this.#graceTimer);
    if (wanted && !this.#stream.running) {
      this.#stream.start();
      this.#still.refresh(snapshotUrl(this.query, { width: this.#pixelWidth() }));
    } else if (!wanted && this.#stream.running) {
      this.#graceTimer = setTimeout(() => this.pause(), GRACE_MS);
    }
  }

  #pixelWidth() {
    return Math.round(this.element.clientWidth * window.devicePixelRatio);
  }

  #keepPicture() {
    this.#still.keep(this.#video, this.#stream.pictureTime);
  }

  #showState() {
    const { state, text } = this.#stream;
    if (state === 'live') this.#still.hide();
    this.element.dataset.state = state;
    this.element.dataset.code = this.#stream.code;
    this.#template('state').textContent = state === 'idle' ? 'Paused' : text;
    this.#template('retry').hidden = state !== 'retrying';
    this.element.setAttribute('aria-label', `${this.label}: ${state === 'idle' ? 'paused' : text}`);
    this.element.dispatchEvent(new CustomEvent('tilestate', { bubbles: true }));
  }
}
