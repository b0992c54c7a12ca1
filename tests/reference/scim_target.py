"""Serves scim2-server on a free loopback port, which is its first line of output.

Two files say who may come in: the tokens of the app's settings, and one for the test alone. Both are looked up anew
for every request, so that emptying the first is what a person does who deletes the token. It ends when its standard
input does, so that it never outlives the test.
"""

import os
import sys
import threading
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

from scim2_models import UnauthorizedException
from scim2_server.memory import InMemoryStorage
from scim2_server.service import ScimService
from scim2_server.testserver.application import BEARER_TOKEN_SCHEME, BearerTokenApplication
from scim2_server.testserver.cli import ThreadingWSGIServer
from scim2_server.utils import load_default_provider

settings, test_only = map(Path, sys.argv[1:])


class Guarded(BearerTokenApplication):
    def check_auth(self, request):
        good = {word for file in (settings, test_only) for word in file.read_text().split()}
        kind, _, token = (request.header("Authorization") or "").partition(" ")
        if kind.lower() != "bearer" or token not in good:
            raise UnauthorizedException


class Quiet(WSGIRequestHandler):
    def log_message(self, *_):
        pass


def end_with_the_test():
    sys.stdin.buffer.read()
    os._exit(0)


threading.Thread(target=end_with_the_test, daemon=True).start()
provider = load_default_provider()
provider.config.authentication_schemes = [BEARER_TOKEN_SCHEME]
app = Guarded(InMemoryStorage(), provider, service=ScimService(provider))
with make_server("127.0.0.1", 0, app, server_class=ThreadingWSGIServer, handler_class=Quiet) as server:
    print(server.server_port, flush=True)
    server.serve_forever()
