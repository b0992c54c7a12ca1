// What unscim does with writes, done with @microsoft/microsoft-graph-client: assign every member directly, empty the groups,
// unassign them. graph.cjs plain|tuned; UNSCIM_BENCH_GRAPH, _TOKEN and _APP name the Graph root, a bearer token and the
// application.
"use strict";
const { BatchRequestContent, BatchResponseContent, Client, MiddlewareFactory } = require("@microsoft/microsoft-graph-client");

const { UNSCIM_BENCH_GRAPH: root, UNSCIM_BENCH_TOKEN: token, UNSCIM_BENCH_APP: app } = process.env;
const tuned = process.argv[2] === "tuned";
const BATCH = 20;
const AT_ONCE = 10;

// The client's own handler gives the token to https alone, and the practice tenant has none.
const bearer = {
  async execute(context) {
    context.options.headers = { ...context.options.headers, Authorization: `Bearer ${token}` };
    return this.next.execute(context);
  },
  setNext(next) {
    this.next = next;
  },
};
const [, ...others] = MiddlewareFactory.getDefaultMiddlewareChain();
const graph = Client.initWithMiddleware({ baseUrl: `${root}/`, middleware: [bearer, ...others] });

// All pages of a list; the tuned version asks for long ones.
async function whole(path) {
  const items = [];
  let request = graph.api(path);
  if (tuned) request = request.top(999);
  for (;;) {
    const page = await request.get();
    items.push(...page.value);
    if (!page["@odata.nextLink"]) return items;
    request = graph.api(page["@odata.nextLink"]);
  }
}

async function users(group) {
  const members = await whole(`/groups/${group}/members`);
  return members.filter((member) => member["@odata.type"] === "#microsoft.graph.user").map((member) => member.id);
}

async function workers(queue, work) {
  const worker = async () => {
    while (queue.length > 0) await work(queue.shift());
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

async function oneByOne(writes) {
  for (const { method, path, body } of writes) {
    if (method === "POST") await graph.api(path).post(body);
    else await graph.api(path).delete();
  }
}

// Nobody asks while the service wants to be left alone.
let opens = 0;
const passed = async () => {
  while (opens > performance.now()) await new Promise((resolve) => setTimeout(resolve, opens - performance.now()));
};

async function inBatches(writes) {
  const step = ({ method, path, body }, id) => {
    const headers = body ? { "Content-Type": "application/json" } : {};
    return { id: String(id), request: new Request(`${root}${path}`, { method, headers, body: body && JSON.stringify(body) }) };
  };
  const queue = [];
  for (let n = 0; n < writes.length; n += BATCH) queue.push(writes.slice(n, n + BATCH));
  await workers(queue, async (first) => {
    for (let batch = first; batch.length > 0; ) {
      await passed();
      const content = await new BatchRequestContent(batch.map(step)).getContent();
      const answers = [...new BatchResponseContent(await graph.api("/$batch").post(content)).getResponses()];
      const bad = answers.filter(([, answer]) => answer.status >= 400 && answer.status !== 429);
      if (bad.length > 0 || answers.length !== batch.length) throw new Error(`${answers.length} of ${batch.length}: ${bad.length} bad`);
      const refused = answers.filter(([, answer]) => answer.status === 429);
      for (const [, answer] of refused) {
        opens = Math.max(opens, performance.now() + 1000 * Number(answer.headers.get("Retry-After")));
      }
      batch = refused.map(([id]) => batch[Number(id)]);
    }
  });
}

async function main() {
  const send = tuned ? inBatches : oneByOne;
  const to = `/servicePrincipals/${app}/appRoleAssignedTo`;
  const assigned = await whole(to);
  const groups = assigned.filter((row) => row.principalType === "Group");
  const ids = [...new Set(groups.map((row) => row.principalId))];
  const members = new Map();
  if (tuned) await workers([...ids], async (group) => members.set(group, await users(group)));
  else for (const group of ids) members.set(group, await users(group));

  const key = (user, role) => `${user}/${role}`;
  const held = new Set(assigned.map((row) => key(row.principalId, row.appRoleId)));
  const assigns = [];
  for (const row of groups) {
    for (const user of members.get(row.principalId)) {
      if (held.has(key(user, row.appRoleId))) continue;
      held.add(key(user, row.appRoleId));
      assigns.push({ method: "POST", path: to, body: { principalId: user, resourceId: app, appRoleId: row.appRoleId } });
    }
  }
  await send(assigns);
  await send(ids.flatMap((group) => members.get(group).map((user) => ({ method: "DELETE", path: `/groups/${group}/members/${user}/$ref` }))));
  await send(groups.map((row) => ({ method: "DELETE", path: `${to}/${row.id}` })));
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
