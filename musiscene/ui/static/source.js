// The clip: drop, choose, record or take an example; then its preview, its facts, and a reference track beside it.
(() => {
  "use strict";
  const app = window.musiscene;
  const { h, t } = app;

  const ACCEPT = "video/*,audio/*,.mkv,.avi,.flv,.mpg,.mpeg,.3gp,.gif,.opus,.flac,.ogg,.ogv,.mov,.webm,.m4a";

  app.part("source", (root, host) => {
    /** Go to a time of the preview, where there is one. */
    app.seekPreview = (seconds) => {
      const player = stage.querySelector("video, audio");
      if (player) player.currentTime = seconds;
    };
    let view = {};
    let sending = false;

    const fail = (where, text) => {
      app.setText(where, text);
      app.show(where, Boolean(text));
    };

    /** Upload `file`, then tell the server what it is for. */
    const send = async (file, event) => {
      const problem = event === "set_reference" ? referenceProblem : sourceProblem;
      fail(problem, "");
      if (file.size > app.config.max_bytes) {
        const limit = app.bytes(app.config.max_bytes);
        return fail(problem, t("upload_too_large", { name: file.name, size: app.bytes(file.size), limit }));
      }
      busy(true, t("uploading", { name: file.name }));
      try {
        const path = await app.upload(file, (part) => (bar.value = part));
        busy(true, t("opening"));
        host.trigger(event, { path, name: file.name, token: view.token || "", ...app.who() });
      } catch (error) {
        busy(false);
        fail(problem, error.unreached ? error.message : t("upload_failed", { name: file.name, reason: error.message }));
      }
    };

    const busy = (state, text = "") => {
      sending = state;
      section.setAttribute("aria-busy", state);
      app.show(status, state);
      app.setText(statusText, text);
      if (text === t("opening")) bar.removeAttribute("value");
      else bar.value = 0;
      if (text) app.announce(text);
    };

    // -- choosing a clip -----------------------------------------------------------------------------------------

    const input = h("input", { type: "file", accept: ACCEPT, class: "ms-file", id: "ms-clip-file" });
    input.addEventListener("change", () => {
      if (input.files[0]) send(input.files[0], "open_upload");
      input.value = "";
    });
    const record = h("button", { type: "button", class: "ms-quiet" }, t("record"));
    const examples = app.config.examples.map((example) =>
      h(
        "button",
        {
          type: "button",
          class: "ms-example",
          onclick: () => {
            busy(true, t("opening"));
            fail(sourceProblem, "");
            host.trigger("open_example", { example: example.id, ...app.who() });
          },
        },
        h("span", { class: "ms-example-title" }, example.title),
        h("span", { class: "ms-example-about" }, example.about),
      ),
    );
    const canRecord = Boolean(navigator.mediaDevices?.getUserMedia && window.MediaRecorder);
    const drop = h(
      "div",
      { class: "ms-drop" },
      h("p", { class: "ms-drop-title" }, t("drop_title")),
      h(
        "div",
        { class: "ms-drop-ways" },
        h("label", { class: "ms-choose", for: "ms-clip-file" }, t("drop_choose")),
        input,
        canRecord ? record : null,
      ),
      h("p", { class: "ms-note" }, app.config.limit),
    );
    const chooser = h(
      "div",
      { class: "ms-chooser" },
      drop,
      examples.length
        ? h("div", { class: "ms-examples" }, h("h3", {}, t("examples")), h("div", { class: "ms-example-list" }, ...examples))
        : null,
    );

    for (const name of ["dragenter", "dragover"]) {
      root.addEventListener(name, (event) => {
        event.preventDefault();
        drop.classList.add("ms-over");
      });
    }
    for (const name of ["dragleave", "drop"]) root.addEventListener(name, () => drop.classList.remove("ms-over"));
    root.addEventListener("drop", (event) => {
      event.preventDefault();
      const file = event.dataTransfer?.files?.[0];
      if (file && !sending) send(file, "open_upload");
    });

    // -- recording -----------------------------------------------------------------------------------------------

    let recorder = null;
    record.addEventListener("click", async () => {
      if (recorder) return recorder.stop();
      try {
        const stream = await navigator.mediaDevices.getUserMedia({ video: true, audio: true });
        const pieces = [];
        recorder = new MediaRecorder(stream);
        recorder.addEventListener("dataavailable", (event) => pieces.push(event.data));
        recorder.addEventListener("stop", () => {
          for (const track of stream.getTracks()) track.stop();
          const type = recorder.mimeType.split(";")[0];
          recorder = null;
          live.remove();
          app.setText(record, t("record"));
          const name = `${t("record_name")}.${type.includes("mp4") ? "mp4" : "webm"}`;
          send(new File(pieces, name, { type }), "open_upload");
        });
        live.srcObject = stream;
        drop.append(live);
        live.play().catch(() => {});
        recorder.start();
        app.setText(record, t("record_stop"));
      } catch (error) {
        recorder = null;
        fail(sourceProblem, t("record_refused", { reason: error.message }));
      }
    });
    const live = h("video", { class: "ms-live", playsinline: true, "aria-label": t("record_name") });
    live.muted = true;

    // -- the clip that was chosen ----------------------------------------------------------------------------------

    const stage = h("div", { class: "ms-stage" });
    const unplayable = h("p", { class: "ms-note", hidden: true });
    const name = h("h3", { class: "ms-clip-name" });
    const facts = h("dl", { class: "ms-facts" });
    const another = h("button", { type: "button", class: "ms-quiet" }, t("another_clip"));
    another.addEventListener("click", () => {
      app.newComparison();
      input.focus();
    });

    const referenceInput = h("input", { type: "file", accept: ACCEPT, class: "ms-file", id: "ms-reference-file" });
    referenceInput.addEventListener("change", () => {
      if (referenceInput.files[0]) send(referenceInput.files[0], "set_reference");
      referenceInput.value = "";
    });
    const referenceChoose = h("label", { class: "ms-choose ms-choose-small", for: "ms-reference-file" }, t("reference_add"));
    const referenceName = h("p", { class: "ms-reference-name" });
    const referencePlayer = h("audio", { controls: true, preload: "metadata" });
    const referenceRemove = h("button", { type: "button", class: "ms-quiet" }, "");
    referenceRemove.addEventListener("click", () =>
      host.trigger("set_reference", { token: view.token, ...app.who() }),
    );
    const referenceShown = h("div", { class: "ms-reference-shown" }, referenceName, referencePlayer, referenceRemove);
    const referenceProblem = h("p", { class: "ms-error", role: "alert", hidden: true });
    const reference = h(
      "div",
      { class: "ms-reference" },
      h("h3", {}, t("reference")),
      h("p", { class: "ms-note" }, t("reference_about")),
      h("div", { class: "ms-reference-add" }, referenceChoose, referenceInput),
      referenceShown,
      referenceProblem,
    );
    const clip = h(
      "div",
      { class: "ms-clip" },
      h("div", { class: "ms-clip-picture" }, stage, unplayable),
      h("div", { class: "ms-clip-side" }, h("div", { class: "ms-clip-head" }, name, another), facts, reference),
    );

    // -- states --------------------------------------------------------------------------------------------------

    const bar = h("progress", { max: "1", value: "0", "aria-label": t("uploading", { name: "" }) });
    const statusText = h("span", {});
    const status = h("div", { class: "ms-status", role: "status", hidden: true }, statusText, bar);
    const sourceProblem = h("p", { class: "ms-error", role: "alert", hidden: true });
    const section = h(
      "section",
      { class: "ms-source", "aria-labelledby": "ms-source-title" },
      h("h2", { id: "ms-source-title" }, t("source_heading")),
      chooser,
      clip,
      status,
      sourceProblem,
      h("p", { class: "ms-note ms-keep" }, app.config.keep),
    );
    root.append(section);

    window.addEventListener("resize", () => (section.style.minHeight = ""));

    let shownUrl = "";
    const showPreview = () => {
      if (shownUrl === view.url) return;
      shownUrl = view.url;
      app.show(unplayable, false);
      stage.style.backgroundImage = "";
      const player = h(view.has_video ? "video" : "audio", {
        src: view.url,
        controls: true,
        playsinline: true,
        preload: "metadata",
        "aria-label": t("preview", { name: view.name }),
      });
      player.addEventListener("error", () => {
        app.setText(unplayable, t("preview_unplayable", { name: view.name }));
        app.show(unplayable, true);
        if (view.poster) stage.replaceChildren(h("img", { class: "ms-poster", src: view.poster, alt: t("preview", { name: view.name }) }));
      });
      const [width, height] = view.size ?? [16, 9];
      stage.style.setProperty("--ratio", view.has_video ? String(width / height) : "auto");
      stage.classList.toggle("ms-sound-only", !view.has_video);
      stage.replaceChildren(player);
    };

    return (next) => {
      const changed = next.token !== view.token;
      view = next;
      const chosen = Boolean(view.token);
      // The clip takes the room of what it replaces, whatever language that was written in.
      // In one column it would leave a hole instead.
      if (chosen && !chooser.hidden && window.innerWidth > 900) section.style.minHeight = `${section.offsetHeight}px`;
      if (!chosen) section.style.minHeight = "";
      app.show(chooser, !chosen);
      app.show(clip, chosen);
      fail(chosen ? referenceProblem : sourceProblem, view.error || "");
      fail(chosen ? sourceProblem : referenceProblem, "");
      busy(false);
      if (!chosen) {
        shownUrl = "";
        stage.replaceChildren();
        app.opened({ token: "", lost: view.lost || "" });
        return;
      }
      app.setText(name, view.name);
      facts.replaceChildren(...view.facts.flatMap(([term, value]) => [h("dt", {}, term), h("dd", {}, value)]));
      showPreview();
      app.show(referenceShown, Boolean(view.reference));
      app.show(referenceChoose, !view.reference);
      if (view.reference) {
        app.setText(referenceName, view.reference.name);
        app.setText(referenceRemove, t("reference_remove", { name: view.reference.name }));
        app.setAttribute(referencePlayer, "aria-label", t("preview", { name: view.reference.name }));
        if (referencePlayer.getAttribute("src") !== view.reference.url) referencePlayer.src = view.reference.url;
      } else if (referencePlayer.hasAttribute("src")) {
        referencePlayer.removeAttribute("src");
        referencePlayer.load();
      }
      referenceInput.disabled = view.locked;
      referenceRemove.disabled = view.locked;
      if (changed) app.opened(view);
    };
  });
})();
