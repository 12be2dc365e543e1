"""Read members of a zip archive that may be hostile: stored or deflated, checked before.

It does what an archive of weights needs and no more: no encryption, no parts, no ZIP64 (so less
than 4 GB). The standard library's `zipfile` would do, but importing it takes longer than reading
a MobileNet, it copies every member once more, and it lets members overlap. The layout is that of
PKWARE's APPNOTE, section 4.3.
"""

from __future__ import annotations

import struct
import zlib
from typing import BinaryIO, NamedTuple, NoReturn

from dsconv.weights.file import check_expansion, shorten

_LOCAL = struct.Struct("<4s5H3L2H")  # header in front of a member's bytes
_CENTRAL = struct.Struct("<4s6H3L5H2L")  # entry of the directory
_END = struct.Struct("<4s4H2LH")  # end of the directory
_ENCRYPTED = 0x0001
_METHODS = {0: "stored", 8: "deflated"}
_PIECE = 2**16  # compressed bytes held at once
_MOST_DIRECTORY = 2**26  # bytes; a sparse file declares any number of them


class Member(NamedTuple):
    """Describe one entry of the directory."""

    name: str
    header: int  # offset of the local header
    limit: int  # offset that its bytes must not pass: the next member, or the directory
    method: int
    stored: int  # bytes in the file
    size: int  # bytes unpacked
    crc: int


class Archive:
    """Read the directory of a zip archive, a file that is `file_bytes` long.

    ValueError is raised for anything malformed or not supported: members that repeat a name,
    overlap, leave the file, are encrypted or compressed other than by deflate; contents too large
    for the file.
    """

    def __init__(self, file: BinaryIO, file_bytes: int) -> None:
        self._file = file
        self.members: dict[str, Member] = {}
        entries, directory = self._directory(file_bytes)
        limits = {}
        limit = directory
        for member in sorted(entries, key=lambda member: member.header, reverse=True):
            limits[member.name], limit = limit, member.header
        for member in entries:
            name = shorten(member.name)
            if member.name in self.members:
                raise ValueError(f"zip member {name} is there twice")
            if member.header + _LOCAL.size + member.stored > limits[member.name]:
                raise ValueError(f"zip member {name} runs beyond its place in the file")
            if member.stored > 2 * member.size + _PIECE:  # deflate adds less than a thousandth
                raise ValueError(f"zip member {name} is longer in the file than unpacked")
            if member.method == 0 and member.stored != member.size:
                raise ValueError(f"zip member {name} declares two sizes")
            self.members[member.name] = member._replace(limit=limits[member.name])
        check_expansion((member.size for member in entries), file_bytes)

    def open(self, name: str) -> Stream:
        """Open a member at its beginning. Only the stream opened last may be read."""
        return Stream(self._file, self.members[name])

    def read(self, name: str) -> bytes:
        """Return all bytes of a member."""
        content = bytearray(self.members[name].size)
        self.readinto(name, content)
        return bytes(content)

    def readinto(self, name: str, out: bytearray | memoryview, skip: int = 0) -> None:
        """Fill `out` with all bytes of a member behind the first `skip`."""
        stream = self.open(name)
        stream.readinto(bytearray(skip))
        stream.readinto(out)
        stream.finish()

    def _directory(self, file_bytes: int) -> tuple[list[Member], int]:
        """Return entries as they are declared, and the offset of the directory."""
        self._file.seek(max(file_bytes - _END.size - 0xFFFF, 0))
        tail = self._file.read()
        at = tail.rfind(b"PK\x05\x06")
        if at < 0 or len(tail) - at < _END.size:
            raise ValueError("the zip archive is truncated: its directory is missing")
        fields = _END.unpack_from(tail, at)
        _, disk, first_disk, on_disk, count, length, start, comment = fields
        if at + _END.size + comment != len(tail):
            raise ValueError("the zip archive does not end with its directory")
        if disk or first_disk or on_disk != count:
            raise ValueError("a zip archive in several parts is not supported")
        if count == 0xFFFF or 0xFFFFFFFF in (length, start):
            raise ValueError("a ZIP64 archive (4 GB or more) is not supported")
        if length > _MOST_DIRECTORY:
            raise ValueError(
                f"a zip directory of {length} bytes; at most {_MOST_DIRECTORY} are read"
            )
        if start + length > file_bytes - len(tail) + at:
            raise ValueError("the zip directory lies outside the file")
        self._file.seek(start)
        directory = self._file.read(length)
        entries = []
        at = 0
        for _ in range(count):
            member, at = _entry(directory, at)
            entries.append(member)
        if at != length:
            raise ValueError("the zip directory is longer than its entries")
        return entries, start


