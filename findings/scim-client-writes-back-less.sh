#!/usr/bin/env bash
# scim-client 0.2.3 (PyPI), a client of SCIM services: to write back a user who was just read takes attributes from them.
#
# read_user and then update_user with what it gave, nothing changed in between: the PUT lacks nickName, title, phoneNumbers and
# preferredLanguage, which the service had given, while the attributes that the client knows and the enterprise extension are
# there. A PUT replaces (RFC 7644, section 3.5.1: what is left out may be cleared). They are kept apart in `extra_fields`, and
# never sent. A user without displayName, externalId or emails, all optional in RFC 7643, can't be read at all: TypeError.
# Seen with Python 3.11, November 2026.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check scim_client==0.2.3
cat >run.py <<'PY'
import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from scim_client import SCIMClient

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
ANN = {
    "schemas": [CORE, ENTERPRISE], "id": "1", "externalId": "e1", "userName": "ann", "displayName": "Ann", "nickName": "A",
    "title": "Engineer", "active": True, "preferredLanguage": "da", "name": {"givenName": "Ann", "familyName": "Lee"},
    "emails": [{"value": "ann@work.example", "type": "work"}], "phoneNumbers": [{"value": "555-0100", "type": "work"}],
    ENTERPRISE: {"department": "IT"},
}
BOB = {"schemas": [CORE], "id": "2", "userName": "bob", "active": True, "name": {"givenName": "Bob", "familyName": "Ray"}}
written = []


class Service(BaseHTTPRequestHandler):
    def answer(self, record):
        body = json.dumps(record).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/scim+json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self):
        self.answer({"1": ANN, "2": BOB}[self.path.rsplit("/", 1)[1]])

    def do_PUT(self):
        written.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.answer(ANN)

    def log_message(self, *_):
        pass


service = HTTPServer(("127.0.0.1", 0), Service)
threading.Thread(target=service.serve_forever, daemon=True).start()
client = SCIMClient(f"http://127.0.0.1:{service.server_port}", "token")
client.update_user(client.read_user("1"))
print("sent back:", *sorted(key for key in ANN if written[0].get(key) == ANN[key]))
print("left out:", *sorted(key for key in ANN if key not in written[0]))
try:
    print("read:", client.read_user("2").user_name)
except TypeError as error:
    print("TypeError:", error)
service.shutdown()
PY
venv/bin/python run.py >seen
cat >found <<'FOUND'
sent back: active displayName emails externalId id name schemas urn:ietf:params:scim:schemas:extension:enterprise:2.0:User userName
left out: nickName phoneNumbers preferredLanguage title
TypeError: User.__init__() missing 3 required keyword-only arguments: 'external_id', 'display_name', and 'emails'
FOUND
cat seen
# Fails, with what has changed since, where it is not what was found.
diff found seen
