"""What unscim does with writes, done with msgraph-sdk: assign every member directly, empty the groups, unassign them.

graph.py plain|tuned; UNSCIM_BENCH_GRAPH, _TOKEN and _APP name the Graph root, a bearer token and the application."""

import asyncio
import os
import sys
import time
from uuid import UUID

from kiota_abstractions.authentication import AccessTokenProvider, AllowedHostsValidator, BaseBearerTokenAuthenticationProvider
from kiota_abstractions.base_request_configuration import RequestConfiguration
from msgraph import GraphRequestAdapter, GraphServiceClient
from msgraph.generated.models.app_role_assignment import AppRoleAssignment
from msgraph.generated.models.user import User
from msgraph_core.requests.batch_request_content import BatchRequestContent
from msgraph_core.requests.batch_request_item import BatchRequestItem

ROOT = os.environ["UNSCIM_BENCH_GRAPH"] + "/v1.0"
APP = os.environ["UNSCIM_BENCH_APP"]
TUNED = sys.argv[1] == "tuned"
BATCH, AT_ONCE = 20, 10


class Token(AccessTokenProvider):
    async def get_authorization_token(self, uri, additional_authentication_context={}):
        return os.environ["UNSCIM_BENCH_TOKEN"]

    def get_allowed_hosts_validator(self):
        return AllowedHostsValidator([])


adapter = GraphRequestAdapter(BaseBearerTokenAuthenticationProvider(Token()))
adapter.base_url = ROOT
graph = GraphServiceClient(request_adapter=adapter)
app = graph.service_principals.by_service_principal_id(APP)


async def whole(builder, parameters):
    """All pages of a list; the tuned version asks for long ones."""
    config = RequestConfiguration(query_parameters=parameters(top=999)) if TUNED else None
    page = await builder.get(request_configuration=config)
    items = list(page.value)
    while page.odata_next_link:
        page = await builder.with_url(page.odata_next_link).get()
        items += page.value
    return items


def rows():
    builder = app.app_role_assigned_to
    return whole(builder, builder.AppRoleAssignedToRequestBuilderGetQueryParameters)


async def users(group):
    builder = graph.groups.by_group_id(group).members
    members = await whole(builder, builder.MembersRequestBuilderGetQueryParameters)
    return [member.id for member in members if isinstance(member, User)]


async def one_by_one(builders):
    for send, _, body in builders:
        await (send(body) if body else send())


class Gate:
    """Nobody asks while the service wants to be left alone."""

    opens = 0.0

    async def passed(self):
        while (wait := self.opens - time.monotonic()) > 0:
            await asyncio.sleep(wait)

    def close(self, seconds):
        self.opens = max(self.opens, time.monotonic() + seconds)


async def in_batches(builders):
    infos = [info(body) if body else info() for _, info, body in builders]
    queue, gate = [infos[n : n + BATCH] for n in range(0, len(infos), BATCH)], Gate()

    async def work():
        while queue:
            batch = queue.pop(0)
            while batch:
                await gate.passed()
                items = [BatchRequestItem(info, id=str(n)) for n, info in enumerate(batch)]
                for item in items:
                    item.url = item.url.removeprefix(ROOT)
                content = BatchRequestContent({item.id: item for item in items})
                answers = (await graph.batch.post(content)).responses
                refused = [int(n) for n, answer in answers.items() if answer.status == 429]
                bad = [answer.status for answer in answers.values() if answer.status >= 400 and answer.status != 429]
                if bad or len(answers) != len(batch):
                    raise RuntimeError(f"{len(batch)} asked, {len(answers)} answered, refused: {bad}")
                for n in refused:
                    gate.close(float(answers[str(n)].headers["Retry-After"]))
                batch = [batch[n] for n in refused]

    await asyncio.gather(*(work() for _ in range(AT_ONCE)))


async def main():
    send = in_batches if TUNED else one_by_one
    assigned = await rows()
    groups = [row for row in assigned if row.principal_type == "Group"]
    ids = list(dict.fromkeys(str(row.principal_id) for row in groups))
    # Not at once in the tuned version either: a list keeps the processor for so long that other connections time out.
    members = {group: await users(group) for group in ids}

    held = {(str(row.principal_id), str(row.app_role_id)) for row in assigned}
    wanted = {(user, str(row.app_role_id)): None for row in groups for user in members[str(row.principal_id)]}
    to = app.app_role_assigned_to
    bodies = [
        AppRoleAssignment(principal_id=UUID(user), resource_id=UUID(APP), app_role_id=UUID(role))
        for user, role in wanted
        if (user, role) not in held
    ]
    await send([(to.post, to.to_post_request_information, body) for body in bodies])

    refs = [graph.groups.by_group_id(group).members.by_directory_object_id(user).ref for group in ids for user in members[group]]
    await send([(ref.delete, ref.to_delete_request_information, None) for ref in refs])

    gone = [to.by_app_role_assignment_id(row.id) for row in groups]
    await send([(row.delete, row.to_delete_request_information, None) for row in gone])


asyncio.run(main())
