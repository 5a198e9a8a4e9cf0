"""Where the emulator's values come from: memory, a secrets file, and a cache in front of any store."""

from lambdasecrets.dev._stores.cached import CachedStore
from lambdasecrets.dev._stores.contract import Store, StoredParameter, StoredSecret, StoreError
from lambdasecrets.dev._stores.in_process import MemoryStore
from lambdasecrets.dev._stores.secrets_file import SecretsFile, SecretsFileError, load_secrets_file, load_store

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
