// One camera in one video element: connects, keeps to the live edge, and comes back by itself.
//
// States: idle -> connecting -> live <-> silent; any of them -> retrying -> connecting.

import { Gate } from './gate.js';
import { LatencyController, latencyOf } from './latency.js';
import { PictureRate } from './rate.js';
import { explain, playsHevc, reasonOf, serverAnswers, streamUrl, wordsOf } from './server.js';
import { serverNow } from './since.js';
import { FlvSocket, PictureCounter, socketLoader } from './socket.js';
import { text } from './text.js';

const RETRY_MS = [1000, 2000, 4000, 4000, 8000, 15000];
const AT_ONCE_MS = 100;
const PLAYED_MS = 1000; // live for so long: a decoder that fails then may go on in a new player
const FAILED_AGAIN_MS = 10000; // it fails again so soon: no hurry
const UNPLAYABLE = 2; // so many failures before a picture: it says that it plays HEVC, and does not
const TICK_MS = 500;
const STEADY_MS = 10000; // live for so long: the next failure starts again with the first wait
const QUIET_MS = 1000; // no new picture: ask the server how the camera is
const SILENT_MS = 2500; // no new picture: say so
const DEAD_MS = 75000; // longer than the server keeps a viewer without its camera
const BROKEN_MS = 10000; // no picture has come for so long though the server has some: the connection is dead

// A handshake may fail once or twice while a proxy or a network comes back; then nothing lets it through.
const HANDSHAKES = 3;
const SOCKET_AGAIN_MS = 20000; // waiting for a connection over HTTP: see whether WebSockets pass now
const SUB_AGAIN_MS = 60000; // the sub-stream has failed: ask for it again
const SUB_BACK_MS = 5000; // likewise, when the server streams it

// Refusals that the main stream would meet too, or that are no fault of the sub-stream.
const NOT_OF_THE_SUB =
  /^(overloaded|client_share|too_many_.*|draining|unauthorized|camera_not_allowed|unreachable)$/;

const HEIGHTS = [360, 540, 720, 1080]; // that the server transcodes to
const UNREACHABLE = { code: 'unreachable', text: wordsOf('unreachable') };
const NO_PLAYER = { code: 'player', text: wordsOf('player') };
const NO_LIBRARY = { code: 'player', text: wordsOf('unreachable') }; // not at once again when the camera streams

// A browser has six connections to a host.  Streams that WebSockets cannot carry, and questions
// about them, leave some for the rest.
const httpStreams = new Gate(3);
const questions = new Gate(2);

// WebSockets to one host open one after the other (RFC 6455 section 4.1), in Chromium 10 ms after the
// one before.  It delays each the more are under way: by 4 to 20 ms where there are eight, by 0.1 s and
// more from the twelfth on, by 1 to 5 s from the seventeenth.  With fewer than eight none is ready
// whenever the page is busy with its players.
const handshakes = new Gate(8);

// mpegts.js is larger than the rest of the page: nothing but a picture waits for it.
let library = null; // a promise: is it there?
let attempts = 0;

// A browser that could not load a module keeps the failure for good (whatwg/html issue 6768): each
// attempt after the first has an address of its own.  The build leaves the address as it is.
function libraryAddress() {
  return attempts++ === 0 ? './mpegts.js' : `./mpegts.js?again=${attempts}`;
}

function loadLibrary() {
  library ??= import(libraryAddress())
    .then(() => {
      mpegts.LoggingControl.enableAll = false;
      return true;
    })
    .catch(() => {
      library = null; // whoever wants it next tries again
      return false;
    });
  return library;
}

loadLibrary();

const PLAYER_CONFIG = {
  enableWorker: false, // a worker would need blob: scripts
  enableStashBuffer: false, // show what is there at once
  lazyLoad: false,
  deferLoadAfterSourceOpen: false,
  autoCleanupSourceBuffer: true,
  autoCleanupMaxBackwardDuration: 12,
  autoCleanupMinBackwardDuration: 6,
  fixAudioTimestampGap: false, // the server leaves no gaps
};

