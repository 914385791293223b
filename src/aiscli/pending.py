"""Commands that are known and do not work yet: one table, which `aiscli.tree` adds to the tree.

They stand in the help of their groups, marked; completion leaves them out. Whatever their
arguments, they answer that they are not available, and what to do instead where there is
something. A command that begins to work leaves this table and nothing else changes.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

__all__ = ["GROUPS", "MARK", "PENDING", "Pending"]

MARK = "(not available yet)"
"""Behind the help line of everything that is in this table."""


class Pending(NamedTuple):
    """A command that does not work yet.

    Attributes:
        help: what it will do.
        instead: what to do instead; "" where there is nothing.
        function: of `aiscli.commands.pending`, what answers.
    """

    help: str
    instead: str = ""
    function: str = "pending"


_ALWAYS_WHOLE = "a store of one node needs none"
_NO_BACKEND = "buckets of other providers come with their backends; ais:// buckets hold all objects"
_EVICT = Pending("Drop the local copies of remote objects.", _NO_BACKEND, "evict")
_PREFETCH = Pending("Fetch remote objects ahead of use.", _NO_BACKEND, "prefetch")
_BLOB = Pending("Fetch large remote objects in chunks.", "use: ais get")
_DOWNLOAD = Pending(
    "Fetch URLs into a bucket.", "pipe it: curl -L URL | ais put - ais://BUCKET/NAME"
)
_DSORT = Pending("Sort or shuffle shards.")
_LOG = "one node at a time: ais log show NODE_ID"
_AUTH = "an embedded store has no users: who may read its directory may use it"
_CONFIG_NODE = "an embedded store has one configuration: ais config cluster"
_DISKS = "see how full they are with: ais storage show"

GROUPS: Mapping[str, str] = MappingProxyType(
    {
        "advanced": "What is seldom needed.",
        "auth": "Users, roles, and tokens.",
        "auth add": "Add users, roles, and clusters.",
        "auth rm": "Remove users, roles, clusters, and tokens.",
        "auth set": "Change users, roles, clusters, and settings.",
        "auth show": "Show users, roles, clusters, and tokens.",
        "cluster add-remove-nodes": "Membership of nodes.",
        "etl": "Transform objects where they are.",
        "nbi": "Inventories of buckets.",
        "show auth": "Show users, roles, clusters, and tokens.",
        "tls": "Certificates of the nodes.",
    }
)
"""Groups that only such commands make up: what they are about."""

_AUTH_SHOW = {
    "cluster": Pending("Show clusters."),
    "config": Pending("Show the settings of the token service."),
    "jwks": Pending("Show the public keys of the token service."),
    "oidc": Pending("Show the discovery document of the token service."),
    "public-key": Pending("Show the public key of the token service."),
    "role": Pending("Show roles."),
    "token": Pending("Show what a token says, never the token."),
    "user": Pending("Show users."),
}

PENDING: Mapping[str, Pending] = MappingProxyType(
    {
        "advanced check-lock": Pending("Show whether an object is locked."),
        "advanced disable-backend": Pending("Stop using a provider.", _NO_BACKEND),
        "advanced enable-backend": Pending("Use a provider again.", _NO_BACKEND),
        "advanced preload": Pending("Read metadata ahead of use."),
        "advanced random-mountpath": Pending(
            "Print one of the mountpaths.", "see all: ais storage mountpath show"
        ),
        "advanced random-node": Pending("Print one of the nodes.", "see all: ais show cluster"),
        "advanced remove-from-smap": Pending("Forget a node.", _ALWAYS_WHOLE),
        "advanced rotate-logs": Pending("Begin new log files.", _LOG),
        "auth add cluster": Pending("Register a cluster.", _AUTH),
        "auth add role": Pending("Add a role.", _AUTH),
        "auth add user": Pending("Add a user.", _AUTH),
        "auth login": Pending("Log in, and keep the token.", _AUTH),
        "auth logout": Pending("Log out, and forget the token.", _AUTH),
        "auth rm cluster": Pending("Forget a cluster.", _AUTH),
        "auth rm role": Pending("Remove a role.", _AUTH),
        "auth rm token": Pending("Revoke a token.", _AUTH),
        "auth rm user": Pending("Remove a user.", _AUTH),
        "auth rotate-key": Pending("Sign tokens with a new key.", _AUTH),
        "auth set cluster": Pending("Change a cluster.", _AUTH),
        "auth set config": Pending("Change the settings of the token service.", _AUTH),
        "auth set role": Pending("Change a role.", _AUTH),
        "auth set user": Pending("Change a user.", _AUTH),
        "auth whoami": Pending("Show who the token says you are.", _AUTH),
        "bucket etl": Pending("Transform a bucket into another."),
        "bucket evict": _EVICT,
        "bucket shard-index summary": Pending("Count shards that are indexed."),
        "cluster add-remove-nodes decommission": Pending("Remove a node for good.", _ALWAYS_WHOLE),
        "cluster add-remove-nodes join": Pending("Add a node.", _ALWAYS_WHOLE),
        "cluster add-remove-nodes shutdown": Pending("Stop a node.", _ALWAYS_WHOLE),
        "cluster add-remove-nodes start-maintenance": Pending("Take a node out.", _ALWAYS_WHOLE),
        "cluster add-remove-nodes stop-maintenance": Pending("Take it back.", _ALWAYS_WHOLE),
        "cluster dashboard": Pending("Show health and load.", "see: ais show cluster, ais doctor"),
        "cluster decommission": Pending("Stop all nodes for good.", _ALWAYS_WHOLE),
        "cluster download-logs": Pending("Fetch the logs of all nodes.", _LOG),
        "cluster drop-lcache": Pending("Forget cached metadata of objects."),
        "cluster reload-backend-creds": Pending("Read credentials again.", _NO_BACKEND),
        "cluster remote-attach": Pending("Attach another cluster."),
        "cluster remote-detach": Pending("Detach another cluster."),
        "cluster reset-stats": Pending("Begin to count anew."),
        "cluster set-primary": Pending("Choose the primary node.", _ALWAYS_WHOLE),
        "cluster shutdown": Pending(
            "Stop all nodes.",
            "an embedded store is not running; a server ends at Ctrl-C or SIGTERM",
        ),
        "config node": Pending("Show or change a node's settings.", _CONFIG_NODE),
        "etl bucket": Pending("Transform a bucket into another."),
        "etl init": Pending("Define a transformation."),
        "etl inspect": Pending("Try a transformation."),
        "etl object": Pending("Transform an object."),
        "etl rm": Pending("Remove a transformation."),
        "etl show": Pending("Show transformations."),
        "etl start": Pending("Start a transformation."),
        "etl stop": Pending("Stop a transformation."),
        "etl view-logs": Pending("Show what a transformation wrote."),
        "job start blob-download": _BLOB,
        "job start download": _DOWNLOAD,
        "job start dsort": _DSORT,
        "job start ec-encode": Pending("Protect a bucket by erasure coding."),
        "job start etl": Pending("Transform objects."),
        "job start prefetch": _PREFETCH,
        "log get": Pending("Fetch the log of a node.", "use: ais log show NODE_ID > FILE"),
        "nbi create": Pending("Take the inventory of a bucket.", "use: ais ls BUCKET -o jsonl"),
        "nbi rm": Pending("Remove an inventory."),
        "nbi show": Pending("Show inventories."),
        "object etl": Pending("Transform an object."),
        "object evict": _EVICT,
        "object prefetch": _PREFETCH,
        "performance disk": Pending("Show the load of disks.", _DISKS),
        "performance intra-data": Pending("Show the traffic between nodes.", _ALWAYS_WHOLE),
        "remote-cluster": Pending("Show attached clusters."),
        "resume": Pending("Go on with an interrupted transfer."),
        "run": Pending("Run many commands of a file.", "use a shell loop, or xargs -P"),
        "show dashboard": Pending("Show health and load.", "see: ais show cluster, ais doctor"),
        "show etl": Pending("Show transformations."),
        "show nbi": Pending("Show inventories."),
        "show remote-cluster": Pending("Show attached clusters."),
        "show storage disk": Pending("Show the load of disks.", _DISKS),
        "show tls": Pending("Show the certificate of a node."),
        "storage disk": Pending("Show the load of disks.", _DISKS),
        "storage mountpath fshc": Pending("Check a disk.", "use: ais storage validate"),
        "storage mountpath rescan-disks": Pending("Look for the disks of a mountpath anew."),
        "tls load-certificate": Pending("Load the certificate anew."),
        "tls show": Pending("Show the certificate of a node."),
        "tls validate-certificates": Pending("Compare the certificates of all nodes."),
        **{
            f"auth show {name}": entry._replace(instead=_AUTH) for name, entry in _AUTH_SHOW.items()
        },
        **{
            f"show auth {name}": entry._replace(instead=_AUTH) for name, entry in _AUTH_SHOW.items()
        },
    }
)
"""Path -> command."""
