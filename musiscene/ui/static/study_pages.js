// One function a page: it makes the element, and says how it is closed.

import { Player, audioContext, fetched } from "./study_player.js";

const LETTERS = "ABCDEFGHIJ";

/** An element with properties, attributes and children. */
function make(tag, given = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(given)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name in element && !name.includes("-")) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}

const heading = (text) => make("h1", { tabIndex: -1 }, text);
const paragraphs = (text) => text.trim().split(/\n\s*\n/).map((part) => make("p", {}, part));
const clock = (seconds) => `${Math.floor(Math.round(seconds) / 60)}:${String(Math.round(seconds) % 60).padStart(2, "0")}`;

function consent(study) {
  const { design, text, words } = study;
  const box = make("div", { className: "page" });
  const send = (accepted) => {
    for (const button of box.querySelectorAll("button")) button.disabled = true;
    study.answer({ accepted, language: study.state.language });
  };
  const fill = () => {
    const choice = make("select", { id: "language", onchange: async () => {
      study.store.set("language", choice.value);
      await study.setLanguage(choice.value);
      fill();
      box.querySelector("select").focus();
    } });
    const names = { en: "English", zh: "中文", es: "Español" };
    for (const code of design.languages) {
      choice.append(make("option", { value: code, selected: code === study.state.language, lang: code }, names[code] ?? code));
    }
    box.replaceChildren(
      heading(text("consent_title")),
      ...(design.languages.length > 1 ? [make("p", {}, make("label", { htmlFor: "language" }, text("choose_language")), " ", choice)] : []),
      make("div", { className: "words" }, ...paragraphs(words(design.consent))),
      make("div", { className: "buttons" },
        make("button", { className: "main", type: "button", onclick: () => send(true) }, text("consent_yes")),
        make("button", { type: "button", onclick: () => send(false) }, text("consent_no"))),
    );
  };
  fill();
  return { element: box, enable: fill };
}

function declined({ text }) {
  return { element: make("div", { className: "page" }, heading(text("declined_title")), make("p", {}, text("declined"))) };
}

function volume(study, { step }) {
  const { text } = study;
  const level = Number(study.store.get("volume") ?? 0.7);
  const slider = make("input", { type: "range", id: "volume", min: "0.05", max: "1", step: "0.01", value: String(level) });
  const play = make("button", { type: "button", disabled: true }, text("play"));
  const next = make("button", { type: "button", className: "main", disabled: true }, text("continue"));
  const player = new Player({
    video: null, picture: null, tracks: [study.media(step.tracks[0])], volume: level, report: study.report,
    changed: () => {
      play.textContent = text(player.playing ? "pause" : "play");
      if (player.playing) next.disabled = false;
    },
  });
  play.onclick = () => player.toggle();
  slider.oninput = () => player.setVolume(Number(slider.value));
  next.onclick = () => {
    next.disabled = true;
    study.store.set("volume", slider.value);
    study.answer({ volume: Number(slider.value) });
  };
  const element = make("div", { className: "page" }, heading(text("volume_title")), make("p", {}, text("volume_text")),
    make("p", {}, play), make("p", {}, make("label", { htmlFor: "volume" }, text("volume_slider")), slider),
    make("div", { className: "buttons" }, next));
  const ready = player.load().then(() => { play.disabled = false; });
  ready.catch(() => study.speak(text("media_failed"), true));
  return { element, ready, close: () => player.close(), enable: () => { next.disabled = false; } };
}

