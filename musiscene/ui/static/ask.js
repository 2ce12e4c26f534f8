// Ask the music: a question of one's own, answered word by word by a captioner that listens.
(() => {
  "use strict";
  const app = window.musiscene;
  const { h, t } = app;

  app.part("ask", (root, host) => {
    let view = {};
    const about = h("p", { class: "ms-note" });
    const log = h("div", { class: "ms-ask-log", role: "log", "aria-label": t("ask_log"), tabindex: "-1" });
    const field = h("textarea", { class: "ms-ask-field", id: "ms-ask-field", rows: "2", maxlength: app.config.max_question, lang: "en" });
    const send = h("button", { type: "submit", class: "ms-choose" }, t("ask_send"));
    const stop = h("button", { type: "button", class: "ms-choose", hidden: true }, t("ask_stop"));
    const problem = h("p", { class: "ms-error", role: "alert", hidden: true });
    const suggestions = h("div", { class: "ms-suggestions", role: "group", "aria-label": t("ask_suggestions") });
    const form = h(
      "form",
      { class: "ms-ask-form" },
      h("label", { for: "ms-ask-field" }, t("ask_label")),
      h("div", { class: "ms-ask-line" }, field, send, stop),
      problem,
      h("p", { class: "ms-note" }, t("ask_suggestions")),
      suggestions,
    );
    const why = h("p", { class: "ms-note" });
    const panel = h(
      "section",
      { class: "ms-ask", "aria-labelledby": "ms-ask-title", hidden: true },
      h("h2", { id: "ms-ask-title" }, t("ask_heading")),
      about,
      why,
      log,
      form,
    );
    const lacks = h("p", { class: "ms-note", lang: "en" });
    const missing = h(
      "details",
      { class: "ms-fold ms-ask-missing", hidden: true },
      h("summary", {}, t("ask_heading")),
      h("p", { class: "ms-note" }, t("ask_missing")),
      lacks,
    );
    root.append(panel, missing);

    const ask = (question) => {
      app.setText(problem, "");
      app.show(problem, false);
      host.trigger("ask", { token: view.token, question, ...app.who() });
    };
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask(field.value);
    });
    field.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      if (!send.hidden) ask(field.value);
    });
    stop.addEventListener("click", () => host.trigger("stop_asking", { token: view.token, ...app.who() }));

    const entry = () => {
      const question = h("p", { class: "ms-ask-question", lang: "en" });
      const answer = h("p", { class: "ms-ask-answer", lang: "en" });
      const status = h("p", { class: "ms-note" });
      const error = h("p", { class: "ms-error", hidden: true });
      const element = h("div", { class: "ms-ask-entry" }, question, answer, status, error);
      const show = (exchange) => {
        app.setText(question, exchange.question);
        app.setText(answer, exchange.answer);
        app.setText(status, [exchange.status, exchange.by].filter(Boolean).join(" · "));
        app.setText(error, exchange.error);
        app.show(error, Boolean(exchange.error));
        app.setAttribute(element, "aria-busy", exchange.busy ? "true" : null);
      };
      return { element, show };
    };
    let entries = [];

    return (next) => {
      const before = view;
      view = next;
      app.show(panel, view.ready);
      app.show(missing, !view.ready);
      if (view.lacks !== before.lacks) lacks.replaceChildren(...app.withCommands(view.lacks));
      app.setText(about, t("ask_about", { name: view.by }));
      app.setText(why, view.token ? view.why : t("ask_clip"));
      app.show(why, !view.open);
      app.show(form, Boolean(view.open));
      if (entries.length !== view.exchanges.length) {
        entries = view.exchanges.map(entry);
        log.replaceChildren(...entries.map((each) => each.element));
      }
      view.exchanges.forEach((exchange, index) => entries[index].show(exchange));
      app.show(log, view.exchanges.length > 0);
      const busy = view.exchanges.some((exchange) => exchange.busy);
      app.show(send, !busy);
      app.show(stop, busy);
      const asked = view.exchanges.length > (before.exchanges?.length ?? 0);
      if (asked && field.value.trim() === view.exchanges.at(-1).question) field.value = "";
      if (view.error) {
        app.setText(problem, view.error);
        app.show(problem, true);
      } else if (busy) app.show(problem, false);
      const described = JSON.stringify(view.suggested);
      if (suggestions.dataset.shown !== described) {
        suggestions.dataset.shown = described;
        suggestions.replaceChildren(
          ...(view.suggested ?? []).map((question) =>
            h("button", { type: "button", class: "ms-suggestion", lang: "en", onclick: () => (busyNow() ? null : ask(question)) }, question),
          ),
        );
      }
    };
    function busyNow() {
      return view.exchanges.some((exchange) => exchange.busy);
    }
  });
})();
