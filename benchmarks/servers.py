"""Servers in a process of their own: they answer like the extension, with a body that is ready before it is asked for.

What a server needs is measured with every contestant, so these need as little as they can.
"""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TextIO, cast

from benchmarks.measuring import pin

VALUE_BYTES = 100
SERVED_AT_ONCE = 3
"""What the extension serves at once for each backend, by default."""

_ROOT = Path(__file__).parents[1]
_HEAD_END = b"\r\n\r\n"
_STOP_SECONDS = 10.0
_LONGEST_NAME = 4


def value(size: int) -> str:
    """Write a secret's value of so many bytes: JSON for a small model."""
    shell = json.dumps({"host": "db.internal", "password": ""})
    return json.dumps({"host": "db.internal", "password": "x" * (size - len(shell))})


def body(size: int, name: str = "s") -> bytes:
    """Write the extension's answer for a secret's value of so many bytes."""
    content: dict[str, object] = {
        "ARN": "arn:aws:secretsmanager:us-east-1:123456789012:secret:" + f"{name}-AbCdEf",
        "CreatedDate": "2022-11-16T08:22:40.499Z",
        "Name": name,
        "SecretBinary": None,
        "SecretString": value(size),
        "VersionId": "4d0dc5d8-0000-4000-8000-000000000001",
        "VersionStages": ["AWSCURRENT"],
        "ResultMetadata": {},
    }
    return json.dumps(content).encode()


@lru_cache(maxsize=256)
def answer(size: int, name: str = "s") -> bytes:
    """Write that answer with its head. Whatever the name is, it has the same length."""
    content = body(size, name)
    padding = "x" * 2 * (_LONGEST_NAME - len(name))
    head = f"HTTP/1.1 200 OK\r\nDate: Sun, 22 Nov 2026 20:33:31 GMT\r\nContent-Length: {len(content):05}"
    head += f"\r\nPadding: {padding}"
    return f"{head}\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n".encode() + content


@dataclass(frozen=True)
class Servers:
    """Servers that run.

    Attributes:
        process: their process.
        ports: by the bytes of their values, or the milliseconds of their delays.
    """

    process: int
    ports: dict[int, int]


@contextmanager
def serving(*, sizes: Sequence[int] = (), delays: Sequence[int] = (), core: int | None = None) -> Iterator[Servers]:
    """Run servers of one kind or the other.

    Args:
        sizes: bytes of a value; a server each that answers at once.
        delays: milliseconds; a server each that takes so long for an answer, and works on three at once.
        core: where they run.
    """
    kind, figures = ("sizes", sizes) if sizes else ("delays", delays)
    command = [sys.executable, "-m", "benchmarks.servers", kind, *map(str, figures)]
    with subprocess.Popen(command, cwd=_ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True) as process:
        try:
            if core is not None:
                pin(core, process.pid)
            ports = map(int, cast("TextIO", process.stdout).readline().split())
            yield Servers(process.pid, dict(zip(figures, ports, strict=True)))
        finally:
            process.terminate()
            process.wait(_STOP_SECONDS)


class _AtOnce(asyncio.Protocol):
    """Answers as many requests as have come."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.WriteTransport", transport)

    def data_received(self, data: bytes) -> None:
        *ended, self._rest = (self._rest + data).split(_HEAD_END)
        if ended:
            self._transport.write(b"".join(answer(self._size, _read_name(request)) for request in ended))


class _Delayed:
    """Answers late, and to a few at once, as the extension does while it waits for AWS."""

    def __init__(self, milliseconds: int) -> None:
        self._seconds = milliseconds / 1000
        self._free = asyncio.Semaphore(SERVED_AT_ONCE)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while (request := await _receive(reader)) is not None:
            async with self._free:
                await asyncio.sleep(self._seconds)
            writer.write(answer(VALUE_BYTES, _read_name(request)))
        writer.close()


async def _receive(reader: asyncio.StreamReader) -> bytes | None:
    """Give the next request; None where there is none."""
    try:
        return await reader.readuntil(_HEAD_END)
    except (asyncio.IncompleteReadError, ConnectionError):
        return None


def _read_name(request: bytes) -> str:
    found = re.search(rb"secretId=(\w+)", request)
    return found[1].decode() if found else "s"


async def _serve(kind: str, figures: Sequence[int]) -> None:
    loop = asyncio.get_running_loop()
    if kind == "sizes":
        servers = [await loop.create_server(partial(_AtOnce, size), "127.0.0.1", 0) for size in figures]
    else:
        servers = [await asyncio.start_server(_Delayed(delay).serve, "127.0.0.1", 0) for delay in figures]
    print(*(server.sockets[0].getsockname()[1] for server in servers), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1], [int(figure) for figure in sys.argv[2:]]))