function headphones(study, { step }) {
  const { text } = study;
  const count = step.sounds.length;
  const draft = `draft-${step.id}`;
  const choices = JSON.parse(study.store.get(draft) ?? "[]");
  const box = make("div", { className: "page" });
  let source = null;
  const stop = () => { try { source?.stop(); } catch { /* it had ended */ } };
  const round = async () => {
    const number = choices.length;
    const play = make("button", { type: "button", className: "main" }, text("headphones_play"));
    const options = make("fieldset", { disabled: true }, make("legend", {}, text("headphones_choice")));
    for (let value = 1; value <= 3; value += 1) {
      options.append(make("button", { type: "button", onclick: () => {
        stop();
        choices.push(value);
        study.report("move", null, null, value);
        study.store.set(draft, JSON.stringify(choices));
        if (choices.length < count) round();
        else study.answer({ choices });
      } }, text("noise", { number: value })));
    }
    play.onclick = async () => {
      play.disabled = true;
      try {
        const sound = audioContext();
        await sound.resume();
        const bytes = await fetched(study.media(step.sounds[number]));
        source = sound.createBufferSource();
        source.buffer = await sound.decodeAudioData(bytes.slice(0));
        source.connect(sound.destination);
        source.onended = () => { options.disabled = false; play.disabled = false; play.textContent = text("headphones_again"); };
        source.start();
        study.report("play", 0, null, number);
      } catch {
        play.disabled = false;
        study.speak(text("media_failed"), true);
      }
    };
    box.replaceChildren(heading(text("headphones_title")), make("p", {}, text("headphones_text", { count })),
      make("h2", { tabIndex: -1 }, text("headphones_round", { number: number + 1, count })), make("p", {}, play), options);
    if (number) box.querySelector("h2").focus();
  };
  if (choices.length >= count) queueMicrotask(() => study.answer({ choices }));
  else round();
  return { element: box, ready: Promise.resolve(), close: stop, enable: () => { study.store.remove(draft); choices.length = 0; round(); } };
}

function bands(text) {
  return make("div", { className: "bands", "aria-hidden": "true" }, ...[0, 1, 2, 3, 4].map((band) => make("span", {}, text(`band_${band}`))));
}

function bandOf(text, value) {
  return text(`band_${Math.min(4, Math.floor(value / 20))}`);
}

