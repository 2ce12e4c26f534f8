// The presentation: one clip fills the screen; which soundtrack is which is told when it is revealed.
(() => {
  "use strict";

  musiscene.presenter = (players) => {
    const dialog = document.querySelector(".presenter");
    const part = (name) => dialog.querySelector(name);
    const [where, title, words, voices, video, wave, bar] = [
      ".where", ".stage-title", ".stage-words", ".stage-voices", "video", ".big-wave", ".line span",
    ].map(part);
    let index = 0;
    let revealed = false;
    const player = () => players[index];

    const draw = () => {
      const { exhibit, active } = player();
      where.textContent = `${index + 1} / ${players.length}`;
      title.textContent = exhibit.title;
      const heard = exhibit.voices.find((voice) => voice.name === active);
      dialog.classList.toggle("revealed", revealed);
      dialog.classList.toggle("playing", player().playing);
      dialog.dataset.kind = revealed ? heard.kind : "";
      words.textContent = revealed ? heard.caption || musiscene.say("show_own_about") : "";
      words.lang = revealed && heard.caption ? "en" : musiscene.language;
      words.className = `stage-words ${revealed && heard.kind ? `k-${heard.kind}` : ""}`;
      for (const button of voices.children) {
        const voice = exhibit.voices.find(({ name }) => name === button.dataset.voice);
        const told = revealed || !voice.kind;
        button.className = revealed && voice.kind ? `k-${voice.kind}` : "";
        button.setAttribute("aria-pressed", String(voice.name === active));
        if (voice.name === active && voices.contains(document.activeElement)) button.focus();
        const title = musiscene.say(voice.kind ? `kind_${voice.kind}` : "show_own");
        const take = voice.take > 1 ? ` · ${musiscene.say("take", { n: voice.take })}` : "";
        button.lastElementChild.textContent = told ? title + take : musiscene.say("show_soundtrack");
      }
    };
    const time = () => { bar.style.width = `${(100 * player().position) / player().exhibit.duration}%`; };

    const enter = (wanted, goOn) => {
      const before = player();
      before.removeEventListener("state", draw);
      before.removeEventListener("time", time);
      before.pause();
      before.show(before.video);
      index = (wanted + players.length) % players.length;
      revealed = false;
      const { exhibit } = player();
      video.hidden = !exhibit.picture;
      wave.hidden = Boolean(exhibit.picture);
      if (exhibit.picture) {
        video.poster = exhibit.poster;
        video.src = exhibit.picture;
      } else {
        video.removeAttribute("src");
        wave.replaceChildren(player().root.querySelector(".voice svg").cloneNode(true));
      }
      const led = voices.contains(document.activeElement);
      voices.replaceChildren(...exhibit.voices.map((voice, place) => {
        const button = document.createElement("button");
        button.type = "button";
        button.dataset.voice = voice.name;
        const key = document.createElement("kbd");
        key.textContent = place + 1;
        button.append(key, document.createElement("span"));
        button.addEventListener("click", () => player().choose(voice.name));
        return button;
      }));
      player().show(exhibit.picture ? video : null);
      player().addEventListener("state", draw);
      player().addEventListener("time", time);
      draw();
      time();
      if (led) voices.querySelector('[aria-pressed="true"]')?.focus();
      if (goOn) player().play();
    };

    const turn = (step) => {
      const list = player().exhibit.voices;
      const now = list.findIndex((voice) => voice.name === player().active);
      player().choose(list[(now + step + list.length) % list.length].name);
    };

    const keys = {
      ArrowRight: () => enter(index + 1, player().playing),
      PageDown: () => enter(index + 1, player().playing),
      ArrowLeft: () => enter(index - 1, player().playing),
      PageUp: () => enter(index - 1, player().playing),
      ArrowDown: () => turn(1),
      ArrowUp: () => turn(-1),
      Enter: () => { revealed = !revealed; draw(); },
      " ": () => player().toggle(),
      Home: () => player().seek(0),
    };

    // On the document: a click on the picture, and a new clip's new buttons, leave nothing in the dialog focused.
    document.addEventListener("keydown", (event) => {
      if (!dialog.open || event.ctrlKey || event.metaKey || event.altKey || event.key === "Escape" || event.key === "Tab") return;
      const pressed = event.target.closest?.("button");
      if (pressed?.classList.contains("leave") && (event.key === "Enter" || event.key === " ")) return;
      const digit = Number(event.key);
      if (digit >= 1 && digit <= player().exhibit.voices.length) player().choose(player().exhibit.voices[digit - 1].name);
      else if (keys[event.key]) keys[event.key]();
      else return;
      event.preventDefault();
    });
    part(".stage").addEventListener("click", () => player().toggle());
    part(".leave").addEventListener("click", () => dialog.close());
    dialog.addEventListener("close", () => {
      player().pause();
      player().removeEventListener("state", draw);
      player().removeEventListener("time", time);
      player().show(player().video);
      if (document.fullscreenElement) document.exitFullscreen();
      player().root.scrollIntoView({ block: "start" });
    });
    document.addEventListener("fullscreenchange", () => {
      if (!document.fullscreenElement && dialog.open) dialog.close();
    });

    return async (start = 0) => {
      if (dialog.open) return;
      const full = document.documentElement.requestFullscreen?.().catch(() => {});
      await Promise.race([full, new Promise((resolve) => setTimeout(resolve, 600))]); // the dialog comes on top of it
      dialog.showModal();
      enter(start, false);
      voices.firstElementChild.focus();
    };
  };
})();
