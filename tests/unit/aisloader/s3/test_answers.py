"""Answers in XML: what is read of them, and what is refused."""

import pytest

from aiscore.model.objects import ListEntry
from aiscore.transport.answer import MalformedAnswerError
from aisloader.s3.answers import delete_body, error_in, failed_names, listing_of, parts_body

NAMESPACE = 'xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'


def listing(*contents: str, more: str = "") -> bytes:
    inner = "".join(f"<Contents>{content}</Contents>" for content in contents)
    return f"<ListBucketResult {NAMESPACE}>{inner}{more}</ListBucketResult>".encode()


def test_a_page_of_a_listing() -> None:
    page = listing_of(
        listing(
            "<Key>a%2Fb+c%25</Key><Size>7</Size>",
            "<Key>dir/</Key><Size>0</Size>",
            more="<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>"
            "<NextContinuationToken>t/1=</NextContinuationToken>",
        ),
        "u",
    )
    assert page.entries[0] == ListEntry("a/b c%", 7)
    assert page.entries[1].is_directory
    assert page.token == "t/1="
    plain = listing_of(listing("<Key>a+b%25</Key><Size>7</Size>"), "u")
    assert (plain.entries[0].name, plain.token) == ("a+b%25", "")
    of_aistore = listing("<Key>a</Key><Size>7</Size>").replace(b"BucketResult", b"ObjectResult")
    assert listing_of(of_aistore, "u").entries == [ListEntry("a", 7)]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"<html></html>",
        b"not xml",
        b'<!DOCTYPE x [<!ENTITY a "aaaa">]>' + listing(),
        listing("<Size>7</Size>"),
        listing("<Key>a</Key><Size>-7</Size>"),
        listing(more="<IsTruncated>true</IsTruncated>"),
    ],
)
def test_what_is_no_listing_is_an_error(data: bytes) -> None:
    with pytest.raises(MalformedAnswerError):
        listing_of(data, "http://u")


def test_requests_escape_names() -> None:
    assert delete_body(["a<b>&\r"]) == (
        b"<Delete><Quiet>true</Quiet><Object><Key>a&lt;b&gt;&amp;&#13;</Key></Object></Delete>"
    )
    assert b'<PartNumber>2</PartNumber><ETag>"e"</ETag>' in parts_body([(1, "d"), (2, "e")])


def test_failures_inside_answers_of_status_200() -> None:
    failed = list(
        failed_names(
            b"<DeleteResult><Deleted><Key>b</Key></Deleted><Error><Key>a</Key><Code>AccessDenied</Code>"
            b"<Message>no\x1b</Message></Error></DeleteResult>".replace(b"\x1b", b"&#9;"),
            "u",
        )
    )
    assert failed == [("a", "AccessDenied: no?")]
    error = error_in(b"<Error><Code>InternalError</Code><Message>m</Message></Error>", "s3://b/o")
    assert error is not None
    assert error.message == "s3://b/o: InternalError: m"
    assert error_in(b"<CompleteMultipartUploadResult/>", "s3://b/o") is None