function trial(study, { step }) {
  const { text, words, design, media } = study;
  const draftKey = `draft-${step.id}`;
  const draft = JSON.parse(study.store.get(draftKey) ?? "{}");
  const instructed = step.kind === "instructed";
  const values = draft.values ?? (step.pair ? [null] : step.tracks.map(() => null));
  const video = make("video", { muted: true, playsInline: true, preload: "auto", tabIndex: -1, "aria-hidden": "true" });
  const play = make("button", { type: "button", className: "play", disabled: true }, text("play"));
  const place = make("input", { type: "range", min: "0", max: "1", step: "any", value: "0", disabled: true, "aria-label": text("position") });
  const time = make("span", { className: "time", "aria-hidden": "true" }, "0:00");
  const next = make("button", { type: "button", className: "main", disabled: true }, text("next"));
  const todo = make("p", { className: "todo", id: "todo" });
  next.setAttribute("aria-describedby", "todo");
  const rows = [];

  const player = new Player({
    video, picture: media(step.picture), tracks: step.tracks.map(media), volume: Number(study.store.get("volume") ?? 0.7),
    report: study.report, heard: draft.cells, changed: () => refresh(),
  });
  if (draft.listened) player.listened = draft.listened;
  const unlocked = (index) => instructed || player.heard(index);

  const rater = (index, letter) => {
    const value = make("output", {}, text("not_rated"));
    const slider = make("input", {
      type: "range", min: "0", max: "100", step: "1", value: String(values[index] ?? 50), disabled: true,
      "aria-label": letter ? text("rate", { letter }) : text("pair_slider"),
    });
    const touched = () => {
      values[index] = Number(slider.value);
      refresh();
    };
    slider.addEventListener("input", touched);
    slider.addEventListener("pointerup", () => { if (!slider.disabled) touched(); });
    slider.addEventListener("keydown", (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); touched(); } });
    slider.addEventListener("change", () => {
      study.report("move", null, index, Number(slider.value));
      keep();
    });
    return { slider, value };
  };
  const keep = () => study.store.set(draftKey, JSON.stringify({ values, cells: player.cells, listened: player.listened }));

  const list = make("div", { className: "tracks" });
  step.tracks.forEach((_, index) => {
    const letter = LETTERS[index];
    const listen = make("button", { type: "button", "aria-pressed": "false", "aria-label": text("listen", { letter }), onclick: () => choose(index) },
      text("track", { letter }));
    const status = make("span", { className: "state" }, text("not_heard"));
    const row = { listen, status };
    const group = make("section", { className: "track", "aria-label": text("track", { letter }) }, make("div", { className: "line" }, listen, status));
    if (!step.pair) {
      Object.assign(row, rater(index, letter));
      group.append(make("div", { className: "slide" }, row.slider, bands(text)), row.value);
    }
    rows.push(row);
    list.append(group);
  });
  let pair = null;
  if (step.pair) {
    pair = rater(0, "");
    const ends = make("div", { className: "bands three", "aria-hidden": "true" }, ...["pair_first", "pair_middle", "pair_last"].map((key) => make("span", {}, text(key))));
    list.append(make("section", { className: "track", "aria-label": text("pair_slider") }, make("div", { className: "slide" }, pair.slider, ends), pair.value));
  }

  function choose(index) {
    if (!player.buffers.length) return;
    player.choose(index);
    if (!player.playing) player.play();
  }

  function refresh() {
    play.textContent = text(player.playing ? "pause" : "play");
    const now = player.now();
    if (document.activeElement !== place || player.playing) place.value = String(now);
    place.setAttribute("aria-valuetext", clock(now));
    time.textContent = `${clock(now)} / ${clock(player.duration ?? step.duration_s)}`;
    rows.forEach((row, index) => {
      const mine = player.chosen === index;
      row.listen.setAttribute("aria-pressed", String(mine));
      // Where nothing has to be heard, nothing is said of it.
      const heard = player.heard(index) ? text("heard") : instructed ? "" : text("not_heard");
      const state = [heard, mine && player.playing ? text("now") : ""].filter(Boolean).join(" · ");
      if (row.status.textContent !== state) row.status.textContent = state;
      row.status.classList.toggle("done", player.heard(index));
    });
    const raters = step.pair ? [pair] : rows;
    const open = (index) => (step.pair ? rows.every((_, one) => unlocked(one)) : unlocked(index));
    raters.forEach((rater, index) => {
      rater.slider.disabled = !open(index);
      const value = values[index];
      const shown = value === null ? text("not_rated") : step.pair ? String(value) : `${value} · ${bandOf(text, value)}`;
      if (rater.value.textContent !== shown) rater.value.textContent = shown;
      rater.slider.classList.toggle("unset", value === null);
      if (value === null) rater.slider.setAttribute("aria-valuetext", text("not_rated"));
      else rater.slider.setAttribute("aria-valuetext", shown);
    });
    const unheard = rows.map((_, index) => index).filter((index) => !unlocked(index));
    const unrated = values.map((value, index) => (value === null ? index : -1)).filter((index) => index >= 0);
    const letters = (indices) => indices.map((index) => LETTERS[index]).join(", ");
    next.disabled = Boolean(unheard.length || unrated.length);
    const message = unheard.length ? text("todo_listen", { letters: letters(unheard) })
      : unrated.length ? text("todo_rate", { letters: step.pair ? "A/B" : letters(unrated) }) : "";
    if (todo.textContent !== message) todo.textContent = message;
  }

  play.onclick = () => player.toggle();
  place.onchange = () => player.seek(Number(place.value));
  next.onclick = () => {
    player.pause();
    next.disabled = true;
    const listened = player.listened.map((seconds) => Math.round(seconds * 100) / 100);
    if (step.pair) study.answer({ preference: values[0], listened_s: listened });
    else study.answer({ ratings: step.tracks.map((slot, index) => ({ slot, value: values[index], listened_s: listened[index] })) });
  };
  const onkey = (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || ["SELECT", "TEXTAREA"].includes(event.target.tagName)) return;
    const index = Number(event.key) - 1;
    if (index >= 0 && index < rows.length) choose(index);
    else if (event.key === " " && !["BUTTON", "INPUT", "A"].includes(event.target.tagName)) {
      event.preventDefault();
      player.toggle();
    }
  };
  document.addEventListener("keydown", onkey);
  const kept = setInterval(() => { if (player.playing) keep(); }, 1000);

  const titles = { practice: "practice_title", instructed: "instructed_title" };
  const element = make("div", { className: "page trial" },
    heading(titles[step.kind] ? text(titles[step.kind]) : words(design.question)),
    step.kind === "practice" ? make("p", {}, text("practice_text")) : null,
    step.kind === "practice" ? make("p", { className: "asked" }, words(design.question)) : null,
    instructed ? make("p", { className: "loud" }, text("instructed_text", { target: step.target })) : null,
    make("div", { className: "stage" },
      make("div", { className: "screen" }, video, make("div", { className: "transport" }, play, place, time)),
      make("div", {}, list, make("p", { className: "keys" }, text("keys")), todo, make("div", { className: "buttons" }, next))));
  refresh();
  const ready = player.load().then(() => {
    place.max = String(player.duration);
    play.disabled = false;
    place.disabled = false;
    refresh();
  });
  ready.catch(() => study.speak(text("media_failed"), true));
  return {
    element, ready, player,
    enable: refresh,
    close: () => {
      document.removeEventListener("keydown", onkey);
      clearInterval(kept);
      player.close();
    },
  };
}

