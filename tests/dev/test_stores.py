from lambdasecrets.dev import stores
from lambdasecrets.dev._stores.contract import StoreError
from tests.golden import golden_store


def test_everything_visible_is_public() -> None:
    """The room shows what `__all__` lists, sorted, and nothing else."""
    visible = sorted(name for name in vars(stores) if name.isidentifier() and not name.startswith("_"))

    assert visible == sorted(stores.__all__)


def test_a_store_error_speaks_aws() -> None:
    """A store's error keeps AWS's code, sentence and status, and reads as AWS's command line prints it."""
    error = StoreError("ParameterNotFound", "Parameter /p/x not found.", 404)

    assert (error.code, error.message, error.status) == ("ParameterNotFound", "Parameter /p/x not found.", 404)
    assert str(error) == "ParameterNotFound: Parameter /p/x not found."


def test_stored_values_hide_from_repr() -> None:
    """No repr of what a store returns shows a value."""
    store = golden_store()
    shown = f"{store.secret('s')} {store.secret('b')} {store.parameter('/p/secure', decrypt=True)}"

    assert "password" not in shown
    assert "string=" not in shown
    assert "binary=" not in shown
    assert "value=" not in shown
