"""How the store under load is reached: the one place that opens it, in the coordinator and in each worker process."""

import os
from dataclasses import replace
from typing import TYPE_CHECKING, cast

from aiscore.model.cluster import NodeRole
from aisloader.params import Params

if TYPE_CHECKING:
    from aiscore.transport.base import Transport
    from aiscore.transport.options import ConnectionOptions
    from aiscore.transport.tracing import Tracer
    from aisloader.s3 import S3Store

__all__ = ["connection_of", "gateways_of", "open_s3", "open_store"]

PART_CONNECTIONS_MAX = 16
POOL_MAX = 10_000


def open_store(
    params: Params, gateways: tuple[str, ...] = (), tracer: "Tracer | None" = None
) -> "Transport":
    """Reach the store of a run; connections are made when they are needed.

    Args:
        params: of the run.
        gateways: of the cluster, to begin requests at one of them at random.
        tracer: follows requests.

    Raises:
        AisError: the store cannot be reached as asked.
    """
    if params.cluster.is_s3:
        # What it does not have is refused by the rules of the parameters.
        return cast("Transport", open_s3(params, tracer))
    from aiscore.transport.registry import open_transport

    connection = connection_of(params)
    if connection is not None:
        connection = replace(connection, gateways=gateways, tracer=tracer)
    return open_transport(params.cluster.endpoint or None, connection=connection)


def gateways_of(params: Params) -> tuple[str, ...]:
    """The proxies on the map of a cluster that are not on their way out, as URLs."""
    from aiscore.transport.remote_cluster import cluster_map
    from aiscore.transport.session import Session

    connection = connection_of(params)
    assert connection is not None
    with Session(params.cluster.endpoint, connection) as session:
        nodes = cluster_map(session).nodes
    return tuple(
        node.url for node in nodes if node.role is NodeRole.PROXY and node.is_online and node.url
    )


def open_s3(params: Params, tracer: "Tracer | None" = None) -> "S3Store":
    """The bucket of a run at its S3 endpoint.

    Raises:
        UnsupportedError: what signs requests is not installed.
        AccessDeniedError: there are no credentials.
    """
    from aisloader.s3 import S3Store
    from aisloader.s3.signing import Signer, region_of

    cluster = params.cluster
    options = connection_of(params)
    assert options is not None
    options = replace(options, tracer=tracer)
    if not options.ca_file and (bundle := os.environ.get("AWS_CA_BUNDLE")):
        options = replace(options, ca_file=bundle)
    signer = Signer(cluster.s3profile, region_of(cluster.s3profile, os.environ))
    return S3Store(
        cluster.s3endpoint,
        params.bucket.ref,
        signer,
        options,
        in_path=cluster.s3_use_path_style,
    )


def connection_of(params: Params) -> "ConnectionOptions | None":
    """How to connect, with the loader's own rule for retries: by default none, so that none hides in a latency."""
    if params.cluster.is_embedded:
        return None
    options = params.cluster.connection()
    per_process = max(params.workload.numworkers, 1)
    parallel = max(params.multipart.chunks, params.multipart.stream_workers, 1)
    wanted = per_process * min(parallel, PART_CONNECTIONS_MAX)
    return replace(
        options,
        retries=params.misc.retries,
        pool_size=min(max(options.pool_size, wanted), POOL_MAX),
    )
