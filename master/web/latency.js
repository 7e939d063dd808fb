// Keeps a video at the live edge: close to the newest picture that has arrived.

// Seconds between the picture that is shown and the newest one that has arrived.
const LATENCY = { jump: 2.0, faster: 1.0, fast: 0.5, enough: 0.25, target: 0.2 };
const RATE = { faster: 1.3, fast: 1.1 };
// A jump makes the browser decode from the key frame before: one that is short of CPU only falls
// farther behind when it jumps at every tick.
const JUMP_PAUSE_MS = 5000;

export function latencyOf({ buffered, currentTime }) {
  return buffered.length === 0 ? 0 : Math.max(0, buffered.end(buffered.length - 1) - currentTime);
}

export class LatencyController {
  #jumpedAt = -Infinity;

  // To be called again and again while pictures are shown.
  keep(video, now) {
    const { buffered } = video;
    if (buffered.length === 0) return;
    const end = buffered.end(buffered.length - 1);
    const latency = end - video.currentTime;
    const start = buffered.start(buffered.length - 1);
    const mayJump = now - this.#jumpedAt > JUMP_PAUSE_MS;
    if ((latency > LATENCY.jump && mayJump) || video.currentTime < start) {
      this.#jumpedAt = now;
      video.currentTime = Math.max(start, end - LATENCY.target);
      video.playbackRate = 1;
    } else if (latency > LATENCY.fast) {
      video.playbackRate = latency > LATENCY.faster ? RATE.faster : RATE.fast;
    } else if (latency < LATENCY.enough) {
      video.playbackRate = 1;
    }
    if (video.paused) Promise.resolve(video.play()).catch(() => {});
  }
}
