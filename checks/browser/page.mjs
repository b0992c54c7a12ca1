// Drives the page in Chromium; see checks/page, which says where everything is.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";

const { BINARY, CHROMIUM, DOCS, MODULES, WORK, UNSCIM_SCREENSHOTS } = process.env;
const require = createRequire(join(MODULES, "here.js"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const DESKTOP = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
const AT_MOST = 120_000;

const children = [];
const environment = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^(UNSCIM_|RUST_LOG)/.test(name)));
process.on("exit", () => children.forEach((child) => child.kill()));
for (const signal of ["SIGTERM", "SIGINT"]) process.on(signal, () => process.exit(130));

/// Starts unscim and waits for a line of its output; what the line's pattern holds comes back.
async function unscim(args, pattern) {
  const child = spawn(BINARY, args, { env: environment, stdio: ["ignore", "pipe", "pipe"] });
  children.push(child);
  child.log = "";
  const found = new Promise((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr])
      createInterface({ input: stream }).on("line", (line) => {
        child.log += `${line}\n`;
        const match = pattern.exec(line);
        if (match) resolve(match[1]);
      });
    child.on("exit", () => reject(new Error(`unscim ${args.join(" ")} ended:\n${child.log}`)));
  });
  return { child, found: await found };
}

/// Every /status document by its turn, as /events brings them.
function documents(url) {
  const byTurn = new Map();
  (async () => {
    const answer = await fetch(new URL("events", url));
    let rest = "";
    for await (const text of answer.body.pipeThrough(new TextDecoderStream())) {
      const events = (rest + text).split("\n\n");
      rest = events.pop();
      for (const event of events) {
        const data = /^data: ?(.*)$/m.exec(event)?.[1];
        if (data) byTurn.set(JSON.parse(data).status.turn, JSON.parse(data));
      }
    }
  })().catch(() => {});
  return byTurn;
}

/// What the page shows, all of one moment.
const shown = () => {
  const text = (node) => (node ? node.textContent.replace(/\s+/g, " ").trim() : null);
  const all = (selector, read) => [...document.querySelectorAll(selector)].map(read);
  const condition = (li) => ({
    type: li.dataset.type,
    state: text(li.querySelector(".badge")),
    message: text(li.querySelector(".says")),
    reason: text(li.querySelector("code")),
    times: [...li.querySelectorAll("time")].map((time) => time.dateTime),
  });
  const times = Object.fromEntries(all("#times dl > div", (div) => [text(div.children[0]), div.querySelector("time")?.dateTime ?? text(div.children[1])]));
  return {
    turn: Number(text(document.getElementById("turn"))),
    title: document.title,
    phase: text(document.getElementById("phase-title")),
    steps: all("#steps li", condition),
    rest: all("#more li", condition),
    tiles: all(".tile", (tile) => [text(tile.querySelector(".figure")), text(tile.querySelector(".fine"))]),
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
      members: text(row.querySelector(".number")),
      why: text(row.querySelector(".says")),
    })),
    journal: all("#journal li", (li) => ({
      line: Number(li.dataset.line),
      at: li.querySelector("time").dateTime,
      message: text(li.querySelector(".says")),
      outcome: text(li.querySelector(".badge")),
      why: text(li.querySelector(".why")),
    })),
    pending: all("#pending li", (li) => [text(li.children[0]), Number(text(li.children[1]))]),
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
  InSight: "if every cycle is on time and nothing comes between; no promise",
  Observing: "none: nothing is written in Observe",
  Held: "none while it is held",
  AwaitingPerson: "it waits for a person, who deletes the token",
  Retired: "it is over",
};
const OUTCOMES = { Done: "Done", AlreadySo: "So already", Failed: "Failed", Unknown: "Not known yet" };

