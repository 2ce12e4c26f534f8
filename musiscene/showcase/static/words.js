// The page's own words: written in one language, said in the one that the browser asks for or that somebody chose.
(() => {
  "use strict";
  const all = JSON.parse(document.getElementById("words").textContent);
  const page = document.documentElement;
  const KEPT = "musiscene-showcase-language";
  const ATTRIBUTES = ["aria-label", "title", "alt"];

  const kept = () => { try { return localStorage.getItem(KEPT); } catch { return null; } };
  const keep = (code) => { try { localStorage.setItem(KEPT, code); } catch { /* a stick has nowhere to keep it */ } };

  const wished = [new URLSearchParams(location.search).get("lang"), kept(), ...("fixed" in page.dataset ? [] : navigator.languages)];
  const codes = wished.map((code) => String(code).toLowerCase().split("-")[0]);
  musiscene.language = codes.find((code) => Object.hasOwn(all, code)) ?? page.lang;

  /** The text of a key, with its blanks filled in. */
  musiscene.say = (key, values = {}) =>
    Object.entries(values).reduce((text, [name, value]) => text.replaceAll(`{${name}}`, () => value), all[musiscene.language][key] ?? "");

  const nodes = (text) => text.split("`").map((piece, index) => {
    if (index % 2 === 0) return piece;
    const key = document.createElement("kbd");
    key.textContent = piece;
    return key;
  });

  const valuesOf = (element) => JSON.parse(element.dataset.v ?? "{}");

  const speak = (language) => {
    musiscene.language = language;
    page.lang = language;
    for (const element of document.querySelectorAll("[data-t]")) {
      element.replaceChildren(...nodes(musiscene.say(element.dataset.t, valuesOf(element))));
    }
    for (const name of ATTRIBUTES) {
      for (const element of document.querySelectorAll(`[data-t-${name}]`)) {
        element.setAttribute(name, musiscene.say(element.getAttribute(`data-t-${name}`), valuesOf(element)));
      }
    }
    const own = document.querySelector("h1[data-t]");
    if (own) document.title = `${own.textContent} – MusiScene`;
    const back = document.querySelector(".back a[href]"); // to the list, in a gallery
    if (back) {
      back.href = `../?lang=${language}`;
      back.lang = language;
      back.textContent = `← ${musiscene.say("gallery_all")}`;
    }
    for (const button of menu.children) button.setAttribute("aria-pressed", String(button.lang === language));
    for (const player of musiscene.players ?? []) player.dispatchEvent(new Event("state"));
  };

  const menu = document.querySelector(".languages");
  menu.hidden = false;
  menu.append(...Object.keys(all).map((code) => {
    const button = document.createElement("button");
    button.type = "button";
    button.lang = code;
    button.textContent = all[code].language_name;
    button.addEventListener("click", () => {
      keep(code);
      speak(code);
    });
    return button;
  }));
  speak(musiscene.language);
})();
