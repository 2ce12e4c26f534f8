// Sounds that play together, one of them heard. A page opened from a file may fetch nothing, but it may run scripts and
// play media: short sounds come as scripts and are played by Web Audio, sample by sample together; long ones are media
// elements, whose loudness is faded step by step.
const musiscene = {};
(() => {
  "use strict";
  const FADE_S = 0.012;
  const POINTS = 33;
  const rising = Float32Array.from({ length: POINTS }, (_, i) => Math.sin((i / (POINTS - 1)) * (Math.PI / 2)));
  const falling = rising.slice().reverse();
  const arrived = new Map(); // "exhibit/voice" -> base64, until it is decoded
  window.musisceneSound = (exhibit, voice, text) => arrived.set(`${exhibit}/${voice}`, text);

  let shared = null;
  const context = () => (shared ??= new AudioContext({ latencyHint: "interactive" }));

  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer;

  const runScript = (src) =>
    new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = src;
      script.onload = () => { script.remove(); resolve(); };
      script.onerror = () => { script.remove(); reject(new Error(`${src} is missing`)); };
      document.head.append(script);
    });

  class Decoded {
    constructor(exhibit) {
      this.exhibit = exhibit;
      this.buffers = new Map();
      this.playing = new Map(); // voice -> {source, gain}
      this.fadedAt = 0;
    }

    load() {
      return (this.loading ??= (async () => {
        await runScript(this.exhibit.script);
        await Promise.all(this.exhibit.voices.map(async ({ name }) => {
          const key = `${this.exhibit.name}/${name}`;
          const text = arrived.get(key);
          arrived.delete(key);
          if (text) this.buffers.set(name, await context().decodeAudioData(bytes(text)));
        }));
      })());
    }

    async start(at, active) {
      await context().resume();
      this.began = context().currentTime + 0.03;
      this.at = at;
      for (const [name, buffer] of this.buffers) {
        const source = context().createBufferSource();
        const gain = context().createGain();
        source.buffer = buffer;
        gain.gain.value = 0;
        if (name === active) gain.gain.setValueCurveAtTime(rising, this.began, FADE_S);
        source.connect(gain).connect(context().destination);
        source.start(this.began, Math.min(at, buffer.duration));
        this.playing.set(name, { source, gain });
      }
      this.fadedAt = this.began + FADE_S + 1e-4;
    }

    get position() { return this.at + Math.max(0, context().currentTime - this.began); }

    switchTo(name, before) {
      const start = Math.max(context().currentTime, this.fadedAt); // curves may not overlap
      this.fadedAt = start + FADE_S + 1e-4;
      this.playing.get(before)?.gain.gain.setValueCurveAtTime(falling, start, FADE_S);
      this.playing.get(name)?.gain.gain.setValueCurveAtTime(rising, start, FADE_S);
    }

    stop(active) {
      const start = Math.max(context().currentTime, this.fadedAt);
      this.playing.get(active)?.gain.gain.setValueCurveAtTime(falling, start, FADE_S);
      for (const { source, gain } of this.playing.values()) {
        source.onended = () => gain.disconnect();
        source.stop(start + FADE_S + 0.002);
      }
      this.playing.clear();
    }

    /** How loud a voice is now, 0 to 1. */
    level(name) { return this.playing.get(name)?.gain.gain.value ?? 0; }
  }

  class Elements {
    constructor(exhibit) {
      this.sounds = new Map(exhibit.voices.map(({ name, file }) => {
        const sound = new Audio();
        sound.preload = "none";
        sound.src = file;
        return [name, sound];
      }));
      this.levels = new Map();
    }

    load() {
      return (this.loading ??= Promise.all([...this.sounds.values()].map((sound) => new Promise((resolve) => {
        sound.addEventListener("canplay", resolve, { once: true });
        sound.addEventListener("error", resolve, { once: true });
        sound.preload = "auto";
        sound.load();
      }))));
    }

    async start(at, active) {
      this.active = active;
      for (const [name, sound] of this.sounds) {
        this._set(name, Number(name === active));
        sound.currentTime = at;
      }
      await Promise.all([...this.sounds.values()].map((sound) => sound.play().catch(() => {})));
    }

    get position() { return this.sounds.get(this.active).currentTime; }

    switchTo(name, before) {
      const began = performance.now();
      const now = this.position;
      const next = this.sounds.get(name);
      if (Math.abs(next.currentTime - now) > 0.03) next.currentTime = now;
      this.active = name;
      const step = () => {
        const share = Math.min(1, (performance.now() - began) / 60);
        this._set(before, this.active === before ? 1 : Math.cos((share * Math.PI) / 2));
        if (this.active === name) this._set(name, Math.sin((share * Math.PI) / 2));
        if (share < 1) requestAnimationFrame(step);
      };
      step();
    }

    stop() { for (const sound of this.sounds.values()) sound.pause(); }

    _set(name, level) {
      this.levels.set(name, level);
      this.sounds.get(name).volume = level;
    }

    level(name) { return this.levels.get(name) ?? 0; }
  }

  musiscene.soundsOf = (exhibit) => (exhibit.script && window.AudioContext ? new Decoded(exhibit) : new Elements(exhibit));
})();
