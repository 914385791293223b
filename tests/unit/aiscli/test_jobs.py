"""Which jobs the words of a command line stand for."""

import pytest

from aiscli.actions.jobs import JobQuery, JobsRequest, ShowJobsRequest, read_query
from aiscore.errors import InvalidArgumentError
from aiscore.model.bucket import BucketRef
from aiscore.model.xaction import KINDS, XactionKind

COPIES = (XactionKind.COPY_BUCKET, XactionKind.COPY_OBJECTS)


@pytest.mark.parametrize(
    ("words", "query"),
    [
        ([], JobQuery()),
        (["copy-bucket"], JobQuery(label="copy-bucket", kinds=(XactionKind.COPY_BUCKET,))),
        (["copy-bck"], JobQuery(label="copy-bck", kinds=(XactionKind.COPY_BUCKET,))),
        (["copy"], JobQuery(label="copy", kinds=COPIES)),
        (["job", "copy", "t[local]"], JobQuery(label="copy", kinds=COPIES)),
        (["Zs7TODKzTIo"], JobQuery(id="Zs7TODKzTIo")),
        (["ais://b"], JobQuery(bucket=BucketRef("b"))),
        (["ais://b/", "t[x]", "copy"], JobQuery(label="copy", kinds=COPIES, bucket=BucketRef("b"))),
    ],
)
def test_words_in_any_order(words: list[str], query: JobQuery) -> None:
    assert read_query(words) == query
    assert read_query(reversed(words)) == query


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["what"], "neither the name"),
        (["cp"], "may be copy-bucket or copy-objects"),
        (["copy", "evict"], "two names"),
        (["aBcDeFgHi", "aBcDeFgHj"], "two job ids"),
        (["ais:///"], "missing bucket"),
        (["ais://b/o"], "is not a bucket"),
    ],
)
def test_words_that_say_nothing(words: list[str], reason: str) -> None:
    with pytest.raises(InvalidArgumentError, match=reason):
        read_query(words)


@pytest.mark.parametrize("kind", XactionKind)
def test_every_kind_goes_by_both_of_its_names(kind: XactionKind) -> None:
    assert read_query([kind.value]).kinds == (kind,)
    assert read_query([KINDS[kind].display]).kinds == (kind,)


def test_what_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="missing job"):
        JobsRequest(query=JobQuery())
    with pytest.raises(InvalidArgumentError, match="--top"):
        ShowJobsRequest(query=JobQuery(), top=-1)
    with pytest.raises(InvalidArgumentError, match="regular expression"):
        read_query([], "(")
