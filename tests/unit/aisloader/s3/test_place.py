"""How a bucket is addressed, and how names become paths."""

import pytest

from aiscore.errors import InvalidArgumentError
from aisloader.s3.place import Place, check_s3_endpoint, host_header, quote_key


@pytest.mark.parametrize(
    ("url", "bucket", "in_path", "host", "path"),
    [
        ("https://s3.amazonaws.com", "bkt", False, "bkt.s3.amazonaws.com", "/k"),
        ("https://s3.amazonaws.com", "bkt", True, "s3.amazonaws.com", "/bkt/k"),
        ("http://minio:9000/", "bkt", False, "bkt.minio:9000", "/k"),
        ("minio:9000", "bkt", True, "minio:9000", "/bkt/k"),
        ("http://host/s3", "bkt", True, "host", "/s3/bkt/k"),
        ("http://host:80/s3/", "bkt", False, "bkt.host", "/s3/k"),
        # An address has no names below it; a certificate's wildcard covers no dots.
        ("http://127.0.0.1:8080/s3", "bkt", False, "127.0.0.1:8080", "/s3/bkt/k"),
        ("http://[::1]:8080", "bkt", False, "[::1]:8080", "/bkt/k"),
        ("https://s3.amazonaws.com", "a.b", False, "s3.amazonaws.com", "/a.b/k"),
        ("https://s3.amazonaws.com", "A_b", False, "s3.amazonaws.com", "/A_b/k"),
    ],
)
def test_a_bucket_is_in_the_host_or_in_the_path(
    url: str, bucket: str, in_path: bool, host: str, path: str
) -> None:
    place = Place.of(url, bucket, in_path=in_path)
    assert host_header(place.endpoint) == host
    assert place.path("k") == path
    assert place.bucket_path == (path.removesuffix("/k") or "/")


@pytest.mark.parametrize(
    ("key", "quoted"),
    [
        ("a/b-c_d.e~f", "a/b-c_d.e~f"),
        ("a b+c%20&?#=", "a%20b%2Bc%2520%26%3F%23%3D"),
        ("é/\u00df", "%C3%A9/%C3%9F"),
        ("a//b/", "a//b/"),
    ],
)
def test_names_are_encoded_once(key: str, quoted: str) -> None:
    assert quote_key(key) == quoted


@pytest.mark.parametrize(
    "url", ["ftp://h", "http://", "http://h:0", "http://h/a?b", "http://h/a b", "http://u:p@h"]
)
def test_what_is_no_endpoint_is_refused(url: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        check_s3_endpoint(url)
    assert "-s3endpoint" in str(caught.value)
    assert "u:p" not in str(caught.value)
