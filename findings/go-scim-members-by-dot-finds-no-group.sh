#!/usr/bin/env bash
# github.com/elimity-com/scim v0.0.0-20260728105928-2641426a1539 (Go), the filters of a SCIM server: members.value eq "…" finds no group.
#
# The filter is checked against the schema of a group and accepted, and then fits no group, also not the one that has the member; in
# brackets, members[value eq "…"], it finds the group. The same of a user's addresses. "ne" and "pr" behind the dot fit nothing either, so
# that neither a filter nor its opposite finds anything. RFC 7644, section 3.4.2.2: of an attribute with several values a filter is true
# where one of them fits. Nothing is raised by the check; only whoever matches is told, once for each group, that "the target is not a
# complex attribute".
# Seen with Go 1.26, November 2026.
set -euo pipefail
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder" && rm -rf "$folder"' EXIT
cd "$folder"
export GOMODCACHE=$folder/modules GOFLAGS=-mod=mod

cat >go.mod <<'MOD'
module seen

go 1.22

require github.com/elimity-com/scim v0.0.0-20260728105928-2641426a1539
MOD
cat >main.go <<'GO'
package main

import (
	"fmt"

	"github.com/elimity-com/scim/filter"
	"github.com/elimity-com/scim/schema"
)

func main() {
	list := func(values ...map[string]interface{}) []interface{} {
		var all []interface{}
		for _, value := range values {
			all = append(all, value)
		}
		return all
	}
	group := map[string]interface{}{
		"displayName": "Sales",
		"members":     list(map[string]interface{}{"value": "u-1"}, map[string]interface{}{"value": "u-2"}),
	}
	user := map[string]interface{}{
		"userName": "ann@example.com",
		"emails":   list(map[string]interface{}{"type": "work", "value": "ann@work.example"}),
	}
	ask := func(asked string, of schema.Schema, one map[string]interface{}) {
		known, err := filter.NewValidator(asked, of)
		if err == nil {
			err = known.Validate()
		}
		if err != nil {
			fmt.Printf("%s: refused\n", asked)
		} else if known.PassesFilter(one) == nil {
			fmt.Printf("%s: found\n", asked)
		} else {
			fmt.Printf("%s: not found\n", asked)
		}
	}
	for _, asked := range []string{
		`displayName eq "Sales"`, `members[value eq "u-1"]`, `members.value eq "u-1"`, `members.value ne "u-1"`, `members.value pr`,
	} {
		ask(asked, schema.CoreGroupSchema(), group)
	}
	for _, asked := range []string{`emails[value eq "ann@work.example"]`, `emails.value eq "ann@work.example"`} {
		ask(asked, schema.CoreUserSchema(), user)
	}
}
GO
cat >expected <<'TEXT'
displayName eq "Sales": found
members[value eq "u-1"]: found
members.value eq "u-1": not found
members.value ne "u-1": not found
members.value pr: not found
emails[value eq "ann@work.example"]: found
emails.value eq "ann@work.example": not found
TEXT
go mod tidy >/dev/null 2>&1
go run . | tee seen
diff expected seen
