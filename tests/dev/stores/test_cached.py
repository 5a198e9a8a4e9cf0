import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from lambdasecrets.dev.stores import CachedStore, MemoryStore, StoredParameter, StoredSecret, StoreError

SECONDS = 10.0


class CountingStore(MemoryStore):
    """A store that counts its calls, can hold them up, and can fail."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[str] = []
        self.inside = 0
        self.most_inside = 0
        self.arrived = threading.Semaphore(0)
        self.may_leave = threading.Event()
        self.may_leave.set()
        self.error: StoreError | None = None

    def secret(
        self,
        secret_id: str,
        *,
        version_id: str | None = None,
        version_stage: str | None = None,
        role_arn: str | None = None,
    ) -> StoredSecret:
        self._pass_through(secret_id)
        return super().secret(secret_id, version_id=version_id, version_stage=version_stage, role_arn=role_arn)

    def parameter(
        self, name: str, *, version: int | None = None, label: str | None = None, decrypt: bool = False
    ) -> StoredParameter:
        self._pass_through(name)
        return super().parameter(name, version=version, label=label, decrypt=decrypt)

    def _pass_through(self, name: str) -> None:
        with self._lock:
            self.calls.append(name)
            self.inside += 1
            self.most_inside = max(self.most_inside, self.inside)
        self.arrived.release()
        assert self.may_leave.wait(SECONDS)
        with self._lock:
            self.inside -= 1
        if self.error is not None:
            raise self.error


class Clock:
    """A clock that a test turns."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def clock() -> Clock:
    """Stop the time."""
    return Clock()


@pytest.fixture
def store() -> CountingStore:
    """Make a store with three secrets and three parameters."""
    store = CountingStore()
    for name in "abc":
        store.put_secret(name, f"secret {name}")
        store.put_parameter(name, f"parameter {name}", labels=("Dev",), type="SecureString")
    return store


def test_within_its_time_a_value_is_kept(store: CountingStore, clock: Clock) -> None:
    """A store is asked once within the time to live, and again when it is over."""
    cache = CachedStore(store, secrets_ttl=300, clock=clock)
    first = cache.secret("a")
    store.put_secret("a", "new")
    clock.seconds += 299.9
    kept = cache.secret("a")
    clock.seconds += 0.1

    assert (kept.string, cache.secret("a").string) == (first.string, "new")
    assert store.calls == ["a", "a"]


def test_secrets_and_parameters_have_times_of_their_own(store: CountingStore, clock: Clock) -> None:
    """Each backend has its own time to live; 0 turns its cache off."""
    cache = CachedStore(store, secrets_ttl=0, parameters_ttl=10, clock=clock)
    for _ in range(2):
        assert cache.secret("a").string == "secret a"
        assert cache.parameter("b", decrypt=True).value == "parameter b"

    assert store.calls == ["a", "b", "a"]


def test_every_selector_is_part_of_the_key(store: CountingStore, clock: Clock) -> None:
    """Requests that differ in version, stage, label or decryption do not share an entry."""
    cache = CachedStore(store, clock=clock)
    version_id = cache.secret("a").version_id
    asked: list[Callable[[], StoredSecret | StoredParameter]] = [
        lambda: cache.secret("a"),
        lambda: cache.secret("a", version_id=version_id),
        lambda: cache.secret("a", version_stage="AWSCURRENT"),
        lambda: cache.parameter("a"),
        lambda: cache.parameter("a", decrypt=True),
        lambda: cache.parameter("a", version=1),
        lambda: cache.parameter("a", label="Dev"),
    ]
    for ask in [*asked, *asked]:
        ask()

    assert len(store.calls) == len(asked)


def test_the_least_recently_used_leaves_first(store: CountingStore, clock: Clock) -> None:
    """When the cache is full, the entry that was not used for the longest time makes room."""
    cache = CachedStore(store, size=2, clock=clock)
    for name in ("a", "b", "a", "c", "a", "b"):
        cache.secret(name)

    assert store.calls == ["a", "b", "c", "b"]


def test_a_size_of_zero_turns_the_cache_off(store: CountingStore, clock: Clock) -> None:
    """Without room for entries the store is asked every time."""
    cache = CachedStore(store, size=0, clock=clock)
    for _ in range(2):
        cache.secret("a")
        cache.parameter("b")

    assert store.calls == ["a", "b", "a", "b"]