export class CameraStream extends EventTarget {
  #video;
  #query;
  #audio;
  #socket = null;
  #player = null;
  #frameRequest = 0; // for the player's first picture
  #timer = 0;
  #retryTimer = 0;
  #retries = 0;
  #failure = ''; // of the last attempt, in words
  #stop = new AbortController();
  #h264Only = !playsHevc();
  #failedAt = -Infinity; // the decoder
  #unplayable = 0; // attempts in a row at which it failed before a picture
  #overHttp = false;
  #handshakes = 0; // that failed one after the other though the server plays over HTTP
  #doubtful = false; // the server may be gone
  #isDown; // () => does the server say that the camera is down?
  #sub = false; // ask for the sub-stream, if the camera has one
  #subFailed = false;
  #subAskedAt = 0;
  #height = HEIGHTS.at(-1); // lines that are enough, if the server transcodes
  #askedHeight = 0; // of the stream that runs
  #counter = new PictureCounter();
  #seenPictures = 0; // of them when the server was asked last
  #rate = new PictureRate();
  #quiet = false;
  #liveAt = 0;
  #latency = new LatencyController();
  #pictureAt = 0;
  #pictureTime = 0;
  #total = 0; // pictures decoded
  #bitRate = 0;
  #media = null;
  state = 'idle';
  text = '';
  code = '';

  constructor(video, query, { audio = false, isDown = () => false } = {}) {
    super();
    this.#video = video;
    this.#query = query;
    this.#audio = audio;
    this.#isDown = isDown;
  }

  // When the newest picture came, in ms since the epoch, by the server's clock.
  get pictureTime() {
    return this.#pictureTime;
  }

  get running() {
    return this.state !== 'idle';
  }

  start() {
    if (this.running) return;
    this.#retries = 0;
    this.#failure = '';
    this.#subFailed = false;
    this.#connect();
  }

  stop() {
    this.#close();
    this.#set('idle', '');
  }

