#!/usr/bin/env bash
# django-scim2-server 1.1.0 (PyPI), a SCIM service for Django: a user who was deleted goes on answering.
#
# DELETE /Users/ID is 204, and from then on the user is inactive: read by id they are a 200, the list counts them, a search for
# their name finds them, and the name can't be given again (the new user is refused). RFC 7644, section 3.6: whatever a service
# keeps of a deleted resource, it MUST answer 404 to all operations on it and MUST leave it out of lists and searches.
# Seen with Django 5.2.19, scim2-models 0.12.3, Python 3.11, November 2026.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

python3.11 -m venv venv
venv/bin/pip install --quiet --disable-pip-version-check django-scim2-server==1.1.0 Django==5.2.19 scim2-models==0.12.3
cat >run.py <<'PY'
import json

import django
from django.conf import settings
from django.urls import include, path

settings.configure(
    SECRET_KEY="x", ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], USE_TZ=True, LOGGING_CONFIG=None,
    DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django_scim2_server"],
    SCIM2_SERVER_AUTH_CHECK=f"{__name__}.everybody",
)
urlpatterns = [path("scim/v2/", include("django_scim2_server.urls"))]


def everybody(_request):
    return True


django.setup()
from django.core.management import call_command  # noqa: E402
from django.test import Client  # noqa: E402

call_command("migrate", verbosity=0)
client = Client(raise_request_exception=False)
NEW = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "ann", "active": True,
       "name": {"givenName": "Ann", "familyName": "Lee"}, "emails": [{"value": "ann@work.example", "type": "work"}]}


def ask(method, where, body=None):
    text = json.dumps(body) if body is not None else ""
    answer = client.generic(method, f"/scim/v2/{where}", text, content_type="application/scim+json")
    return answer.status_code, json.loads(answer.content or "{}")


status, ann = ask("POST", "Users", NEW)
print("created:", status)
print("deleted:", ask("DELETE", f"Users/{ann['id']}")[0])
status, record = ask("GET", f"Users/{ann['id']}")
print("read by id:", status, "active", record.get("active"))
print("in the list:", ask("GET", "Users")[1]["totalResults"])
print("found by name:", ask("GET", "Users?filter=userName%20eq%20%22ann%22")[1]["totalResults"])
print("created once more:", ask("POST", "Users", NEW)[0])
PY
venv/bin/python run.py >seen
cat >found <<'FOUND'
created: 201
deleted: 204
read by id: 200 active False
in the list: 1
found by name: 1
created once more: 409
FOUND
cat seen
# Fails, with what has changed since, where it is not what was found.
diff found seen
