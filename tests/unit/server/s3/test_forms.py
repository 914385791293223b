"""Forms that browsers post, and the policies that go with them."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.server.s3.heads import head

from aiscore.server.s3.faults import S3Error
from aiscore.server.s3.forms import FIELDS_BYTES_MAX, FormParser, boundary_of
from aiscore.server.s3.post import check_policy, is_form

MARK = "XyZ"
AT = 1_790_000_000.0
ALWAYS = "2100-01-01T00:00:00.000Z"


def part(name: str, content: bytes, more: str = "") -> bytes:
    lines = f'--{MARK}\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
    return lines.encode() + content + b"\r\n"


def read(body: bytes, cuts: Sequence[int] = ()) -> tuple[list[dict[str, str]], bytes, bool]:
    seen: list[dict[str, str]] = []
    parser = FormParser(MARK, lambda fields: seen.append(dict(fields)))
    places = sorted({0, len(body), *(cut % (len(body) + 1) for cut in cuts)})
    content = b"".join(parser.take(memoryview(body)[low:high]) for low, high in pairwise(places))
    return seen, content, parser.is_complete


contents = st.one_of(
    st.binary(max_size=100),
    st.lists(st.sampled_from([b"\r\n", b"--", MARK.encode(), b"\r", b"x"]), max_size=20).map(
        b"".join
    ),
).filter(lambda content: f"\r\n--{MARK}".encode() not in b"\r\n" + content)


@given(contents, contents, st.lists(st.integers(0, 1000), max_size=10))
def test_a_form_is_read_however_it_comes(value: bytes, content: bytes, cuts: list[int]) -> None:
    text = value.decode("latin-1")
    body = part("Key", text.encode())
    body += part("file", content, '; filename="a \\"b\\".txt"\r\nContent-Type: text/plain')
    body += part("behind", b"ignored") + f"--{MARK}--\r\n".encode()
    if f"\r\n--{MARK}".encode() in b"\r\n" + text.encode():
        return
    seen, taken, is_complete = read(body, cuts)
    assert seen == [{"key": text, "filename": 'a "b".txt', "content-type": "text/plain"}]
    assert taken == content
    assert is_complete


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"nonsense that is no form", "MalformedPOSTRequest"),
        (f"--{MARK}--\r\n".encode(), "InvalidArgument"),
        (part("key", b"k") + f"--{MARK}--\r\n".encode(), "InvalidArgument"),
        (part("key", b"k") + part("KEY", b"k") + part("file", b""), "InvalidArgument"),
        (part("key", b"\xff") + part("file", b""), "MalformedPOSTRequest"),
        (f"--{MARK}\r\nX: y\r\n\r\n".encode(), "MalformedPOSTRequest"),
        (part("key", b"k" * FIELDS_BYTES_MAX), "MaxPostPreDataLengthExceeded"),
        (part("key", b"k" * FIELDS_BYTES_MAX) + part("file", b""), "MaxPostPreDataLengthExceeded"),
        (b"--%b\r\n" % MARK.encode() + b"x" * FIELDS_BYTES_MAX, "MaxPostPreDataLengthExceeded"),
    ],
)
def test_refuses_what_is_no_form(body: bytes, code: str) -> None:
    with pytest.raises(S3Error) as caught:
        read(body)
    assert caught.value.s3_code == code


def test_a_form_that_is_cut_is_not_complete() -> None:
    body = part("key", b"k") + part("file", b"content") + f"--{MARK}--".encode()
    end = body.index(f"\r\n--{MARK}--".encode())
    assert not read(body[: end + 3])[2]
    assert read(body)[1:] == (b"content", True)


def test_which_requests_are_forms() -> None:
    kind = {"Content-Type": 'multipart/form-data; boundary="a b"'}
    assert boundary_of(head("POST", "/s3/b", kind)) == "a b"
    assert is_form(head("POST", "/s3/b", kind))
    assert not is_form(head("POST", "/s3/b?delete", kind))
    assert not is_form(head("PUT", "/s3/b", kind))
    assert not is_form(head("POST", "/s3/b", {"Content-Type": "application/xml"}))
    with pytest.raises(S3Error):
        is_form(head("POST", "/s3/b", {"Content-Type": "multipart/form-data"}))


def refused(policy: object, **fields: str) -> str:
    with pytest.raises(S3Error) as caught:
        check_policy(policy, {"bucket": "b", **fields}, AT)
    return caught.value.s3_code


def test_a_policy_covers_every_field() -> None:
    conditions: list[object] = [
        {"bucket": "b"},
        ["starts-with", "$key", "a/"],
        ["content-length-range", 1, 10],
    ]
    policy = {"expiration": ALWAYS, "conditions": conditions}
    assert check_policy(policy, {"bucket": "b", "key": "a/x"}, AT) == (1, 10)
    assert refused(policy, key="b/x") == "AccessDenied"
    assert refused(policy, key="a/x", acl="public-read") == "AccessDenied"
    assert refused({**policy, "expiration": "2020-01-01T00:00:00Z"}, key="a/x") == "AccessDenied"
    assert check_policy(policy, {"bucket": "b", "key": "a/x", "x-ignore-me": "1"}, AT)


@pytest.mark.parametrize(
    "policy",
    [
        None,
        [],
        {},
        {"expiration": ALWAYS},
        {"expiration": ALWAYS, "conditions": {}},
        {"expiration": "soon", "conditions": []},
        {"expiration": 5, "conditions": []},
        {"conditions": []},
        {"expiration": ALWAYS, "conditions": ["x"]},
        {"expiration": ALWAYS, "conditions": [{}]},
        {"expiration": ALWAYS, "conditions": [["eq", "key", "x"]]},
        {"expiration": ALWAYS, "conditions": [["like", "$key", "x"]]},
        {"expiration": ALWAYS, "conditions": [["eq", "$key", 5]]},
        {"expiration": ALWAYS, "conditions": [["content-length-range", 5, 1]]},
        {"expiration": ALWAYS, "conditions": [["content-length-range", "1", "2"]]},
        {"expiration": ALWAYS, "conditions": [[["eq"], "$key", "x"]]},
    ],
)
def test_refuses_what_is_no_policy(policy: object) -> None:
    assert refused(policy) == "InvalidPolicyDocument"
