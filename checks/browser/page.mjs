// Drives the page in Chromium; see checks/page, which says where everything is.
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as sleep } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { compare, shown } from "./compare.mjs";

const { BINARY, CHROMIUM, DOCS, MODULES, WORK, UNSCIM_SCREENSHOTS } = process.env;
const require = createRequire(join(MODULES, "here.js"));
const { chromium } = require("playwright-core");
const axe = readFileSync(require.resolve("axe-core/axe.min.js"), "utf8");

const DESKTOP = { viewport: { width: 1280, height: 900 } };
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true, deviceScaleFactor: 2 };
const WINDOW = { viewport: { width: 1180, height: 900 }, colorScheme: "light" };
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
    if (to.protocol !== "data:" && to.href !== url && to.origin !== new URL(url).origin) page.trouble.push(`asked ${request.url()}`);
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
  const { child, found: url } = await unscim(["demo", "--users", "120", "--listen", "127.0.0.1:0"], /^the page: (.*)$/);
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
  const weight = await Promise.all(["", "page.css", "page.js"].map((path) => fetch(new URL(path, url)).then((answer) => answer.text())));
  const bytes = weight.reduce((sum, text) => sum + Buffer.byteLength(text), 0);
  assert.ok(bytes < 40 * 1024, `the page weighs ${bytes} bytes`);
  tell(`the whole page weighs ${bytes} bytes`);
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
  assert.ok(await page.locator("#step-1").evaluate((details) => details.open), "what was unfolded is folded");
}

async function accessible(url, what) {
  for (const [screen, size] of Object.entries({ desktop: DESKTOP, phone: PHONE }))
    for (const colorScheme of ["light", "dark"]) {
      const page = await open(url, { ...size, colorScheme, bypassCSP: true });
      await page.locator("details").evaluateAll((all) => all.forEach((details) => (details.open = true)));
      await page.evaluate(axe);
      const { violations, passes } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"], runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"] }));
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
  const leave = () => practice.child.kill();
  const end = () => { run.child.kill(); leave(); };
  /// Another process, with a ledger of its own, that has never seen anything.
  const again = async () => {
    const others = { [config]: join(folder, "again.yaml"), [join(folder, "data")]: join(folder, "data-2") };
    writeFileSync(others[config], readFileSync(config));
    const run = await unscim(args.map((arg) => others[arg] ?? arg), /"address":"([^"]+)"/);
    const url = `http://${run.found}/`;
    return { url, status: async () => (await fetch(new URL("status", url))).json().then((document) => document.status).catch(() => null) };
  };
  return { url, status, end, leave, again, config, data: join(folder, "data"), token: practice.found, log: () => run.child.log };
}

/// Headline, who is safe and what to do are on a phone's first screen.
async function firstScreen(url, what) {
  const page = await open(url, { ...PHONE, colorScheme: "dark" });
  for (const part of ["#phase-title", "#safe", "#todo h2", "#todo h3"]) {
    const box = await page.locator(part).first().boundingBox();
    assert.ok(box.y + box.height <= PHONE.viewport.height, `${what}: ${part} ends at ${box.y + box.height}`);
  }
  await page.context().close();
}

/// Groups that only a person can decide about, while the others go on.
async function decision() {
  const { url, status, end } = await rehearsal("decision", "speed: 1200\nusers: 40\ngroups: 5\ngroupTraits:\n  2: [otherApp]\n  3: [otherApp]\n", []);
  await until("other groups at their end", async () => (await status())?.groups?.filter(({ state }) => state === "Gone").length === 3);
  assert.equal((await status()).groups.filter(({ state }) => state === "Refused").length, 2);
  const page = await open(url, { ...DESKTOP, colorScheme: "light" });
  assert.match(await page.locator("#phase-title").innerText(), /2 groups need a decision/);
  assert.match(await page.locator("#todo").innerText(), /members: Remove or members: Keep/);
  assert.equal((await page.locator("#todo pre").innerText()).match(/members: Remove/g).length, 2);
  const found = await page.evaluate(shown);
  await until("the same moment in /status", async () => {
    const document = await fetch(new URL("status", url)).then((answer) => answer.json());
    const now = await page.evaluate(shown);
    if (now.turn !== document.status.turn) return false;
    compare(now, document);
    return now.turn > found.turn;
  });
  await accessible(url, "decisions are needed");
  await firstScreen(url, "decisions are needed");
  await picture(url, "page-held.png", WINDOW);
  await picture(url, "page-phone.png", { ...PHONE, deviceScaleFactor: 1.5, colorScheme: "dark" });
  assert.deepEqual(page.trouble, []);
  await table(url);
  await polling(url);
  await page.context().close();
  end();
}

