#!/usr/bin/env bash
# scim-patch 0.8.3 (npm), a library that applies SCIM PATCH operations: a member whom Entra adds is not removed by Entra.
#
# Entra adds a member as {"$ref": null, "value": ID} and, without the flag aadOptscim062020, removes the same one with a list
# of values, {"value": ID} (Microsoft: "Known issues and resolutions with SCIM 2.0 protocol compliance"). scim-patch compares
# whole elements: as the stored one has a field more, nothing is removed, and nothing is said. Adding the member once more
# stores them twice. RFC 7644, section 3.5.2.1: a value that is there already SHOULD not change anything.
# The form with a filter in the path (with the flag) removes the member, both times they are stored.
# Seen with Node 20, November 2026.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

printf '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --ignore-scripts scim-patch@0.8.3
cat >run.mjs <<'JS'
import library from "scim-patch";

let group = { schemas: ["urn:ietf:params:scim:schemas:core:2.0:Group"], id: "g", displayName: "IT", members: [] };
const step = (what, operation) => {
  group = library.scimPatch(group, [operation]);
  console.log(`${what}: ${JSON.stringify(group.members ?? [])}`);
};
const added = { op: "Add", path: "members", value: [{ $ref: null, value: "ann" }] };
step("added as Entra does", added);
step("removed as Entra does", { op: "Remove", path: "members", value: [{ value: "ann" }] });
step("added in the RFC's form", { op: "add", path: "members", value: [{ value: "ann" }] });
step("removed in the RFC's form", { op: "remove", path: 'members[value eq "ann"]' });
JS
node run.mjs >seen
cat >found <<'FOUND'
added as Entra does: [{"$ref":null,"value":"ann"}]
removed as Entra does: [{"$ref":null,"value":"ann"}]
added in the RFC's form: [{"$ref":null,"value":"ann"},{"value":"ann"}]
removed in the RFC's form: []
FOUND
cat seen
# Fails, with what has changed since, where it is not what was found.
diff found seen
