// What the page shows, held against /status.
import assert from "node:assert/strict";

/// What the page shows, all of one moment.
export const shown = () => {
  const text = (node) => (node ? node.textContent.replace(/\s+/g, " ").trim() : null);
  const all = (selector, read) => [...document.querySelectorAll(selector)].map(read);
  const condition = (li) => ({
    type: li.dataset.type,
    state: text(li.querySelector(".badge")),
    message: text(li.querySelector(".says")),
    reason: text(li.querySelector(".reason")),
    times: [...li.querySelectorAll(".fine time")].map((time) => time.dateTime),
  });
  const times = Object.fromEntries(all("#times dl > div:not(.pending)", (div) => [text(div.children[0]), div.querySelector("time")?.dateTime ?? text(div.children[1])]));
  return {
    turn: Number(text(document.getElementById("turn"))),
    title: document.title,
    phase: document.getElementById("phase").dataset.phase,
    headline: text(document.getElementById("phase-title")),
    safe: text(document.getElementById("safe")),
    told: ["trouble", "todo"].map((id) => text(document.getElementById(id))).join(" "),
    steps: all("#steps > ol > li", condition),
    open: all("#steps details[open]", (details) => details.id),
    rest: all("#more .rest li", condition),
    figures: all("#steps .figure", text),
    finish: [document.querySelector("#finish time")?.dateTime, text(document.querySelector("#finish .outlook"))],
    left: text(document.querySelector("#finish .left")),
    held: [
      ...all("#todo .brake", (brake) => [text(brake), text(brake.parentNode.querySelector(".says"))]),
      ...all("#held dl > div", (div) => [text(div.querySelector("dt")), text(div.querySelector("dd"))]),
    ],
    groups: all("#groups tbody tr", (row) => ({
      id: row.dataset.id,
      name: text(row.querySelector(".name")),
      state: text(row.querySelector(".badge")),
      members: text(row.querySelector(".members")),
      why: text(row.querySelector(".says")),
    })),
    journal: all("#journal li", (li) => ({
      line: Number(li.dataset.line),
      at: li.querySelector("time").dateTime,
      message: text(li.querySelector(".says")),
      outcome: text(li.querySelector(".badge")),
      why: text(li.querySelector(".why")),
    })),
    pending: all("#times .pending dd", text),
    notes: all("#notes li", text),
    times,
    stale: text(document.getElementById("stale")),
  };
};

const flat = (text) => (text == null ? null : text.replace(/\s+/g, " ").trim());
const STEPS = ["UsersAssigned", "GroupsEmptied", "GroupsUnassigned", "CycleCompleted", "TokenRevoked"];
const GROUPS = {
  Unknown: "Not known",
  Refused: "Needs you",
  ToBeEmptied: "Assigned, to be emptied",
  MembersKept: "Assigned, goes with its members",
  Empty: "Assigned, empty",
  Unassigned: "Unassigned",
  Gone: "Unassigned, gone at the target",
};
const OUTLOOKS = {
  NotKnown: "not known: something that it hangs on could not be read, or does not come by itself",
  InSight: "a floor, with every cycle on time and over as soon as it begins; no promise",
  Observing: "none: nothing is written in Observe",
  Held: "none while it is held",
  AwaitingPerson: "it waits for a person, who deletes the token",
  Retired: "it is over",
};
const OUTCOMES = { Done: "Done", AlreadySo: "So already", Failed: "Failed", Unknown: "Not known yet" };