function questions(study, { step }) {
  const { text, words, design } = study;
  const form = make("form", { noValidate: true });
  const draftKey = `draft-${step.id}`;
  const draft = JSON.parse(study.store.get(draftKey) ?? "{}");
  const fields = new Map();
  for (const question of design.questions) {
    const id = `q-${question.id}`;
    const label = make("label", { htmlFor: id }, words(question.label), question.required ? "" : ` (${text("optional")})`);
    let field;
    if (question.kind === "choice") {
      field = make("select", { id }, make("option", { value: "" }, text("choose")),
        ...question.options.map((option, index) => make("option", { value: String(index) }, words(option))));
    } else if (question.kind === "text") {
      field = make("textarea", { id, maxLength: 2000, rows: 3 });
    } else if (question.kind === "scale") {
      field = make("input", { id, type: "range", min: String(question.lowest), max: String(question.highest), value: String(question.lowest) });
    } else {
      field = make("input", { id, type: "number", min: String(question.lowest), max: String(question.highest), inputMode: "decimal" });
    }
    if (draft[question.id] !== undefined) field.value = draft[question.id];
    field.required = question.required;
    fields.set(question, field);
    form.append(make("p", { className: "field" }, label, field));
  }
  form.oninput = () => study.store.set(draftKey, JSON.stringify(Object.fromEntries([...fields].map(([question, field]) => [question.id, field.value]))));
  const next = make("button", { className: "main" }, text("continue"));
  form.append(make("div", { className: "buttons" }, next));
  form.onsubmit = (event) => {
    event.preventDefault();
    const answers = {};
    for (const [question, field] of fields) {
      const bad = field.value === "" ? question.required : !field.checkValidity();
      field.setAttribute("aria-invalid", String(bad));
      if (bad) {
        study.speak(text("missing", { label: words(question.label) }), true);
        field.focus();
        return;
      }
      if (field.value !== "") answers[question.id] = question.kind === "text" ? field.value : Number(field.value);
    }
    next.disabled = true;
    study.answer({ answers });
  };
  return { element: make("div", { className: "page" }, heading(text("questions_title")), form), enable: () => { next.disabled = false; } };
}

function end(study, view) {
  const { text, words, design } = study;
  const { step } = view;
  const parts = [heading(text("end_title")), make("p", {}, words(design.thanks) || text("end"))];
  if (words(design.thanks)) parts.push(make("p", {}, text("end")));
  if (step.completion_code) parts.push(make("p", {}, `${text("completion")}: `, make("strong", { className: "code" }, step.completion_code)));
  if (step.return_url) parts.push(make("p", {}, make("a", { href: step.return_url, className: "button main" }, text("return"))));
  parts.push(make("p", { className: "quiet" }, text("code", { code: view.code })));
  return { element: make("div", { className: "page" }, ...parts) };
}

export const pages = { consent, declined, volume, headphones, practice: trial, trial, instructed: trial, questions, end };
