// What was seen in each part of a longer clip: numbered fields under the waveform, and the words of the one that is shown.
(() => {
  "use strict";
  const app = window.musiscene;
  const { h, t } = app;

  /** The list of moments alone: each goes to its time when it is pressed. */
  app.momentList = (windows, seek) =>
    h(
      "ol",
      { class: "ms-moment-list" },
      ...windows.map((part) =>
        h(
          "li",
          {},
          h(
            "button",
            { type: "button", class: "ms-moment", onclick: () => seek(part.start_s) },
            h("span", { class: "ms-moment-time" }, `${app.clock(part.start_s)} – ${app.clock(part.end_s)}`),
            h("span", { lang: "en" }, part.text),
          ),
        ),
      ),
    );

  /** A strip that lies under the timeline, and a folded list; `at(seconds)` marks the part that is playing. */
  app.moments = (seek) => {
    const fields = h("div", { class: "ms-moment-fields" });
    const now = h("p", { class: "ms-moment-now", lang: "en" });
    const strip = h("div", { class: "ms-moments", role: "group", "aria-label": t("moments"), hidden: true }, fields, now);
    const held = h("div", {});
    const list = h("details", { class: "ms-fold", hidden: true }, h("summary", {}, t("moments")), h("p", { class: "ms-note" }, t("moments_about")), held);
    let windows = [];
    let shown = "";

    const at = (seconds) => {
      if (!windows.length) return;
      const index = windows.findLastIndex((part) => seconds >= part.start_s - 0.001);
      const inside = index >= 0 && seconds < windows[index].end_s + 0.05 ? index : -1;
      [...fields.children].forEach((field, i) => app.setAttribute(field, "aria-current", i === inside ? "true" : null));
      const part = windows[inside];
      app.setText(now, part ? part.text : "");
    };
    const show = (next, duration) => {
      windows = next.filter((part) => part.start_s < duration);
      app.show(strip, windows.length > 0);
      app.show(list, windows.length > 0);
      const described = JSON.stringify([windows, duration]);
      if (described === shown) return;
      shown = described;
      fields.replaceChildren(
        ...windows.map((part, index) => {
          const left = (100 * part.start_s) / duration;
          const width = (100 * (Math.min(part.end_s, duration) - part.start_s)) / duration;
          return h(
            "button",
            {
              type: "button",
              class: "ms-moment-field",
              style: `left:${left}%;width:${width}%`,
              title: part.text,
              "aria-label": t("moment", { start: app.clock(part.start_s), end: app.clock(part.end_s), text: part.text }),
              onclick: () => seek(part.start_s),
            },
            String(index + 1),
          );
        }),
      );
      held.replaceChildren(app.momentList(windows, seek));
    };
    return { strip, list, show, at };
  };
})();
