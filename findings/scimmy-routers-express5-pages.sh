#!/usr/bin/env bash
# scimmy-routers 1.3.2 (npm), a SCIM service for Express: on Express 5 every page is the first one.
#
# 25 users, three pages of 10 each. On Express 4 the pages are the users 1-10, 11-20 and 21-25. On Express 5 startIndex and
# count are ignored: 20 users each time, and always the same 20, with startIndex 1 and itemsPerPage 20 in the answer;
# totalResults says 25. Nobody gets to see the users 21-25 in a list. A filter is applied on both.
# The handler gives everybody who matches the filter and leaves pages to the library.
# Seen with scimmy 1.3.5, Express 4.21.2 and 5.1.0, Node 20, November 2026.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

cat >run.mjs <<'JS'
import express from "express";
import SCIMMY from "scimmy";
import Routers from "scimmy-routers";

const users = Array.from({ length: 25 }, (_, n) => ({ id: String(n + 1), userName: `user${n + 1}` }));
SCIMMY.Resources.declare(SCIMMY.Resources.User, {
  egress: ({ id, filter }) => (id ? users.find((user) => user.id === id) : filter ? filter.match([...users]) : [...users]),
});
const app = express();
app.use("/scim", new Routers({ type: "bearer", handler: () => "reader" }));
const server = app.listen(0, "127.0.0.1", async () => {
  const root = `http://127.0.0.1:${server.address().port}/scim/Users?`;
  for (const query of ["startIndex=1&count=10", "startIndex=11&count=10", "startIndex=21&count=10", 'filter=userName eq "user23"']) {
    const answer = await (await fetch(root + query, { headers: { authorization: "Bearer x" } })).json();
    const ids = answer.Resources.map((user) => user.id);
    const { totalResults: total, startIndex: start, itemsPerPage: per } = answer;
    console.log(`  ${query}: users ${ids[0]}-${ids.at(-1)}, startIndex ${start}, itemsPerPage ${per}, totalResults ${total}`);
  }
  server.close();
  server.closeAllConnections();
});
JS
for version in 4.21.2 5.1.0; do
    mkdir "$version"
    cp run.mjs "$version"
    printf '{"private": true, "type": "module"}' >"$version/package.json"
    npm install --silent --no-audit --no-fund --ignore-scripts --prefix "$version" "express@$version" scimmy@1.3.5 scimmy-routers@1.3.2
    echo "Express $version"
    node "$version/run.mjs"
done >seen
cat >found <<'FOUND'
Express 4.21.2
  startIndex=1&count=10: users 1-10, startIndex 1, itemsPerPage 10, totalResults 25
  startIndex=11&count=10: users 11-20, startIndex 11, itemsPerPage 10, totalResults 25
  startIndex=21&count=10: users 21-25, startIndex 21, itemsPerPage 10, totalResults 25
  filter=userName eq "user23": users 23-23, startIndex 1, itemsPerPage 20, totalResults 1
Express 5.1.0
  startIndex=1&count=10: users 1-20, startIndex 1, itemsPerPage 20, totalResults 25
  startIndex=11&count=10: users 1-20, startIndex 1, itemsPerPage 20, totalResults 25
  startIndex=21&count=10: users 1-20, startIndex 1, itemsPerPage 20, totalResults 25
  filter=userName eq "user23": users 23-23, startIndex 1, itemsPerPage 20, totalResults 1
FOUND
cat seen
# Fails, with what has changed since, where it is not what was found.
diff found seen
