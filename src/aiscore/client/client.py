"""`Client`, the way in: an endpoint, its options, and the transport opened on first use."""

import os
import threading
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Self

from aiscore.client.batch import Batch
from aiscore.client.bucket import Bucket, parse_provider
from aiscore.client.errors import UsageError
from aiscore.model.bucket import Namespace, ObjectUri, Provider
from aiscore.transport import open_transport

if TYPE_CHECKING:
    from aiscore.client.object import Object
    from aiscore.transport.base import Transport

__all__ = ["Client", "ClientOptions", "Cluster"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """How to reach a remote store. An embedded store needs none of it and ignores all of it.

    Attributes:
        token: authorisation token; None is that of the environment.
        timeout: seconds, or (connect, read) seconds; 0 is no limit, None is the default.
        retry_config: how often and how long to retry.
        max_pool_size: connections kept open.
        skip_verify: do not check the server's certificate.
        ca_cert: path of a certificate authority's certificate.
        client_cert: path of a client certificate, or (certificate, key).
    """

    token: str | None = field(default=None, repr=False)
    timeout: float | tuple[float, float] | None = None
    retry_config: object = None
    max_pool_size: int | None = None
    skip_verify: bool = False
    ca_cert: str | None = None
    client_cert: str | tuple[str, str] | None = None


class Client:
    """A store, wherever it is. Thread-safe; a context manager.

    Making one touches nothing: the transport is opened on first use. A pickle holds the endpoint
    and the options, and what comes out of it opens its own transport, so a client can go to worker
    processes however they are started.

    Args:
        endpoint: `file:///path` for an embedded store; `http://host:port` or `https://host:port`
            for a remote one; None is what `AIS_ENDPOINT` says, and without that the embedded store
            in the default home.
        token: see `ClientOptions`, as for all that follow.
        timeout: seconds.
        retry_config: retries.
        max_pool_size: connections.
        skip_verify: trust any certificate.
        ca_cert: path.
        client_cert: path, or a pair of paths.
    """

    def __init__(
        self,
        endpoint: str | None = None,
        *,
        token: str | None = None,
        timeout: float | tuple[float, float] | None = None,
        retry_config: object = None,
        max_pool_size: int | None = None,
        skip_verify: bool = False,
        ca_cert: str | None = None,
        client_cert: str | tuple[str, str] | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._options = ClientOptions(
            token=token,
            timeout=timeout,
            retry_config=retry_config,
            max_pool_size=max_pool_size,
            skip_verify=skip_verify,
            ca_cert=ca_cert,
            client_cert=client_cert,
        )
        self._transport: Transport | None = None
        self._is_closed = False

    @property
    def endpoint(self) -> str:
        """Where the store is, as a URL."""
        return self.transport.endpoint

    @property
    def options(self) -> ClientOptions:
        """How the store is reached."""
        return self._options

    @property
    def transport(self) -> "Transport":
        """The layer below: all that the store can do, also what no method here is for.

        Raises:
            UsageError: the client is closed.
        """
        return self._transport or self._open()

    def bucket(
        self,
        bck_name: str,
        provider: Provider | str = Provider.AIS,
        namespace: Namespace | str | None = None,
    ) -> Bucket:
        """Name a bucket; asks the store nothing.

        Args:
            bck_name: name of the bucket.
            provider: `ais`, or whose bucket it is.
            namespace: `#name` or `@uuid#name`; None is the global one.

        Raises:
            InvalidArgumentError: the name, the provider or the namespace is invalid.
        """
        return Bucket(self, bck_name, provider, namespace)

    def cluster(self) -> "Cluster":
        """The store as a whole."""
        return Cluster(self)

    def list_buckets(self, provider: Provider | str | None = Provider.AIS) -> list[Bucket]:
        """Buckets sorted by provider, namespace and name; None or "" is every provider."""
        wanted = parse_provider(provider) if provider else None
        return [Bucket.of(self, ref) for ref in self.transport.list_buckets(wanted)]

    def get_object_from_url(self, url: str) -> "Object":
        """Name the object that `ais://bucket/object` says; asks the store nothing.

        Raises:
            InvalidArgumentError: not the URL of an object.
        """
        uri = ObjectUri.parse(url, require_name=True)
        return Bucket.of(self, uri.bucket).object(uri.name)

    def batch(
        self,
        objects: "Object | str | Iterable[Object | str] | None" = None,
        bucket: Bucket | None = None,
        output_format: str = ".tar",
        cont_on_err: bool = True,
        only_obj_name: bool = False,
        streaming_get: bool = True,
    ) -> Batch:
        """Start a batch: objects, members of shards or ranges of either, in one ordered request.

        Args:
            objects: the first entries; more with `Batch.add`.
            bucket: of entries that are given as names.
            output_format: `.tar`, `.tgz`, `.tar.lz4` or `.zip`; matters to `Batch.get(raw=True)`
                alone.
            cont_on_err: report an entry that cannot be read in its `err_msg` and go on; otherwise
                the first one raises.
            only_obj_name: member names of the archive without the bucket.
            streaming_get: hand out entries while others are still read; otherwise nothing before
                everything was read.
        """
        return Batch(
            self, objects, bucket, output_format, cont_on_err, only_obj_name, streaming_get
        )

    def close(self) -> None:
        """Release connections and files; safe to repeat. Close readers and batches before."""
        with _OPENING.lock:
            transport, self._transport = self._transport, None
            self._is_closed = True
        if transport is not None:
            transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def __getstate__(self) -> tuple[str | None, ClientOptions, bool]:
        # An open transport knows its home: a worker then finds it even in another environment.
        endpoint = self._transport.endpoint if self._transport else self._endpoint
        return endpoint, self._options, self._is_closed

    def __setstate__(self, state: tuple[str | None, ClientOptions, bool]) -> None:
        self._endpoint, self._options, self._is_closed = state
        self._transport = None

    def __repr__(self) -> str:
        return f"Client({self._endpoint!r})"

    def _open(self) -> "Transport":
        with _OPENING.lock:
            if self._is_closed:
                raise UsageError("the client is closed", hint="make a new one")
            if self._transport is None:
                self._transport = open_transport(self._endpoint)
            return self._transport


class Cluster:
    """The store as a whole."""

    def __init__(self, client: Client) -> None:
        self._client = client

    def list_buckets(self, provider: Provider | str | None = Provider.AIS) -> list[Bucket]:
        """As `Client.list_buckets`."""
        return self._client.list_buckets(provider)


class _Opening:
    """The one lock for opening and closing any client: both are rare, and a fork renews it."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        self.lock = threading.Lock()


_OPENING = _Opening()
# A thread may be opening while another forks; the child would wait for it for ever.
os.register_at_fork(after_in_child=_OPENING.renew)
