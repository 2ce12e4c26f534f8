// The way through a study: where somebody is comes from the server; here it is shown, and answers are sent until kept.

import { pages } from "./study_pages.js";
import { keepOnly, fetched } from "./study_player.js";

const base = location.pathname.replace(/\/$/, "");
const root = document.getElementById("study");
const design = JSON.parse(root.dataset.design);
const started = performance.now();
const visit = random(9);

export function random(bytes) {
  const values = crypto.getRandomValues(new Uint8Array(bytes));
  return btoa(String.fromCharCode(...values)).replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

/** Local storage that may be forbidden; then the visit is remembered until the tab is closed. */
const memory = new Map();
export const store = {
  get(key) {
    try { return localStorage.getItem(`${base}:${key}`) ?? memory.get(key) ?? null; } catch { return memory.get(key) ?? null; }
  },
  set(key, value) {
    memory.set(key, value);
    try { localStorage.setItem(`${base}:${key}`, value); } catch { /* remembered above */ }
  },
  remove(key) {
    memory.delete(key);
    try { localStorage.removeItem(`${base}:${key}`); } catch { /* was not kept */ }
  },
};

const state = { token: "", language: "en", texts: {}, view: null, page: null, events: [], count: 0 };

export const study = {
  design,
  store,
  state,
  text: (key, values = {}) => (state.texts[key] ?? key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? ""),
  words: (given) => given?.[state.language] ?? Object.values(given ?? {})[0] ?? "",
  media: (id) => `${base}/media/${id}`,
  report,
  answer,
  speak,
  setLanguage,
};

/** Puts an event into the log, which goes along with the next answer. */
function report(kind, media = null, slot = null, value = null) {
  const step = state.view?.step?.id;
  if (!step) return;
  state.count += 1;
  const at = Math.max(0, Math.round(performance.now() - started) / 1000);
  state.events.push({ id: `${visit}-${state.count}`, kind, at_s: at, media_s: media, slot, value, step });
  if (state.events.length >= 400) sendEvents();
}

function takeEvents(step) {
  const mine = state.events.filter((event) => event.step === step).map(({ step: _, ...event }) => event);
  state.events = state.events.filter((event) => event.step !== step);
  return mine.slice(-900);
}

function sendEvents() {
  const step = state.view?.step?.id;
  const events = step ? takeEvents(step) : [];
  if (!events.length) return;
  const body = JSON.stringify({ token: state.token, step, events });
  navigator.sendBeacon(`${base}/api/note`, new Blob([body], { type: "application/json" }));
}

class Refusal extends Error {
  constructor(status, code, message) {
    super(message);
    Object.assign(this, { status, code });
  }
}

async function call(action, body) {
  const response = await fetch(`${base}/api/${action}`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ token: state.token, ...body }),
  });
  const given = await response.json();
  if (!response.ok) throw new Refusal(response.status, given.error, given.message);
  return given;
}

/** Sends until the server has it; the answer waits in local storage, so that a reload goes on sending. */
async function persist(action, body) {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await call(action, body);
    } catch (error) {
      if (error instanceof Refusal && error.status < 500) throw error;
      speak(study.text("retrying"), true);
      await new Promise((done) => setTimeout(done, Math.min(8000, 400 * 2 ** attempt)));
    }
  }
}

async function answer(given) {
  const step = state.view.step.id;
  const pending = { step, save_id: random(12), answer: given, events: takeEvents(step) };
  store.set("pending", JSON.stringify(pending));
  speak(study.text("saving"));
  await send(pending);
}

async function send(pending) {
  try {
    const view = await persist("save", pending);
    store.remove("pending");
    store.remove(`draft-${pending.step}`);
    speak(study.text("saved"));
    show(view);
  } catch (error) {
    store.remove("pending");
    if (error.code === "already" || error.code === "order") {
      show(await persist("view", {}));
      speak(study.text("elsewhere"), true);
    } else {
      speak(error.message, true);
      state.page?.enable?.();
    }
  }
}

/** Tells a person, and a screen reader. */
function speak(message, loud = false) {
  const place = document.getElementById("message");
  if (!place) return;
  place.textContent = message;
  place.classList.toggle("loud", loud);
}

async function setLanguage(language) {
  const response = await fetch(`../study-static/study_${language}.json`);
  state.texts = await response.json();
  state.language = language;
  document.documentElement.lang = language;
  document.title = study.words(design.title);
}

