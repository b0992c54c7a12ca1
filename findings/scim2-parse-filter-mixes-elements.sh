#!/usr/bin/env bash
# scim2-parse-filter 0.2.10 (npm), a library for SCIM filters: what stands in brackets is not asked of one and the same element.
#
# emails[type eq "work" and value eq "X"] asks for a user with a work address X (RFC 7644, section 3.4.2.2: the filter in
# brackets is applied to each value of a multi-valued attribute). The library also gives a user whose work address is another
# and whose home address is X: the type is that of one address, the value of another.
# Seen with Node 20, November 2026.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

printf '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts scim2-parse-filter@0.2.10
cat >run.mjs <<'JS'
import library from "scim2-parse-filter";

const users = [
  { userName: "ann", emails: [{ type: "work", value: "ann@work.example" }, { type: "home", value: "x@example" }] },
  { userName: "bob", emails: [{ type: "work", value: "x@example" }] },
  { userName: "cyd", emails: [{ type: "home", value: "x@example" }] },
];
for (const text of [
  'emails[type eq "work" and value eq "x@example"]',
  'emails[type eq "home" and value eq "ann@work.example"]',
  'emails[type eq "work"]',
]) {
  const found = users.filter(library.filter(library.parse(text))).map((user) => user.userName);
  console.log(`${text}: ${found.join(" ") || "nobody"}`);
}
JS
node run.mjs >seen
cat >found <<'FOUND'
emails[type eq "work" and value eq "x@example"]: ann bob
emails[type eq "home" and value eq "ann@work.example"]: ann
emails[type eq "work"]: ann bob
FOUND
cat seen
# Fails, with what has changed since, where it is not what was found.
diff found seen
