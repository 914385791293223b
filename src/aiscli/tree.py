"""The command tree: every command, its help line, and the function that runs it.

Nothing is imported from here before it runs. Top-level verbs are aliases: the same function as the
command of the group they stand for.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from aiscli.pending import GROUPS, MARK, PENDING

__all__ = ["ALIASES", "ROOT", "Branch", "Leaf", "leaves"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaf:
    """A command.

    Attributes:
        target: `MODULE:FUNCTION`.
        help: one line for the help of the group; the first line of the function's docstring.
        hidden: left out of help and suggestions.
        no_args_is_help: without any argument the help is shown.
        pending: it does not work yet; in help and search, not in completion.
        instead: what to do instead of a pending command; "" where there is nothing.
    """

    target: str
    help: str
    hidden: bool = False
    no_args_is_help: bool = False
    pending: bool = False
    instead: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """A group of commands.

    Attributes:
        help: what the group is about.
        children: by name.
        default: the child that runs when the first word names none.
        hidden: left out of help and suggestions.
    """

    help: str
    children: Mapping[str, "Branch | Leaf"]
    default: str | None = None
    hidden: bool = False

    @property
    def pending(self) -> bool:
        """True when no command of it works yet."""
        return all(child.pending for child in self.children.values())


def _leaf(module: str, function: str, line: str, *, hidden: bool = False) -> Leaf:
    return Leaf(target=f"aiscli.commands.{module}:{function}", help=line, hidden=hidden)


_LS = _leaf("bucket", "ls", "List buckets, or the objects of one.")
_SHOW_BUCKET = _leaf("bucket", "props_show", "Show the properties of a bucket.")
_SHOW_OBJECT = _leaf("object", "show", "Show the properties of an object.")
_SUMMARY = _leaf("bucket", "summary", "Count objects and bytes of buckets.")
_MV = _leaf("bucket", "mv", "Give a bucket another name.")
_CP = _leaf("copy", "cp", "Copy a bucket, some of its objects, or one object.")
_VALIDATE = _leaf(
    "storage", "validate", "Read everything that is stored and report what is damaged."
)
_CLEANUP = _leaf("job", "cleanup", "Remove what no name leads to.")
_RECHUNK = _leaf("rechunk", "rechunk", "Store objects in chunks of another size, or in one piece.")
_ARCHIVE_BUCKET = _leaf("archive", "bucket", "Pack objects of a bucket into one shard.")
_CAPACITY = _leaf("cluster", "capacity", "Show how full the disks are.")
_SHOW_NODES = _leaf("cluster", "show", "Show the nodes of the store, and what it is.")
_COUNTERS = _leaf("cluster", "counters", "Show what each target has counted since it started.")
_LOG = _leaf("cluster", "log", "Show the log of a node.")
_SHOW_REBALANCE = _leaf(
    "cluster",
    "rebalance_show",
    "Show jobs that spread objects evenly over the targets, also those that have ended.",
)
_SHOW_JOB = _leaf("job", "show", "Show jobs.")
_NOTHING_TO_BALANCE = _leaf(
    "cluster", "rebalance", "Spread objects evenly: one target needs nothing."
)
_CONFIG_CLUSTER = _leaf("config", "cluster", "Show the cluster configuration, or change it.")

_PROPS = Branch(
    help="Show and change bucket properties.",
    default="show",
    children={
        "show": _SHOW_BUCKET,
        "set": _leaf("bucket", "props_set", "Change properties of a bucket."),
        "reset": _leaf(
            "bucket", "props_reset", "Reset the properties of a bucket to the defaults."
        ),
    },
)
_MULTIPART = Branch(
    help="Upload an object in parts.",
    children={
        "create": _leaf("multipart", "create", "Begin an upload, and print its id."),
        "put-part": _leaf("multipart", "put_part", "Upload a part."),
        "complete": _leaf("multipart", "complete", "Make the object of its parts."),
        "abort": _leaf("multipart", "abort", "Drop an upload and its parts."),
        "ls": _leaf("multipart", "ls", "List uploads that are neither completed nor aborted."),
        "parts": _leaf("multipart", "parts", "List the parts of an upload."),
        "put": _leaf("multipart", "put", "Upload a file in parts, several at a time."),
    },
)
_BUCKET = Branch(
    help="Create, list, copy, and configure buckets.",
    children={
        "ls": _LS,
        "create": _leaf("bucket", "create", "Create buckets."),
        "rm": _leaf("bucket", "rm", "Destroy buckets and all they hold."),
        "mv": _MV,
        "cp": _CP,
        "show": _SHOW_BUCKET,
        "summary": _SUMMARY,
        "lru": _leaf("bucket", "lru", "Show the LRU properties of a bucket; switch LRU on or off."),
        "props": _PROPS,
        "validate": _VALIDATE,
        "archive": _ARCHIVE_BUCKET,
        "rechunk": _RECHUNK,
        "shard-index": Branch(
            help="Indexes of shards.",
            children={"build": _leaf("job", "shard_index", "Index the shards of a bucket.")},
        ),
    },
)
_OBJECT = Branch(
    help="Write, read, list, and delete objects.",
    children={
        "ls": _LS,
        "get": _leaf("object", "get", "Download objects, ranges, or files of shards."),
        "put": _leaf("object", "put", "Upload files, directories, or standard input."),
        "cat": _leaf("object", "cat", "Write objects to standard output."),
        "rm": _leaf("object", "rm", "Delete objects."),
        "mv": _leaf("object", "mv", "Give an object another name in its bucket."),
        "cp": _CP,
        "promote": _leaf("object", "promote", "Take files of the store's host into a bucket."),
        "concat": _leaf("browse", "concat", "Append files to an object, in order."),
        "set-custom": _leaf("object", "set_custom", "Set custom metadata of an object."),
        "show": _SHOW_OBJECT,
        "multipart-upload": _MULTIPART,
        "mpu": replace(_MULTIPART, hidden=True),
    },
)
_ARCHIVE = Branch(
    help="Write, read, and list shards (tar, tgz, tar.lz4, zip).",
    children={
        "put": _leaf("archive", "put", "Write files into a shard."),
        "get": _leaf("archive", "get", "Extract a shard, or files of it."),
        "ls": _leaf("archive", "ls", "List shards with the files in them."),
        "bucket": _ARCHIVE_BUCKET,
        "gen-shards": _leaf("archive", "gen_shards", "Write shards of random files, for tests."),
    },
)
_MOUNTPATH = Branch(
    help="Show and change the disks of the store.",
    default="show",
    children={
        "show": _leaf("storage", "mountpath_show", "Show mountpaths."),
        "attach": _leaf("storage", "mountpath_attach", "Begin to use a directory."),
        "detach": _leaf("storage", "mountpath_detach", "Empty a mountpath and forget it."),
        "enable": _leaf("storage", "mountpath_enable", "Use a disabled mountpath again."),
        "disable": _leaf("storage", "mountpath_disable", "Neither read nor write a mountpath."),
    },
)
_STORAGE = Branch(
    help="Check what is stored; disks and capacity.",
    children={
        "show": _CAPACITY,
        "validate": _VALIDATE,
        "cleanup": _CLEANUP,
        "mountpath": _MOUNTPATH,
        "summary": _SUMMARY,
    },
)
_PERFORMANCE = Branch(
    help="Show how the store is doing.",
    default="counters",
    children={
        "counters": _COUNTERS,
        "throughput": _leaf("cluster", "throughput", "Show bytes a second of each target."),
        "latency": _leaf(
            "cluster", "latency", "Show how long requests take on average at each target."
        ),
        "capacity": _CAPACITY,
    },
)
_SHOW_CLUSTER = Branch(
    help="Show the nodes of the store, their map, buckets, and configuration.",
    default="show",
    children={
        "show": _SHOW_NODES,
        "smap": _leaf("cluster", "smap", "Show the cluster map: which nodes there are, and where."),
        "bmd": _leaf("cluster", "bmd", "Show all buckets with what the cluster keeps of them."),
        "config": _CONFIG_CLUSTER,
        "stats": _COUNTERS,
    },
)
_CLUSTER = Branch(
    help="The nodes of the store.",
    children={
        "show": _SHOW_CLUSTER,
        "rebalance": Branch(
            help="Spread objects evenly over the nodes.",
            children={
                "show": _SHOW_REBALANCE,
                "start": _NOTHING_TO_BALANCE,
                "stop": _NOTHING_TO_BALANCE,
            },
        ),
    },
)
_JOB = Branch(
    help="Start, watch, and stop jobs.",
    children={
        "show": _SHOW_JOB,
        "start": Branch(
            help="Start a job.",
            children={
                "cleanup": _CLEANUP,
                "copy-bck": _CP,
                "lru": _leaf(
                    "job", "lru", "Drop what was not used for longest, while disks are too full."
                ),
                "move-bck": _MV,
                "rechunk": _RECHUNK,
                "rebalance": _NOTHING_TO_BALANCE,
                "mirror": _leaf("job", "mirror", "Keep the objects of a bucket on several disks."),
                "resilver": _leaf(
                    "job",
                    "resilver",
                    "Restore copies, and spread objects, after disks have come or gone.",
                ),
                "warm-up-metadata": _leaf(
                    "job", "warm_up", "Read metadata of a bucket ahead of use."
                ),
            },
        ),
        "rm": _leaf("job", "rm", "Forget jobs that have ended."),
        "stop": _leaf("job", "stop", "Stop jobs."),
        "wait": _leaf("job", "wait", "Wait for jobs."),
    },
)
_CLI_SHOW = _leaf("config", "cli_show", "Show the settings of this command.")
_CONFIG_SHOW = Branch(
    help="Show configuration.", children={"cluster": _CONFIG_CLUSTER, "cli": _CLI_SHOW}
)
_CONFIG_CLI = Branch(
    help="Show and change the settings of this command.",
    default="show",
    children={
        "show": _CLI_SHOW,
        "set": _leaf("config", "cli_set", "Change settings of this command."),
        "reset": _leaf(
            "config", "cli_reset", "Reset the settings of this command to the defaults."
        ),
    },
)
_CONFIG_CONTEXT = Branch(
    help="Name stores, and choose one.",
    default="ls",
    children={
        "ls": _leaf("config", "context_ls", "List the named stores."),
        "set": _leaf("config", "context_set", "Give a store a name, or a name another store."),
        "use": _leaf("config", "context_use", "Use a named store from now on."),
        "rm": _leaf(
            "config", "context_rm", "Forget the name of a store; the store stays as it is."
        ),
    },
)
_CONFIG = Branch(
    help="Show and change configuration.",
    children={
        "cluster": _CONFIG_CLUSTER,
        "cli": _CONFIG_CLI,
        "context": _CONFIG_CONTEXT,
        "show": _CONFIG_SHOW,
        "reset": _leaf(
            "config",
            "reset",
            "Reset the settings of this command, or of the store, to the defaults.",
        ),
    },
)
_SHOW = Branch(
    help="Show buckets, objects, configuration, and disks.",
    children={
        "bucket": _SHOW_BUCKET,
        "object": _SHOW_OBJECT,
        "cluster": _SHOW_CLUSTER,
        "config": _CONFIG_SHOW,
        "job": _SHOW_JOB,
        "performance": _PERFORMANCE,
        "log": _LOG,
        "rebalance": _SHOW_REBALANCE,
        "storage": Branch(
            help="Show disks and capacity.",
            default="show",
            children={
                "show": _CAPACITY,
                "mountpath": _MOUNTPATH.children["show"],
                "summary": _SUMMARY,
            },
        ),
    },
)
_COMPLETION = Branch(
    help="Completion of commands, flags, and names in the shell.",
    children={
        "install": _leaf(
            "completion", "install", "Write the completion script to where the shell looks for it."
        ),
        "show": _leaf("completion", "show", "Print the completion script of a shell."),
    },
)
_ALIAS = Branch(
    help="Shorter names of commands.",
    default="show",
    children={
        "show": _leaf("alias", "alias_show", "Show all aliases."),
        "set": _leaf("alias", "alias_set", "Make an alias of a command."),
        "rm": _leaf("alias", "alias_rm", "Remove an alias."),
        "reset": _leaf("alias", "alias_reset", "Go back to the built-in aliases."),
    },
)
_ML = Branch(
    help="Batches for machine learning.",
    children={
        "get-batch": _leaf(
            "get_batch", "ml_get_batch", "Fetch a batch into an archive (upstream's form)."
        ),
        "lhotse-get-batch": _leaf(
            "lhotse", "lhotse_get_batch", "Fetch the recordings of Lhotse cuts, batch by batch."
        ),
    },
)

ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "blob-download": "job start blob-download",
        "cat": "object cat",
        "check": "storage validate",
        "cp": "bucket cp",
        "create": "bucket create",
        "download": "job start download",
        "dsort": "job start dsort",
        "evict": "bucket evict",
        "get": "object get",
        "jobs": "show job",
        "login": "auth login",
        "logout": "auth logout",
        "ls": "bucket ls",
        "mpu": "object multipart-upload",
        "prefetch": "object prefetch",
        "put": "object put",
        "rechunk": "bucket rechunk",
        "rm": "object rm",
        "rmb": "bucket rm",
        "rmo": "object rm",
        "scrub": "storage validate",
        "space-cleanup": "storage cleanup",
        "start": "job start",
        "stop": "job stop",
        "wait": "job wait",
        "whoami": "auth whoami",
    }
)
"""Top-level verb -> the command, or the group, it stands for."""


def leaves(branch: Branch, path: str = "") -> Iterator[tuple[str, Leaf]]:
    """Every command below `branch`, by path."""
    for name, node in branch.children.items():
        full = f"{path} {name}".lstrip()
        if isinstance(node, Branch):
            yield from leaves(node, full)
        else:
            yield full, node


def _with_pending(branch: Branch) -> Branch:
    """`branch` with the commands that do not work yet, and the groups that only they make up."""
    entries: dict[str, list[tuple[str, str]]] = {}
    for path in (*GROUPS, *PENDING):
        parent, _, name = path.rpartition(" ")
        entries.setdefault(parent, []).append((name, path))
    return _grafted(branch, "", entries)


def _grafted(branch: Branch, path: str, entries: Mapping[str, list[tuple[str, str]]]) -> Branch:
    children: dict[str, Branch | Leaf] = {
        name: _grafted(node, f"{path} {name}".lstrip(), entries)
        if isinstance(node, Branch)
        else node
        for name, node in branch.children.items()
    }
    for name, full in entries.get(path, ()):
        assert name not in children, full
        if full in GROUPS:
            made = _grafted(Branch(help=GROUPS[full], children={}), full, entries)
            children[name] = replace(made, help=f"{made.help} {MARK}") if made.pending else made
            continue
        entry = PENDING[full]
        children[name] = Leaf(
            target=f"aiscli.commands.pending:{entry.function}",
            help=f"{entry.help} {MARK}",
            pending=True,
            instead=entry.instead,
        )
    return replace(branch, children=children)


def _resolve(path: str) -> Branch | Leaf:
    node: Branch | Leaf = _TOP
    for word in path.split():
        assert isinstance(node, Branch)
        node = node.children[word]
    return node


_TOP = _with_pending(
    Branch(
        help="Store, list, and fetch objects, and shards of them.",
        children={
            "bucket": _BUCKET,
            "object": _OBJECT,
            "archive": _ARCHIVE,
            "get-batch": _leaf(
                "get_batch",
                "get_batch",
                "Fetch many objects, files of shards, or ranges in one request.",
            ),
            "ml": _ML,
            "du": _leaf("browse", "du", "Sum up sizes by directory."),
            "find": _leaf("browse", "find", "Find objects by name, size, age, or kind."),
            "tree": _leaf("browse", "tree", "Draw the objects of a bucket as a tree."),
            "diff": _leaf("browse", "diff", "Compare two buckets, or a directory and a bucket."),
            "stat": _leaf("browse", "stat", "Show the properties of what a URI names."),
            "job": _JOB,
            "cluster": _CLUSTER,
            "performance": _PERFORMANCE,
            "log": Branch(help="Logs of the nodes.", children={"show": _LOG}),
            "show": _SHOW,
            "storage": _STORAGE,
            "config": _CONFIG,
            "alias": _ALIAS,
            "sync": _leaf(
                "sync", "sync", "Make a directory or a bucket have what another one has."
            ),
            "serve": _leaf("serve", "serve", "Serve the store over AIStore's REST API."),
            "search": _leaf(
                "search", "search", "Find commands by words, or by what others call them."
            ),
            "doctor": _leaf(
                "doctor", "doctor", "Check the installation, the settings and the store."
            ),
            "completion": _COMPLETION,
            "help": _leaf(
                "help", "help_command", "Show the help of a command: the same as --help behind it."
            ),
            "version": _leaf("version", "version", "Print the version."),
        },
    )
)

ROOT = replace(
    _TOP,
    children={**_TOP.children, **{alias: _resolve(path) for alias, path in ALIASES.items()}},
)
