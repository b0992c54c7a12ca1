#!/usr/bin/env bash
# scim2-filter-parser 0.7.0 (PyPI), which turns SCIM filters into SQL: "or" and "and" are taken from left to right.
#
# a or b and c becomes (a OR b) AND c. RFC 7644, section 3.4.2.2: "and" comes before "or", so that whoever fits a is found,
# whatever c says. With brackets it is as written. And what sw, co and ew look for goes into a LIKE as it is: an underscore
# in it, common in names of users, stands for any character, and more users are found than fit.
# Seen with Python 3.11 and its own sqlite3, November 2026.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check scim2-filter-parser==0.7.0
cat >run.py <<'PY'
import sqlite3

from scim2_filter_parser.queries import SQLQuery

ATTRIBUTES = {
    ("userName", None, None): "users.name",
    ("title", None, None): "users.title",
}
database = sqlite3.connect(":memory:")
database.execute("CREATE TABLE users (name TEXT, title TEXT)")
users = [("ann_lee", "Boss"), ("annalee", "Clerk"), ("bob", "Clerk")]
database.executemany("INSERT INTO users VALUES (?, ?)", users)
for asked in [
    'userName eq "ann_lee" or userName eq "bob" and title eq "Clerk"',
    'userName eq "ann_lee" or (userName eq "bob" and title eq "Clerk")',
    'userName eq "bob" and title eq "Clerk" or userName eq "ann_lee"',
    'userName sw "ann_"',
    'userName co "n_l"',
    'userName eq "ann_lee"',
]:
    query = SQLQuery(asked, "users", ATTRIBUTES)
    found = database.execute(query.sql.replace("%s", "?"), query.params)
    print(f"{asked}: {', '.join(sorted(row[0] for row in found))}")
PY
cat >expected <<'TEXT'
userName eq "ann_lee" or userName eq "bob" and title eq "Clerk": bob
userName eq "ann_lee" or (userName eq "bob" and title eq "Clerk"): ann_lee, bob
userName eq "bob" and title eq "Clerk" or userName eq "ann_lee": ann_lee, bob
userName sw "ann_": ann_lee, annalee
userName co "n_l": ann_lee, annalee
userName eq "ann_lee": ann_lee
TEXT
venv/bin/python run.py | tee seen
diff expected seen
