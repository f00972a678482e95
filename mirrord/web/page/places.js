// Draws the manifests, the folders, and the stores and hosts.

import { at, keep, make, part, parts, setText } from "./dom.js";
import { ago, breakerText, count, folderLeft, folderTrouble, inForce, span, spot, storesAndHosts, things } from "./words.js";

const WAITS = {
  settling: "not settled yet", "no marker": "without their marker", conflict: "in conflict", "set aside": "set aside, to be removed",
  unreadable: "cannot be read", excluded: "excluded by the filters",
};

function drawCards(id, list, keyOf, build, update) {
  keep(at(id), list, keyOf, build, update);
  at(`${id}-none`).hidden = list.length > 0;
}

// ── manifests ─────────────────────────────────────────────────────────────────────────────────────
export function drawFiles(files, now) {
  const build = () => {
    const card = parts("li", "name", "numbers");
    card.append(make("ul", "problems"));
    return card;
  };
  drawCards("files", files, (one) => one.file, build, (card, one) => {
    card.classList.toggle("bad", !one.valid);
    setText(part(card, "name"), one.file);
    const loaded = one.loaded === null ? "" : `loaded ${ago(one.loaded, now)}`;
    const held = one.in_force ? things(one.items, "item") : "";
    const rejected = one.valid ? "" : `rejected; ${inForce(one)}`;
    setText(part(card, "numbers"), [rejected, held, loaded].filter(Boolean).join(" · "));
    keep(part(card, "problems"), one.problems, spot, () => parts("li", "spot", "why"), (line, problem) => {
      setText(part(line, "spot"), spot(problem));
      setText(part(line, "why"), problem.message);
    });
  });
}

// ── folders ───────────────────────────────────────────────────────────────────────────────────────
export function drawFolders(folders, now) {
  const build = () => {
    const card = parts("li", "name", "numbers", "why");
    card.append(make("ul", "waits"));
    return card;
  };
  drawCards("folders", folders, (one) => one.name, build, (card, one) => {
    card.classList.toggle("bad", Boolean(folderTrouble(one)));
    setText(part(card, "name"), one.path);
    setText(part(card, "numbers"), folderText(one, now));
    setText(part(card, "why"), [folderTrouble(one), folderLeft(one)].filter(Boolean).join("; "));
    keep(part(card, "waits"), one.waits, (wait) => wait.kind, () => parts("li", "what", "spot"), (line, wait) => {
      setText(part(line, "what"), `${count(wait.count)} ${WAITS[wait.kind] ?? wait.kind}`);
      setText(part(line, "spot"), [...wait.examples, wait.count > wait.examples.length ? "…" : ""].filter(Boolean).join(" · "));
    });
  });
}

function folderText(one, now) {
  const began = one.scan_began;
  return [
    one.name === one.path ? "" : one.name,
    things(one.files, "file"),
    one.last_scan === null ? "not scanned yet" : `scanned ${ago(one.last_scan, now)}`,
    began === null ? "" : `scanning for ${span(Math.max(0, now - began))}, ${things(one.scan_files, "file")} so far`,
    `watched by ${one.watching}`,
  ].filter(Boolean).join(" · ");
}

// ── stores and hosts ──────────────────────────────────────────────────────────────────────────────
export function drawStores(status, now) {
  drawCards("stores", storesAndHosts(status), (one) => one.key, () => parts("li", "name", "numbers", "why"), (card, one) => {
    card.className = one.isDown || one.breaker.state === "open" ? "bad" : one.breaker.state !== "closed" || one.limit ? "warn" : "";
    setText(part(card, "name"), one.name);
    const answer = one.isDown === null ? one.kind : one.isDown ? "did not answer the last call" : "answered the last call";
    setText(part(card, "numbers"), [answer, ...breakerText(one.breaker, now)].join(" · "));
    const refused = one.limit ? `it refused calls: ${things(one.limit, "call")} at once now` : "";
    setText(part(card, "why"), [one.breaker.error, refused].filter(Boolean).join("; "));
  });
}
