// One camera in one video element: connects, keeps to the live edge, and comes back by itself.
//
// States: idle -> connecting -> live <-> silent; any of them -> retrying -> connecting.

import { explain, playsHevc, streamUrl, wordsOf } from './server.js';
import { text } from './text.js';

const RETRY_MS = [1000, 2000, 4000, 8000, 15000, 30000];
const TICK_MS = 500;
const STEADY_MS = 10000; // live for so long: the next failure starts again with the first wait
const SILENT_MS = 3000; // no new picture: say so
const DEAD_MS = 75000; // longer than the server keeps a viewer without its camera

// Seconds between what is shown and the newest that has arrived.
const EDGE = { jump: 2.0, faster: 1.0, fast: 0.5, enough: 0.25, target: 0.2 };
const RATE = { faster: 1.3, fast: 1.1 };
// A jump makes the browser decode from the key frame before: one that is short of CPU only falls
// farther behind when it jumps at every tick.
const JUMP_PAUSE_MS = 5000;

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
  #player = null;
  #timer = 0;
  #retryTimer = 0;
  #retries = 0;
  #failure = ''; // of the last attempt, in words
  #stop = new AbortController();
  #h264Only = !playsHevc();
  #overHttp = false;
  #liveAt = 0;
  #jumpedAt = -Infinity;
  #pictureAt = 0;
  #total = 0; // pictures decoded
  #frames = 0; // of them before #framesAt
  #framesAt = 0;
  #frameRate = 0;
  #bitRate = 0;
  #media = null;
  state = 'idle';
  text = '';
  code = '';

  constructor(video, query, { audio = false } = {}) {
    super();
    this.#video = video;
    this.#query = query;
    this.#audio = audio;
  }

  // When the newest picture came, in ms since the epoch.
  get pictureTime() {
    return performance.timeOrigin + this.#pictureAt;
  }

  get running() {
    return this.state !== 'idle';
  }

  start() {
    if (this.running) return;
    this.#retries = 0;
    this.#failure = '';
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
      frameRate: this.#frameRate,
      bitRate: this.#bitRate,
      delay: this.#lag(),
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

  #fullQuery() {
    return (
      this.#query + (this.#audio ? '' : '&audio=none') + (this.#h264Only ? '&allow_h265=false' : '')
    );
  }

  // The camera is asked for over HTTP first, because only HTTP says why there is no stream, and
  // because a browser opens one WebSocket to a host at a time (RFC 6455 section 4.1): one to a
  // camera that takes long to answer would hold up those of all others.
  async #connect() {
    const again = this.#failure && text('trying_again', { reason: this.#failure });
    this.#set('connecting', again || text('connecting'));
    this.#stop = new AbortController();
    const { signal } = this.#stop;
    const reason = await explain(this.#fullQuery(), signal);
    if (signal.aborted) return;
    if (reason === null) this.#play();
    else this.#retry(reason);
  }

  #play() {
    this.#liveAt = 0;
    this.#pictureAt = performance.now();
    this.#media = null;
    this.#total = this.#frames = 0;
    const url = streamUrl(this.#fullQuery(), { webSocket: !this.#overHttp });
    const player = mpegts.createPlayer({ type: 'flv', isLive: true, url }, PLAYER_CONFIG);
    this.#player = player;
    player.on(mpegts.Events.ERROR, (type) => this.#onFailure(type));
    player.on(mpegts.Events.LOADING_COMPLETE, () => this.#onFailure('ended'));
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
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  #close() {
    clearInterval(this.#timer);
    clearTimeout(this.#retryTimer);
    this.#stop.abort();
    const player = this.#player;
    this.#player = null;
    if (player !== null) {
      this.dispatchEvent(new Event('closing')); // the video still has its last picture
      player.destroy();
      this.#video.playbackRate = 1;
    }
  }

  #onFailure(type) {
    if (this.#player === null) return;
    const wasLive = this.#liveAt !== 0;
    let code = 'ended';
    if (wasLive && performance.now() - this.#liveAt > STEADY_MS) this.#retries = 0;
    this.#close();
    this.#bitRate = this.#frameRate = 0;
    if (type === mpegts.ErrorTypes.MEDIA_ERROR) {
      // It said that it plays HEVC, and does not.
      if (!wasLive) this.#h264Only = true;
      code = 'player';
    } else if (!wasLive && this.#retries > 0) {
      // HTTP plays and WebSocket does not: something in between does not let it through.
      this.#overHttp = !this.#overHttp;
    }
    this.#retry({ code, text: wordsOf(code) });
  }

  #retry({ code, text: reason }) {
    const wait = RETRY_MS[Math.min(this.#retries++, RETRY_MS.length - 1)];
    const spread = wait * (0.9 + 0.2 * Math.random()); // sixteen tiles need not knock at once
    this.#failure = reason;
    this.#set('retrying', reason, code);
    this.#retryTimer = setTimeout(() => this.#connect(), spread);
  }

  #lag() {
    const { buffered, currentTime } = this.#video;
    return buffered.length === 0 ? 0 : Math.max(0, buffered.end(buffered.length - 1) - currentTime);
  }

  #tick() {
    const now = performance.now();
    this.#countFrames(now);
    if (this.#liveAt !== 0) this.#keepToEdge(now);
    const quiet = now - this.#pictureAt;
    if (quiet > DEAD_MS) {
      this.#onFailure('ended');
    } else if (this.state === 'live' && quiet > SILENT_MS) {
      this.#set('silent', text('silent'));
    } else if (this.state === 'silent' && quiet < SILENT_MS) {
      this.#set('live', text('live'));
    }
  }

  #countFrames(now) {
    const total = this.#video.getVideoPlaybackQuality?.().totalVideoFrames ?? 0;
    if (total < this.#total) this.#total = this.#frames = 0; // a new source starts from 0
    if (total > this.#total) {
      this.#total = total;
      this.#pictureAt = now;
      if (this.#liveAt === 0 && this.#video.videoWidth > 0) {
        this.#liveAt = this.#framesAt = now;
        this.#frames = total;
        this.#failure = '';
        this.#set('live', text('live'));
      }
    }
    if (this.#liveAt !== 0 && now - this.#framesAt >= 2000) {
      this.#frameRate = ((total - this.#frames) * 1000) / (now - this.#framesAt);
      this.#frames = total;
      this.#framesAt = now;
    }
  }

  #keepToEdge(now) {
    const video = this.#video;
    const { buffered } = video;
    if (buffered.length === 0) return;
    const end = buffered.end(buffered.length - 1);
    const lag = end - video.currentTime;
    const start = buffered.start(buffered.length - 1);
    const mayJump = now - this.#jumpedAt > JUMP_PAUSE_MS;
    if ((lag > EDGE.jump && mayJump) || video.currentTime < start) {
      this.#jumpedAt = now;
      video.currentTime = Math.max(start, end - EDGE.target);
      video.playbackRate = 1;
    } else if (lag > EDGE.fast) {
      video.playbackRate = lag > EDGE.faster ? RATE.faster : RATE.fast;
    } else if (lag < EDGE.enough) {
      video.playbackRate = 1;
    }
    if (video.paused) Promise.resolve(video.play()).catch(() => {});
  }
}