/// The table is sorted and filtered without scripts, and stays so while the page refreshes itself with them.
async function table(url) {
  const members = (page) => page.locator("#groups .members").allInnerTexts();
  for (const javaScriptEnabled of [false, true]) {
    const page = await open(url, { ...DESKTOP, javaScriptEnabled });
    // A click is over before the page that it leads to is there, and a page that reloads itself is empty for a moment.
    const follow = (name, address) => Promise.all([page.waitForURL(address), page.getByRole("link", { name }).first().click()]);
    await follow(/Needs you 2/, /show=Refused/);
    await until("the two alone", async () => (await members(page)).length === 2);
    await follow("Group", /sort=-name/);
    await until("the other way round", async () => (await page.locator("#groups .name").first().innerText()) === "Sales");
    if (javaScriptEnabled) {
      const turn = async () => Number(await page.locator("#turn").textContent());
      const before = await turn();
      await until("a later turn", async () => (await turn()) > before);
      assert.equal((await members(page)).length, 2, "the address says what is shown");
    }
    await page.context().close();
  }
  tell("groups are sorted and filtered by their links, with and without scripts");
}

/// Waiting for a cycle; then Graph and the app go away, and a new process never reaches them.
async function outage() {
  const { url, status, end, leave, again } = await rehearsal("outage", "speed: 300\nusers: 40\ngroups: 5\n", []);
  const page = await open(url, { ...DESKTOP, colorScheme: "light" });
  await until("a cycle that is waited for", () => page.locator("#phase-title").textContent().then((text) => /Waiting for .*provisioning cycle.*UTC/.test(text)));
  await picture(url, "page-waiting.png", WINDOW);
  await accessible(url, "a cycle is waited for");
  leave();
  await until("a page that says what stops it", () => page.locator("#phase-title").textContent().then((text) => /Microsoft Graph can't be read, since .* UTC/.test(text)));
  assert.match(await page.locator("#trouble").innerText(), /no connection|refused/i);
  await until("the same moment in /status", async () => {
    const document = await fetch(new URL("status", url)).then((answer) => answer.json());
    const now = await page.evaluate(shown);
    if (now.turn !== document.status.turn) return false;
    compare(now, document);
    return now.figures[0].startsWith("40 of 40 people, as of ");
  });
  await accessible(url, "an outage");
  await picture(url, "page-outage.png", WINDOW);
  assert.equal((await status()).progress.usersAssigned, 40);
  const never = await again();
  await until("a first status", async () => (await never.status())?.turn);
  const blind = await open(never.url, { ...DESKTOP, colorScheme: "light" });
  assert.match(await blind.locator("#phase-title").innerText(), /Microsoft Graph can't be read/);
  const text = await blind.locator("main").innerText();
  assert.ok(!/\b0 of\b/.test(text) && /not known/.test(text), text);
  await accessible(never.url, "Graph was never reached");
  assert.deepEqual([...page.trouble, ...blind.trouble], []);
  tell("an outage stands on top; what is old says so; what was never seen is not known");
  for (const one of [page, blind]) await one.context().close();
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
  const { url, status, end, token, data, log } = await rehearsal("revocation", "speed: 2400\nusers: 12\ngroups: 2\n", ["--show-names"]);
  await until("a person is asked", async () => (await status())?.phase === "AwaitingRevocation");
  const page = await open(url, { ...DESKTOP, colorScheme: "light" });
  const todo = await page.locator("#todo").innerText();
  assert.match(todo, /Delete the SCIM token[^]*Settings, then Integrations[^]*secret token/);
  assert.match(await page.locator("#journal").textContent(), /@/, "users are named where that is asked for");
  assert.ok(JSON.stringify(await status()).includes("@"));
  await accessible(url, "the token is to be deleted");
  await firstScreen(url, "the token is to be deleted");
  await picture(url, "page-token.png", WINDOW);
  await fetch(token, { method: "DELETE" });
  await until("the page sees it by itself", () => page.locator("#phase").getAttribute("data-phase").then((phase) => phase === "Retired"));
  assert.match(await page.locator("#todo").innerText(), /It is over[^]*quarantine/, log());
  await accessible(url, "retired");
  await firstScreen(url, "retired");
  await picture(url, "page-retired.png", WINDOW);
  await evidence(data);
  assert.deepEqual(page.trouble, []);
  await page.context().close();
  end();
}

async function picture(url, name, options) {
  if (!UNSCIM_SCREENSHOTS) return;
  const page = await open(url, options);
  const path = join(DOCS, name);
  await page.screenshot({ path });
  assert.ok(statSync(path).size < 200_000, `${name} has ${statSync(path).size} bytes`);
  tell(`docs/${name}: ${statSync(path).size} bytes`);
  await page.context().close();
}

/// The report looks like the page, and prints on A4 with nothing cut off.
async function evidence(data) {
  const file = join(WORK, "report.html");
  const made = spawnSync(BINARY, ["report", "--data-dir", data], { env: environment, encoding: "utf8" });
  assert.equal(made.status, 0, made.stderr);
  writeFileSync(file, made.stdout);
  for (const [screen, size] of Object.entries({ desktop: DESKTOP, phone: PHONE }))
    for (const colorScheme of ["light", "dark"]) {
      const page = await open(pathToFileURL(file).href, { ...size, colorScheme, bypassCSP: true });
      await page.evaluate(axe);
      const { violations } = await page.evaluate(() => globalThis.axe.run({ resultTypes: ["violations"] }));
      assert.deepEqual(violations.flatMap(({ id, nodes }) => nodes.map(({ target }) => `${id}: ${target}`)), [], `report, ${screen}, ${colorScheme}`);
      await fits(page, `report, ${screen}`);
      await page.context().close();
    }
  // What is left of A4 between margins of 14 mm, at 96 dots an inch.
  const page = await open(pathToFileURL(file).href, { viewport: { width: 688, height: 1016 }, colorScheme: "dark" });
  await page.emulateMedia({ media: "print", colorScheme: "dark" });
  await fits(page, "the printed report");
  const broken = await page.evaluate(() => [...document.querySelectorAll("th, h1, h2, caption")].filter((cell) => {
    const range = document.createRange();
    const texts = [...cell.childNodes].filter((node) => node.nodeType === Node.TEXT_NODE);
    // A word of a heading is on one line.
    return texts.some((text) => [...text.data.matchAll(/\S+/g)].some((word) => {
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      return new Set([...range.getClientRects()].map((box) => Math.round(box.top))).size > 1;
    }));
  }).map((cell) => cell.textContent));
  assert.deepEqual(broken, [], "headings that break inside a word");
  const [ink, paper] = await page.evaluate(() => ["color", "backgroundColor"].map((name) => getComputedStyle(document.body)[name]));
  assert.deepEqual([ink, paper], ["rgb(0, 0, 0)", "rgb(255, 255, 255)"], "paper is white, whatever the screen is");
  const pdf = (await page.pdf({ preferCSSPageSize: true })).toString("latin1");
  const sheets = [...pdf.matchAll(/\/Type\s*\/Page\b(?!s)/g)].length;
  const boxes = [...new Set([...pdf.matchAll(/\/MediaBox\s*\[([^\]]+)\]/g)].map((box) => box[1].trim().split(/\s+/).map((n) => Math.round(Number(n))).join(" ")))];
  assert.deepEqual(boxes, ["0 0 595 842"], "A4");
  const high = await page.evaluate(() => document.scrollingElement.scrollHeight);
  assert.ok(sheets >= 1 && sheets <= Math.ceil(high / 1016) + 2, `${sheets} sheets for ${high} dots`);
  tell(`the report: axe finds nothing, ${sheets} sheets of A4`);
  await page.context().close();
}

browser = await chromium.launch({
  executablePath: CHROMIUM,
  args: ["--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync",
    ...(process.getuid() === 0 ? ["--no-sandbox"] : [])],
});
const parts = { demo, decision, outage, revocation };
for (const part of process.env.UNSCIM_PAGE_PARTS?.split(",") ?? Object.keys(parts)) await parts[part]();
await browser.close();
process.exit(0);
