"""Answers of the two servers, letter by letter, written by hand from what AWS documents and what was recorded.

The emulator's tests demand that it sends these bytes, the client's tests that it reads them: so the two cannot be
wrong together. A file's last line break is not part of the answer. `golden_store` holds what they speak of.
"""

from datetime import datetime, timezone
from pathlib import Path
from typing import Final

from lambdasecrets.dev.stores import MemoryStore

SECRET_ARN: Final = "arn:aws:secretsmanager:us-east-1:123456789012:secret:s-AbCdEf"
VERSION_1: Final = "11111111-1111-4111-8111-111111111111"
VERSION_2: Final = "22222222-2222-4222-8222-222222222222"


def golden(name: str) -> bytes:
    """Read an answer's body."""
    return (Path(__file__).parent / name).read_bytes().removesuffix(b"\n")


def golden_store() -> MemoryStore:
    """Make a store that holds what the answers speak of."""
    moments = iter(
        [
            datetime(2022, 11, 16, 8, 22, 40, 499_000, tzinfo=timezone.utc),
            datetime(2022, 11, 17, 9, 0, 0, tzinfo=timezone.utc),
            datetime(2022, 11, 18, 9, 30, 0, 120_000, tzinfo=timezone.utc),
            *[datetime(2022, 11, 16, 8, 22, 40, 362_000, tzinfo=timezone.utc)] * 5,
        ]
    )
    store = MemoryStore(now=lambda: next(moments))
    store.put_secret(SECRET_ARN, '{"user":"Zoë","password":"a\\"b"}', version_id=VERSION_1)
    store.put_secret(SECRET_ARN, '{"user":"Zoë","password":"new"}', version_id=VERSION_2)
    store.put_secret(f"{SECRET_ARN[:-8]}b-GhIjKl", bytes([0, 255, 254, 62]), version_id=VERSION_1)
    store.put_parameter("/p/x", "v")
    store.put_parameter("/p/list", "eu-west-1,us-east-1", type="StringList")
    store.put_parameter("/p/secure", "pass word", type="SecureString")
    store.put_parameter("/p/versions", "first", labels=("Dev",))
    store.put_parameter("/p/versions", "second")
    return store
