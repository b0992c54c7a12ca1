"use strict";
// Puts the newest page into this one, node by node, so that focus, selection and what is unfolded stay.
// Each status is announced by an event; without events it asks again. Without scripts the page reloads itself.
const POLL = 5000, QUIET = 30000;
const stale = document.getElementById("stale");
let events, fresh = Date.now(), failed = false, busy = false, again = false;

function patch(old, now) {
  if (old.nodeType !== now.nodeType || old.nodeName !== now.nodeName || old.id !== now.id) return old.replaceWith(now.cloneNode(true));
  if (old.nodeType !== Node.ELEMENT_NODE) {
    if (old.data !== now.data) old.data = now.data;
    return;
  }
  // The present step unfolds, and the one before folds, when it moves on; otherwise whoever reads decides.
  const moves = old.hasAttribute("data-now") !== now.hasAttribute("data-now");
  for (const { name } of [...old.attributes]) if ((moves || name !== "open") && !now.hasAttribute(name)) old.removeAttribute(name);
  for (const { name, value } of now.attributes) if ((moves || name !== "open") && old.getAttribute(name) !== value) old.setAttribute(name, value);
  while (old.childNodes.length > now.childNodes.length) old.lastChild.remove();
  [...now.childNodes].forEach((child, n) => {
    if (n < old.childNodes.length) patch(old.childNodes[n], child);
    else old.append(child.cloneNode(true));
  });
}

async function refresh() {
  if (busy) return void (again = true);
  busy = true;
  do {
    again = false;
    try {
      const answer = await fetch(location.pathname + location.search, { cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (!answer.ok) throw new Error(String(answer.status));
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      document.title = page.title;
      patch(document.getElementById("live"), page.getElementById("live"));
      fresh = Date.now();
      failed = false;
    } catch {
      failed = true;
    }
  } while (again);
  busy = false;
  tell();
}

const isLive = () => events.readyState === EventSource.OPEN;

function tell() {
  const text = failed ? `No connection since ${new Date(fresh).toISOString().slice(11, 19)} UTC. What you see is stale.`
    : isLive() ? "" : "Live updates are lost. Asking every few seconds instead.";
  if (stale.textContent !== text) stale.textContent = text;
}

function listen() {
  events = new EventSource("events");
  events.addEventListener("status", refresh);
  events.onopen = events.onerror = tell;
}

listen();
setInterval(() => {
  if (events.readyState === EventSource.CLOSED) listen();
  // A connection that died silently looks open.
  if (!isLive() || Date.now() - fresh > QUIET) refresh();
  else tell();
}, POLL);