  // Sound is asked for only where it is heard.
  setAudio(audio) {
    if (audio === this.#audio) return;
    this.#audio = audio;
    if (this.running) {
      this.#close();
      this.#connect();
    }
  }

  // How large the picture is shown, in pixels of the screen, and whether the camera has a sub-stream
  // that is enough for it.  A stream that runs is not interrupted to become smaller.
  setSize(pixels, sub) {
    this.#height = HEIGHTS.find((height) => height >= pixels) ?? HEIGHTS.at(-1);
    const larger = this.#h264Only && this.#height > this.#askedHeight;
    const other = sub !== this.#sub;
    this.#sub = sub;
    if (other) this.#subFailed = false;
    if (this.running && (other || larger)) {
      this.#close();
      this.#connect();
    }
  }

  // The sub-stream does not play: take the main one.
  fallBack() {
    this.#subFailed = true;
    this.#subAskedAt = performance.now();
    this.#close();
    this.#connect();
  }

  // The sub-stream may play again.  The main one goes on until the server says so.
  // @param streaming  the server has pictures of it
  async askForSub(streaming) {
    const pause = streaming ? SUB_BACK_MS : SUB_AGAIN_MS;
    if (!this.running || !this.fellBack || performance.now() - this.#subAskedAt < pause) return;
    this.#subAskedAt = performance.now();
    const { signal } = this.#stop;
    const ask = () => explain(this.#fullQuery({ sub: true }), signal);
    const reason = await questions.run(ask, signal).catch(() => UNREACHABLE);
    if (reason !== null || signal.aborted || !this.fellBack) return;
    this.#subFailed = false;
    this.#close();
    this.#connect();
  }

  get usesSub() {
    return this.#sub && !this.#subFailed;
  }

  // The camera has a sub-stream, which does not play: this is the main one.
  get fellBack() {
    return this.#sub && this.#subFailed;
  }

  // Milliseconds since the last new picture.
  get quietMs() {
    return performance.now() - this.#pictureAt;
  }

  // The server has pictures of this camera: a failure of the camera, or of the network, is over.
  onServerStreams() {
    const arriving = this.#counter.pictures !== this.#seenPictures; // this computer may be slow
    this.#seenPictures = this.#counter.pictures;
    const open = this.#player !== null || this.#socket?.opened; // a handshake has a limit of its own
    const broken = open && this.quietMs > BROKEN_MS && !arriving;
    if (broken) this.#onEnd('ended');
    if (/^(camera_|ended|unreachable|draining)/.test(this.code)) this.retryNow();
  }

  // The server answers again.  What waits for an answer over the old network may wait for long.
  onServerReturn() {
    if (this.state !== 'connecting' && this.state !== 'retrying') return;
    this.#doubtful = false;
    this.#overHttp = false;
    this.#handshakes = 0;
    this.#close();
    this.#connect();
  }

  // Do not wait for the next attempt: the network or the person is back.
  retryNow() {
    if (this.state !== 'retrying') return;
    this.#close();
    this.#connect();
  }

  stats() {
    return {
      codec: this.#media?.videoCodec ?? '',
      audioCodec: this.#media?.audioCodec ?? '',
      width: this.#video.videoWidth,
      height: this.#video.videoHeight,
      frameRate: this.#rate.shown,
      arriving: this.#rate.arriving,
      tooSlow: this.state === 'live' && this.#rate.tooSlow,
      bitRate: this.#bitRate,
      delay: latencyOf(this.#video),
      dropped: this.#video.getVideoPlaybackQuality?.().droppedVideoFrames ?? 0,
      transport: this.#overHttp ? 'HTTP' : 'WebSocket',
      transcoded: this.#h264Only,
    };
  }

  #set(state, words, code = '') {
    if (state === this.state && words === this.text) return;
    Object.assign(this, { state, text: words, code });
    this.dispatchEvent(new Event('state'));
  }

  #fullQuery({ sub = this.usesSub } = {}) {
    const pairs = [
      !this.#audio && 'audio=none',
      this.#h264Only && 'allow_h265=false',
      this.#height < HEIGHTS.at(-1) && `height=${this.#height}`,
      sub && 'stream=sub',
    ];
    return [this.#query, ...pairs.filter(Boolean)].join('&');
  }

  // The server takes a WebSocket at once, and says in its close frame why a camera does not play.
  // So nothing waits for a camera: a browser has six connections to a host, and opens one WebSocket
  // to it at a time (RFC 6455 section 4.1).
  #connect() {
    const again = this.#failure && text('trying_again', { reason: this.#failure });
    this.#set('connecting', again || text('connecting'));
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    this.#liveAt = 0;
    this.#expectPicture();
    if (this.#overHttp) this.#connectOverHttp(signal);
    else this.#connectSocket(signal);
  }

  #expectPicture() {
    this.#pictureAt = performance.now();
    this.#pictureTime = serverNow(); // the other clock stands still while the computer sleeps
  }

  // Browsers hold a page back whose handshakes have failed: none is begun that nobody would answer.
  async #connectSocket(signal) {
    const answers = !this.#doubtful || (await serverAnswers());
    if (signal.aborted) return;
    if (!answers) {
      this.#retry(UNREACHABLE);
      return;
    }
    this.#doubtful = false;
    const handshake = () =>
      new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
        this.#openSocket(signal, resolve);
      });
    handshakes.run(handshake, signal, this.#isDown()).catch(() => {
      if (signal.aborted) return;
      this.#close(); // the browser refuses to make a WebSocket
      this.#retry(UNREACHABLE);
    });
  }

  // Only HTTP says why there is no stream.  It keeps a connection of the browser until the stream ends.
  #connectOverHttp(signal) {
    const untilEnd = () =>
      new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
        this.#begin();
        this.#play(streamUrl(this.#fullQuery()), signal);
      });
    if (httpStreams.full) this.#waitForConnection();
    httpStreams
      .run(async () => {
        clearTimeout(this.#retryTimer);
        const reason = await explain(this.#fullQuery(), signal);
        if (signal.aborted) return;
        if (reason === null) await untilEnd();
        else this.#retry(reason);
      }, signal)
      .catch(() => {});
  }

  #waitForConnection() {
    this.#set('connecting', text('waiting'));
    this.#retryTimer = setTimeout(
      () => {
        this.#close();
        this.#overHttp = false;
        this.#connect();
      },
      SOCKET_AGAIN_MS * (0.9 + 0.2 * Math.random()),
    );
  }

  // The handshake failed, and browsers do not say why.
  async #askWhy(signal) {
    const ask = async () =>
      (await serverAnswers()) ? explain(this.#fullQuery(), signal) : UNREACHABLE;
    const reason = await questions.run(ask, signal).catch(() => null);
    if (signal.aborted) return;
    this.#close();
    if (reason === null) this.#onHandshakeFailure();
    else this.#retry(reason);
  }

  // HTTP plays and WebSocket does not: something in between does not let it through, now or ever.
  #onHandshakeFailure() {
    if (++this.#handshakes < HANDSHAKES) {
      this.#retry({ code: 'no_websocket', text: wordsOf('no_websocket') });
      return;
    }
    this.#overHttp = true;
    this.#connect();
  }

  // The handshake does not end: the network was away, or something holds it.
  async #onStuckHandshake(signal) {
    const answers = await serverAnswers();
    if (signal.aborted) return;
    this.#close();
    if (answers) this.#onHandshakeFailure();
    else this.#retry(UNREACHABLE);
  }

  #onSocketClose({ opened, stuck, error }, signal) {
    if (signal.aborted) return;
    if (opened) this.#handshakes = 0;
    if (error !== null) this.#onRefusal(error);
    else if (opened) this.#onEnd('ended');
    else if (stuck) this.#onStuckHandshake(signal);
    else this.#askWhy(signal);
  }

  #onRefusal(error) {
    if (this.usesSub && !NOT_OF_THE_SUB.test(error.code)) {
      this.fallBack();
      return;
    }
    this.#forgetRetries();
    this.#close();
    this.#retry(reasonOf(this.#query, error));
  }

  #forgetRetries() {
    if (this.#liveAt !== 0 && performance.now() - this.#liveAt > STEADY_MS) this.#retries = 0;
  }

  get #connected() {
    return this.#player !== null || this.#socket !== null;
  }

  // @param onHandshakeEnd  is called when the WebSocket is open, or will not be
  #openSocket(signal, onHandshakeEnd) {
    this.#begin();
    const url = streamUrl(this.#fullQuery(), { webSocket: true });
    const socket = new FlvSocket(url, this.#counter, {
      onOpen: onHandshakeEnd,
      onData: () => this.#play(url, signal, socket),
      onClose: (end) => {
        onHandshakeEnd();
        this.#onSocketClose(end, signal);
      },
    });
    this.#socket = socket;
  }

  // A connection is made from now on: watch whether pictures come.
  #begin() {
    this.#expectPicture();
    this.#media = null;
    this.#total = 0;
    this.#askedHeight = this.#height;
    this.#counter = new PictureCounter();
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  // @param socket  that has the stream; without one the player asks for it by HTTP
  async #play(url, signal, socket = null) {
    const loaded = await loadLibrary();
    if (signal.aborted) return;
    if (!loaded) {
      this.#giveUp(NO_LIBRARY);
      return;
    }
    try {
      this.#makePlayer(url, socket && { customLoader: socketLoader(socket) });
    } catch {
      this.#giveUp(NO_PLAYER); // the browser has no MediaSource
    }
  }

  #giveUp(reason) {
    this.#close();
    this.#retry(reason);
  }

  #makePlayer(url, loader) {
    const config = { ...PLAYER_CONFIG, ...loader };
    const player = mpegts.createPlayer({ type: 'flv', isLive: true, url }, config);
    this.#player = player;
    // The player is in the middle of something, and must not be destroyed there.
    player.on(mpegts.Events.ERROR, (type) =>
      setTimeout(() => {
        if (this.#player === player)
          this.#onEnd(type === mpegts.ErrorTypes.MEDIA_ERROR ? 'player' : 'ended');
      }),
    );
    player.on(mpegts.Events.LOADING_COMPLETE, () => this.#onEnd('ended'));
    player.on(mpegts.Events.MEDIA_INFO, (info) => {
      this.#media = info;
    });
    player.on(mpegts.Events.STATISTICS_INFO, (info) => {
      this.#bitRate = (info.speed ?? 0) * 8 * 1024;
    });
    player.attachMediaElement(this.#video);
    player.load();
    // Browsers refuse to start with sound before the person has touched the page.
    Promise.resolve(player.play()).catch(() => {
      if (this.#player === player && !this.#video.muted) {
        this.#video.muted = true;
        Promise.resolve(player.play()).catch(() => {});
      }
    });
    this.#frameRequest = this.#video.requestVideoFrameCallback?.(() => {
      if (this.#player === player) this.#onPicture(performance.now());
    });
  }

  #close() {
    clearInterval(this.#timer);
    clearTimeout(this.#retryTimer);
    this.#stop.abort();
    this.#socket?.close();
    // A stream without pictures never answers it, and the video would keep one for each attempt.
    this.#video.cancelVideoFrameCallback?.(this.#frameRequest);
    const player = this.#player;
    this.#player = this.#socket = null;
    if (player !== null) {
      this.dispatchEvent(new Event('closing')); // the video still has its last picture
      player.destroy();
      this.#video.playbackRate = 1;
    }
  }

  // @param code  'ended', or 'player': the browser cannot play it
  #onEnd(code) {
    if (!this.#connected) return;
    const wasLive = this.#liveAt !== 0;
    const hurries = code === 'player' && this.#judgeDecoder();
    this.#forgetRetries();
    this.#close();
    // WebSockets may pass now.
    if (code === 'ended' && (wasLive || this.#retries > 0)) this.#overHttp = false;
    this.#retry({ code, text: wordsOf(code) }, hurries);
  }

  // The decoder has failed: packets were lost, or it cannot play this at all.
  // -> may the next attempt be made at once?
  #judgeDecoder() {
    const now = performance.now();
    const played = this.#liveAt !== 0 && now - this.#liveAt > PLAYED_MS;
    const again = now - this.#failedAt < FAILED_AGAIN_MS;
    this.#failedAt = now;
    if (played) return !again;
    const mayBeHevc = !this.#media?.videoCodec?.startsWith('avc');
    if (this.#h264Only || this.#liveAt !== 0 || !mayBeHevc) return false;
    this.#h264Only = ++this.#unplayable >= UNPLAYABLE;
    return this.#h264Only;
  }

  #retry({ code, text: reason }, hurries = false) {
    const wait = hurries
      ? AT_ONCE_MS
      : RETRY_MS[Math.min(this.#retries++, RETRY_MS.length - 1)];
    const spread = wait * (0.9 + 0.2 * Math.random()); // sixteen tiles need not knock at once
    this.#failure = reason;
    this.#doubtful = ['ended', 'unreachable', 'draining'].includes(code);
    this.#bitRate = 0;
    this.#set('retrying', reason, code);
    this.#retryTimer = setTimeout(() => this.#connect(), spread);
  }

  #tick() {
    const now = performance.now();
    this.#countPictures(now);
    if (this.#liveAt !== 0) this.#latency.keep(this.#video, now);
    const quiet = now - this.#pictureAt;
    if (quiet > QUIET_MS !== this.#quiet) {
      this.#quiet = quiet > QUIET_MS;
      if (this.#liveAt !== 0) this.dispatchEvent(new Event('quiet'));
    }
    if (quiet > DEAD_MS) {
      this.#onEnd('ended');
    } else if (this.state === 'live' && quiet > SILENT_MS) {
      this.#set('silent', text('silent'));
    } else if (this.state === 'silent' && quiet < SILENT_MS) {
      this.#set('live', text('live'));
    }
  }

  #countPictures(now) {
    if (this.#player === null) return;
    const quality = this.#video.getVideoPlaybackQuality?.();
    const total = quality?.totalVideoFrames ?? 0;
    const shown = total - (quality?.droppedVideoFrames ?? 0);
    if (total < this.#total) this.#total = 0; // a new source starts from 0
    if (total > this.#total) {
      this.#total = total;
      this.#onPicture(now);
    }
    const counted = { shown, arrived: this.#counter.pictures };
    if (this.#liveAt !== 0) this.#rate.update(now, counted, latencyOf(this.#video));
  }

  #onPicture(now) {
    this.#pictureAt = now;
    this.#pictureTime = serverNow();
    if (this.#liveAt !== 0 || this.#video.videoWidth === 0) return;
    this.#liveAt = now;
    this.#rate.reset(now, { shown: this.#total, arrived: this.#counter.pictures });
    this.#failure = '';
    this.#unplayable = 0;
    this.#set('live', text('live'));
  }
}