/// Fails where the page shows anything else than the document says.
function compare(page, document) {
  const { status, metadata } = document;
  const states = ({ type, status, reason }) => {
    if (type === "Held") return status === "True" ? ["Held"] : ["Free"];
    if (status === "True") return ["Done"];
    if (reason === "Blocked") return ["Later"];
    return status === "False" ? ["Under way", "Needs you"] : ["Not known"];
  };
  const condition = (found, condition) => {
    const { type, message, reason, lastTransitionTime, expectedBy } = condition;
    assert.ok(states(condition).includes(found.state), `${type} is ${condition.status} and shown as ${found.state}`);
    const times = [lastTransitionTime, ...(expectedBy ? [expectedBy] : [])];
    const { state, ...rest } = found;
    assert.deepEqual(rest, { type, message: flat(message), reason, times });
  };
  assert.equal(page.title, `${status.phase} · ${metadata.name} · unscim`);
  assert.equal(page.phase, status.phase);
  const byType = (type) => status.conditions.find((condition) => condition.type === type);
  assert.deepEqual(page.steps.map(({ type }) => type), STEPS);
  page.steps.forEach((step) => condition(step, byType(step.type)));
  assert.equal(page.rest.length, status.conditions.length - STEPS.length);
  page.rest.forEach((row) => condition(row, byType(row.type)));
  const p = status.progress;
  const left = (n, what) => (n ? `${n} ${what}` : `none ${what}`);
  assert.deepEqual(page.tiles, [
    [`${p.usersAssigned} of ${p.usersProtected}`, left(p.usersProtected - p.usersAssigned, "to go")],
    [`${p.usersLost} lost`, `${p.usersKept} of ${p.usersCounted} kept`],
    [left(p.memberships, "left"), "of users, in groups that are still assigned"],
    [`${p.groups - p.groupsAssigned} of ${p.groups}`, `${p.groupsAssigned} still assigned, ${p.targetGroups} still at the target`],
  ]);
  const { remaining } = status;
  assert.deepEqual(page.finish, [remaining.earliestFinish ?? undefined, OUTLOOKS[remaining.outlook]]);
  for (const n of [remaining.assignments, remaining.memberRemovals, remaining.unassignments, remaining.cycles]) {
    assert.ok(!n || page.left.includes(`${n} `), `${n} in ${page.left}`);
  }
  assert.deepEqual(page.held.toSorted(), status.held.map(({ brake, message }) => [brake, flat(message)]).toSorted());
  assert.deepEqual(page.groups, status.groups.map(({ id, name, state, members, why }) =>
    ({ id, name: flat(name), state: GROUPS[state], members: members == null ? "–" : String(members), why: flat(why) })));
  assert.ok(page.journal.length <= 20);
  assert.deepEqual(page.journal, status.journal.toReversed().map(({ line, at, message, outcome, why }) =>
    ({ line, at, message: flat(message), outcome: OUTCOMES[outcome], why: flat(why) })));
  assert.deepEqual(page.pending, status.pending.map(({ action, count }) => [action, count]));
  assert.deepEqual(page.notes, status.notes.map(flat));
  const { cycle } = status;
  const times = {
    "Last cycle": cycle.quarantined ? "in quarantine" : cycle.lastState,
    "Last cycle began": cycle.lastBegan,
    "Last cycle ended": cycle.lastEnded,
    "Next one expected by": cycle.expectedBy,
    "Last look": status.lastAttempt,
    "Last look that saw everything": status.lastSuccess,
    Turn: String(status.turn),
  };
  assert.deepEqual(page.times, Object.fromEntries(Object.entries(times).filter(([, value]) => value != null)));
}

let browser;