function show(view) {
  state.page?.close?.();
  state.view = view;
  const urls = [...(view.step.tracks ?? []), view.step.picture, ...(view.step.sounds ?? []), ...(view.next?.tracks ?? []), view.next?.picture];
  keepOnly(urls.filter(Boolean).map(study.media));
  state.page = pages[view.step.kind](study, view);
  root.replaceChildren(frame(view, state.page.element));
  document.querySelector("#study h1")?.focus();
  window.scrollTo(0, 0);
  report("show");
  state.page.ready?.then(() => {
    for (const id of [view.next?.picture, ...(view.next?.tracks ?? [])]) if (id) fetched(study.media(id)).catch(() => {});
  }).catch(() => {});
}

function frame(view, content) {
  const header = document.createElement("header");
  const title = document.createElement("p");
  title.className = "title";
  title.textContent = study.words(design.title);
  header.append(title);
  if (view.step.number > 0 && view.step.kind !== "end") {
    const bar = document.createElement("progress");
    bar.max = view.step.of;
    bar.value = view.step.number;
    const words = study.text("progress", { number: view.step.number, of: view.step.of });
    bar.setAttribute("aria-label", words);
    const label = document.createElement("span");
    label.textContent = words;
    header.append(bar, label);
  }
  const main = document.createElement("main");
  const message = document.createElement("p");
  message.id = "message";
  message.setAttribute("role", "status");
  main.append(content, message);
  const parts = [header, main];
  if (view.step.number > 0 && view.step.kind !== "end") parts.push(footer(view));
  const all = document.createDocumentFragment();
  all.append(...parts);
  return all;
}

function footer(view) {
  const footer = document.createElement("footer");
  const resume = document.createElement("p");
  const link = document.createElement("a");
  link.href = `${base}#resume=${state.token}`;
  link.textContent = link.href;
  link.className = "resume";
  resume.append(study.text("resume"), " ", link);
  const code = document.createElement("p");
  code.textContent = study.text("code", { code: view.code });
  footer.append(resume, code);
  if (design.contact) {
    const contact = document.createElement("p");
    contact.textContent = study.text("contact", { contact: design.contact });
    footer.append(contact);
  }
  return footer;
}

async function begin() {
  const asked = new URLSearchParams(location.search);
  const resumed = new URLSearchParams(location.hash.slice(1)).get("resume");
  const person = asked.get("PROLIFIC_PID") ?? "";
  if (asked.has("new") && !store.get("started-new")) store.remove("token");
  // Another person's link on the same machine must not continue the first one's session.
  if (person && store.get("person") !== person) store.remove("token");
  state.token = resumed || store.get("token") || random(24);
  if (!resumed) store.set("token", state.token);
  if (person) store.set("person", person);
  if (resumed || asked.has("new")) history.replaceState(null, "", base + (asked.has("new") ? "" : location.search));
  const wished = [asked.get("lang"), store.get("language"), ...navigator.languages].filter(Boolean);
  const language = wished.map((code) => code.slice(0, 2)).find((code) => design.languages.includes(code)) ?? design.languages[0];
  await setLanguage(language);
  root.innerHTML = "";
  const waiting = document.createElement("main");
  const heading = document.createElement("h1");
  heading.textContent = study.text("loading");
  const message = document.createElement("p");
  message.id = "message";
  message.setAttribute("role", "status");
  waiting.append(heading, message);
  root.append(waiting);
  const body = { person, study: asked.get("STUDY_ID") ?? "", session: asked.get("SESSION_ID") ?? "", language };
  try {
    // A link of somebody whom nobody knows here (it was cut off, or the study is anonymised) must not begin anew.
    const view = await persist(resumed ? "view" : "enter", body);
    store.set("token", state.token);
    if (view.step.number > 0 && view.language !== language) await setLanguage(view.language);
    const pending = JSON.parse(store.get("pending") ?? "null");
    state.view = view;
    if (pending && pending.step === view.step.id) await send(pending);
    else show(view);
  } catch (error) {
    heading.textContent = study.text("fatal");
    speak(error.message ?? String(error), true);
  }
}

for (const [name, kind] of [["blur", "blur"], ["focus", "focus"]]) window.addEventListener(name, () => report(kind));
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") {
    report("hide");
    sendEvents();
  }
});
window.addEventListener("pagehide", () => {
  report("leave");
  sendEvents();
});

begin();
