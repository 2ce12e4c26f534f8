// One comparison: a picture that follows its sounds, and which of them is heard.
(() => {
  "use strict";
  let sounding = null; // the one player that is heard

  const clock = (seconds) => {
    const whole = Math.floor(seconds + 0.01);
    return `${Math.floor(whole / 60)}:${String(whole % 60).padStart(2, "0")}`;
  };

  class Player extends EventTarget {
    constructor(exhibit) {
      super();
      this.exhibit = exhibit;
      this.sounds = musiscene.soundsOf(exhibit);
      this.active = exhibit.voices[0].name;
      this.playing = false;
      this.offset = 0;
      this.picture = null; // the video that follows
    }

    get position() {
      return this.playing ? Math.min(this.sounds.position, this.exhibit.duration) : this.offset;
    }

    async play() {
      if (this.playing || this.starting) return;
      sounding?.pause();
      sounding = this;
      this.starting = true;
      this._tell();
      try {
        await this.sounds.load();
        if (this.offset > this.exhibit.duration - 0.05) this.offset = 0;
        await this.sounds.start(this.offset, this.active);
        this.playing = true;
      } catch (error) {
        this.problem = error.message;
      }
      this.starting = false;
      if (sounding !== this) return this.pause();
      this._followed = 0;
      this._tick();
      this._tell();
    }

    pause() {
      if (!this.playing) return;
      this.offset = this.position;
      this.playing = false;
      this.sounds.stop(this.active);
      this.picture?.pause();
      this._tell();
    }

    toggle() { return this.playing ? this.pause() : this.play(); }

    async seek(seconds) {
      const target = Math.max(0, Math.min(seconds, this.exhibit.duration));
      const playing = this.playing;
      if (playing) this.pause();
      this.offset = target;
      if (this.picture) this.picture.currentTime = target;
      if (playing) await this.play();
      this._tell();
    }

    choose(name) {
      if (name === this.active || !this.exhibit.voices.some((voice) => voice.name === name)) return;
      const before = this.active;
      this.active = name;
      if (this.playing) this.sounds.switchTo(name, before);
      this._tell();
    }

    /** Another video shows the picture from now on, or none. */
    show(picture) {
      this.picture?.pause();
      this.picture = picture;
      if (picture) picture.currentTime = this.position;
    }

    _tick = () => {
      if (!this.playing) return;
      if (this.position >= this.exhibit.duration - 0.02) {
        this.pause();
        this.offset = this.exhibit.duration;
        return this._tell();
      }
      this._follow();
      this.dispatchEvent(new Event("time"));
      requestAnimationFrame(this._tick);
    };

    /** The ear decides: the picture is hurried or held a little, and set only where it is far off. */
    _follow() {
      const { picture, position } = this;
      if (!picture || picture.readyState < 2 || picture.seeking) return;
      if (picture.duration && position > picture.duration - 0.05) return;
      const drift = picture.currentTime - position;
      if (Math.abs(drift) > 0.2 && performance.now() - this._followed > 400) {
        this._followed = performance.now();
        picture.currentTime = position;
      } else picture.playbackRate = Math.abs(drift) < 0.02 ? 1 : Math.max(0.9, Math.min(1.1, 1 - drift));
      if (picture.paused) picture.play().catch(() => {});
    }

    _tell() {
      this.dispatchEvent(new Event("state"));
      this.dispatchEvent(new Event("time"));
    }
  }

  /** Bring an article to life. */
  musiscene.article = (root, exhibit) => {
    const player = new Player(exhibit);
    const video = root.querySelector(".picture > video");
    const transport = root.querySelector(".transport");
    const button = transport.querySelector(".play");
    const slider = transport.querySelector("input");
    const shown = transport.querySelector("output");
    if (video) {
      video.controls = false;
      video.muted = true;
      video.addEventListener("click", () => player.toggle());
      player.show(video);
    }
    transport.hidden = false;
    const voices = [...root.querySelectorAll(".voice")];
    for (const voice of voices) {
      const press = voice.querySelector("button");
      press.disabled = false;
      press.addEventListener("click", () => player.choose(voice.dataset.voice));
      voice.querySelector(".wave").addEventListener("click", (event) => {
        const box = event.currentTarget.getBoundingClientRect();
        player.choose(voice.dataset.voice);
        player.seek(((event.clientX - box.left) / box.width) * exhibit.duration);
      });
    }
    button.addEventListener("click", () => player.toggle());
    slider.addEventListener("input", () => player.seek(Number(slider.value)));
    player.addEventListener("state", () => {
      root.classList.toggle("playing", player.playing);
      button.classList.toggle("pausing", player.playing);
      button.setAttribute("aria-busy", String(Boolean(player.starting)));
      button.setAttribute("aria-label", musiscene.say(player.playing ? "show_pause" : "show_play", { name: exhibit.title }));
      for (const voice of voices) {
        const heard = voice.dataset.voice === player.active;
        voice.classList.toggle("active", heard);
        voice.querySelector("button").setAttribute("aria-pressed", String(heard));
      }
      if (player.problem) shown.textContent = musiscene.say("show_unplayable", { reason: player.problem });
    });
    player.addEventListener("time", () => {
      slider.value = player.position;
      slider.setAttribute("aria-valuetext", clock(player.position));
      root.style.setProperty("--at", `${(100 * player.position) / exhibit.duration}%`);
      if (!player.problem) shown.textContent = `${clock(player.position)} / ${clock(exhibit.duration)}`;
    });
    player._tell();
    player.root = root;
    player.video = video;
    return player;
  };
})();