/// A page that tells of everything that must not be: errors, violations of the policy, requests to elsewhere.
async function open(url, options, path = "") {
  const context = await browser.newContext(options);
  const page = await context.newPage();
  page.trouble = [];
  page.on("console", (message) => ["error", "warning"].includes(message.type()) && page.trouble.push(message.text()));
  page.on("pageerror", (error) => page.trouble.push(String(error)));
  page.on("request", (request) => {
    const to = new URL(request.url());
    if (to.protocol !== "data:" && to.origin !== new URL(url).origin) page.trouble.push(`asked ${request.url()}`);
  });
  if (options.javaScriptEnabled !== false && !options.bypassCSP)
    await page.addInitScript(() => addEventListener("securitypolicyviolation", (e) => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`)));
  await page.goto(new URL(path, url).href);
  return page;
}

async function fits(page, what) {
  const [needs, has] = await page.evaluate(() => [document.scrollingElement.scrollWidth, document.documentElement.clientWidth]);
  assert.ok(needs <= has, `${what} is ${needs} wide on ${has}`);
}

async function until(what, test) {
  const end = Date.now() + AT_MOST;
  for (;;) {
    const found = await test();
    if (found) return found;
    assert.ok(Date.now() < end, `never: ${what}`);
    await sleep(25);
  }
}

const tell = (line) => console.log(`   ${line}`);

/// A whole demo, watched on three screens and once without scripts.
async function demo() {
  const { child, found: url } = await unscim(["demo", "--fast", "--users", "120", "--listen", "127.0.0.1:0"], /^the page: (.*)$/);
  const byTurn = documents(url);
  const screens = {
    "desktop, light": await open(url, { ...DESKTOP, colorScheme: "light" }),
    "phone, dark": await open(url, { ...PHONE, colorScheme: "dark" }),
    "without scripts": await open(url, { ...DESKTOP, javaScriptEnabled: false }),
  };
  const compared = Object.fromEntries(Object.keys(screens).map((name) => [name, []]));
  const look = async (name) => {
    const page = screens[name];
    if (name === "without scripts" && compared[name].length % 2 === 0) await page.reload();
    const found = await page.evaluate(shown).catch(() => null);
    if (!found?.turn || !byTurn.has(found.turn)) return;
    compare(found, byTurn.get(found.turn));
    assert.equal(found.stale, "", `${name} calls itself stale`);
    await fits(page, name).catch((error) => { if (!/context/.test(error.message)) throw error; });
    compared[name].push(found.phase);
  };
  await until("a retired tenant on every screen", async () => {
    for (const name of Object.keys(screens)) await look(name);
    return Object.values(compared).every((phases) => phases.at(-1) === "Retired");
  });
  for (const [name, phases] of Object.entries(compared)) {
    const kinds = [...new Set(phases)];
    tell(`${name}: ${phases.length} moments compared with /status, in ${kinds.join(", ")}`);
    assert.ok(kinds.length >= 4 && phases.length >= 10, `too few moments on ${name}`);
  }

  const desktop = screens["desktop, light"];
  await keyboard(desktop);
  const without = screens["without scripts"];
  const before = await without.locator("#turn").textContent();
  await until("a page without scripts that reloads itself", async () => (await without.locator("#turn").textContent().catch(() => before)) !== before);
  for (const [name, page] of Object.entries(screens)) assert.deepEqual(page.trouble, [], name);
  for (const name of ["desktop, light", "phone, dark"])
    assert.ok(!/@/.test(await screens[name].locator("body").innerText()), "nobody is named");
  assert.ok(![...byTurn.values()].some((document) => JSON.stringify(document).includes("@")), "/status names nobody");
  assert.ok(!child.log.includes("@"), `the log names nobody:\n${child.log}`);

  child.kill();
  await until("a page that says that it is stale", () => desktop.locator("#stale").textContent().then((text) => /No connection/.test(text)));
  tell("keyboard focus stays; reloads itself without scripts; says so when the connection is lost; nobody is named");
  for (const page of Object.values(screens)) await page.context().close();
}

/// What has the focus keeps it, and what is unfolded stays so, while everything around changes.
async function keyboard(page) {
  const focused = () => page.evaluate(() => document.activeElement.closest("[id]")?.id);
  const turns = async (n) => {
    const from = Number(await page.locator("#turn").textContent());
    await until("later turns", async () => Number(await page.locator("#turn").textContent()) >= from + n);
  };
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.className), "skip");
  await page.keyboard.press("Enter");
  assert.equal(await focused(), "steps");
  await turns(3);
  assert.equal(await focused(), "steps");
  await page.keyboard.press("Tab");
  assert.equal(await page.evaluate(() => document.activeElement.localName), "summary");
  await page.keyboard.press("Enter");
  await turns(3);
  assert.equal(await page.evaluate(() => document.activeElement.localName), "summary", "the focus was lost");
  assert.ok(await page.locator("#more").evaluate((details) => details.open), "what was unfolded is folded");
}

async function accessible(url, what) {
  for (const [screen, size] of Object.entries({ desktop: DESKTOP, phone: PHONE }))
    for (const colorScheme of ["light", "dark"]) {
      const page = await open(url, { ...size, colorScheme, bypassCSP: true });
      await page.locator("#more").evaluate((details) => (details.open = true));
      await page.evaluate(axe);
      const { violations, passes } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
      const lines = violations.flatMap(({ id, help, nodes }) => nodes.map(({ target }) => `${id}: ${help}: ${target}`));
      assert.deepEqual(lines, [], `${what}, ${screen}, ${colorScheme}`);
      assert.ok(passes.some(({ id }) => id === "color-contrast"), "the contrast was looked at");
      await fits(page, `${what}, ${screen}`);
      await page.context().close();
    }
  tell(`axe finds nothing: ${what}, two widths, light and dark`);
}

/// A practice tenant that stays where it is until somebody does something, and the daemon on it.
async function rehearsal(name, scenario, flags) {
  const folder = join(WORK, name);
  writeFileSync(`${folder}.yaml`, scenario);
  const practice = await unscim(["practice", "--listen", "127.0.0.1:0", "--scenario", `${folder}.yaml`, "--config-dir", folder], /^delete the app token: curl -X DELETE (.*)$/);
  const config = join(folder, "unscim.yaml");
  writeFileSync(config, readFileSync(config, "utf8").replace("mode: Observe", "mode: Enforce").replace("interval: 50ms", "interval: 500ms"));
  const args = ["run", "--config", config, "--data-dir", join(folder, "data"), "--new-baseline", "--listen", "127.0.0.1:0", "--log-format", "json", ...flags];
  const run = await unscim(args, /"address":"([^"]+)"/);
  const url = `http://${run.found}/`;
  const status = async () => (await fetch(new URL("status", url))).json().then((document) => document.status).catch(() => null);
  const end = () => { run.child.kill(); practice.child.kill(); };
  return { url, status, end, token: practice.found, log: () => run.child.log };
}

/// A group that only a person can decide about, while the others go on.
async function decision() {
  const { url, status, end } = await rehearsal("decision", "speed: 1200\nusers: 40\ngroups: 5\ngroupTraits:\n  2: [otherApp]\n", []);
  await until("other groups at their end", async () => (await status())?.groups?.filter(({ state }) => state === "Gone").length === 4);
  assert.equal((await status()).groups.filter(({ state }) => state === "Refused").length, 1);
  const page = await open(url, { ...DESKTOP, colorScheme: "light" });
  assert.match(await page.locator("#todo").innerText(), /members: Remove or members: Keep/);
  const found = await page.evaluate(shown);
  await until("the same moment in /status", async () => {
    const document = await fetch(new URL("status", url)).then((answer) => answer.json());
    const now = await page.evaluate(shown);
    if (now.turn !== document.status.turn) return false;
    compare(now, document);
    return now.turn > found.turn;
  });
  await accessible(url, "a decision is needed");
  if (UNSCIM_SCREENSHOTS) {
    await picture(url, "page-desktop.png", { viewport: { width: 1280, height: 960 }, colorScheme: "light" });
    await picture(url, "page-phone.png", { ...PHONE, deviceScaleFactor: 1.5, colorScheme: "dark" });
  }
  assert.deepEqual(page.trouble, []);
  await polling(url);
  await page.context().close();
  end();
}

/// Without events it asks again by itself, and says so.
async function polling(url) {
  const page = await open(url, DESKTOP, "nothing-here");
  await page.route("**/events", (route) => route.abort());
  await page.goto(url);
  const turn = async () => Number(await page.locator("#turn").textContent());
  const before = await turn();
  await until("a page that asks by itself", async () => (await turn()) > before);
  await until("a page that says so", async () => /Live updates are lost/.test(await page.locator("#stale").textContent()));
  tell("without events it asks by itself, and says so");
  await page.context().close();
}

/// Everything done but the token, with names.
async function revocation() {
  const { url, status, end, token, log } = await rehearsal("revocation", "speed: 2400\nusers: 12\ngroups: 2\n", ["--show-names"]);
  await until("a person is asked", async () => (await status())?.phase === "AwaitingRevocation");
  const page = await open(url, { ...DESKTOP, colorScheme: "light" });
  const todo = await page.locator("#todo").innerText();
  assert.match(todo, /Delete the SCIM token[^]*Settings, then Integrations[^]*secret token/);
  assert.match(await page.locator("#journal").innerText(), /@/, "users are named where that is asked for");
  assert.ok(JSON.stringify(await status()).includes("@"));
  await accessible(url, "the token is to be deleted");
  await fetch(token, { method: "DELETE" });
  await until("the page sees it by itself", () => page.locator("#phase-title").textContent().then((text) => text === "Retired"));
  assert.ok(await page.locator("#todo").isHidden(), log());
  await accessible(url, "retired");
  assert.deepEqual(page.trouble, []);
  await page.context().close();
  end();
}

async function picture(url, name, options) {
  const page = await open(url, options);
  const path = join(DOCS, name);
  await page.screenshot({ path });
  assert.ok(statSync(path).size < 200_000, `${name} has ${statSync(path).size} bytes`);
  tell(`docs/${name}: ${statSync(path).size} bytes`);
  await page.context().close();
}

browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
});
for (const part of [demo, decision, revocation]) await part();
await browser.close();
process.exit(0);
