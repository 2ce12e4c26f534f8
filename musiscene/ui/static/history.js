// Earlier comparisons, remembered by this browser: open again, copy the link, delete.
(() => {
  "use strict";
  const app = window.musiscene;
  const { h, t } = app;

  const AT_MOST = 40;
  let current = { token: "" };

  const entries = () => app.recall("history", []);
  const keep = (list) => {
    app.remember("history", list.slice(0, AT_MOST));
    app.showHistory?.();
  };
  const change = (token, values) => {
    const list = entries();
    const known = list.find((entry) => entry.token === token);
    if (known) Object.assign(known, values);
    else list.unshift({ token, made_at: Date.now() / 1000, tracks: 0, captions: {}, ...values });
    keep(list);
  };

  /** A clip was opened, or none is: the address follows, so that a reload shows the same. */
  app.opened = (view) => {
    current = view;
    const url = app.link(view.token || view.lost || "");
    if (window.location.href !== url) window.history.replaceState(null, "", url);
    app.showHistory?.();
  };
  /** Comparisons are remembered once they have captions: a clip that was only looked at is not one. */
  app.captionsShown = (view) => {
    if (!view.token || view.hidden) return;
    const texts = {};
    for (const [kind, card] of Object.entries(view.cards ?? {})) if (card.state === "ready") texts[kind] = card.text;
    if (!Object.keys(texts).length) return;
    const known = entries().find((entry) => entry.token === view.token);
    if (JSON.stringify(known?.captions) === JSON.stringify(texts)) return;
    change(view.token, { captions: texts, ...(current.token === view.token ? { name: current.name, made_at: current.made_at } : {}) });
  };
  app.tracksShown = (view) => {
    if (!view.token) return;
    const ready = view.tracks.filter((track) => track.state === "ready").length;
    if (!ready) return;
    const known = entries().find((entry) => entry.token === view.token);
    const options = view.options ?? known?.options;
    if (known && known.tracks === ready && JSON.stringify(known.options) === JSON.stringify(options)) return;
    change(view.token, { tracks: ready, options, ...(current.token === view.token ? { name: current.name, made_at: current.made_at } : {}) });
  };

  app.part("history", (root, host) => {
    const list = h("ul", { class: "ms-history-list" });
    const empty = h("p", { class: "ms-note" }, t("history_empty"));
    const about = h("p", { class: "ms-note" }, t("history_about"));
    root.append(
      h(
        "section",
        { class: "ms-history", "aria-labelledby": "ms-history-title" },
        h("h2", { id: "ms-history-title" }, t("history")),
        about,
        empty,
        list,
      ),
    );

    const open = (token) => {
      const entry = entries().find((each) => each.token === token);
      host.trigger("restore", { token, ...app.who(), options: entry?.options ?? null });
      document.getElementById("ms-source")?.scrollIntoView({ block: "start" });
    };
    app.newComparison = () => {
      app.parts.source.props.value = { token: "", version: 0, error: "" };
      for (const name of ["progress", "captions", "ask", "player"]) {
        app.parts[name].props.value = { ...(name === "ask" ? app.parts.ask.props.value : {}), ...app.blank[name] };
      }
      for (const name of ["source", "progress", "captions", "ask", "player"]) app.parts[name].refresh();
    };

    const item = (entry) => {
      const name = entry.name || t("source_heading");
      const when = new Date(entry.made_at * 1000);
      const captions = Object.entries(entry.captions ?? {});
      const link = h("button", { type: "button", class: "ms-quiet", "aria-label": t("history_link", { name }) }, t("share"));
      link.addEventListener("click", () => app.copy(app.link(entry.token), link));
      const counts = [
        captions.length ? t(captions.length > 1 ? "history_captions" : "history_caption", { n: captions.length }) : "",
        entry.tracks ? t(entry.tracks > 1 ? "history_tracks" : "history_track", { n: entry.tracks }) : "",
        entry.options?.profile ? t("history_profile", { name: app.profileName(entry.options.profile) }) : "",
      ].filter(Boolean);
      return h(
        "li",
        { class: entry.token === current.token ? "ms-current" : "" },
        h(
          "div",
          { class: "ms-history-line" },
          h(
            "button",
            { type: "button", class: "ms-history-open", "aria-label": t("history_open", { name }), onclick: () => open(entry.token) },
            h("span", { class: "ms-history-name" }, name),
            h("time", { class: "ms-note", datetime: when.toISOString() }, when.toLocaleString(app.language, { dateStyle: "medium", timeStyle: "short" })),
            h("span", { class: "ms-note" }, counts.join(" · ")),
          ),
          h("span", { class: "ms-dots", "aria-hidden": "true" }, ...captions.map(([kind]) => h("span", { class: `ms-dot ms-kind-${kind}` }))),
          link,
          h(
            "button",
            {
              type: "button",
              class: "ms-quiet",
              "aria-label": t("history_delete", { name }),
              onclick: () => {
                keep(entries().filter((each) => each.token !== entry.token));
                host.trigger("forget", { token: entry.token, ...app.who() });
                if (current.token === entry.token) app.newComparison();
                app.announce(t("history_deleted", { name }));
              },
            },
            "×",
          ),
        ),
        // What is kept here outlives the files on the server.
        current.lost === entry.token
          ? h("div", {}, h("p", { class: "ms-note" }, t("gone_captions")), h("dl", { class: "ms-lost" }, ...captions.flatMap(([kind, text]) => [h("dt", {}, app.kindInfo(kind)?.title ?? kind), h("dd", {}, text)])))
          : null,
      );
    };
    app.showHistory = () => {
      const all = entries();
      app.show(empty, all.length === 0);
      app.show(about, all.length > 0);
      list.replaceChildren(...all.map(item));
    };
    app.showHistory();

    // A link to a comparison, or a reload of one.
    if (app.asked) setTimeout(() => open(app.asked), 0);
  });
})();
