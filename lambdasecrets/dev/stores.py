"""Where the emulator's values come from: memory, a secrets file, and a cache in front of any store."""

from lambdasecrets.dev._cache import CachedStore
from lambdasecrets.dev._memory import MemoryStore
from lambdasecrets.dev._secrets_file import SecretsFile, SecretsFileError, load_secrets_file, load_store
from lambdasecrets.dev._store import Store, StoredParameter, StoredSecret, StoreError

__all__ = [
    "CachedStore",
    "MemoryStore",
    "SecretsFile",
    "SecretsFileError",
    "Store",
    "StoreError",
    "StoredParameter",
    "StoredSecret",
    "load_secrets_file",
    "load_store",
]
