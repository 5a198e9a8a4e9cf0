"""What the agent and the stand-in are asked: raw requests, of every kind that a client could send."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote

GET = "/secretsmanager/get"
TEXT = f"{GET}?secretId=text"
TOKEN = "X-Aws-Parameters-Secrets-Token: $TOKEN"
ROLE = "arn:aws:iam::111122223333:role/reader"


@dataclass(frozen=True)
class Question:
    """One or more requests on a connection of their own.

    Attributes:
        name: what is special about it.
        sent: the bytes, with `$TOKEN`, `$ARN`, `$OLD_VERSION` and the like to be filled in.
        answers: how many are due.
        is_head: the answers have no body.
        ends: the client says that nothing will follow.
        differs: why the stand-in may say something else, and why no client minds; empty where it may not.
    """

    name: str
    sent: bytes
    answers: int = 1
    is_head: bool = False
    ends: bool = False
    differs: str = ""

    def filled(self, values: Mapping[str, str]) -> bytes:
        """Return the bytes to send."""
        sent = self.sent
        for name, value in values.items():
            sent = sent.replace(f"${name}".encode(), value.encode())
        return sent


def request(
    target: str = TEXT,
    *headers: str,
    method: str = "GET",
    version: str = "HTTP/1.1",
    token: str | None = TOKEN,
    host: str | None = "Host: localhost",
    body: bytes = b"",
    end: str = "\r\n",
) -> bytes:
    """Write a request as bytes."""
    lines = [f"{method} {target} {version}", *(line for line in (host, token) if line), *headers, "", ""]
    return end.join(lines).encode("latin-1") + body


def _ask(name: str, target: str = TEXT, *headers: str, differs: str = "", **how: object) -> Question:
    return Question(name, request(target, *headers, **how), differs=differs)  # type: ignore[arg-type]


PLAIN = request()

ROUTES = (
    _ask("a text"),
    _ask("a binary value", f"{GET}?secretId=binary"),
    _ask("a JSON document", f"{GET}?secretId=json"),
    _ask("every kind of character", f"{GET}?secretId=characters"),
    _ask("60 KB", f"{GET}?secretId=large"),
    _ask("by ARN", f"{GET}?secretId=$ARN"),
    _ask("by ARN, encoded", f"{GET}?secretId=$QUOTED_ARN"),
    _ask("by an ARN without its suffix", f"{GET}?secretId=$PARTIAL_ARN"),
    _ask("a trailing slash", f"{GET}/?secretId=text"),
    _ask("two slashes first", f"/{GET}?secretId=text"),
    _ask("the path in capitals", "/SecretsManager/Get?secretId=text"),
    _ask("a path with an encoded letter", "/secretsmanager/%67et?secretId=text"),
    _ask("the root", "/"),
    _ask("an unknown path", "/x"),
    _ask("a parameter", "/systemsmanager/parameters/get?name=%2Fp"),
    _ask(
        "the stand-in's health",
        "/_lambdasecrets/health",
        differs="The stand-in answers at an address of its own, so that a container's health check finds it.",
    ),
    _ask("/v1", "/v1"),
    _ask("/v1/", "/v1/"),
    _ask("/v1/ with a name", "/v1/text"),
    _ask("/v1/ with a name and a slash", "/v1/text/"),
    _ask("/v1/ with a path as a name", "/v1/path/of/name"),
    _ask("/v1/ with an encoded name", "/v1/te%78t"),
    _ask("/v1/ with an encoded slash", "/v1/path%2Fof%2Fname"),
    _ask("/v1/ with an ARN", "/v1/$ARN"),
    _ask("/v1/ with a version", "/v1/versions?versionId=$OLD_VERSION"),
    _ask("/v1/ with a stage", "/v1/versions?versionStage=AWSPREVIOUS"),
    _ask("/v1/ with secretId", "/v1/text?secretId=text"),
    _ask("/v1/ with an unknown member", "/v1/text?withDecryption=true"),
    _ask(
        "/v1/ with dots",
        "/v1/other/../text",
        differs="The agent's URL parser takes them out; a name has none, and clients take them out themselves.",
    ),
    _ask("/v1/ with a dot", "/v1/./text", differs="As above."),
    _ask("/v1/ with dots that leave it", "/v1/../x", differs="As above."),
    _ask("/v1/ of what does not exist", "/v1/missing"),
    _ask("/v1/ with a role", f"/v1/shared?roleArn={quote(ROLE, safe='')}"),
    _ask("/ping", "/ping"),
    _ask("/ping without a token", "/ping", token=None),
    _ask("/ping with a wrong token", "/ping", token="X-Aws-Parameters-Secrets-Token: wrong"),
    _ask("/ping with a query", "/ping?x=1"),
    _ask("/ping with a slash", "/ping/"),
    _ask("/ping through a proxy", "/ping", "X-Forwarded-For: 10.0.0.1"),
)

QUERIES = (
    _ask("no query", GET),
    _ask("an empty query", f"{GET}?"),
    _ask("an empty secretId", f"{GET}?secretId="),
    _ask("secretId without a value", f"{GET}?secretId"),
    _ask("secretId twice", f"{GET}?secretId=missing&secretId=text"),
    _ask("secretId twice, the last empty", f"{GET}?secretId=text&secretId="),
    _ask("secretid", f"{GET}?secretid=text"),
    _ask("an unknown member", f"{TEXT}&withDecryption=true"),
    _ask("an unknown member first", f"{GET}?x=1&secretId=text"),
    _ask("an unknown member with an escape", f"{TEXT}&%C3%A9%22=1"),
    _ask("an ampersand at the end", f"{TEXT}&"),
    _ask("an ampersand at the beginning", f"{GET}?&secretId=text"),
    _ask("a semicolon", f"{TEXT};versionStage=AWSCURRENT"),
    _ask("two question marks", f"{GET}??secretId=text"),
    _ask("a question mark in a value", f"{GET}?secretId=te?xt"),
    _ask("a raw slash", f"{GET}?secretId=path/of/name"),
    _ask("an encoded slash", f"{GET}?secretId=path%2Fof%2Fname"),
    _ask("an encoded slash in small letters", f"{GET}?secretId=path%2fof%2fname"),
    _ask("an encoded plus", f"{GET}?secretId=odd_%2B%3D.%40-name"),
    _ask("a raw plus", f"{GET}?secretId=odd_+=.@-name"),
    _ask("an escape that is none", f"{GET}?secretId=text%zz"),
    _ask("an escape that is cut", f"{GET}?secretId=text%4"),
    _ask("an escape that is no UTF-8", f"{GET}?secretId=%ff"),
    _ask("an encoded NUL", f"{GET}?secretId=text%00"),
    _ask("an encoded line break", f"{GET}?secretId=text%0d%0ax"),
    _ask("letters beyond ASCII", f"{GET}?secretId=%C3%A9"),
    _ask("a name of 600 characters", f"{GET}?secretId={'x' * 600}"),
    _ask("a version", f"{GET}?secretId=versions&versionId=$OLD_VERSION"),
    _ask("a version that is not there", f"{GET}?secretId=versions&versionId={'0' * 32}"),
    _ask("a short version", f"{GET}?secretId=versions&versionId=short"),
    _ask("an empty version", f"{GET}?secretId=versions&versionId="),
    _ask("a stage", f"{GET}?secretId=versions&versionStage=AWSPREVIOUS"),
    _ask("a stage of one's own", f"{GET}?secretId=versions&versionStage=blue"),
    _ask("a stage that is not there", f"{GET}?secretId=versions&versionStage=green"),
    _ask("an empty stage", f"{GET}?secretId=versions&versionStage="),
    _ask("a version and its stage", f"{GET}?secretId=versions&versionId=$OLD_VERSION&versionStage=AWSPREVIOUS"),
    _ask("a version and another's stage", f"{GET}?secretId=versions&versionId=$OLD_VERSION&versionStage=AWSCURRENT"),
    _ask("stages without a label", f"{GET}?secretId=versions&versionId=$BLUE_VERSION"),
    _ask("what does not exist", f"{GET}?secretId=missing"),
    _ask("what is marked for deletion", f"{GET}?secretId=deleted"),
    *(_ask(f"refreshNow={flag}", f"{TEXT}&refreshNow={flag}") for flag in ("true", "TRUE", "1", "false", "False", "0")),
    *(_ask(f"refreshNow={flag}", f"{TEXT}&refreshNow={flag}") for flag in ("", "yes", "2", "+1", "true%20")),
    _ask("refreshNow without a value", f"{TEXT}&refreshNow"),
    _ask("refreshNow wrong, then right", f"{TEXT}&refreshNow=x&refreshNow=true"),
    _ask("refreshNow wrong, then an unknown member", f"{TEXT}&refreshNow=x&x=1"),
    _ask("an unknown member and no name", f"{GET}?x=1"),
    _ask("refreshNow wrong and no name", f"{GET}?refreshNow=x"),
    _ask("a fragment", f"{TEXT}#fragment"),
    _ask("a fragment with a member", f"{TEXT}#&x=1"),
    _ask("a role", f"{GET}?secretId=shared&roleArn={quote(ROLE, safe='')}"),
    _ask("a role with raw characters", f"{GET}?secretId=shared&roleArn={ROLE}"),
    _ask("a role for what its account has not", f"{TEXT}&roleArn={ROLE}"),
    _ask("a role with a path", f"{GET}?secretId=shared&roleArn=arn:aws:iam::111122223333:role/a/b.c@d-e_f"),
    _ask("a role in another partition", f"{GET}?secretId=shared&roleArn=arn:aws-cn:iam::111122223333:role/r"),
    _ask("no role, and another's name", f"{GET}?secretId=shared"),
    _ask("two roles", f"{GET}?secretId=shared&roleArn=bad&roleArn={ROLE}"),
    *(
        _ask(f"roleArn={role}", f"{TEXT}&roleArn={quote(role, safe='')}")
        for role in (
            "",
            "bad",
            "arn:aws:iam::11112222333:role/short",
            "arn:aws:iam::111122223333:user/u",
            "arn:aws:iam::111122223333:role/",
            "arn:aws:iam::111122223333:role/a b",
            "arn:aws:iam:eu-west-1:111122223333:role/r",
            "arn:aws:iam::111122223333:role/r\n",
            " arn:aws:iam::111122223333:role/r",
            "arn::iam::111122223333:role/r",
            "arn:aws:iam::١١١١٢٢٢٢٣٣٣٣:role/r",
            "arn:aws:iam::111122223333:role/é",
        )
    ),
    _ask("a wrong role and no name", f"{GET}?roleArn=bad"),
    _ask("a wrong role and an unknown member", f"{TEXT}&roleArn=bad&x=1"),
)

_WRONG = "X-Aws-Parameters-Secrets-Token: wrong"
_VAULT = "X-Vault-Token: $TOKEN"

TOKENS = (
    _ask("no token", token=None),
    _ask("a wrong token", token=_WRONG),
    _ask("an empty token", token="X-Aws-Parameters-Secrets-Token:"),
    _ask("a token in another case", token="X-Aws-Parameters-Secrets-Token: $UPPER_TOKEN"),
    _ask("a token with spaces around it", token="X-Aws-Parameters-Secrets-Token:  \t$TOKEN \t"),
    _ask("a token in quotes", token='X-Aws-Parameters-Secrets-Token: "$TOKEN"'),
    _ask("a token with more behind it", token="X-Aws-Parameters-Secrets-Token: $TOKENx"),
    _ask("the header's name in small letters", token="x-aws-parameters-secrets-token: $TOKEN"),
    _ask("the header's name in capitals", token="X-AWS-PARAMETERS-SECRETS-TOKEN: $TOKEN"),
    _ask("Vault's header", token=_VAULT),
    _ask("Vault's header in small letters", token="x-vault-token: $TOKEN"),
    _ask("Vault's header, wrong", token="X-Vault-Token: wrong"),
    _ask("a wrong token, then Vault's right one", TEXT, _VAULT, token=_WRONG),
    _ask("Vault's wrong token, then a right one", TEXT, TOKEN, token="X-Vault-Token: wrong"),
    _ask("both right", TEXT, _VAULT),
    _ask("both wrong", TEXT, "X-Vault-Token: wrong", token=_WRONG),
    _ask("the same header, right then wrong", TEXT, _WRONG),
    _ask("the same header, wrong then right", TEXT, TOKEN, token=_WRONG),
    _ask("the same header, right twice", TEXT, TOKEN),
    _ask("two tokens in one header", token="X-Aws-Parameters-Secrets-Token: wrong, $TOKEN"),
    _ask("Authorization", token="Authorization: $TOKEN"),
    _ask("X-Aws-Token", token="X-Aws-Token: $TOKEN"),
    _ask("the token in the query", f"{TEXT}&token=$TOKEN", token=None),
    _ask("a proxy", TEXT, "X-Forwarded-For: 10.0.0.1"),
    _ask("a proxy that says nothing", TEXT, "x-forwarded-for:"),
    _ask("a proxy without a token", TEXT, "X-Forwarded-For: 10.0.0.1", token=None),
    _ask("a proxy of the new kind", TEXT, "Forwarded: for=10.0.0.1"),
    _ask("X-Real-IP", TEXT, "X-Real-IP: 10.0.0.1"),
    _ask("a proxy, POST, an unknown path", "/x", "X-Forwarded-For: 10.0.0.1", method="POST"),
    _ask("a wrong token, POST, an unknown path", "/x", method="POST", token=_WRONG),
    _ask("POST, an unknown path", "/x", method="POST"),
    _ask("an unknown path without a token", "/x", token=None),
)

_LENGTH = "Content-Length: 5"
_CHUNKED = "Transfer-Encoding: chunked"
_CHUNKS = b"3\r\nabc\r\n0\r\n\r\n"

METHODS = (
    *(_ask(method, method=method) for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "FOO", "get")),
    Question("HEAD", request(method="HEAD"), is_head=True),
    Question("HEAD of /ping", request("/ping", method="HEAD", token=None), is_head=True),
    Question("HEAD without a token", request(method="HEAD", token=None), is_head=True),
    _ask("POST to /ping", "/ping", method="POST", token=None),
    _ask("POST with a body", TEXT, _LENGTH, method="POST", body=b"12345"),
    _ask("POST with chunks", TEXT, _CHUNKED, method="POST", body=_CHUNKS),
    _ask("POST with no length", TEXT, "Content-Length: 0", method="POST"),
    _ask("GET with a body", TEXT, _LENGTH, body=b"12345"),
    _ask("GET with chunks", TEXT, _CHUNKED, body=_CHUNKS),
    _ask("GET with chunks and trailers", TEXT, _CHUNKED, body=b"3\r\nabc\r\n0\r\nX: 1\r\n\r\n"),
    _ask("GET with chunks in capitals", TEXT, "Transfer-Encoding: Chunked", body=_CHUNKS),
    _ask("GET with a length of 0", TEXT, "Content-Length: 0"),
    _ask("GET with a length that is no number", TEXT, "Content-Length: five", body=b"12345"),
    _ask("GET with a negative length", TEXT, "Content-Length: -5", body=b"12345"),
    _ask("GET with two equal lengths", TEXT, _LENGTH, _LENGTH, body=b"12345"),
    _ask("GET with two lengths", TEXT, _LENGTH, "Content-Length: 6", body=b"12345"),
    _ask("GET with a length and chunks", TEXT, _LENGTH, _CHUNKED, body=_CHUNKS),
    _ask("GET with another transfer encoding", TEXT, "Transfer-Encoding: gzip", body=b"12345"),
    _ask("GET that expects 100", TEXT, _LENGTH, "Expect: 100-continue", body=b"12345"),
    _ask(
        "GET with a body that does not come",
        TEXT,
        "Content-Length: 50",
        differs="The stand-in reads a request to its end before it answers; a client that announces a body sends one.",
    ),
)

VERSIONS = (
    _ask("HTTP/1.0", version="HTTP/1.0"),
    _ask("HTTP/1.0 with keep-alive", TEXT, "Connection: keep-alive", version="HTTP/1.0"),
    _ask("HTTP/1.0 with Keep-Alive", TEXT, "Connection: Keep-Alive", version="HTTP/1.0"),
    _ask("HTTP/1.0 without a host", version="HTTP/1.0", host=None),
    _ask("HTTP/1.0 for an error", "/x", version="HTTP/1.0"),
    _ask("HTTP/1.1 without a host", host=None),
    _ask("HTTP/1.1 with two hosts", TEXT, "Host: other"),
    _ask("HTTP/1.1 with close", TEXT, "Connection: close"),
    _ask("HTTP/1.1 with Close", TEXT, "Connection: Close"),
    _ask("HTTP/1.1 with close among others", TEXT, "Connection: x, close"),
    _ask("HTTP/1.1 with keep-alive", TEXT, "Connection: keep-alive"),
    _ask("HTTP/1.1 with an upgrade", TEXT, "Connection: Upgrade", "Upgrade: h2c"),
    _ask("close on an error", "/x", "Connection: close"),
    _ask("HTTP/1.2", version="HTTP/1.2"),
    _ask("HTTP/2.0", version="HTTP/2.0"),
    _ask("HTTP/0.9", version="HTTP/0.9"),
    _ask("http/1.1", version="http/1.1"),
    _ask("FTP/1.1", version="FTP/1.1"),
    Question("no version", b"GET /ping\r\n\r\n"),
    Question(
        "HTTP/2 with prior knowledge",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        differs="The agent closes without a word, the stand-in says 400: no client speaks HTTP/2 without asking first.",
    ),
    Question("a TLS handshake", b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03" + b"\x00" * 32),
)

FRAMING = (
    Question("two requests at once", PLAIN * 2, answers=2),
    Question("ten requests at once", PLAIN * 10, answers=10),
    Question("three different ones at once", request() + request("/x") + request(f"{GET}?secretId=binary"), answers=3),
    Question("a close between two", request(TEXT, "Connection: close") + PLAIN, answers=2),
    Question("a HEAD, then no more", request(TEXT, "Connection: close", method="HEAD"), is_head=True),
    Question("bytes behind the body", request(TEXT, _LENGTH, body=b"12345") + PLAIN, answers=2),
    Question("line breaks before the request", b"\r\n\r\n" + PLAIN),
    Question("bare line feeds", request(end="\n")),
    Question("bare line feeds, twice", request(end="\n") * 2, answers=2),
    Question("a bare carriage return", request(end="\r"), ends=True),
    _ask("a folded header", TEXT, "X-Long: a\r\n b"),
    _ask("a header without a colon", TEXT, "X-Long"),
    _ask("a header without a name", TEXT, ": value"),
    _ask("a space before the colon", TEXT, "X-Long : value"),
    _ask("a space before the first header", host=" Host: localhost"),
    _ask("a NUL in a header", TEXT, "X-Long: a\x00b"),
    _ask("Latin-1 in a header", TEXT, "X-Long: \xe9\xff"),
    _ask("a tab in a header", TEXT, "X-Long: a\tb"),
    _ask("an odd character in a header's name", TEXT, "X(Long): a"),
    _ask("a header without a value", TEXT, "X-Long:"),
    _ask("two spaces in the first line", f" {TEXT}"),
    _ask("a space in the target", f"{GET}?secretId=a b"),
    _ask("a tab in the first line", "\t"),
    _ask("a quotation mark in the target", f'{GET}?secretId="'),
    _ask("angle brackets in the target", f"{GET}?secretId=<x>"),
    _ask("Latin-1 in the target", f"{GET}?secretId=\xe9"),
    _ask("braces in the target", f"{GET}?secretId={{x}}"),
    _ask("a caret and a bar in the target", f"{GET}?secretId=^|"),
    _ask("a backslash in the target", f"{GET}?secretId=\\"),
    Question("UTF-8 in the target", request(f"{GET}?secretId=$UTF8")),
    _ask("the absolute form", f"http://localhost{TEXT}"),
    _ask("the absolute form with a port", f"http://localhost:2773{TEXT}"),
    _ask("the absolute form of /ping", "http://localhost/ping", token=None),
    _ask(
        "the absolute form of /v1/",
        "http://localhost/v1/text",
        differs="The agent reads the host as a part of the name; the form is for proxies, which it refuses.",
    ),
    _ask("the absolute form of nothing", "http://localhost"),
    _ask("the absolute form with https", f"https://localhost{TEXT}"),
    _ask("the absolute form in capitals", f"HTTP://LOCALHOST{TEXT}"),
    _ask("the absolute form with a fragment", f"http://localhost{TEXT}#x"),
    _ask("a target without a slash", "secretsmanager/get?secretId=text"),
    _ask("a target that is a query", "?secretId=text"),
    _ask("a target that is a star", "*"),
    Question("OPTIONS *", request("*", method="OPTIONS")),
    Question("CONNECT", request("localhost:443", method="CONNECT")),
    _ask("a header of 64 KB", TEXT, f"X-Long: {'x' * 65536}"),
    _ask("a header of 300 KB", TEXT, f"X-Long: {'x' * 300_000}"),
    # At 400,000 bytes the agent itself says 431 now and then: how much of it comes at once decides.
    _ask("a header of 380 KB", TEXT, f"X-Long: {'x' * 380_000}"),
    _ask("100 headers", TEXT, *(f"X-{number}: x" for number in range(98))),
    _ask("101 headers", TEXT, *(f"X-{number}: x" for number in range(99))),
    _ask("a name of 60 KB", f"{GET}?secretId={'x' * 60_000}"),
    _ask("a name of 70 KB", f"{GET}?secretId={'x' * 70_000}"),
    Question("garbage", b"garbage\r\n\r\n"),
    Question("garbage without an end", b"\x00\x01\x02garbage", ends=True),
    Question("nothing", b"", answers=0, ends=True),
    Question("half a request", b"GET /ping HTTP", answers=0, ends=True),
    Question("half a head", b"GET /ping HTTP/1.1\r\nHost: x\r\n", answers=0, ends=True),
)

QUESTIONS = (*ROUTES, *QUERIES, *TOKENS, *METHODS, *VERSIONS, *FRAMING)
