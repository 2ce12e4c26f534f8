// Small tools that every part uses: elements, texts, the browser's own name, and where parts are mounted.
(() => {
  "use strict";
  const app = window.musiscene;
  app.language = window.musisceneLanguage ?? "en";
  const { accents, languages } = app.config;
  Object.assign(app.config, languages[app.language]);
  app.config.kinds = app.config.kinds.map((info) => ({ ...info, ...accents[info.kind] }));
  const { texts } = app.config;

  app.parts = {};
  /** The comparison that the address asks for; read now, since the address will follow what is shown. */
  app.asked = new URL(window.location.href).searchParams.get("c") ?? "";

  /** An element: h("p", {class: "x", onclick: f, hidden: true}, child, "text", …). */
  app.h = (tag, attributes = {}, ...children) => {
    const svg = ["svg", "path", "line", "rect"].includes(tag);
    const element = svg ? document.createElementNS("http://www.w3.org/2000/svg", tag) : document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
      else if (value === true) element.setAttribute(name, "");
      else if (value !== false && value !== null && value !== undefined) element.setAttribute(name, value);
    }
    element.append(...children.filter((child) => child !== null && child !== undefined));
    return element;
  };

  app.fill = (text, values = {}) => text.replace(/\{(\w+)\}/g, (whole, name) => (name in values ? values[name] : whole));
  app.t = (name, values) => app.fill(texts[name] ?? name, values);

  /** Change a node only where it differs, so that nothing flickers and screen readers hear changes only. */
  app.setText = (element, text) => {
    if (element.textContent !== text) element.textContent = text;
  };
  app.setAttribute = (element, name, value) => {
    if (value === null || value === false) element.removeAttribute(name);
    else if (element.getAttribute(name) !== String(value)) element.setAttribute(name, value);
  };
  app.show = (element, visible) => {
    if (element.hidden === visible) element.hidden = !visible;
  };

  /** A backend's sentence; what stands between backticks is a command. */
  app.withCommands = (text) => text.split("`").map((piece, index) => (index % 2 ? app.h("code", {}, piece) : piece));

  app.clock = (seconds) => {
    const tenths = Math.max(0, Math.floor(seconds * 10 + 1e-6));
    const minutes = Math.floor(tenths / 600);
    return `${minutes}:${String(Math.floor((tenths % 600) / 10)).padStart(2, "0")}.${tenths % 10}`;
  };

  app.bytes = (size) => {
    for (const unit of ["B", "kB", "MB"]) {
      if (size < 1000) return `${Number(size.toPrecision(3))} ${unit}`;
      size /= 1000;
    }
    return `${Number(size.toPrecision(3))} GB`;
  };

  app.profileName = (name) => texts[`profile_${name}`] ?? name;
  app.kindInfo = (kind) => app.config.kinds.find((info) => info.kind === kind);

  // -- what this browser remembers ---------------------------------------------------------------------------------

  const memory = {}; // where the browser keeps nothing (a private window may refuse), this page still works
  app.remember = (name, value) => {
    memory[name] = value;
    try {
      localStorage.setItem(`musiscene.${name}`, JSON.stringify(value));
    } catch {
      /* full or forbidden: remembered until the page is closed */
    }
  };
  app.recall = (name, otherwise) => {
    try {
      const kept = localStorage.getItem(`musiscene.${name}`);
      if (kept !== null) return JSON.parse(kept);
    } catch {
      /* as above */
    }
    return memory[name] ?? otherwise;
  };

  const randomName = () => {
    const bytes = crypto.getRandomValues(new Uint8Array(16));
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  };
  app.person = app.recall("person") ?? randomName();
  app.remember("person", app.person);
  /** What goes along with every request: who asks, and in which language. */
  app.who = () => ({ person: app.person, lang: app.language });

  // -- announcements and copying -----------------------------------------------------------------------------------

  app.announce = (text) => {
    const live = document.getElementById("ms-live");
    if (live) live.textContent = text;
  };

  app.copy = async (text, button) => {
    try {
      await navigator.clipboard.writeText(text);
    } catch {
      const field = app.h("textarea", { class: "ms-offscreen", "aria-hidden": "true" });
      field.value = text;
      document.body.append(field);
      field.select();
      document.execCommand("copy");
      field.remove();
    }
    const before = button.textContent;
    button.textContent = app.t("copied");
    app.announce(app.t("copied"));
    setTimeout(() => (button.textContent = before), 1500);
  };

  app.link = (token) => {
    const url = new URL(window.location.href);
    url.search = token ? `?c=${token}` : "";
    url.hash = "";
    return url.toString();
  };

  // -- uploads -----------------------------------------------------------------------------------------------------

  /** Send a file; `onProgress` is told the part that is done, 0 to 1. Resolves to its path on the server. */
  app.upload = (file, onProgress) =>
    new Promise((resolve, reject) => {
      const body = new FormData();
      body.append("files", file, file.name);
      const request = new XMLHttpRequest();
      request.open("POST", new URL("gradio_api/upload", document.baseURI));
      request.setRequestHeader("Accept-Language", app.language); // a refusal is a sentence
      request.upload.addEventListener("progress", (event) => {
        if (event.lengthComputable) onProgress(event.loaded / event.total);
      });
      request.addEventListener("load", () => {
        try {
          if (request.status !== 200) throw new Error(request.responseText.slice(0, 200) || `HTTP ${request.status}`);
          resolve(JSON.parse(request.responseText)[0]);
        } catch (error) {
          reject(error);
        }
      });
      request.addEventListener("error", () =>
        reject(Object.assign(new Error(app.t(navigator.onLine ? "lost" : "offline")), { unreached: true })),
      );
      request.send(body);
    });

  // -- appearing ---------------------------------------------------------------------------------------------------

  // Gradio draws its components one after the other; the page appears when all are there, so that nothing moves.
  const NEEDED = ["ms-both", "ms-stop", "ms-settings", "ms-blind"];
  const appear = () => {
    const drawn = ["header", "source", "progress", "captions", "ask", "player", "history"].every((name) => name in app.parts);
    if (drawn && NEEDED.every((id) => document.getElementById(id))) document.body.classList.add("ms-ready");
    else setTimeout(appear, 16);
  };
  appear();

  // -- mounting ----------------------------------------------------------------------------------------------------

  /** Do `change`; what is being rated stays where it is. By themselves some browsers keep what is at the top, others nothing. */
  const steady = (change) => {
    const rated = document.activeElement?.closest(".ms-rating");
    if (!rated) return change();
    const page = document.documentElement.style;
    page.overflowAnchor = "none";
    const before = rated.getBoundingClientRect().top;
    change();
    window.scrollBy({ top: rated.getBoundingClientRect().top - before, behavior: "instant" });
    requestAnimationFrame(() => requestAnimationFrame(() => (page.overflowAnchor = "")));
  };

  const builders = {};
  /** Say how a part is built: `build(root, host)` returns `show(view)`, which is called with every new view. */
  app.part = (name, build) => (builders[name] = build);

  /** Called by Gradio once for each part; `host` has element, trigger, props and watch. */
  app.mount = (name, host) => {
    const root = host.element.querySelector(".ms-part") ?? host.element;
    const show = builders[name](root, host) ?? (() => {});
    let token = null;
    let version = -1;
    const update = () => {
      const view = host.props.value || {};
      // Two events may answer in another order than they were asked; an older state never replaces a newer one.
      if (view.token && view.token === token && view.version < version) return;
      token = view.token ?? token;
      version = view.version ?? version;
      steady(() => show(view));
    };
    app.parts[name] = { ...host, root, refresh: update };
    host.watch("value", update);
    update();
  };
})();
