"""`/v1/objects`: which method is answered where."""

from aiscore.server.changes import Changes
from aiscore.server.http import ServerContext
from aiscore.server.objects_get import ObjectReads
from aiscore.server.objects_post import ObjectActions
from aiscore.server.objects_put import ObjectWrites
from aiscore.server.router import Router
from aiscore.wire.names import Path

__all__ = ["register"]


def register(router: Router, context: ServerContext) -> None:
    """Answer everything below `/v1/objects`."""
    changes = Changes(context)
    reads = ObjectReads(context)
    writes = ObjectWrites(context, changes)
    actions = ObjectActions(context, changes)
    router.add(
        Path.OBJECTS,
        {
            "GET": reads.get,
            "HEAD": reads.head,
            "PUT": writes.put,
            "DELETE": actions.delete,
            "PATCH": actions.patch,
            "POST": actions.post,
        },
    )
