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
  };

  /** What goes along with every press of a button. */
  app.page = () => ({
    token: app.parts.source?.props.value?.token ?? "",
    person: app.person,
    ...app.edits(),
  });

  // Accents as the server's palette has them, in both themes.
  const rules = (theme) => app.config.kinds.map((info) => `.ms-kind-${info.kind}{--accent:${info[theme]}}`).join("");
  document.head.append(h("style", {}, `${rules("light")} .dark{}${app.config.kinds.map((info) => `.dark .ms-kind-${info.kind}{--accent:${info.dark}}`).join("")}`));
  document.documentElement.lang ||= "en";

  const dark = () => document.body.classList.contains("dark");
  const theme = app.recall("theme", null);
  if (theme) document.body.classList.toggle("dark", theme === "dark");

  app.part("header", (root) => {
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
    skip.addEventListener("click", (event) => {
      event.preventDefault(); // the address stays that of the comparison
      document.getElementById("ms-compare")?.focus();
    });
    root.append(
      skip,
      h(
        "header",
        { class: "ms-header" },
        h("div", {}, h("h1", {}, t("title")), h("p", { class: "ms-tagline" }, t("tagline"))),
        switchTheme,
      ),
      offline,
      h("div", { id: "ms-live", class: "ms-offscreen", "aria-live": "polite" }),
    );
    showConnection();
  });

  app.part("progress", (root) => {
    const text = h("p", { class: "ms-progress-text", role: "status" });
    const bar = h("progress", { max: "1", value: "0", "aria-label": t("captioning") });
    const error = h("p", { class: "ms-error", role: "alert", hidden: true });
    root.append(h("div", { class: "ms-progress" }, text, bar, error));
    const button = (id) => document.getElementById(id);
    return (view) => {
      app.setText(text, view.text);
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
})();
