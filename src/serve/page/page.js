"use strict";
// Fetches the page again and puts in what changed. Without scripts the page reloads itself.
const shown = new Map();
const live = (root) => root.querySelectorAll("[data-live]");
const copyAttributes = (from, to) => {
  for (const name of ["class", "hidden"]) {
    if (from.hasAttribute(name)) to.setAttribute(name, from.getAttribute(name));
    else to.removeAttribute(name);
  }
};

for (const part of live(document)) shown.set(part.id, part.outerHTML);

async function refresh() {
  const answer = await fetch(location.pathname, { cache: "no-store", signal: AbortSignal.timeout(5000) });
  if (!answer.ok) throw new Error(String(answer.status));
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  const parts = [...live(fresh)];
  // Another set of parts: the first status has come, or another version answers.
  if (parts.length !== shown.size || parts.some((part) => !shown.has(part.id))) return location.reload();
  document.title = fresh.title;
  for (const part of parts) {
    if (shown.get(part.id) === part.outerHTML) continue;
    shown.set(part.id, part.outerHTML);
    const old = document.getElementById(part.id);
    copyAttributes(part, old);
    old.replaceChildren(...part.childNodes);
  }
}

async function turn() {
  const stale = document.getElementById("stale");
  try {
    if (!document.hidden) await refresh();
    stale.hidden = true;
  } catch {
    stale.hidden = false;
  }
  setTimeout(turn, 2000);
}
setTimeout(turn, 2000);
