// The switcher: several sounds play at once in Web Audio, sample by sample together, and one of them is heard.
// Switching is a fade of 5 ms with constant power, so there is neither a gap nor a click, and no sound is restarted.
// A sound may be known only in its beginning: it plays as far as it goes, and what is longer takes its place at the
// same sample while it plays.
(() => {
  "use strict";
  const app = window.musiscene;

  const FADE_S = 0.005;
  const POINTS = 33;
  const FADE_IN = Float32Array.from({ length: POINTS }, (_, i) => Math.sin((i / (POINTS - 1)) * (Math.PI / 2)));
  const FADE_OUT = Float32Array.from({ length: POINTS }, (_, i) => Math.cos((i / (POINTS - 1)) * (Math.PI / 2)));
  const EXCHANGE_S = 0.04; // the same music before and after, so the fade is linear
  const UP = Float32Array.from([0, 1]);
  const DOWN = Float32Array.from([1, 0]);
  const NEARLY_S = 3; // before the end of what is loaded, the next part is fetched
  const ENOUGH_S = 1; // that much has to be ahead before playing goes on by itself
  const START_IN_S = 0.03; // all sounds are started at one time of the audio clock a little ahead

  /** Decoded sounds are 8 bytes a sample; past this many seconds in all, only those that were heard last are kept. */
  const DECODED_AT_MOST_S = 1800;

  class Switcher extends EventTarget {
    constructor() {
      super();
      this.sounds = new Map(); // id -> {id, url, partial, buffer, loaded, whole, loading, error, source, gain}
      this.active = null;
      this.duration = 0;
      this.offset = 0;
      this.playing = false;
      this.waiting = false; // what is to be played is not written yet
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

    /**
     * What can be heard: a list of {id, url, partial}, `partial` being the seconds of a beginning and 0 for a whole sound.
     * Sounds that are known already are kept as they are until what is at a new address has arrived.
     */
    async setSounds(list, duration) {
      this.duration = duration;
      const ids = new Set(list.map((sound) => sound.id));
      for (const [id, sound] of this.sounds) {
        if (!ids.has(id)) {
          this._silence(sound);
          this.sounds.delete(id);
        }
      }
      for (const { id, url, partial = 0 } of list) {
        if (this.sounds.has(id)) Object.assign(this.sounds.get(id), { url, partial });
        else this.sounds.set(id, { id, url, partial, buffer: null, loaded: "", whole: false, loading: null, error: "" });
      }
      if (!this.sounds.has(this.active)) {
        this.active = list.length ? list[0].id : null;
        this.waiting = false;
        if (!this.active) this.pause(); // what was heard is not there any more
      }
      const together = list.length * duration <= DECODED_AT_MOST_S;
      const wanted = [...this.sounds.values()].filter((sound) =>
        sound.partial ? this._wantsMore(sound) : together || sound.id === this.active,
      );
      await Promise.all(wanted.map(({ id }) => this._load(id)));
    }

    /** Whether more of a beginning is worth a request now: each fetches it from its start. */
    _wantsMore(sound) {
      if (sound.id !== this.active || sound.loaded === sound.url) return false;
      if (!sound.buffer) return true;
      const known = sound.buffer.duration;
      return sound.partial >= 2 * known || this.waiting || (this.playing && this.position > known - NEARLY_S);
    }

    _load(id) {
      const sound = this.sounds.get(id);
      if (!sound || sound.loaded === sound.url) return Promise.resolve();
      sound.loading ??= (async () => {
        const { url, partial } = sound;
        try {
          const response = await fetch(url);
          if (!response.ok) throw new Error(`${response.status}`);
          const buffer = await this.context.decodeAudioData(await response.arrayBuffer());
          if (this.sounds.get(id) === sound) this._take(sound, buffer, url, !partial);
        } catch (error) {
          // A beginning goes when the whole is there: that is no fault.
          sound.error = partial ? "" : error.message || String(error);
        } finally {
          sound.loading = null;
          this._tell("loaded");
        }
        if (partial && !sound.partial && this.sounds.get(id) === sound) await this._load(id);
      })();
      return sound.loading;
    }

    /** A sound has arrived, or more of it: it takes the place of what plays, at the same sample. */
    _take(sound, buffer, url, whole) {
      const before = sound.source && { source: sound.source, gain: sound.gain };
      Object.assign(sound, { buffer, whole, loaded: url, error: "" });
      if (this.playing) {
        const heard = before && sound.id === this.active;
        const when = Math.max(this.context.currentTime + START_IN_S, heard ? this._fadeEnd : 0);
        sound.source = null;
        this._begin(sound, when);
        if (before) {
          before.source.onended = () => before.gain.disconnect();
          before.source.stop(when + (heard ? EXCHANGE_S : 0));
        }
        if (heard) {
          this._fadeEnd = when + EXCHANGE_S + 1e-4;
          before.gain.gain.setValueCurveAtTime(DOWN, when, EXCHANGE_S);
          sound.gain.gain.setValueCurveAtTime(UP, when, EXCHANGE_S);
        }
      } else if (this.waiting && sound.id === this.active && (whole || buffer.duration >= this.offset + ENOUGH_S)) {
        this.play();
      }
    }

    /** Where what is loaded of the active sound ends before the sound does; Infinity where it is whole. */
    get _edge() {
      const active = this.sounds.get(this.active);
      return active?.buffer && !active.whole ? active.buffer.duration - 0.02 : Infinity;
    }

    _begin(sound, when) {
      if (!sound.buffer || sound.source) return;
      const { context } = this;
      const source = context.createBufferSource();
      source.buffer = sound.buffer;
      if (this.loop && (sound.whole || this.loop.end <= sound.buffer.duration)) {
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
      if (this.playing || !this.active) return;
      if (this.offset >= this.duration - 0.02) this.offset = this.loop ? this.loop.start : 0;
      if (this.loop && (this.offset < this.loop.start || this.offset >= this.loop.end)) this.offset = this.loop.start;
      this.waiting = this.offset >= this._edge;
      if (this.waiting) return this._tell("state");
      this.startedAt = this.context.currentTime + START_IN_S;
      this.playing = true;
      for (const sound of this.sounds.values()) this._begin(sound, this.startedAt);
      this._fadeMaster(FADE_IN, this.startedAt);
      this._startVideo();
      this._tick();
      this._tell("state");
    }

    pause() {
      if (this.waiting) {
        this.waiting = false;
        this._tell("state");
      }
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
      return this.playing || this.waiting ? this.pause() : this.play();
    }

    async seek(seconds) {
      const target = Math.min(Math.max(0, seconds), this.duration);
      const wasPlaying = this.playing || this.waiting;
      if (this.playing) this._halt();
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
      if (!wanted.buffer || (wanted.partial && wanted.buffer.duration <= this.position)) await this._load(id);
      if (this._wish !== id || !wanted.buffer) return this._tell("state"); // another was chosen while this one loaded
      const before = this.sounds.get(this.active);
      this.active = id;
      if (this.waiting) this.play(); // this one may be further
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
      if (position >= this._edge) {
        this._halt();
        this.offset = this._edge;
        this.waiting = true;
        this._load(this.active); // there may be more already
        this._tell("state");
        this._tell("time");
        return;
      }
      const active = this.sounds.get(this.active);
      if (active?.partial && this._wantsMore(active)) this._load(this.active);
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
      this.waiting = false;
      this.offset = 0;
      this.loop = null;
    }
  }

  app.Switcher = Switcher;
})();
