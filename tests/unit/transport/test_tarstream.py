"""The tar of a GetBatch as it comes: strict, bounded, whatever the blocks it comes in."""

import io
import random
import tarfile

import pytest

from aiscore.errors import ProtocolError
from aiscore.transport.tarstream import BUFFER_SIZE, TAR_END, TarStream

MEMBERS = [
    ("a", b""),
    ("dir/b.bin", b"x" * 511),
    ("c", b"y" * 512),
    ("ünï/日本", b"z" * 513),
    ("n" * 90 + "/" + "m" * 95, b"name with a prefix"),
    ("large", random.Random(1).randbytes(BUFFER_SIZE * 2 + 7)),
    ("last", b"!"),
]
DIALECTS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def build(dialect: int = tarfile.PAX_FORMAT, members: list[tuple[str, bytes]] = MEMBERS) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=dialect) as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def stream(data: bytes, step: int = 1 << 30) -> TarStream:
    file = io.BytesIO(data)
    return TarStream(lambda view: file.readinto(view[:step]), "http://peer")


def members(tar: TarStream) -> list[tuple[str, bytes]]:
    found = []
    while (member := tar.next()) is not None:
        found.append((member.name.decode(), tar.read()))
    return found


class TestReading:
    @pytest.mark.parametrize("dialect", DIALECTS)
    @pytest.mark.parametrize("step", [1, 7, 511, 512, 513, 10_000, 1 << 30])
    def test_members_come_whole_whatever_the_blocks(self, dialect: int, step: int) -> None:
        chosen = MEMBERS if step > 100 else [m for m in MEMBERS if m[0] != "large"]
        assert members(stream(build(dialect, chosen), step)) == chosen

    @pytest.mark.parametrize("dialect", DIALECTS[1:])
    def test_names_that_no_header_holds(self, dialect: int) -> None:
        chosen = [("n" * 300 + "/" + "m" * 200, b"x"), ("ü" * 200, b"y")]
        assert members(stream(build(dialect, chosen))) == chosen

    def test_members_may_be_left_unread(self) -> None:
        tar = stream(build())
        names = []
        while (member := tar.next()) is not None:
            names.append(member.name.decode())
            if len(names) % 2:
                tar.readinto(memoryview(bytearray(3)))
        assert names == [name for name, _ in MEMBERS]

    def test_header_is_given_as_it_came(self) -> None:
        data = build()
        tar = stream(data)
        out = b""
        while (member := tar.next()) is not None:
            content = tar.read()
            out += member.header + content + bytes(-len(content) % 512)
        assert data.startswith(out)
        assert tar.next() is None

    def test_large_size_needs_no_memory_before_it_comes(self) -> None:
        info = tarfile.TarInfo("m")
        info.size = 1 << 50
        tar = stream(info.tobuf(tarfile.GNU_FORMAT) + bytes(5000))
        member = tar.next()
        assert member is not None
        assert member.size == 1 << 50
        with pytest.raises(ProtocolError, match="ended early"):
            tar.read()


class TestRefusing:
    def test_cut_anywhere_is_an_error_that_a_retry_can_help(self) -> None:
        data = build(members=[m for m in MEMBERS if m[0] != "large"])
        end = data.rindex(b"!") + 512
        end += -end % 512 + 1024 - 1
        for cut in [*range(0, end, 97), *range(512 * 3 - 3, 512 * 3 + 3), end]:
            with pytest.raises(ProtocolError) as info:
                members(stream(data[: min(cut, end)]))
            assert info.value.retryable, cut

    @pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"5", b"6", b"S", b"K", b"V"])
    def test_other_entries_are_refused(self, kind: bytes) -> None:
        info = tarfile.TarInfo("m")
        info.type = kind
        info.linkname = "/etc/passwd"
        with pytest.raises(ProtocolError, match="entry of type") as error:
            stream(info.tobuf(tarfile.USTAR_FORMAT) + TAR_END).next()
        assert not error.value.retryable

    def test_damage_of_a_header_is_found(self) -> None:
        data = build(members=[("m", b"content")])
        for position in range(0, 512, 11):
            damaged = bytearray(data)
            damaged[position] ^= 0x55
            with pytest.raises(ProtocolError):
                members(stream(bytes(damaged)))

    @pytest.mark.parametrize(
        "field",
        [
            b"-0000000001\0",
            b"9999999999\0\0",
            b"\xff" * 12,
            b"\x80" + b"\xff" * 11,
            b"0x10\0" + b"\0" * 7,
        ],
    )
    def test_sizes_that_are_none(self, field: bytes) -> None:
        block = bytearray(tarfile.TarInfo("m").tobuf(tarfile.USTAR_FORMAT))
        block[124:136] = field
        block[148:156] = b" " * 8
        block[148:156] = b"%06o\0 " % sum(block)
        with pytest.raises(ProtocolError, match="has the size"):
            stream(bytes(block) + TAR_END).next()

    @pytest.mark.parametrize(
        "records",
        [
            b"11 path=abc",
            b"x path=abc\n",
            b"9999 path=abc\n",
            b"12 path=abcd",
            b"14 size=-100\n\n",
            b"5 a\n\n",
        ],
    )
    def test_extended_headers_that_are_none(self, records: bytes) -> None:
        info = tarfile.TarInfo("././@PaxHeader")
        info.type, info.size = tarfile.XHDTYPE, len(records)
        data = info.tobuf(tarfile.USTAR_FORMAT) + records + bytes(-len(records) % 512)
        with pytest.raises(ProtocolError, match="malformed"):
            stream(data + build(members=[("m", b"x")])).next()

    def test_headers_without_end_are_refused(self) -> None:
        info = tarfile.TarInfo("x")
        info.type = tarfile.XGLTYPE
        with pytest.raises(ProtocolError, match="too many"):
            stream(info.tobuf(tarfile.USTAR_FORMAT) * 20).next()
        info.size = 1 << 30
        with pytest.raises(ProtocolError, match="1073741824 bytes"):
            stream(info.tobuf(tarfile.USTAR_FORMAT)).next()

    def test_content_after_the_end_is_refused(self) -> None:
        for tail in (b"x", bytes(600) + b"y"):
            with pytest.raises(ProtocolError, match="after the end"):
                members(stream(build(members=[("m", b"x")]) + tail))
        with pytest.raises(ProtocolError, match="no end marker"):
            members(stream(bytes(512) + b"x" * 512))
