// The switcher: several sounds play at once in Web Audio, sample by sample together, and one of them is heard.
// Switching is a fade of 5 ms with constant power, so there is neither a gap nor a click, and no sound is restarted.
(() => {
  "use strict";
  const app = window.musiscene;

  const FADE_S = 0.005;
  const POINTS = 33;
  const FADE_IN = Float32Array.from({ length: POINTS }, (_, i) => Math.sin((i / (POINTS - 1)) * (Math.PI / 2)));
  const FADE_OUT = Float32Array.from({ length: POINTS }, (_, i) => Math.cos((i / (POINTS - 1)) * (Math.PI / 2)));
  const START_IN_S = 0.03; // all sounds are started at one time of the audio clock a little ahead

  /** Decoded sounds are 8 bytes a sample; past this many seconds in all, only those that were heard last are kept. */
  const DECODED_AT_MOST_S = 1800;

  class Switcher extends EventTarget {
    constructor() {
      super();
      this.sounds = new Map(); // id -> {id, url, buffer, loading, error, source, gain}
      this.active = null;
      this.duration = 0;
      this.offset = 0;
      this.playing = false;
      this.loop = null; // {start, end} in seconds
      this.volume = 1;
      this.video = null;
      this._fadeEnd = 0;
    }

    get context() {
      if (!this._context) {
        this._context = new AudioContext({ latencyHint: "interactive" });
        this.master = this._context.createGain();
        this.master.connect(this._context.destination);
        this.master.gain.value = this.volume;
      }
      return this._context;
    }

    /** Time of the clip that is heard now, in seconds. */
    get position() {
      if (!this.playing) return this.offset;
      return this._at(this.context.currentTime);
    }

    _at(time) {
      const elapsed = Math.max(0, time - this.startedAt);
      const raw = this.offset + elapsed;
      const { loop } = this;
      if (!loop || raw < loop.end || this.offset >= loop.end) return Math.min(raw, this.duration);
      return loop.start + ((raw - loop.start) % (loop.end - loop.start));
    }

    /** What can be heard: a list of {id, url}. Sounds that are known already are kept as they are. */
    async setSounds(list, duration) {
      this.duration = duration;
      const ids = new Set(list.map((sound) => sound.id));
      for (const [id, sound] of this.sounds) {
        if (!ids.has(id)) {
          this._silence(sound);
          this.sounds.delete(id);
        }
      }
      for (const { id, url } of list) {
        if (!this.sounds.has(id)) this.sounds.set(id, { id, url, buffer: null, loading: null, error: "" });
      }
      if (!this.sounds.has(this.active)) this.active = list.length ? list[0].id : null;
      const together = list.length * duration <= DECODED_AT_MOST_S;
      await Promise.all(list.filter(({ id }) => together || id === this.active).map(({ id }) => this._load(id)));
    }

    _load(id) {
      const sound = this.sounds.get(id);
      if (!sound || sound.buffer) return Promise.resolve();
      sound.loading ??= (async () => {
        try {
          const response = await fetch(sound.url);
          if (!response.ok) throw new Error(`${response.status}`);
          sound.buffer = await this.context.decodeAudioData(await response.arrayBuffer());
          sound.error = "";
          if (this.playing) this._begin(sound, this.context.currentTime + START_IN_S);
        } catch (error) {
          sound.error = error.message || String(error);
        } finally {
          sound.loading = null;
          this._tell("loaded");
        }
      })();
      return sound.loading;
    }

    _begin(sound, when) {
      if (!sound.buffer || sound.source) return;
      const { context } = this;
      const source = context.createBufferSource();
      source.buffer = sound.buffer;
      if (this.loop) {
        source.loop = true;
        source.loopStart = this.loop.start;
        source.loopEnd = Math.min(this.loop.end, sound.buffer.duration);
      }
      const gain = context.createGain();
      gain.gain.value = sound.id === this.active ? 1 : 0;
      source.connect(gain).connect(this.master);
      source.start(when, Math.min(this._at(when), sound.buffer.duration));
      Object.assign(sound, { source, gain });
    }

    _silence(sound, when = 0) {
      if (!sound.source) return;
      const { source, gain } = sound;
      sound.source = sound.gain = null;
      source.onended = () => gain.disconnect();
      source.stop(when);
    }

    async play() {
      if (this.playing || !this.active) return;
      await this.context.resume();
      await this._load(this.active);
      if (this.playing) return;
      if (this.offset >= this.duration - 0.02) this.offset = this.loop ? this.loop.start : 0;
      if (this.loop && (this.offset < this.loop.start || this.offset >= this.loop.end)) this.offset = this.loop.start;
      this.startedAt = this.context.currentTime + START_IN_S;
      this.playing = true;
      for (const sound of this.sounds.values()) this._begin(sound, this.startedAt);
      this._fadeMaster(FADE_IN, this.startedAt);
      this._startVideo();
      this._tick();
      this._tell("state");
    }

    pause() {
      if (!this.playing) return;
      const position = this.position;
      this._halt();
      this.offset = position;
      this._tell("state");
    }

    _halt() {
      const now = this.context.currentTime;
      this._fadeMaster(FADE_OUT, now);
      for (const sound of this.sounds.values()) this._silence(sound, now + FADE_S + 0.002);
      this.playing = false;
      cancelAnimationFrame(this._frame);
      this.video?.pause();
    }

    toggle() {
      return this.playing ? this.pause() : this.play();
    }

    async seek(seconds) {
      const target = Math.min(Math.max(0, seconds), this.duration);
      const wasPlaying = this.playing;
      if (wasPlaying) this._halt();
      this.offset = target;
      if (this.video) this.video.currentTime = target;
      if (wasPlaying) {
        await new Promise((resolve) => setTimeout(resolve, 1000 * (FADE_S + 0.003)));
        await this.play();
      }
      this._tell("state");
    }

    /** Mark the part that is repeated; null plays to the end. */
    async setLoop(loop) {
      const position = this.position;
      const wasPlaying = this.playing;
      if (wasPlaying) this._halt();
      this.offset = position;
      this.loop = loop && loop.end - loop.start >= 0.1 ? loop : null;
      if (wasPlaying) {
        await new Promise((resolve) => setTimeout(resolve, 1000 * (FADE_S + 0.003)));
        await this.play();
      }
      this._tell("state");
    }

    /** Hear another sound at the same place. */
    async switchTo(id) {
      if (!this.sounds.has(id) || id === this.active) return;
      const wanted = this.sounds.get(id);
      this._wish = id;
      if (!wanted.buffer) await this._load(id);
      if (this._wish !== id || !wanted.buffer) return this._tell("state"); // another was chosen while this one loaded
      const before = this.sounds.get(this.active);
      this.active = id;
      if (this.playing) {
        const start = Math.max(this.context.currentTime, this._fadeEnd);
        this._fadeEnd = start + FADE_S + 1e-4; // curves may not overlap, so quick presses wait for 5 ms
        before?.gain?.gain.setValueCurveAtTime(FADE_OUT, start, FADE_S);
        wanted.gain?.gain.setValueCurveAtTime(FADE_IN, start, FADE_S);
      }
      this._tell("state");
    }

    setVolume(volume) {
      this.volume = volume;
      if (this._context) this.master.gain.setTargetAtTime(volume, this._context.currentTime, 0.01);
    }

    _fadeMaster(curve, when) {
      const { gain } = this.master;
      gain.cancelScheduledValues(0);
      gain.setValueCurveAtTime(curve.map((value) => value * this.volume), when, FADE_S);
    }

    // -- the picture follows the sound ---------------------------------------------------------------------------

    async _startVideo() {
      const { video } = this;
      if (!video?.src) return;
      video.muted = true;
      video.currentTime = this.offset;
      try {
        await video.play();
      } catch {
        /* a picture that cannot play never stops the sound */
      }
    }

    _followSound(position) {
      const { video } = this;
      if (!video?.src || video.readyState < 2 || video.seeking) return;
      const heard = position - (this.context.outputLatency || 0);
      const drift = video.currentTime - heard;
      const end = Number.isFinite(video.duration) ? video.duration : this.duration;
      if (Math.abs(drift) > 0.2 && heard < end - 0.1) video.currentTime = Math.max(0, heard);
      else video.playbackRate = Math.abs(drift) < 0.02 ? 1 : Math.min(1.1, Math.max(0.9, 1 - drift));
      if (video.paused && heard < end - 0.1) video.play().catch(() => {});
    }

    _tick = () => {
      if (!this.playing) return;
      const { position } = this;
      if (!this.loop && position >= this.duration - 0.001) {
        this._halt();
        this.offset = this.duration;
        this._tell("state");
        this._tell("time");
        return;
      }
      this._softenLoop();
      this._followSound(position);
      this._tell("time");
      this._frame = requestAnimationFrame(this._tick);
    };

    /** The end of a loop meets its start anywhere in a wave; a dip of 5 ms on each side takes the click out. */
    _softenLoop() {
      if (!this.loop) return;
      const now = this.context.currentTime;
      const seam = now + (this.loop.end - this.position);
      if (seam - now > 0.25 || seam - now < 2 * FADE_S || (this._seam && seam < this._seam + 0.05)) return;
      this._seam = seam;
      const scaled = (curve) => curve.map((value) => value * this.volume);
      this.master.gain.setValueCurveAtTime(scaled(FADE_OUT), seam - FADE_S - 1e-4, FADE_S);
      this.master.gain.setValueCurveAtTime(scaled(FADE_IN), seam, FADE_S);
    }

    _tell(name) {
      this.dispatchEvent(new Event(name));
    }

    close() {
      if (this.playing) this._halt();
      this.offset = 0;
      this.loop = null;
    }
  }

  app.Switcher = Switcher;
})();
