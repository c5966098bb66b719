"""Damage to Tarantool's log of writes that leaves a valid log: records at its end or in its middle are gone.

A log has a head of text, then blocks. A block is a fixed header of 19 bytes (a magic number, the length of the body, two
checksums, padding) and a body of rows, or of rows compressed by zstd. A row is two maps of msgpack: its header, then its body.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import msgpack
import zstandard

ROWS, COMPRESSED = b"\xd5\xba\x0b\xab", b"\xd5\xba\x0b\xba"
HEADER = 19
# Keys of the maps. That of a transaction's first row is written as the distance to it.
LSN, TSN, FLAGS, SPACE_ID, TUPLE, KEY = 0x03, 0x08, 0x09, 0x10, 0x21, 0x20
COMMIT = 1


@dataclass(eq=False)
class Row:
    raw: bytes
    header: dict
    body: dict

    @property
    def transaction(self) -> int:
        """The number of the first row of the transaction."""
        return self.header[LSN] - self.header.get(TSN, 0)

    @property
    def is_inside(self) -> bool:
        """Whether it is neither the first nor the last row of a transaction."""
        return self.header.get(TSN, 0) > 0 and not self.header.get(FLAGS, 0) & COMMIT

    @property
    def is_alone(self) -> bool:
        """Whether it is a transaction."""
        return TSN not in self.header

    @property
    def space(self) -> int:
        return self.body.get(SPACE_ID)

    @property
    def key(self) -> object:
        """The first field of the primary key."""
        # An update has a key, and its operations in place of a tuple.
        return (self.body.get(KEY) or self.body.get(TUPLE) or [None])[0]


@dataclass
class Block:
    raw: bytes
    rows: list[Row]

    def without(self, rows: list[Row]) -> bytes:
        """The block without some of its rows, and then not compressed."""
        left = [row for row in self.rows if row not in rows]
        if len(left) == len(self.rows):
            return self.raw
        body = b"".join(row.raw for row in left)
        if not body:
            return b""
        head = ROWS + msgpack.packb(len(body)) + msgpack.packb(0) + b"\xce" + crc32c(body).to_bytes(4, "big")
        return head + padding(HEADER - len(head)) + body


def padding(size: int) -> bytes:
    """A string of msgpack with so many bytes in all."""
    return bytes([0xA0 | size - 1]) + bytes(size - 1) if size else b""


def crc32c(data: bytes, crc: int = 0) -> int:
    """The checksum that Tarantool gives a block: CRC-32C without the inversions of its begin and end."""
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc


def last_log(directory: Path) -> Path:
    return max(directory.glob("*.xlog"))


def read(file: Path) -> tuple[bytes, list[Block]]:
    """The head and the blocks. What a kill has left of a block at the end is left out."""
    data = file.read_bytes()
    at = data.index(b"\n\n") + 2
    head, blocks = data[:at], []
    while data[at : at + 4] in (ROWS, COMPRESSED):
        size = _length(data[at + 4 : at + HEADER])
        raw = data[at : at + HEADER + size]
        if len(raw) < HEADER + size:
            break
        body = raw[HEADER:]
        if raw.startswith(COMPRESSED):
            body = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        blocks.append(Block(raw, _rows(body)))
        at += len(raw)
    return head, blocks


def _length(header: bytes) -> int:
    unpacker = msgpack.Unpacker()
    unpacker.feed(header)
    return unpacker.unpack()


def _rows(body: bytes) -> list[Row]:
    unpacker = msgpack.Unpacker(strict_map_key=False, unicode_errors="surrogateescape", max_buffer_size=0)
    unpacker.feed(body)
    rows, begun = [], 0
    while begun < len(body):
        header, content = unpacker.unpack(), unpacker.unpack()
        rows.append(Row(body[begun : unpacker.tell()], header, content))
        begun = unpacker.tell()
    return rows


def cut(file: Path, count: int) -> bool:
    """Removes so many blocks from the end, if there are as many."""
    head, blocks = read(file)
    file.write_bytes(head + b"".join(block.raw for block in blocks[:-count]))
    return len(blocks) >= count


def drop_transactions(file: Path, is_chosen: Callable[[Row], bool]) -> bool:
    """Removes every transaction with a row that is chosen, if there is one."""
    head, blocks = read(file)
    dropped = {row.transaction for block in blocks for row in block.rows if is_chosen(row)}
    left = (block.without([row for row in block.rows if row.transaction in dropped]) for block in blocks)
    file.write_bytes(head + b"".join(left))
    return bool(dropped)


def drop_row(file: Path, is_chosen: Callable[[Row], bool]) -> bool:
    """Removes the last row that is chosen and inside a transaction, if no later row is about the same key."""
    head, blocks = read(file)
    later = set()
    for at in range(len(blocks) - 1, -1, -1):
        for row in reversed(blocks[at].rows):
            if is_chosen(row) and row.is_inside and (row.space, row.key) not in later:
                kept = [block.raw for block in blocks]
                kept[at] = blocks[at].without([row])
                file.write_bytes(head + b"".join(kept))
                return True
            later.add((row.space, row.key))
    return False
