// One place of the grid: a camera's live picture, or the still of it while nobody looks.

import { conditionOfView, isDown, lastPictureOf, slownessText } from './condition.js';
import { loadStream, provisionalLabel, queryOf, snapshotUrl } from './server.js';
import { sinceText } from './since.js';
import { Still } from './still.js';
import { CameraStream } from './stream.js';
import { text } from './text.js';
import { Zoom } from './zoom.js';

const CODECS = { avc1: 'H.264', hvc1: 'H.265', hev1: 'H.265', av01: 'AV1' };
// A glance at another tab, or a quick scroll, does not cost a new connection.
const GRACE_MS = 2000;
const SUB_BELOW = 640; // pixels of a tile's width: a sub-stream is enough
const MAIN_FROM = 720; // a tile that grows to it takes the main stream: an edge that is dragged may waver

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
  #zoom;
  #streamId; // in /api/streams; undefined until the server has said it
  #server; // its stream in the last answer of the server, if any
  #isListed = false; // that answer has the camera
  #named; // what the server's list of cameras says of it
  #mayStart = false;
  #condition = { state: 'idle', words: '', since: null, code: '' };
  #hasSub = false;
  #isSmall = false;
  #size = { width: 0, height: 0 }; // as observed: to ask for it makes the browser lay out the page, for each tile
  #wantsSub = false; // whatever the size, because this computer is too slow
  #observer = new window.ResizeObserver(([{ contentRect }]) => {
    this.#size = contentRect;
    this.#chooseStream();
  });

  constructor(template, camera, { onRemove, onChange }) {
    this.camera = camera;
    this.query = queryOf(camera);
    this.element = template.content.firstElementChild.cloneNode(true);
    this.#template = (name) => this.element.querySelector(`[data-part="${name}"]`);
    this.#video = this.#template('video');
    this.#still = new Still(this.#template('still'), this.#template('still-time'));
    this.#stream = new CameraStream(this.#video, this.query, {
      isDown: () => isDown(this.#server ?? this.#named ?? {}),
    });
    this.#stream.addEventListener('state', () => this.#showState());
    this.#stream.addEventListener('closing', () => this.#keepPicture());
    this.#stream.addEventListener('quiet', () => {
      this.#showState();
      this.#dispatch('tilequiet');
    });
    this.element.tile = this;
    this.#zoom = new Zoom(
      this.element,
      [this.#video, this.#template('still')],
      () => this.#isFull(),
    );
    this.element.addEventListener('fullscreenchange', () => {
      this.#zoom.reset();
      const { clientWidth: width, clientHeight: height } = this.element;
      this.#size = { width, height }; // it is observed later
      this.#chooseStream();
    });
    this.#observer.observe(this.element);
    this.#template('sound').addEventListener('click', () => this.toggleSound());
    this.#template('full').addEventListener('click', () => this.toggleFullScreen());
    this.#template('remove').addEventListener('click', () => onRemove(this));
    this.#template('change').addEventListener('click', () => onChange(this));
    this.#template('change').hidden = camera.camUrl === undefined;
    this.#template('retry').addEventListener('click', () => this.#stream.retryNow());
    this.#template('smaller').addEventListener('click', () => this.#takeSub());
    this.#streamId = camera.cam; // a name is the ID, unless cam_type asks for another transport
    this.#setLabel(provisionalLabel(this.query));
  }

  get state() {
    return this.#condition.state;
  }

  // It is known whether the camera has a sub-stream, or not to be waited for.
  allowStart() {
    if (this.#mayStart) return;
    this.#mayStart = true;
    this.#update();
  }

  // What the server's list says of this camera, undefined when it is not in the list.
  setNamed(named) {
    this.#named = named;
    this.#hasSub = Boolean(named?.sub);
    if (named !== undefined) this.#setLabel(named.title ?? named.name);
    this.#chooseStream();
  }

  // How it is before the observers say so.
  onLook({ width, height, inSight }) {
    if (this.#size.width !== 0 || width === 0) return; // they have said it, or it is hidden
    this.#size = { width, height };
    this.setInSight(inSight);
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
    this.#template('sound').setAttribute('aria-pressed', String(on));
    this.#template('sound').textContent = text(on ? 'mute' : 'sound');
    this.#nameButtons();
  }

  toggleFullScreen() {
    if (this.#isFull()) document.exitFullscreen();
    else this.element.requestFullscreen?.().catch(() => {});
  }

  #isFull() {
    return document.fullscreenElement === this.element;
  }

  zoom(direction) {
    this.#zoom.step(direction);
  }

  // One of the tiles is in the order of the Tab key, with its buttons.
  setTabStop(on) {
    this.element.tabIndex = on ? 0 : -1;
    for (const control of this.element.querySelectorAll('button, a'))
      control.tabIndex = on ? 0 : -1;
  }

  // Where the camera is opened alone.
  setLink(url) {
    this.#template('open').href = url;
    this.#template('open').target = `camera ${this.query}`; // one tab for each camera
  }

  retryNow() {
    this.#stream.retryNow();
  }

  // The server answers again.
  onServerReturn() {
    this.#stream.onServerReturn();
  }

  // What the server says of its streams, and of the camera if it has a name.  A camera that is back
  // is shown at once.
  onStreams(streams, named) {
    this.#named = named;
    this.#isListed = streams.some((s) => s.id === this.#streamId);
    this.#leaveFailedSub(streams.find((s) => s.id === `${this.camera.cam}:sub`));
    this.#server = streams.find((s) => s.id === this.#serverId()) ?? this.#ofList();
    if (this.#server?.state === 'streaming') this.#stream.onServerStreams();
    this.#stream.askForSub(named?.sub?.state === 'streaming');
    this.#showState();
  }

  #leaveFailedSub(sub) {
    const failed = ['backoff', 'quarantined'].includes(sub?.state);
    if (failed && this.#stream.running && this.#stream.usesSub) this.#stream.fallBack();
  }

  // What the server calls the stream that is shown.
  #serverId() {
    return this.#stream.usesSub ? `${this.camera.cam}:sub` : this.#streamId;
  }

  // A camera that has two names is in `streams` by one of them, in the list by both.
  #ofList() {
    return (this.#stream.usesSub ? this.#named?.sub : this.#named) ?? undefined;
  }

  // Only the server knows which of its streams a URL is, or a second name of a camera.
  get isUnknown() {
    const exists = this.camera.camUrl !== undefined || this.#named !== undefined;
    return exists && !this.#isListed && this.state !== 'idle';
  }

  // Ask the server what it calls this camera, and which of its streams is this one.
  async identify() {
    const answer = await loadStream(this.query);
    if (answer === null) return;
    this.#streamId = answer.stream?.id ?? this.#streamId;
    this.#setLabel(answer.label);
  }

  #setLabel(label) {
    if (label === this.label) return;
    this.label = label;
    this.#template('name').textContent = this.#template('name').title = label;
    this.#nameButtons();
    this.#showState();
  }

  // A screen reader says which camera a button is for.
  #nameButtons() {
    for (const control of this.element.querySelectorAll('button, a'))
      control.setAttribute(
        'aria-label',
        text('of_camera', { action: control.textContent, camera: this.label }),
      );
  }

  showStats() {
    const stats = this.#stream.stats();
    const server = this.#server;
    const live = this.state === 'live';
    this.#showSince();
    this.#showSlowness(stats);
    const set = (name, words) => {
      this.#template(name).textContent = words || '–';
    };
    set('codec', live ? this.#codecText(codecName(stats.codec), server?.video_codec) : '');
    set('size', stats.width ? `${stats.width} × ${stats.height}` : '');
    set('rate', live && stats.frameRate ? `${stats.frameRate.toFixed(1)} /s` : '');
    set('bits', live && stats.bitRate ? bitRateText(stats.bitRate) : '');
    set('delay', live ? `${stats.delay.toFixed(1)} s` : '');
    set('viewers', server === undefined ? '' : String(server.viewers));
  }

  // Since when the camera is down: 'since 11:40:55 (2 min)'.
  #showSince() {
    const { since } = this.#condition;
    this.#template('since').textContent = since === null ? '' : sinceText(since);
  }

  // This computer is too slow, or shows the main stream because the other one does not play.
  #showSlowness(stats) {
    const { tooSlow } = stats;
    const words = tooSlow ? slownessText(stats) : this.#stream.fellBack ? text('fell_back') : '';
    this.#template('note').textContent = this.#condition.state === 'live' ? words : '';
    this.#template('smaller').hidden = !tooSlow || !this.#hasSub || this.#stream.usesSub;
    this.element.dataset.slow = String(tooSlow);
  }

  #takeSub() {
    this.#wantsSub = true;
    this.#chooseStream();
  }

  // Ask for no more than the tile shows.
  #chooseStream() {
    if (this.#pixelWidth() === 0) return; // it is not shown
    this.#isSmall = this.#pixelWidth() < (this.#isSmall ? MAIN_FROM : SUB_BELOW);
    const sub = this.#hasSub && (this.#isSmall || this.#wantsSub) && !this.#isFull();
    this.#stream.setSize(Math.round(this.#size.height * window.devicePixelRatio), sub);
  }

  #codecText(played, sent) {
    return sent && sent !== played ? text('codec_from', { played, sent }) : played;
  }

  pause() {
    clearTimeout(this.#graceTimer);
    this.#stream.stop();
    this.#still.cancel();
  }

  close() {
    this.pause();
    this.#observer.disconnect(); // it would keep the tile in memory (w3c/csswg-drafts issue 6397)
    this.element.remove();
  }

  #update() {
    const wanted = this.#inSight && this.#tabVisible && this.#mayStart;
    clearTimeout(this.#graceTimer);
    if (wanted && !this.#stream.running) {
      this.#chooseStream();
      this.#stream.start();
      const shown = this.#stream.usesSub ? `${this.query}&stream=sub` : this.query;
      this.#still.refresh(snapshotUrl(shown, { width: this.#pixelWidth() }));
    } else if (!wanted && this.#stream.running) {
      this.#graceTimer = setTimeout(() => this.pause(), GRACE_MS);
    }
  }

  #pixelWidth() {
    return Math.round(this.#size.width * window.devicePixelRatio);
  }

  #keepPicture() {
    this.#still.keep(this.#video, this.#stream.pictureTime);
  }

  #showState() {
    const before = this.#condition.state;
    this.#condition = conditionOfView(this.#stream, this.#server);
    const { state, words, code } = this.#condition;
    if (state === 'live') this.#still.hide();
    else if (state === 'retrying' && before === 'live') this.#keepPicture();
    this.#showLastPicture();
    this.element.dataset.state = state;
    this.element.dataset.code = code;
    this.#template('state').textContent = words;
    this.#template('retry').hidden = state !== 'retrying';
    this.element.setAttribute('aria-label', `${this.label}: ${words}`);
    this.#showSince();
    this.#dispatch('tilestate');
  }

  // The server may know better when the last picture came.
  #showLastPicture() {
    if (this.#condition.state !== 'retrying') return;
    this.#still.setTime(lastPictureOf(this.#server), isDown(this.#server ?? {}));
  }

  #dispatch(name) {
    this.element.dispatchEvent(new CustomEvent(name, { bubbles: true }));
  }
}
