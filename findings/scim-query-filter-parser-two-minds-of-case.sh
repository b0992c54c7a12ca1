#!/usr/bin/env bash
# scim-query-filter-parser 2.0.4 (npm), a parser and compiler of SCIM filters: whether case matters depends on the operator.
#
# A user whose userName is "Ann@Example.com" is found by eq in whatever case, and not by sw, co and ew in lower case. RFC 7643,
# section 4.1.1: userName is not case exact, whichever operator asks. And a filter with "not" is refused with an error in both
# ways to write it, with and without a space before its bracket; the RFC's own example has a space (RFC 7644, section 3.4.2.2).
# A "pr" is true for an empty text, which the RFC excludes.
# Seen with Node 20, November 2026.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

printf '{"private": true}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts scim-query-filter-parser@2.0.4
cat >run.js <<'JS'
const { compileFilter } = require("scim-query-filter-parser");

const ann = { userName: "Ann@Example.com", active: true, title: "" };
for (const asked of [
  'userName eq "ann@example.com"',
  'userName sw "ann@"',
  'userName sw "Ann@"',
  'userName co "@example."',
  'userName ew "example.com"',
  "title pr",
  "not (active eq false)",
  "not(active eq false)",
]) {
  let said;
  try {
    said = compileFilter(asked)(ann) ? "found" : "not found";
  } catch {
    said = "refused";
  }
  console.log(`${asked}: ${said}`);
}
JS
cat >expected <<'TEXT'
userName eq "ann@example.com": found
userName sw "ann@": not found
userName sw "Ann@": found
userName co "@example.": not found
userName ew "example.com": not found
title pr: found
not (active eq false): refused
not(active eq false): refused
TEXT
node run.js | tee seen
diff expected seen
