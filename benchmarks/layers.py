"""Where the time of a hit goes: each layer with those below it, and so what each adds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

from benchmarks import contestants as ways
from benchmarks.inprocess import written_names
from benchmarks.measuring import Contestant, Rounds, closing_all, pinned, timed
from benchmarks.results import Part
from benchmarks.servers import VALUE_BYTES, serving
from lambdasecrets import _wire
from lambdasecrets._clock import make_deadline
from lambdasecrets._decorator import PLAN
from lambdasecrets._sources.local import LocalSource, Server
from lambdasecrets._transports import Address
from lambdasecrets._transports.requests import RequestsTransport
from lambdasecrets._transports.sockets import LeanTransport

TABLE = "what each layer adds to a hit"
SOCKETS = "the kernel and the server: bare sockets, one for each name"
TRANSPORT = "the transport: HTTP, connections, their time limits"
CLIENT = "the client: token, deadline, meaning of each answer, envelope"
REST = "resolver and decorator: memory, validation, arguments"
NAMES = (1, 3, 10)
FULL = 41
QUICK = 5

LAYERS = (SOCKETS, TRANSPORT, CLIENT, REST)
_TURN_SECONDS = 0.004
_SECONDS = 60.0


def measure(rounds: int) -> Part:
    """Measure the layers of the lean transport's hits, with the server on another core."""
    part = Part("layers")
    with ways.restored(), pinned(0), serving(sizes=[VALUE_BYTES], core=1) as servers:
        for names in NAMES:
            with closing_all(_layers(servers.ports[VALUE_BYTES], names)) as contestants:
                measured = timed(contestants, rounds=rounds, turn_seconds=_TURN_SECONDS)
            part.add(TABLE, written_names(names), _added(measured), "us")
    return part


def _added(measured: Rounds) -> dict[str, list[float]]:
    added = {SOCKETS: measured.wall[SOCKETS]}
    for below, layer in pairwise(LAYERS):
        both = zip(measured.wall[layer], measured.wall[below], strict=True)
        added[layer] = [whole - inner for whole, inner in both]
    return added


def _layers(port: int, names: int) -> Iterator[Contestant]:
    whole = ways.ours(REST, port, names)
    requests = getattr(ways.handler(names), PLAN).make_batch(frozenset()).requests
    paths = [request.path for request in requests]
    transport = LeanTransport(RequestsTransport)
    client = LocalSource(transport)
    server = Server(Address(_wire.HOST, port))
    address, headers = Address(_wire.HOST, port), {_wire.TOKEN_HEADER: ways.TOKEN}

    def fetch() -> object:
        return client.fetch(server, requests, make_deadline(_SECONDS), likely_cached=True)

    yield ways.bare(port, names, VALUE_BYTES, SOCKETS)
    yield Contestant(TRANSPORT, lambda: transport.exchange(address, [paths], headers, _SECONDS))
    yield Contestant(CLIENT, fetch, prepare=whole.prepare, close=transport.close)
    yield whole
