// One picture and its soundtracks, all running on one audio clock, one of them heard.

const FADE_S = 0.005;
const CELL_S = 0.25;
const HEARD_SHARE = 0.97; // the last cell ends between two ticks of the clock
const files = new Map();

/** The bytes behind a media id; fetched once, so that the next page can be loaded ahead. */
export function fetched(url) {
  if (!files.has(url)) {
    const bytes = (async () => {
      const response = await fetch(url);
      if (!response.ok) throw new Error(`media ${response.status}`);
      return response.arrayBuffer();
    })();
    bytes.catch(() => files.delete(url));
    files.set(url, bytes);
  }
  return files.get(url);
}

/** Forgets what is not needed any more. */
export function keepOnly(urls) {
  for (const url of files.keys()) if (!urls.includes(url)) files.delete(url);
}

let context = null;
export function audioContext() {
  context ??= new AudioContext();
  return context;
}

function curve(shape, from, to) {
  const points = new Float32Array(32);
  for (let i = 0; i < points.length; i += 1) points[i] = from + (to - from) * shape(i / (points.length - 1));
  return points;
}
// Sine and cosine: the power of two sounds that have nothing in common stays constant.
const RISE = curve((x) => Math.sin((x * Math.PI) / 2), 0, 1);
const FALL = curve((x) => 1 - Math.cos((x * Math.PI) / 2), 1, 0);

export class Player {
  /** @param {{video: HTMLVideoElement|null, tracks: string[], volume: number, report: Function, changed: Function}} options */
  constructor({ video, picture, tracks, volume, report, changed, heard }) {
    Object.assign(this, { video, picture, tracks, volume, report, changed });
    this.buffers = [];
    this.sources = [];
    this.gains = [];
    this.chosen = 0;
    this.playing = false;
    this.position = 0;
    this.busyUntil = 0;
    this.listened = tracks.map(() => 0);
    this.cells = heard ?? tracks.map(() => []);
    this.timer = null;
  }

  async load() {
    const [bytes, ...sounds] = await Promise.all([
      this.picture ? fetched(this.picture) : null,
      ...this.tracks.map(fetched),
    ]);
    if (bytes && this.video) {
      this.video.muted = true;
      this.video.src = URL.createObjectURL(new Blob([bytes], { type: "video/mp4" }));
    }
    this.buffers = await Promise.all(sounds.map((sound) => audioContext().decodeAudioData(sound.slice(0))));
    this.duration = Math.min(...this.buffers.map((buffer) => buffer.duration));
  }

  now() {
    if (!this.playing) return this.position;
    return Math.min(this.duration, this.position + Math.max(0, audioContext().currentTime - this.startedAt));
  }

  async play() {
    if (this.playing || !this.buffers.length) return;
    const sound = audioContext();
    await sound.resume();
    if (this.position >= this.duration - 0.05) this.position = 0;
    this.master = sound.createGain();
    this.master.gain.value = this.volume;
    this.master.connect(sound.destination);
    this.startedAt = sound.currentTime + 0.06;
    this.gains = this.buffers.map((_, index) => {
      const gain = sound.createGain();
      gain.gain.value = index === this.chosen ? 1 : 0;
      gain.connect(this.master);
      return gain;
    });
    this.sources = this.buffers.map((buffer, index) => {
      const source = sound.createBufferSource();
      source.buffer = buffer;
      source.connect(this.gains[index]);
      source.start(this.startedAt, this.position);
      return source;
    });
    this.playing = true;
    this.last = this.position;
    this.busyUntil = 0;
    if (this.video) {
      this.video.currentTime = this.position;
      this.video.play().catch(() => {});
    }
    this.timer = setInterval(() => this.tick(), 50);
    this.report("play", this.position, this.chosen);
    this.changed();
  }

  tick() {
    const now = this.now();
    this.cover(this.last, now);
    this.last = now;
    if (this.video && Math.abs(this.video.currentTime - now) > 0.12 && now < this.duration - 0.2) {
      this.video.currentTime = now;
    }
    if (now >= this.duration - 0.01) {
      this.stop();
      this.position = this.duration;
      this.report("end", this.duration, this.chosen);
    }
    this.changed();
  }

  /** Notes which quarters of a second of the chosen soundtrack were heard. */
  cover(from, to) {
    if (to <= from) return;
    this.listened[this.chosen] += to - from;
    const cells = this.cells[this.chosen];
    for (let cell = Math.floor(from / CELL_S); cell * CELL_S < to; cell += 1) {
      const start = Math.max(from, cell * CELL_S);
      const end = Math.min(to, (cell + 1) * CELL_S, this.duration);
      cells[cell] = Math.min(CELL_S, (cells[cell] ?? 0) + end - start);
    }
  }

  heard(index) {
    if (!this.duration) return false;
    const sum = this.cells[index].reduce((total, seconds) => total + (seconds ?? 0), 0);
    return sum >= HEARD_SHARE * this.duration - 0.05;
  }

  stop() {
    if (!this.playing) return;
    this.position = this.now();
    this.cover(this.last, this.position);
    this.playing = false;
    clearInterval(this.timer);
    for (const source of this.sources) source.stop();
    const { master } = this;
    setTimeout(() => master.disconnect(), 50);
    this.video?.pause();
    this.changed();
  }

  pause() {
    if (!this.playing) return;
    this.stop();
    this.report("pause", this.position, this.chosen);
  }

  toggle() {
    return this.playing ? this.pause() : this.play();
  }

  seek(seconds) {
    const again = this.playing;
    if (again) this.stop();
    this.position = Math.max(0, Math.min(this.duration ?? 0, seconds));
    if (this.video) this.video.currentTime = this.position;
    this.report("seek", this.position, this.chosen);
    if (again) this.play();
    else this.changed();
  }

  /** Another soundtrack at the same place; chosen again, it plays. */
  choose(index) {
    if (index === this.chosen || index >= this.tracks.length) return;
    if (this.playing) {
      this.cover(this.last, this.now());
      this.last = this.now();
      const at = Math.max(audioContext().currentTime, this.busyUntil);
      this.gains[this.chosen].gain.setValueCurveAtTime(FALL, at, FADE_S);
      this.gains[index].gain.setValueCurveAtTime(RISE, at, FADE_S);
      this.busyUntil = at + FADE_S + 0.001;
    }
    this.chosen = index;
    this.report("switch", this.now(), index);
    this.changed();
  }

  setVolume(volume) {
    this.volume = volume;
    if (this.playing) this.master.gain.setTargetAtTime(volume, audioContext().currentTime, 0.01);
  }

  close() {
    this.stop();
    if (this.video?.src) URL.revokeObjectURL(this.video.src);
  }
}
