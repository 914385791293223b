"""Summaries of buckets, and the protocol for them: the first answer is 202 and an id, later ones are asked by it.

The counts come from one scan of the index, so they are ready when the first answer goes out; they wait in the row of a
job, where every worker finds them.
"""

from aiscore.errors import InvalidArgumentError, XactionNotFoundError
from aiscore.model.bucket import BucketRef, Namespace, Provider
from aiscore.model.names import check_prefix
from aiscore.model.xaction import XactionKind
from aiscore.server.http import Request, Response, ServerContext
from aiscore.wire.messages import ActMsg, decode_value, encode_json
from aiscore.wire.names import JSON_TYPE, H, Path, Q
from aiscore.wire.props import encode_props
from aiscore.wire.summaries import BsummMsg, encode_summary

__all__ = ["bucket_info", "summarize"]


def summarize(
    context: ServerContext,
    bucket: BucketRef | None,
    scope: tuple[Provider | None, Namespace | None],
    message: ActMsg,
) -> Response:
    """GET with action `summary-bck`."""
    wanted = decode_value(message.value, BsummMsg)
    if wanted.uuid:
        body = encode_json(_result(context, wanted.uuid))
        return Response(200, [(H.CONTENT_TYPE, JSON_TYPE)], body)
    job_id = _count(context, bucket, scope, check_prefix(wanted.prefix))
    return Response(202, [(H.CONTENT_TYPE, "text/plain; charset=utf-8")], job_id.encode())


def bucket_info(context: ServerContext, request: Request, bucket: BucketRef) -> Response:
    """HEAD with `bsumm_remote`: properties, and counts in a header."""
    store = context.node.store
    props = (H.BUCKET_PROPS, encode_props(store.head_bucket(bucket)))
    job_id = request.query.get(Q.UUID, "")
    if not job_id:
        prefix = request.path.removeprefix(f"{Path.BUCKETS}/{bucket.name}").lstrip("/")
        job_id = _count(context, bucket, (None, None), check_prefix(prefix))
        return Response(202, [props, (H.XACTION_ID, job_id)])
    result = _result(context, job_id)
    if len(result) != 1:
        raise InvalidArgumentError(f'job "{job_id}" is not a summary of {bucket}')
    text = encode_json(result[0]).decode()
    return Response(200, [props, (H.BUCKET_SUMMARY, text)])


def _count(
    context: ServerContext,
    bucket: BucketRef | None,
    scope: tuple[Provider | None, Namespace | None],
    prefix: str,
) -> str:
    store = context.node.store
    buckets = [bucket] if bucket is not None else store.list_buckets(*scope)
    for ref in buckets:
        store.head_bucket(ref)
    with store.start_xaction(XactionKind.SUMMARY, bucket) as job:
        results = []
        for ref in buckets:
            summary = store.summarize_bucket(ref, prefix)
            results.append(encode_summary(summary))
            job.step(summary.object_count, summary.size)
        job.ext["summary"] = results
    return job.id


def _result(context: ServerContext, job_id: str) -> list[object]:
    snap = context.node.store.find_xaction(job_id)
    result = snap.ext.get("summary")
    if snap.kind is not XactionKind.SUMMARY or not isinstance(result, list):
        raise XactionNotFoundError(f'summary "{job_id}" does not exist')
    return result
