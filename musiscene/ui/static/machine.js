// What this machine can run: its facts, every profile with its engines, what they cost, and the next step.
(() => {
  "use strict";
  const app = window.musiscene;
  const { h, t } = app;

  const engine = (view) =>
    h(
      "tr",
      {},
      h("th", { scope: "row" }, view.name),
      h("td", {}, view.makes),
      h("td", {}, h("span", { class: view.ready ? "ms-ready" : "ms-lacking" }, t(view.ready ? "machine_ready" : "machine_not_ready"))),
      h("td", { "data-head": t("machine_cost") }, view.costs),
      h("td", { "data-head": t("machine_license"), lang: "en" }, view.license),
    );
  const next = (view) =>
    view.next_step
      ? h("tr", { class: "ms-next" }, h("td", { colspan: "5" }, h("strong", {}, `${t("next_step")}: `), h("span", { lang: "en" }, ...app.withCommands(view.next_step))))
      : null;
  const table = (title, engines) => {
    const heads = ["machine_engine", "machine_writes", "machine_state", "machine_cost", "machine_license"];
    return h(
      "div",
      { class: "ms-scroll", role: "region", tabindex: "0", "aria-label": title },
      h(
        "table",
        { class: "ms-engines" },
        h("thead", {}, h("tr", {}, ...heads.map((key) => h("th", { scope: "col" }, t(key))))),
        h("tbody", {}, ...engines.flatMap((each) => [engine(each), next(each)].filter(Boolean))),
      ),
    );
  };

  app.part("machine", (root, host) => {
    const body = h("div", { class: "ms-machine" }, h("p", { class: "ms-note", role: "status" }, t("machine_looking")));
    const fold = h("details", { class: "ms-fold ms-machine-fold" }, h("summary", {}, t("machine")), body);
    fold.addEventListener("toggle", () => {
      if (fold.open) host.trigger("look", app.who());
    });
    root.append(fold);
    return (view) => {
      if (!view.profiles) return;
      body.replaceChildren(
        h("dl", { class: "ms-facts" }, ...view.facts.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)])),
        ...view.profiles.flatMap((profile) => [
          h(
            "h3",
            {},
            profile.title,
            h("span", { class: "ms-note" }, [profile.in_use ? t("machine_in_use") : "", t(profile.ready ? "machine_ready" : "machine_not_ready")].filter(Boolean).join(", ")),
          ),
          h("p", { class: "ms-note" }, profile.about),
          table(profile.title, profile.engines),
        ]),
        h("h3", {}, t("machine_others")),
        table(t("machine_others"), view.others),
      );
    };
  });
})();
