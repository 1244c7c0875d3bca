"""Writes binary files of Torch 7, so that tests have some."""

import itertools
import struct


class Lua:
    """An object of a class, with fields."""

    def __init__(self, kind, **fields):
        self.kind, self.fields = kind, fields


class Raw(bytes):
    """Bytes that go into the file as they are."""


def dump(value) -> bytes:
    """The file's bytes; an object that occurs twice is written once."""
    counter, seen = itertools.count(1), {}
    text = lambda s: struct.pack("<i", len(s)) + s.encode("latin1")

    def known(item, kind):
        if id(item) in seen:
            return struct.pack("<ii", kind, seen[id(item)][0]), True
        seen[id(item)] = next(counter), item
        return struct.pack("<ii", kind, seen[id(item)][0]), False

    def put(item) -> bytes:
        if isinstance(item, Raw):
            return bytes(item)
        if item is None:
            return struct.pack("<i", 0)
        if isinstance(item, bool):
            return struct.pack("<ii", 5, item)
        if isinstance(item, (int, float)):
            return struct.pack("<id", 1, item)
        if isinstance(item, str):
            return struct.pack("<i", 2) + text(item)
        head, again = known(item, 3 if isinstance(item, dict) else 4)
        if again:
            return head
        if isinstance(item, dict):
            return head + struct.pack("<i", len(item)) + b"".join(put(k) + put(v) for k, v in item.items())
        if isinstance(item, Lua):
            return head + text("V 1") + text(item.kind) + put(item.fields)
        return head + tensor(item)

    def tensor(item) -> bytes:
        name = {"f4": "Float", "f8": "Double", "i8": "Long"}[item.dtype.str[1:]]
        strides = [s // item.itemsize for s in item.strides]
        body = text("V 1") + text(f"torch.{name}Tensor") + struct.pack("<i", item.ndim)
        body += struct.pack(f"<{2 * item.ndim + 1}q", *item.shape, *strides, 1)
        storage = struct.pack("<ii", 4, next(counter)) + text("V 1") + text(f"torch.{name}Storage")
        return body + storage + struct.pack("<q", item.size) + item.tobytes()

    return put(value)