def _entry(directory: bytes, at: int) -> tuple[Member, int]:
    """Return the entry at offset `at` of the directory, and where the next one begins."""
    if at + _CENTRAL.size > len(directory) or not directory.startswith(b"PK\x01\x02", at):
        raise ValueError("the zip directory is damaged")
    fields = _CENTRAL.unpack_from(directory, at)
    flags, method, crc, stored, size = fields[3], fields[4], *fields[7:10]
    name_length, extra, comment, disk, header = *fields[10:14], fields[16]
    at += _CENTRAL.size
    name = directory[at : at + name_length].decode()
    if flags & _ENCRYPTED:
        raise ValueError(f"zip member {shorten(name)} is encrypted")
    if method not in _METHODS:
        raise ValueError(
            f"zip member {shorten(name)} has compression method {method}; "
            "allowed are 0 (stored) and 8 (deflated)"
        )
    if disk or 0xFFFFFFFF in (stored, size, header):
        raise ValueError(f"zip member {shorten(name)} is in parts or of 4 GB or more")
    return Member(name, header, 0, method, stored, size, crc), at + name_length + extra + comment


class Stream:
    """Read the bytes of one member, in order; `finish` checks that they were the declared ones."""

    def __init__(self, file: BinaryIO, member: Member) -> None:
        self._file = file
        self._member = member
        self._left = member.size  # unpacked bytes not read yet
        self._stored_left = member.stored  # bytes of the file not read yet
        self._crc = 0
        self._inflater = zlib.decompressobj(-zlib.MAX_WBITS) if member.method else None
        file.seek(member.header)
        header = file.read(_LOCAL.size)
        if len(header) < _LOCAL.size or not header.startswith(b"PK\x03\x04"):
            self._fail("has no header")
        name_length, extra = _LOCAL.unpack(header)[-2:]
        if file.read(name_length) != member.name.encode():
            self._fail("has another name in its header")
        if member.header + _LOCAL.size + name_length + extra + member.stored > member.limit:
            self._fail("runs beyond its place in the file")
        file.read(extra)

    def readinto(self, out: bytearray | memoryview) -> None:
        """Fill `out` (writable bytes) with the bytes that come next."""
        if len(out) > self._left:
            self._fail(f"ends early: {len(out)} bytes asked for, {self._left} left")
        view = memoryview(out)
        if self._inflater:
            self._inflate(view, self._inflater)
        elif self._file.readinto(view) != len(view):  # type: ignore[attr-defined]
            self._fail("is cut off")
        self._left -= len(view)
        self._crc = zlib.crc32(view, self._crc)

    def finish(self) -> None:
        """Raise ValueError unless the whole member was read and its checksum is right."""
        if self._left:
            self._fail(f"has {self._left} bytes too many")
        if self._inflater:
            rest = self._inflater.unconsumed_tail + self._file.read(self._stored_left)
            surplus = self._decompress(self._inflater, rest, 1)
            if surplus or not self._inflater.eof or self._inflater.unused_data:
                self._fail("does not unpack to its declared size")
        if self._crc != self._member.crc:
            self._fail("is damaged (CRC-32 differs)")

    def _inflate(self, view: memoryview, inflater: zlib._Decompress) -> None:
        done = 0
        while done < len(view):
            packed = inflater.unconsumed_tail
            if not packed:
                packed = self._file.read(min(self._stored_left, _PIECE))
                self._stored_left -= len(packed)
            if not packed or inflater.eof:
                self._fail("does not unpack to its declared size")
            piece = self._decompress(inflater, packed, min(len(view) - done, 16 * _PIECE))
            view[done : done + len(piece)] = piece
            done += len(piece)

    def _decompress(self, inflater: zlib._Decompress, packed: bytes, limit: int) -> bytes:
        try:
            return inflater.decompress(packed, limit)
        except zlib.error:
            self._fail("is damaged (deflate)")

    def _fail(self, what: str) -> NoReturn:
        raise ValueError(f"zip member {shorten(self._member.name)} {what}")