/// Fails where the page shows anything else than the document says. What is told on top is not said again.
export function compare(page, document) {
  const { status, metadata } = document;
  const states = ({ type, status, reason }) => {
    if (type === "Held") return status === "True" ? ["Held"] : ["Free"];
    if (status === "True") return ["Done"];
    if (reason === "Blocked") return ["Later"];
    return status === "False" && reason !== "LookFailed" ? ["Under way", "Open", "Needs you", "No"] : ["Not known"];
  };
  const isTold = (message) => page.told.includes(message) || status.held.every((held) => page.told.includes(flat(held.message)));
  const condition = (found, condition) => {
    const { type, reason, lastTransitionTime, expectedBy } = condition;
    assert.ok(states(condition).includes(found.state), `${type} is ${condition.status} and shown as ${found.state}`);
    const times = [lastTransitionTime, ...(expectedBy ? [expectedBy] : [])];
    assert.deepEqual([found.type, found.reason, found.times], [type, reason, times]);
    const notes = status.notes.length ? `; ${status.notes.join("; ")}` : "";
    const message = flat(type === "Preflight" && condition.message.endsWith(notes) ? condition.message.slice(0, condition.message.length - notes.length) : condition.message);
    if (found.message !== message) {
      assert.equal(found.message, null);
      assert.ok(type === "Held" || reason === "AwaitingOperator" || isTold(message), `${type} says ${message}, and it is nowhere`);
    }
  };
  assert.equal(page.title, `${status.phase} · ${metadata.name} · unscim`);
  assert.equal(page.phase, status.phase);
  assert.ok(page.headline.length > 8 && page.safe.length > 8, `${page.headline} / ${page.safe}`);
  const byType = (type) => status.conditions.find((condition) => condition.type === type);
  assert.deepEqual(page.steps.map(({ type }) => type), STEPS);
  page.steps.forEach((step) => condition(step, byType(step.type)));
  assert.equal(page.rest.length, status.conditions.length - STEPS.length);
  page.rest.forEach((row) => condition(row, byType(row.type)));
  const p = status.progress;
  const of = (n, all, what) => (n == null ? `${what}: not known` : `${n} of ${all ?? "not known"} ${what}`);
  const left = (n, one, more) => (n == null ? `${more}: not known` : n === 0 ? `no ${one}` : n === 1 ? `1 ${one}` : `${n} ${more}`);
  const figures = [
    of(p.usersAssigned, p.usersProtected, "people"),
    left(p.memberships, "membership left", "memberships left"),
    of(p.groups == null || p.groupsAssigned == null ? null : p.groups - p.groupsAssigned, p.groups, "groups off"),
    left(p.targetGroups, "group still at the app", "groups still at the app"),
  ];
  assert.deepEqual(page.figures.map((figure) => figure.replace(/, as of .*/, "")), figures);
  const old = [p.assignmentsSeenAt, p.membershipsSeenAt, p.assignmentsSeenAt].map((at) => at != null && at !== status.lastAttempt);
  assert.deepEqual(page.figures.slice(0, 3).map((figure) => figure.includes(", as of ")), old);
  const verb = byType("UsersKept").reason === "ProvenBeforeRevocation" ? "kept" : "keep";
  if (p.usersLost === 0 && p.usersKept != null) assert.ok(page.safe.startsWith(`${p.usersKept} of ${p.usersCounted + p.usersNotKnown} people ${verb} their access`), page.safe);
  const { remaining } = status;
  assert.deepEqual(page.finish, [remaining.earliestFinish ?? undefined, OUTLOOKS[remaining.outlook]]);
  for (const n of [remaining.assignments, remaining.memberRemovals, remaining.unassignments, remaining.cycles]) {
    assert.ok(!n || page.left.includes(`${n} `), `${n} in ${page.left}`);
  }
  assert.deepEqual(page.held.toSorted(), status.held.map(({ brake, message }) => [brake, flat(message)]).toSorted());
  assert.deepEqual(page.groups.map(({ why, ...group }) => group), status.groups.map(({ id, name, state, members }) =>
    ({ id, name: flat(name), state: GROUPS[state], members: members == null ? "–" : String(members) })));
  status.groups.forEach(({ why }, n) => assert.ok(page.groups[n].why === flat(why) || page.told.includes(flat(why)), why));
  assert.ok(page.journal.length <= 20);
  assert.deepEqual(page.journal, status.journal.toReversed().map(({ line, at, message, outcome, why }) =>
    ({ line, at, message: flat(message), outcome: OUTCOMES[outcome], why: flat(why) })));
  assert.deepEqual(page.pending, status.pending.map(({ action, count }) => `${action} × ${count}`));
  assert.deepEqual(page.notes, status.notes.map(flat));
  const { cycle } = status;
  const isOld = cycle.seenAt != null && cycle.seenAt !== status.lastAttempt;
  const state = cycle.quarantined ? "in quarantine" : cycle.lastState;
  const times = {
    "Last cycle": isOld ? page.times["Last cycle"] : state,
    "Last cycle began": cycle.lastBegan,
    "Last cycle ended": cycle.lastEnded,
    "Next one expected by": cycle.expectedBy,
    "Last tried to read": status.lastAttempt,
    "Last read of Graph": status.lastSuccess,
    "Last read of the app": status.progress.targetSeenAt,
    Turn: String(status.turn),
  };
  assert.deepEqual(page.times, Object.fromEntries(Object.entries(times).filter(([, value]) => value != null)));
}
