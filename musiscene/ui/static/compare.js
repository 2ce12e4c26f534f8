// Compare: one large player that switches between the soundtracks at the same moment, and a row to rate each of them.
(() => {
  "use strict";
  const app = window.musiscene;
  const { drawWave, h, t, trackRow, wave } = app;

  const ORIGINAL = "original";
  // -- the part ----------------------------------------------------------------------------------------------------

  app.part("player", (root, host) => {
    const switcher = new app.Switcher();
    app.switcher = switcher;
    let view = { tracks: [] };
    let sent = 0;

    const video = h("video", { class: "ms-picture", playsinline: true, preload: "auto", "aria-label": t("compare_heading") });
    video.muted = true;
    video.addEventListener("click", () => switcher.toggle());
    const badge = h("span", { class: "ms-badge", "aria-hidden": "true" });
    const stage = h("div", { class: "ms-stage ms-compare-stage" }, video, badge);
    const choices = h("div", { class: "ms-choices", role: "group", "aria-label": t("compare_heading") });
    const play = h("button", { type: "button", class: "ms-play" }, t("play"));
    play.addEventListener("click", () => switcher.toggle());
    const time = h("span", { class: "ms-time" });
    const volume = h("input", { type: "range", min: "0", max: "1", step: "0.01", value: "1", "aria-label": t("volume") });
    volume.addEventListener("input", () => switcher.setVolume(Number(volume.value)));
    const loopButtons = {
      start: h("button", { type: "button", class: "ms-quiet" }, t("loop_start")),
      end: h("button", { type: "button", class: "ms-quiet" }, t("loop_end")),
      clear: h("button", { type: "button", class: "ms-quiet", hidden: true }, t("loop_clear")),
    };
    const loopHint = h("span", { class: "ms-note ms-loop-hint" }, t("loop_hint"));
    const timelineWave = wave("ms-wave ms-wave-all");
    const timelinePlayed = wave("ms-wave ms-wave-played");
    const moments = app.moments((seconds) => switcher.seek(seconds));
    const cuts = h("div", { class: "ms-cuts", "aria-hidden": "true" });
    const loopMark = h("div", { class: "ms-loop-mark", hidden: true });
    const head = h("div", { class: "ms-head" });
    const timeline = h(
      "div",
      { class: "ms-timeline", role: "slider", tabindex: "0", "aria-label": t("position"), "aria-valuemin": "0" },
      timelineWave,
      timelinePlayed,
      cuts,
      loopMark,
      head,
    );
    const keys = h("p", { class: "ms-note ms-keys" });
    const loading = h("p", { class: "ms-note", role: "status" });
    const player = h(
      "div",
      { class: "ms-player" },
      stage,
      choices,
      timeline,
      moments.strip,
      h("div", { class: "ms-transport" }, play, time, h("label", { class: "ms-volume" }, h("span", {}, t("volume")), volume)),
      h("div", { class: "ms-loop", role: "group", "aria-label": t("loop") }, h("span", { class: "ms-loop-name" }, t("loop")), ...Object.values(loopButtons), loopHint),
      keys,
      moments.list,
      loading,
    );
    const question = h("p", { class: "ms-question" });
    const made = h("p", { class: "ms-note" });
    const note = h("p", { class: "ms-blind-note", role: "status" });
    const list = h("div", { class: "ms-tracks" });
    const summary = h("div", { class: "ms-summary", hidden: true });
    const zip = h("a", { class: "ms-choose", download: "" }, t("download_all"));
    const share = h("button", { type: "button", class: "ms-quiet" }, t("share"));
    share.addEventListener("click", () => app.copy(app.link(view.token), share));
    const take = h("div", { class: "ms-take" }, zip, share);
    const empty = h("p", { class: "ms-empty" }, t("compare_empty"));
    const compare = h(
      "div",
      { class: "ms-compare" },
      player,
      h("div", { class: "ms-results" }, question, made, note, list, take, summary),
    );
    root.append(
      h(
        "section",
        { class: "ms-compare-section", id: "ms-compare", tabindex: "-1", "aria-labelledby": "ms-compare-title" },
        h("h2", { id: "ms-compare-title" }, t("compare_heading")),
        empty,
        compare,
      ),
    );

    // -- switching -----------------------------------------------------------------------------------------------

    const sounds = () => {
      const ready = view.tracks.filter((track) => track.url || track.beginning);
      const all = ready.map((track) => ({
        id: track.id,
        url: track.url || track.beginning.url,
        partial: track.url ? 0 : track.beginning.seconds,
        name: track.letter,
        track,
      }));
      if (ready.length && view.original) {
        const name = t(view.original.is_reference ? "reference_sound" : "original_sound");
        all.push({ id: ORIGINAL, url: view.original.url, name, track: null });
      }
      return all;
    };
    const pick = (id, andPlay) => {
      if (view.tracks.length === 0) return;
      switcher.switchTo(id);
      if (andPlay && !switcher.playing) switcher.play();
    };
    const rows = new Map();
    const actions = {
      pick,
      rate: (track, score, comment) => {
        sent += 1;
        host.trigger("rate", { token: view.token, ...app.who(), track, score, comment, at: sent });
        return sent;
      },
    };

    const showChoices = () => {
      const available = sounds();
      const takes = view.tracks.some((track) => track.take > 1);
      const buttons = available.map(({ id, name, track }, index) => {
        const label = track?.title ? `${track.letter}, ${track.title}` : track ? t("track", { letter: name }) : name;
        const button = h(
          "button",
          {
            type: "button",
            class: `ms-choice${track?.kind ? ` ms-kind-${track.kind}` : ""}`,
            "aria-label": t("listen", { name: label }),
            "aria-pressed": String(switcher.active === id),
            "data-sound": id,
            onclick: () => pick(id, true),
          },
          h("span", { class: "ms-choice-name" }, track ? track.letter : name),
          track?.title ? h("span", { class: "ms-choice-title" }, takes ? `${track.title} ${track.take}` : track.title) : null,
        );
        if (index < 9) button.append(h("kbd", { "aria-hidden": "true" }, String(index + 1)));
        return button;
      });
      const described = JSON.stringify(available.map(({ id, track }) => [id, track?.title]));
      if (choices.dataset.shown !== described) {
        const focused = document.activeElement?.dataset?.sound;
        choices.replaceChildren(...(buttons.length ? buttons : [h("p", { class: "ms-note" }, t("compare_empty"))]));
        choices.dataset.shown = described;
        if (focused) choices.querySelector(`[data-sound="${focused}"]`)?.focus();
      }
      for (const button of choices.querySelectorAll("button")) {
        app.setAttribute(button, "aria-pressed", String(switcher.active === button.dataset.sound));
        app.setAttribute(button, "data-loaded", String(Boolean(switcher.sounds.get(button.dataset.sound)?.buffer)));
      }
      const last = Math.min(9, available.length);
      app.setText(keys, last > 1 ? t("keys", { keys: `1–${last}` }) : "");
    };

    const showActive = () => {
      const active = sounds().find(({ id }) => id === switcher.active);
      const peaks = active?.track ? active.track.peaks : active ? view.original.peaks : [];
      drawWave(timelineWave, peaks);
      drawWave(timelinePlayed, peaks);
      const kind = active?.track?.kind ?? "";
      player.className = `ms-player${kind ? ` ms-kind-${kind}` : ""}`;
      app.setText(badge, active ? active.name : "");
      app.setText(play, t(switcher.playing || switcher.waiting ? "pause" : "play"));
      play.disabled = !active;
      for (const [id, row] of rows) {
        app.setAttribute(row.element.querySelector(".ms-letter"), "aria-pressed", String(id === switcher.active));
        row.element.classList.toggle("ms-heard", id === switcher.active);
      }
      const failed = [...switcher.sounds.values()].find((sound) => sound.error);
      const writing = switcher.waiting ? "beginning_waiting" : switcher.playing && active?.partial ? "beginning_playing" : "";
      app.setText(loading, failed ? t("decode_failed", { reason: failed.error }) : writing ? t(writing) : "");
      showPicture();
      showChoices();
      showTime();
      showLoop();
    };

    // Every rendition has the same picture, so one that shows stays; the clip itself stands in until there is one.
    const showPicture = () => {
      if (!view.picture) return;
      const { url, preview } = view.picture;
      const shown = video.getAttribute("src");
      const replace = shown === preview && !switcher.playing && !switcher.waiting;
      if (url && (!shown || video.error || replace)) video.src = url;
      else if (!shown && preview) video.src = preview;
    };

    const showTime = () => {
      const duration = view.duration_s || 0;
      const { position } = switcher;
      const part = duration ? Math.min(1, position / duration) : 0;
      moments.at(position);
      app.setText(time, `${app.clock(position)} / ${app.clock(duration)}`);
      head.style.transform = `translateX(${(part * timeline.clientWidth).toFixed(1)}px)`;
      timelinePlayed.style.clipPath = `inset(0 ${(100 - part * 100).toFixed(2)}% 0 0)`;
      app.setAttribute(timeline, "aria-valuemax", duration.toFixed(1));
      app.setAttribute(timeline, "aria-valuenow", position.toFixed(1));
      app.setAttribute(timeline, "aria-valuetext", `${app.clock(position)} / ${app.clock(duration)}`);
    };

    const showLoop = () => {
      const { loop } = switcher;
      const shown = loop ?? pending;
      app.show(loopMark, Boolean(shown));
      app.show(loopButtons.clear, Boolean(shown));
      app.show(loopHint, !shown);
      if (!shown || !view.duration_s) return;
      loopMark.style.left = `${(100 * shown.start) / view.duration_s}%`;
      loopMark.style.width = `${(100 * Math.max(0, shown.end - shown.start)) / view.duration_s}%`;
    };

    let pending = null; // a loop whose other end is still missing
    const setLoop = (start, end) => {
      pending = null;
      switcher.setLoop({ start: Math.max(0, Math.min(start, end)), end: Math.min(view.duration_s, Math.max(start, end)) });
    };
    loopButtons.start.addEventListener("click", () => {
      const start = switcher.position;
      const end = switcher.loop?.end ?? view.duration_s;
      if (end - start >= 0.1) setLoop(start, end);
    });
    loopButtons.end.addEventListener("click", () => {
      const end = switcher.position;
      const start = switcher.loop?.start ?? 0;
      if (end - start >= 0.1) setLoop(start, end);
    });
    loopButtons.clear.addEventListener("click", () => switcher.setLoop(null));

    // -- the timeline --------------------------------------------------------------------------------------------

    const at = (event) => {
      const box = timeline.getBoundingClientRect();
      return (Math.min(Math.max(event.clientX - box.left, 0), box.width) / box.width) * view.duration_s;
    };
    timeline.addEventListener("pointerdown", (event) => {
      if (event.button !== 0 || !view.duration_s) return;
      timeline.setPointerCapture(event.pointerId);
      const from = at(event);
      const fromX = event.clientX;
      const move = (moved) => {
        if (Math.abs(moved.clientX - fromX) < 6) return;
        const to = at(moved);
        pending = { start: Math.min(from, to), end: Math.max(from, to) };
        showLoop();
      };
      const up = (ended) => {
        timeline.removeEventListener("pointermove", move);
        if (pending && pending.end - pending.start >= 0.1 && ended.type === "pointerup") setLoop(pending.start, pending.end);
        else if (ended.type === "pointerup") switcher.seek(from);
        pending = null;
        showLoop();
      };
      timeline.addEventListener("pointermove", move);
      timeline.addEventListener("pointerup", up, { once: true });
      timeline.addEventListener("pointercancel", up, { once: true });
    });
    timeline.addEventListener("keydown", (event) => {
      const steps = { ArrowLeft: -1, ArrowRight: 1, ArrowDown: -1, ArrowUp: 1, PageDown: -5, PageUp: 5 };
      let target = null;
      if (event.key in steps) target = switcher.position + steps[event.key];
      else if (event.key === "Home") target = 0;
      else if (event.key === "End") target = view.duration_s;
      if (target === null) return;
      event.preventDefault();
      switcher.seek(target);
    });

    // Keys work wherever the focus is, except where they mean something already.
    document.addEventListener("keydown", (event) => {
      if (event.ctrlKey || event.metaKey || event.altKey || !view.tracks.length) return;
      const target = event.target;
      const typing = target.closest?.("textarea, select, [contenteditable], input:not([type=range])");
      if (typing) return;
      if (event.key >= "1" && event.key <= "9") {
        const chosen = sounds()[Number(event.key) - 1];
        if (chosen) {
          event.preventDefault();
          pick(chosen.id, false);
        }
      } else if (event.key === " " && !target.closest?.("button, a, summary, label, video, audio")) {
        event.preventDefault();
        switcher.toggle();
      }
    });

    switcher.addEventListener("state", showActive);
    switcher.addEventListener("loaded", showActive);
    switcher.addEventListener("time", showTime);
    window.addEventListener("resize", showTime);

    // -- summary -------------------------------------------------------------------------------------------------

    const interval = (row) => {
      const kind = app.kindInfo(row.group) ? ` ms-kind-${row.group}` : "";
      const whisker =
        row.low === null
          ? null
          : h("span", { class: "ms-ci", style: `left:${row.low}%;width:${Math.max(0.5, row.high - row.low)}%` });
      const words = row.low === null ? String(row.mean) : `${row.mean} (${row.low} – ${row.high})`;
      return h(
        "tr",
        { class: kind.trim() },
        h("th", { scope: "row" }, row.title),
        h("td", { class: "ms-ci-cell", "aria-hidden": "true" }, h("span", { class: "ms-ci-line" }, whisker, h("span", { class: "ms-mean", style: `left:${row.mean}%` }))),
        h("td", {}, words),
        h("td", {}, t("summary_n", { n: row.count })),
      );
    };
    const showSummary = (summaries) => {
      const any = summaries && (summaries.clip.length || summaries.all.length);
      app.show(summary, Boolean(any));
      if (!any) return;
      const described = JSON.stringify(summaries);
      if (summary.dataset.shown === described) return;
      summary.dataset.shown = described;
      const method = summaries.all[0]?.method ?? "";
      const table = (title, group) =>
        group.length ? h("table", {}, h("caption", {}, title), h("tbody", {}, ...group.map(interval))) : null;
      const more = JSON.stringify(summaries.all) !== JSON.stringify(summaries.clip); // there are other clips
      summary.replaceChildren(
        h("h3", {}, t("summary_heading")),
        ...[table(t("summary_clip"), summaries.clip), more ? table(t("summary_all"), summaries.all) : null].filter(Boolean),
        h("p", { class: "ms-note" }, t("summary_ci", { method })),
      );
    };

    // -- showing -------------------------------------------------------------------------------------------------

    return (next) => {
      if (next.token !== view.token) {
        switcher.close();
        for (const row of rows.values()) row.element.remove();
        rows.clear();
        video.removeAttribute("src");
        video.load();
      }
      const wasRevealed = view.revealed;
      view = { tracks: [], ...next };
      const any = view.tracks.length > 0;
      document.body.classList.toggle("ms-compared", any);
      app.show(empty, !any);
      app.show(compare, any);
      const alive = new Set(view.tracks.map((track) => track.id));
      for (const [id, row] of rows) {
        if (!alive.has(id)) {
          row.element.remove();
          rows.delete(id);
        }
      }
      view.tracks.forEach((track) => {
        if (!rows.has(track.id)) {
          rows.set(track.id, trackRow(actions));
          list.append(rows.get(track.id).element);
        }
        rows.get(track.id).show(track, view, switcher.active);
      });
      if (view.rated) rows.get(view.rated.track)?.answered(view.rated.at, view.rated.error);
      const hasPicture = Boolean(view.picture);
      app.show(stage, hasPicture);
      if (hasPicture) {
        const [width, height] = view.picture.size ?? [16, 9];
        stage.style.setProperty("--ratio", String(width / height));
        app.setAttribute(video, "poster", view.picture.poster);
        switcher.video = video;
      } else switcher.video = null;
      app.setText(question, any ? t(hasPicture ? "question" : "question_track") : "");
      const failed = view.failed_hidden ? ` ${t("track_hidden_failed", { n: view.failed_hidden })}` : "";
      const ready = view.tracks.some((track) => track.state === "ready"); // not only its beginning
      if (!view.blind || !any || (!ready && !failed)) app.setText(note, "");
      else app.setText(note, (view.revealed ? t("revealed") : t("left_to_rate", { n: view.to_rate })) + failed);
      if (view.revealed && wasRevealed === false && view.blind) app.announce(t("revealed"));
      app.setText(made, view.options?.profile ? t("profile_of", { name: app.profileName(view.options.profile) }) : "");
      app.setAttribute(zip, "href", view.zip_url || null);
      app.show(zip, Boolean(view.zip_url));
      app.show(take, ready);
      showSummary(view.summaries);
      moments.show(view.windows ?? [], view.duration_s || 0);
      app.setText(loopHint, [t("loop_hint"), view.cuts_s?.length ? t("cuts_hint") : ""].join(" ").trim());
      cuts.replaceChildren(
        ...(view.cuts_s ?? []).map((cut) => h("span", { style: `left:${(100 * cut) / view.duration_s}%` })),
      );
      switcher.setSounds(sounds(), view.duration_s || 0).then(showActive);
      showActive();
      app.tracksShown(view);
    };
  });
})();
