// The four captions: each in its colour, editable, with what was measured and the musical brief folded under it.
(() => {
  "use strict";
  const app = window.musiscene;
  const { h, t } = app;

  const edits = {}; // kind -> text that differs from the server's
  const briefs = {}; // kind -> changed fields of the musical brief
  let token = "";
  app.edits = () => ({ edits: { ...edits }, briefs: structuredClone(briefs) });

  const card = (info, host) => {
    const id = `ms-caption-${info.kind}`;
    const by = h("span", { class: "ms-by" });
    const area = h("textarea", {
      id,
      rows: "5",
      maxlength: "2000",
      "aria-label": t("caption_label", { title: info.title }),
      spellcheck: "true",
      lang: "en", // what captioners write, and what music generators read
    });
    const undo = h("button", { type: "button", class: "ms-quiet ms-undo", hidden: true }, t("caption_undo"));
    const state = h("p", { class: "ms-card-state" });
    const example = h("p", { class: "ms-card-example" }, t("caption_example", { text: info.example }));
    // Where a music generator stops reading well, and the brief that it would read whole.
    const readAbout = h("p", { class: "ms-note" });
    const readMark = h("p", { class: "ms-reading-text", lang: "en" });
    const briefWords = h("p", { class: "ms-reading-brief", lang: "en" });
    const useBrief = h("button", { type: "button", class: "ms-choose ms-choose-small" }, t("use_brief"));
    const briefTitle = h("p", { class: "ms-note" });
    const offer = h("div", { class: "ms-reading-offer" }, briefTitle, briefWords, useBrief);
    const reading = h("div", { class: "ms-reading", hidden: true }, readAbout, readMark, offer);
    useBrief.addEventListener("click", () => {
      area.value = view.reading.brief;
      edited();
      area.focus();
      app.announce(t("brief_used"));
    });
    // A scene for a silent clip, from its picture.
    const imagine = h("button", { type: "button", class: "ms-choose ms-choose-small" }, t("imagine"));
    imagine.addEventListener("click", () => host.trigger("imagine", app.page()));
    const imagineAbout = h("p", { class: "ms-note" });
    const imagineNext = h("details", { class: "ms-fold" }, h("summary", {}, t("next_step")), h("p", { class: "ms-note", lang: "en" }));
    const imagining = h("div", { class: "ms-imagine", hidden: true }, imagineAbout, imagine, imagineNext);
    // What was seen, part by part.
    const momentsHeld = h("div", {});
    const momentsSeen = h("p", { class: "ms-note" });
    const moments = h("details", { class: "ms-fold", hidden: true }, h("summary", {}, t("moments")), h("p", { class: "ms-note" }, t("moments_about")), momentsSeen, momentsHeld);
    const goTo = (seconds) => {
      if (app.switcher?.sounds.size) app.switcher.seek(seconds);
      else app.seekPreview?.(seconds);
    };
    const bar = h("progress", {
      max: "1",
      hidden: true,
      "aria-label": `${t("caption_working")}: ${t("caption_label", { title: info.title })}`,
    });
    const rows = h("dl", { class: "ms-evidence", lang: "en" });
    const plots = ["light", "dark"].map((theme) =>
      h("img", { class: `ms-plot ms-only-${theme}`, alt: t("evidence_plot", { title: info.title }), loading: "lazy" }),
    );
    const measured = h("details", { class: "ms-fold ms-measured", hidden: true }, h("summary", {}, t("evidence")), rows, ...plots);
    const fields = h("div", { class: "ms-brief-fields" });
    const sentence = h("p", { class: "ms-brief-sentence", lang: "en" });
    const brief = h(
      "details",
      { class: "ms-fold", hidden: true },
      h("summary", {}, t("brief")),
      h("p", { class: "ms-note" }, t("brief_about")),
      sentence,
      fields,
    );
    const element = h(
      "article",
      { class: `ms-card ms-kind-${info.kind}`, "aria-labelledby": `${id}-title` },
      h("header", {}, h("h3", { id: `${id}-title` }, info.title), by),
      h("p", { class: "ms-note" }, info.about),
      h("div", { class: "ms-card-body" }, area, state, example, bar),
      undo,
      reading,
      imagining,
      moments,
      measured,
      brief,
    );
    let view = {};

    const edited = () => {
      const changed = area.value !== view.text;
      if (changed) edits[info.kind] = area.value;
      else delete edits[info.kind];
      const differs = area.value !== view.written;
      app.show(undo, differs);
      showReading();
      app.setText(by, differs ? t("caption_edited") : [view.by, view.seconds].filter(Boolean).join(", "));
    };
    /** Marks belong to the words that the server counted. */
    const showReading = () => {
      const read = view.state === "ready" ? view.reading : null;
      const briefTaken = Boolean(read && (read.used || area.value === read.brief));
      app.show(reading, Boolean(read) && (briefTaken || area.value === view.text));
      if (!read) return;
      app.show(readMark, !briefTaken);
      app.show(offer, !briefTaken);
      if (briefTaken) return app.setText(readAbout, t("brief_used"));
      const mark = read.cut ?? read.until;
      app.setText(readAbout, t(read.cut === null ? "reading_well" : "reading_cut"));
      const before = view.text.slice(0, mark).split(/\s+/).slice(-6).join(" ");
      readMark.replaceChildren(`… ${before} `, h("mark", {}, "┃"), h("span", { class: "ms-unread" }, ` ${view.text.slice(mark).trim()}`));
      app.setText(briefTitle, t("brief_offer", { n: read.words }));
      app.setText(briefWords, read.brief);
    };
    const showImagine = () => {
      const offered = view.state === "unavailable" ? view.imagine : null;
      app.show(imagining, Boolean(offered));
      if (!offered) return;
      app.setText(imagineAbout, t(offered.ready ? "imagine_about" : "imagine_missing"));
      app.show(imagine, offered.ready);
      app.show(imagineNext, !offered.ready);
      if (imagineNext.lastChild.dataset.said === offered.lacks) return;
      imagineNext.lastChild.dataset.said = offered.lacks;
      imagineNext.lastChild.replaceChildren(...app.withCommands(offered.lacks));
    };
    area.addEventListener("input", edited);
    undo.addEventListener("click", () => {
      area.value = view.written;
      edited();
      area.focus();
    });

    const setBrief = (name, value) => {
      briefs[info.kind] ??= {};
      if (value === null) delete briefs[info.kind][name];
      else briefs[info.kind][name] = value;
    };
    const showBrief = () => {
      app.show(brief, Boolean(view.form?.fields.length));
      if (!view.form) return;
      app.setText(sentence, view.form.sentence);
      fields.replaceChildren(
        ...view.form.fields.map((field) => {
          const changed = briefs[info.kind]?.[field.name];
          const shown = changed ?? field.value;
          const options = { id: `${id}-${field.name}` };
          let control;
          if (field.choices) {
            control = h("select", options, ...field.choices.map(([value, label]) => h("option", { value }, label)));
            control.value = shown;
          } else {
            control = h("input", { ...options, type: "number", min: field.min, max: field.max, step: field.step });
            control.value = shown;
          }
          control.addEventListener("change", () => {
            const value = field.choices ? control.value : Number(control.value);
            const valid = field.choices || (control.value !== "" && control.checkValidity());
            setBrief(field.name, valid && String(value) !== String(field.value) ? value : null);
            if (!valid) control.value = field.value;
          });
          return h("div", { class: "ms-field" }, h("label", { for: options.id }, field.label), control);
        }),
      );
    };

    const show = (next) => {
      const before = view;
      view = next;
      const ready = view.state === "ready";
      app.setAttribute(element, "data-state", view.state);
      app.show(area, ready);
      app.show(state, !ready);
      app.show(example, view.state === "empty");
      app.show(bar, view.state === "working");
      if (view.state === "working") bar.value = view.fraction;
      const words = {
        empty: t("caption_empty"),
        waiting: t("caption_waiting"),
        working: view.partial || t("caption_working"),
        unavailable: view.reason,
      };
      app.setText(state, words[view.state] ?? "");
      app.setAttribute(state, "lang", view.state === "unavailable" || (view.state === "working" && view.partial) ? "en" : null);
      showImagine();
      if (!ready) {
        app.setText(by, view.state === "unavailable" ? t("unavailable") : "");
        for (const part of [undo, reading, moments, measured, brief]) app.show(part, false);
        delete edits[info.kind];
        return;
      }
      if (view.text !== before.text || before.state !== "ready") {
        if (edits[info.kind] === undefined || before.state !== "ready") area.value = view.text;
        if (before.state !== "ready") app.announce(`${t("caption_label", { title: info.title })}: ${view.text}`);
      }
      edited();
      app.show(moments, view.moments.length > 0);
      app.setText(momentsSeen, view.moments_seen);
      app.show(momentsSeen, Boolean(view.moments_seen));
      if (JSON.stringify(view.moments) !== JSON.stringify(before.moments)) momentsHeld.replaceChildren(app.momentList(view.moments, goTo));
      app.show(measured, view.evidence.length > 0);
      if (JSON.stringify(view.evidence) !== JSON.stringify(before.evidence)) {
        rows.replaceChildren(...view.evidence.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
      }
      for (const plot of plots) app.show(plot, Boolean(view.plot));
      if (view.plot) ["light", "dark"].forEach((theme, i) => app.setAttribute(plots[i], "src", view.plot[theme]));
      if (JSON.stringify(view.form) !== JSON.stringify(before.form) || before.state !== "ready") showBrief();
    };
    for (const plot of plots) plot.addEventListener("error", () => app.show(plot, false));
    return { element, show };
  };

  app.part("captions", (root, host) => {
    const cards = Object.fromEntries(app.config.kinds.map((info) => [info.kind, card(info, host)]));
    const about = h("p", { class: "ms-note" });
    const list = h("div", { class: "ms-cards" }, ...Object.values(cards).map((each) => each.element));
    root.append(
      h(
        "section",
        { class: "ms-captions", "aria-labelledby": "ms-captions-title" },
        h("h2", { id: "ms-captions-title" }, t("captions_heading")),
        about,
        list,
      ),
    );
    return (view) => {
      if (view.token !== token) {
        token = view.token;
        for (const record of [edits, briefs]) for (const kind of Object.keys(record)) delete record[kind];
        for (const [kind, own] of Object.entries(view.cards ?? {})) {
          if (own.brief && Object.keys(own.brief).length) briefs[kind] = { ...own.brief };
        }
      }
      app.setText(about, view.hidden ? t("caption_hidden") : t("captions_about"));
      app.show(list, !view.hidden);
      for (const kind of Object.keys(cards)) cards[kind].show(view.hidden ? { state: "hidden" } : (view.cards?.[kind] ?? { state: "empty" }));
      app.captionsShown(view);
    };
  });
})();