def test_errors_are_not_kept(store: CountingStore, clock: Clock) -> None:
    """After an error the store is asked again."""
    cache = CachedStore(store, clock=clock)
    with pytest.raises(StoreError):
        cache.secret("d")
    store.put_secret("d", "now")

    assert cache.secret("d").string == "now"


def test_a_refresh_passes_the_cache(store: CountingStore, clock: Clock) -> None:
    """A refresh asks the store whatever is kept, and its answer is kept for the others."""
    cache = CachedStore(store, clock=clock)
    cache.secret("a")
    store.put_secret("a", "new")

    assert cache.secret("a", refresh=True).string == "new"
    assert cache.secret("a").string == "new"
    assert store.calls == ["a", "a"]


def test_equal_requests_share_a_call(store: CountingStore, clock: Clock) -> None:
    """Equal requests that meet while the store is asked get its one answer."""
    cache = CachedStore(store, clock=clock)
    store.may_leave.clear()
    with ThreadPoolExecutor(8) as pool:
        asked = [pool.submit(cache.secret, "a") for _ in range(8)]
        assert store.arrived.acquire(timeout=SECONDS)
        store.may_leave.set()
        heard = {future.result(SECONDS).string for future in asked}

    assert (heard, store.calls) == ({"secret a"}, ["a"])


def test_equal_requests_share_an_error(store: CountingStore, clock: Clock) -> None:
    """A request that joined another one gets its error too."""
    cache = CachedStore(store, clock=clock)
    store.may_leave.clear()
    store.error = StoreError("ThrottlingException", "Rate exceeded")
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(cache.secret, "a") for _ in range(2)]
        assert store.arrived.acquire(timeout=SECONDS)
        store.may_leave.set()
        heard = {str(future.exception(SECONDS)) for future in asked}

    assert (heard, cache._flights) == ({"ThrottlingException: Rate exceeded"}, {})


def test_a_refresh_does_not_join(store: CountingStore, clock: Clock) -> None:
    """A refresh asks anew even while another call is under way, which may have read the old value."""
    cache = CachedStore(store, clock=clock)
    store.may_leave.clear()
    with ThreadPoolExecutor(2) as pool:
        asked = [pool.submit(cache.secret, "a"), pool.submit(cache.secret, "a", refresh=True)]
        assert store.arrived.acquire(timeout=SECONDS)
        assert store.arrived.acquire(timeout=SECONDS)
        store.may_leave.set()
        for future in asked:
            future.result(SECONDS)

    assert (store.calls, cache._flights) == (["a", "a"], {})


def test_clearing_forgets_and_is_not_overtaken(store: CountingStore, clock: Clock) -> None:
    """After a clearing the store is asked again; what a call that began before it brings is not kept."""
    cache = CachedStore(store, clock=clock)
    cache.secret("a")
    store.may_leave.clear()
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(cache.secret, "b")
        for _ in range(2):
            assert store.arrived.acquire(timeout=SECONDS)
        cache.clear()
        store.may_leave.set()
        under_way.result(SECONDS)
    for name in "ab":
        cache.secret(name)
        cache.secret(name)

    assert (store.calls, cache._flights) == (["a", "b", "a", "b"], {})


def test_a_role_is_part_of_the_key(clock: Clock) -> None:
    """Requests with different roles do not share an entry."""
    store = MemoryStore()
    store.put_secret("a", "mine")
    store.put_secret("arn:aws:secretsmanager:us-east-1:999988887777:secret:a-AbCdEf", "theirs")
    cache = CachedStore(store, clock=clock)
    roles = [None, "arn:aws:iam::999988887777:role/r", None, "arn:aws:iam::123456789012:role/r"]

    assert [cache.secret("a", role_arn=role).string for role in roles] == ["mine", "theirs", "mine", "mine"]


def test_a_store_need_not_know_of_roles(clock: Clock) -> None:
    """A store whose `secret` takes no role is asked without one where there is none."""

    class Plain:
        def secret(self, secret_id: str, *, version_id: str | None, version_stage: str | None) -> StoredSecret:
            return MemoryStore().secret(secret_id, version_id=version_id, version_stage=version_stage)

    with pytest.raises(StoreError, match="ResourceNotFoundException"):
        CachedStore(Plain(), clock=clock).secret("a")  # type: ignore[arg-type]


