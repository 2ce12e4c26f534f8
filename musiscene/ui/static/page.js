// The page around the parts: its head, the line on what is being done, light and dark, and what goes to the server.
(() => {
  "use strict";
  const app = window.musiscene;
  const { h, t } = app;

  app.blank = {
    progress: { token: "", version: 0, busy: false, text: t("idle_empty"), fraction: 0, error: "" },
    captions: {
      token: "",
      version: 0,
      hidden: false,
      cards: Object.fromEntries(app.config.kinds.map(({ kind }) => [kind, { state: "empty" }])),
    },
    player: { token: "", version: 0, tracks: [] },
    ask: { token: "", version: 0, open: false, why: t("ask_clip"), exchanges: [] },
  };

  /** What goes along with every press of a button. */
  app.page = () => ({
    token: app.parts.source?.props.value?.token ?? "",
    ...app.who(),
    ...app.edits(),
  });

  // Accents as the server's palette has them, in both themes.
  const rules = (theme) => app.config.kinds.map((info) => `.ms-kind-${info.kind}{--accent:${info[theme]}}`).join("");
  document.head.append(h("style", {}, `${rules("light")} .dark{}${app.config.kinds.map((info) => `.dark .ms-kind-${info.kind}{--accent:${info.dark}}`).join("")}`));
  document.title = t("title");

  const dark = () => document.body.classList.contains("dark");
  const theme = app.recall("theme", null);
  if (theme) document.body.classList.toggle("dark", theme === "dark");

  const languageMenu = () => {
    const names = Object.entries(app.config.language_names);
    const options = names.map(([code, name]) => h("option", { value: code, lang: code }, name));
    const menu = h("select", { class: "ms-language", "aria-label": t("language") }, ...options);
    menu.value = app.language;
    menu.addEventListener("change", () => {
      app.remember("language", menu.value);
      window.location.reload(); // the address names the comparison, so the same one is shown again
    });
    return menu;
  };

  const goToCompare = (event) => {
    event.preventDefault(); // the address stays that of the comparison
    const compare = document.getElementById("ms-compare");
    compare?.focus({ preventScroll: true });
    compare?.scrollIntoView();
  };

  app.part("header", (root, host) => {
    // Gradio translates labels by itself, and choices not at all.
    if (app.language !== "en") setTimeout(() => host.trigger("translate", app.who()), 0);
    const switchTheme = h("button", { type: "button", class: "ms-quiet ms-theme", "aria-label": t("theme") }, "◐");
    switchTheme.addEventListener("click", () => {
      document.body.classList.toggle("dark");
      app.remember("theme", dark() ? "dark" : "light");
    });
    const offline = h("p", { class: "ms-offline", role: "status", hidden: true });
    const showConnection = () => {
      app.setText(offline, navigator.onLine ? "" : t("offline"));
      app.show(offline, !navigator.onLine);
    };
    window.addEventListener("offline", showConnection);
    window.addEventListener("online", showConnection);
    const skip = h("a", { class: "ms-skip", href: "#ms-compare" }, t("skip"));
    skip.addEventListener("click", goToCompare);
    root.append(
      skip,
      h(
        "header",
        { class: "ms-header" },
        h("div", {}, h("h1", {}, t("title")), h("p", { class: "ms-tagline" }, t("tagline"))),
        h(
          "div",
          { class: "ms-header-side" },
          app.config.gallery ? h("a", { class: "ms-gallery", href: `gallery/?lang=${app.language}` }, t("gallery")) : null,
          languageMenu(),
          switchTheme,
        ),
      ),
      offline,
      h("div", { id: "ms-live", class: "ms-offscreen", "aria-live": "polite" }),
    );
    showConnection();
  });

  app.part("progress", (root) => {
    const text = h("p", { class: "ms-progress-text", role: "status" });
    const note = h("p", { class: "ms-note ms-progress-note", lang: "en" });
    const bar = h("progress", { max: "1", value: "0", "aria-label": t("captioning") });
    const error = h("p", { class: "ms-error", role: "alert", hidden: true });
    const toCompare = h("a", { class: "ms-to-compare", href: "#ms-compare", hidden: true }, t("to_compare"), h("span", { "aria-hidden": "true" }, " ↓"));
    toCompare.addEventListener("click", goToCompare);
    const line = h("div", { class: "ms-progress" }, h("div", { class: "ms-progress-line" }, text, toCompare, note), bar, error);
    root.append(line);
    const button = (id) => document.getElementById(id);
    return (view) => {
      app.setText(text, view.token || view.error ? view.text : t("idle_empty"));
      line.classList.toggle("ms-failed", Boolean(view.error) && !view.busy); // the error says more than "ready"
      app.setText(note, view.note ?? "");
      app.show(toCompare, Boolean(view.comparable));
      bar.value = view.fraction;
      bar.style.visibility = view.busy ? "visible" : "hidden";
      app.setText(error, view.error);
      app.show(error, Boolean(view.error));
      document.body.classList.toggle("ms-busy", view.busy);
      const setButtons = () => {
        const stop = button("ms-stop");
        if (!stop) return requestAnimationFrame(setButtons); // Gradio has not drawn the buttons yet
        stop.disabled = !view.busy;
        for (const id of ["ms-both", "ms-describe", "ms-score"]) if (button(id)) button(id).disabled = view.busy;
      };
      setButtons();
    };
  });

  app.part("footer", (root) => {
    root.append(h("footer", { class: "ms-footer" }, h("a", { href: "api" }, t("programs"))));
  });
})();
