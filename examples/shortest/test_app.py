from app import handler

from lambdasecrets.testing import SecretsExtension


def test_handler(secrets_extension: SecretsExtension) -> None:
    secrets_extension.secrets["prod/db"] = {"password": "made-up"}
    assert handler({}, None) == 7