@pytest.mark.parametrize("ttl", [0.0, 300.0])
def test_calls_at_once_are_limited_for_each_backend(store: CountingStore, clock: Clock, ttl: float) -> None:
    """At most `max_connections` calls for secrets and as many for parameters are in the store at once."""
    cache = CachedStore(store, secrets_ttl=ttl, parameters_ttl=ttl, max_connections=2, clock=clock)
    store.may_leave.clear()
    with ThreadPoolExecutor(6) as pool:
        asked = [pool.submit(ask, name) for name in "abc" for ask in (cache.secret, cache.parameter)]
        for _ in range(4):
            assert store.arrived.acquire(timeout=SECONDS)
        assert store.inside == 4
        store.may_leave.set()
        for future in asked:
            future.result(SECONDS)

    assert (len(store.calls), store.most_inside) == (6, 4)


@pytest.mark.parametrize(
    ("stale_on_error", "status", "served"),
    [(True, 500, True), (True, 400, False), (False, 500, False)],
)
def test_a_stale_value_on_a_transient_error(
    store: CountingStore, clock: Clock, stale_on_error: bool, status: int, served: bool
) -> None:
    """Where it is wanted, a value past its time is served when the store fails with a status of 500 or more."""
    cache = CachedStore(store, secrets_ttl=10, stale_on_error=stale_on_error, clock=clock)
    cache.secret("a")
    clock.seconds += 10
    store.error = StoreError("InternalServiceError", "An error occurred", status)

    if served:
        assert cache.secret("a").string == "secret a"
    else:
        with pytest.raises(StoreError):
            cache.secret("a")


def test_a_refresh_is_never_stale(store: CountingStore, clock: Clock) -> None:
    """Whoever wants the newest value hears that it is not to be had."""
    cache = CachedStore(store, stale_on_error=True, clock=clock)
    cache.secret("a")
    store.error = StoreError("TimeoutError", "Timeout", 504)

    with pytest.raises(StoreError, match="Timeout"):
        cache.secret("a", refresh=True)


@pytest.fixture
def describing(store: CountingStore, clock: Clock) -> CachedStore:
    """Give a cache that asks which version is current."""
    return CachedStore(store, secrets_ttl=10, describes=True, clock=clock)


def test_what_is_still_current_is_not_read_again(store: CountingStore, clock: Clock, describing: CachedStore) -> None:
    """A secret that is due is kept for as long again while the store says that its version is the current one."""
    first = store.secret("a")
    store.put_secret("a", "older than the first", stages=["blue"])
    store.calls.clear()
    asked: list[tuple[str, dict[str, Any]]] = [
        ("a", {}),
        ("a", {"version_id": first.version_id}),
        ("a", {"version_stage": "AWSCURRENT"}),
        ("a", {"version_stage": "blue"}),
        ("a", {"version_id": first.version_id, "version_stage": "AWSCURRENT"}),
    ]
    before = [describing.secret(name, **selector) for name, selector in asked]
    clock.seconds += 10
    after = [describing.secret(name, **selector) for name, selector in asked]

    assert before == after
    assert len(store.calls) == len(asked)


def test_what_is_no_more_current_is_read_again(store: CountingStore, clock: Clock, describing: CachedStore) -> None:
    """A secret whose stage has moved on is read again when it is due; the version that it was is not."""
    first = describing.secret("a")
    describing.secret("a", version_id=first.version_id)
    store.put_secret("a", "rotated")
    clock.seconds += 10
    store.calls.clear()

    assert describing.secret("a").string == "rotated"
    assert describing.secret("a", version_id=first.version_id).string == "secret a"
    assert store.calls == ["a"]


def test_a_description_that_is_denied(store: CountingStore, clock: Clock, describing: CachedStore) -> None:
    """Where the store does not say which version is current, a due value is an error and names that action."""
    describing.secret("a")
    store.deny("a")
    clock.seconds += 10

    with pytest.raises(StoreError, match="not authorized to perform: secretsmanager:DescribeSecret"):
        describing.secret("a")
    with pytest.raises(StoreError, match="not authorized to perform: secretsmanager:GetSecretValue"):
        describing.secret("a", refresh=True)


def test_there_may_be_nothing_stale(store: CountingStore, clock: Clock) -> None:
    """A transient error for a value that was never had is an error."""
    cache = CachedStore(store, stale_on_error=True, clock=clock)
    store.error = StoreError("InternalServiceError", "An error occurred", 500)

    with pytest.raises(StoreError):
        cache.secret("a")
