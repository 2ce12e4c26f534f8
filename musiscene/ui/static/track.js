// One soundtrack of the comparison: what it was made from, its rating, its files.
(() => {
  "use strict";
  const app = window.musiscene;
  const { h, t } = app;

  const BANDS = [0, 1, 2, 3, 4];

  /** A waveform as one closed line; drawn in 100 by 100 units and stretched by the layout. */
  const wavePath = (peaks) => {
    const step = 100 / peaks.length;
    const up = peaks.map((peak, i) => `${((i + 0.5) * step).toFixed(2)},${(50 - Math.max(1, peak) / 2.1).toFixed(1)}`);
    const down = peaks.map((peak, i) => `${((i + 0.5) * step).toFixed(2)},${(50 + Math.max(1, peak) / 2.1).toFixed(1)}`);
    return `M${up.join("L")}L${down.reverse().join("L")}Z`;
  };
  const wave = (name) =>
    h("svg", { class: name, viewBox: "0 0 100 100", preserveAspectRatio: "none", "aria-hidden": "true" }, h("path", {}));
  const drawWave = (svg, peaks) => app.setAttribute(svg.firstChild, "d", peaks?.length ? wavePath(peaks) : "");

  const fileName = (suffix) => (suffix === "mid" ? "MIDI" : suffix.toUpperCase());
  const PATIENCE_MS = 8000; // a rating whose answer has not come by then is sent again
  const MOST_UNSAVED = 50;
  const band = (score) => Math.min(4, Math.floor(score / 20));

  // -- one soundtrack ----------------------------------------------------------------------------------------------

  const trackRow = (actions) => {
    let view = {};
    let name = "";
    let dirty = false; // moved here, and not yet stored
    const pick = h("button", { type: "button", class: "ms-letter" });
    pick.addEventListener("click", () => actions.pick(view.id, true));
    const title = h("h3", {});
    const facts = h("p", { class: "ms-note ms-track-facts" });
    const svg = wave("ms-wave");
    const prompt = h("p", { class: "ms-prompt", lang: "en" });
    const bar = h("progress", { max: "1", hidden: true });
    const reason = h("p", { class: "ms-error", hidden: true });
    const slider = h("input", { type: "range", min: "0", max: "100", step: "1", value: "50", class: "ms-score" });
    const number = h("output", { class: "ms-score-number" });
    const bands = h(
      "div",
      { class: "ms-bands", "aria-hidden": "true" },
      ...BANDS.map((index) => h("span", {}, t(`band_${index}`))),
    );
    const comment = h("input", { type: "text", class: "ms-comment", maxlength: app.config.max_comment });
    comment.placeholder = t("comment_hint");
    const saved = h("span", { class: "ms-saved", role: "status" });
    const downloads = h("div", { class: "ms-downloads" });
    const rating = h(
      "div",
      { class: "ms-rating" },
      h("div", { class: "ms-scale" }, slider, bands),
      number,
      h("div", { class: "ms-comment-line" }, comment, saved),
    );
    const element = h(
      "article",
      { class: "ms-track" },
      pick,
      h("div", { class: "ms-track-main" }, h("div", { class: "ms-track-head" }, title, facts), svg, bar, reason, prompt),
      rating,
      downloads,
    );

    const showScore = () => {
      const rated = dirty || view.score !== undefined;
      const word = rated ? t(`band_${band(Number(slider.value))}`) : t("unrated");
      const text = rated ? `${slider.value} ${word}` : word;
      if (number.textContent !== text) {
        number.replaceChildren(...(rated ? [h("b", {}, slider.value), " "] : []), h("span", {}, word));
      }
      slider.classList.toggle("ms-unrated", !rated);
      app.setAttribute(slider, "aria-valuetext", rated ? text : t("unrated"));
      bands.querySelectorAll("span").forEach((span, index) => {
        span.classList.toggle("ms-on", rated && index === band(Number(slider.value)));
      });
    };

    let timer = 0; // until a slider that moves is taken to rest
    let again = 0; // until what is not answered is sent again
    let unsent = false; // changed since it was last sent
    let awaited = 0; // number of what was sent and is not answered, else 0
    let restored = false;
    // Until the rating is stored: where the connection fails the page is loaded anew, and sends what is kept here.
    const keep = (rating) => {
      const { [view.id]: _, ...others } = app.recall("unsaved", {});
      const all = Object.entries(rating ? { ...others, [view.id]: rating } : others);
      app.remember("unsaved", Object.fromEntries(all.slice(-MOST_UNSAVED)));
    };
    const restore = () => {
      restored = true;
      const kept = app.recall("unsaved", {})[view.id];
      if (!kept || dirty) return;
      dirty = true;
      slider.value = kept.score;
      comment.value = kept.comment;
      timer = setTimeout(save, 0); // not while values of the server are being shown
    };
    // One after the other: of two on their way at once the earlier might arrive last, and stay.
    const send = () => {
      clearTimeout(again);
      unsent = false;
      awaited = actions.rate(view.id, Number(slider.value), comment.value);
      again = setTimeout(() => element.isConnected && send(), PATIENCE_MS);
    };
    const save = () => {
      clearTimeout(timer);
      if (!dirty && view.score === undefined) return; // a comment alone waits for its rating
      dirty = unsent = true;
      keep({ score: Number(slider.value), comment: comment.value });
      app.setText(saved, t("saving"));
      app.setAttribute(saved, "data-problem", null);
      if (!awaited) send();
    };
    slider.addEventListener("input", () => {
      dirty = true;
      showScore();
      clearTimeout(timer);
      timer = setTimeout(save, 600); // arrow keys move in steps; one rating is saved when they rest
    });
    slider.addEventListener("change", save);
    slider.addEventListener("pointerup", () => {
      // A click where the thumb already was is an opinion as well, but no change.
      if (view.score === undefined && !dirty) {
        dirty = true;
        showScore();
        save();
      }
    });
    comment.addEventListener("change", save);

    const show = (next, player, heard) => {
      view = next;
      name = view.title ? `${view.letter}, ${view.title}` : t("track", { letter: view.letter });
      element.className = `ms-track${view.kind ? ` ms-kind-${view.kind}` : ""}`;
      app.setAttribute(element, "data-state", view.state);
      app.setAttribute(element, "aria-label", name);
      app.setText(pick, view.letter);
      app.setAttribute(pick, "aria-label", t("listen", { name }));
      app.setAttribute(pick, "aria-pressed", String(heard === view.id));
      pick.disabled = view.state !== "ready" && !view.beginning;
      const take = player.tracks.some((track) => track.take > 1) ? `, ${t("take", { n: view.take })}` : "";
      app.setText(title, view.title ? `${view.title}${take}` : t("track", { letter: view.letter }));
      const loudness = view.loudness === null ? t("silence") : t("loudness", { lufs: view.loudness });
      const known = view.seed !== undefined;
      const pieces = [view.by, t("seed", { seed: view.seed }), loudness, view.length, t("made_in", { time: view.seconds })];
      const begun = view.beginning ? t("track_beginning", { time: view.beginning.length }) : "";
      app.setText(facts, known ? pieces.join(" · ") : begun);
      drawWave(svg, view.peaks);
      const working = view.state === "working" || view.state === "waiting";
      app.show(bar, working);
      app.setAttribute(bar, "aria-label", `${name}: ${t(view.state === "working" ? "track_working" : "track_waiting")}`);
      if (working && view.fraction !== undefined) bar.value = view.fraction;
      else bar.removeAttribute("value");
      app.setText(reason, view.reason || "");
      app.show(reason, Boolean(view.reason));
      app.setText(prompt, view.prompt ? `“${view.prompt}”` : "");
      app.show(prompt, Boolean(view.prompt));
      app.setAttribute(slider, "aria-label", t("rating_label", { name }));
      app.setAttribute(comment, "aria-label", t("comment_label", { name }));
      for (const control of [slider, comment]) control.disabled = view.state !== "ready";
      app.show(rating, view.state !== "failed");
      if (view.score !== undefined && !dirty) {
        slider.value = view.score;
        if (document.activeElement !== comment) comment.value = view.comment ?? "";
      }
      if (view.state === "ready" && !restored) restore();
      showScore();
      const links = (view.downloads ?? []).map(([what, url]) =>
        h("a", { href: url, download: "", "aria-label": t("download", { what: fileName(what), name }) }, fileName(what)),
      );
      if (downloads.childElementCount !== links.length) downloads.replaceChildren(...links);
    };

    const answered = (number, problem) => {
      if (number !== awaited) return;
      clearTimeout(again);
      awaited = 0;
      if (unsent) return send();
      dirty = false;
      if (!problem) keep(null);
      app.setText(saved, problem || t("saved"));
      app.setAttribute(saved, "data-problem", problem ? "true" : null);
      showScore();
    };
    return { element, show, answered };
  };

  Object.assign(app, { wave, drawWave, trackRow });
})();
