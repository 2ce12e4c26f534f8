// The page comes to life: without this it is complete, and each video plays by itself.
(() => {
  "use strict";
  const exhibits = JSON.parse(document.getElementById("exhibits").textContent);
  const players = exhibits.map((exhibit) => musiscene.article(document.getElementById(exhibit.name), exhibit));
  const present = musiscene.presenter(players);
  musiscene.players = players;

  const middle = () => {
    const from = (player) => {
      const box = player.root.getBoundingClientRect();
      return Math.abs((box.top + box.bottom) / 2 - innerHeight / 2);
    };
    return players.find((player) => player.playing) ?? players.reduce((a, b) => (from(b) < from(a) ? b : a));
  };

  const button = document.querySelector(".present");
  button.hidden = false;
  button.addEventListener("click", () => present(players.indexOf(players.find((player) => player.playing) ?? players[0])));
  document.querySelector(".keys").hidden = false;

  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    if (event.target.closest("input, a, summary, [tabindex]") && event.key !== "p") return;
    const pressed = event.target.closest("button");
    const player = event.target.closest("article") ? players.find(({ root }) => root.contains(event.target)) : middle();
    const digit = Number(event.key);
    if (event.key.toLowerCase() === "p") present(players.indexOf(player));
    else if (event.key === " " && !pressed) player.toggle();
    else if (event.key === "ArrowRight") player.seek(player.position + 5);
    else if (event.key === "ArrowLeft") player.seek(player.position - 5);
    else if (digit >= 1 && digit <= player.exhibit.voices.length) player.choose(player.exhibit.voices[digit - 1].name);
    else return;
    event.preventDefault();
  });

  // On paper the folds are open.
  let opened = [];
  addEventListener("beforeprint", () => {
    opened.push(...document.querySelectorAll("details:not([open])"));
    for (const fold of opened) fold.open = true;
  });
  addEventListener("afterprint", () => {
    for (const fold of opened) fold.open = false;
    opened = [];
  });
})();
