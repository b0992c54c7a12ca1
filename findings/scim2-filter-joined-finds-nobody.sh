#!/usr/bin/env bash
# scim2-filter 0.2.0 (npm), a parser and matcher of SCIM filters: two conditions joined by "and" or "or" find nobody.
#
# Each condition alone finds the user. Joined, they are parsed as they should be, and no user fits: the conditions are asked of
# the filter and no longer of the user. Nothing is raised. What stands in brackets behind a list fares alike, so that
# emails[type eq "work" and value co "work.org"] finds nobody, either. "not" works. RFC 7644, section 3.4.2.2: "and" is true
# where both conditions are.
# Seen with Node 20, November 2026.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

printf '{"private": true}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts scim2-filter@0.2.0
cat >run.js <<'JS'
const { filter, parse } = require("scim2-filter");

const users = [
  { userName: "ann@example.com", active: true, emails: [{ type: "home", value: "ann@home.example" }] },
  { userName: "bob@example.com", active: false, emails: [{ type: "work", value: "bob@work.org" }] },
];
for (const asked of [
  'userName eq "bob@example.com"',
  "active eq false",
  'userName eq "bob@example.com" and active eq false',
  'userName eq "bob@example.com" or active eq false',
  "not (active eq true)",
  'emails[type eq "work"]',
  'emails[value co "work.org"]',
  'emails[type eq "work" and value co "work.org"]',
]) {
  const found = users.filter(filter(parse(asked))).map((user) => user.userName);
  console.log(`${asked}: ${found.join(", ") || "nobody"}`);
}
JS
cat >expected <<'TEXT'
userName eq "bob@example.com": bob@example.com
active eq false: bob@example.com
userName eq "bob@example.com" and active eq false: nobody
userName eq "bob@example.com" or active eq false: nobody
not (active eq true): bob@example.com
emails[type eq "work"]: bob@example.com
emails[value co "work.org"]: bob@example.com
emails[type eq "work" and value co "work.org"]: nobody
TEXT
node run.js | tee seen
diff expected seen
