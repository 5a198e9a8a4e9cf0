"""Where the emulator's values come from: memory, a secrets file, and a cache in front of any store."""

from lambdasecrets.dev._stores.cached import CachedStore
from lambdasecrets.dev._stores.contract import Store, StoredParameter, StoredSecret, StoreError
from lambdasecrets.dev._stores.denying import DenyingStore
from lambdasecrets.dev._stores.in_process import MemoryStore
from lambdasecrets.dev._stores.secrets_file import SecretsFile, SecretsFileError, load_secrets_file, load_store
from lambdasecrets.dev._stores.watched import WatchedFile

__all__ = [
    "CachedStore",
    "DenyingStore",
    "MemoryStore",
    "SecretsFile",
    "SecretsFileError",
    "Store",
    "StoreError",
    "StoredParameter",
    "StoredSecret",
    "WatchedFile",
    "load_secrets_file",
    "load_store",
]
