"""What the page of Powertools' parameters shows and the extension can serve, in our own words: the import is left open.

Each runs with Powertools' own import over AWS, and with ours over the extension, and is to give the same.
"""

from __future__ import annotations

from lambdasecrets.dev.stores import MemoryStore

THEIRS = "from aws_lambda_powertools.utilities import parameters"
OURS = "from lambdasecrets.powertools import parameters"

SECRETS = {"shop/key": "a made-up key", "shop/login": '{"user": "shop", "password": "made up"}', "shop/text": "no JSON"}
PARAMETERS = {
    "/shop/url": "https://shop.example",
    "/shop/limits": '{"items": 5}',
    "/shop/limits.json": '{"items": 7}',
    "/shop/logo": "bG9nbw==",
    "/shop/regions": "eu-central-1,eu-west-1",
}
SECURE = {"/shop/pin": "1234"}

EXAMPLES = {
    "a parameter": """
def handler(event, context):
    return parameters.get_parameter("/shop/url")
""",
    "a list, as its text": """
def handler(event, context):
    return parameters.get_parameter("/shop/regions").split(",")
""",
    "a secret": """
def handler(event, context):
    return parameters.get_secret("shop/key")
""",
    "of a provider": """
ssm, secrets = parameters.SSMProvider(), parameters.SecretsProvider()

def handler(event, context):
    return ssm.get("/shop/url"), secrets.get("shop/key")
""",
    "with cache": """
def handler(event, context):
    return [
        (parameters.get_parameter("/shop/url", max_age=60), parameters.get_secret("shop/key", max_age=60))
        for _ in range(2)
    ]
""",
    "force fetch": """
def handler(event, context):
    return parameters.get_parameter("/shop/url", force_fetch=True), parameters.get_secret("shop/key", force_fetch=True)
""",
    "transform": """
secrets = parameters.SecretsProvider()

def handler(event, context):
    limits = parameters.get_parameter("/shop/limits", transform="json")
    logo = parameters.get_parameter("/shop/logo", transform="binary")
    login = parameters.get_secret("shop/login", transform="json")
    return limits["items"], logo, login["user"], secrets.get("shop/login", transform="json")
""",
    "by name": """
def handler(event, context):
    wanted = {"/shop/url": {}, "/shop/limits": {"transform": "json", "max_age": 300}, "/shop/regions": {"max_age": 0}}
    return parameters.get_parameters_by_name(parameters=wanted, max_age=60)
""",
    "by name, the transform by the name": """
def handler(event, context):
    wanted = {"/shop/limits.json": {}, "/shop/url": {}}
    return parameters.get_parameters_by_name(wanted, transform="auto")
""",
    "by name, some decrypted": """
def handler(event, context):
    return parameters.get_parameters_by_name({"/shop/pin": {"decrypt": True}, "/shop/url": None})
""",
    "by name, errors handled": """
def handler(event, context):
    values = parameters.get_parameters_by_name({"/shop/url": {}, "/shop/nothing": {}}, raise_on_error=False)
    return values.get("_errors", []), values
""",
    "an error": """
def handler(event, context):
    try:
        return parameters.SSMProvider().get("/shop/nothing")
    except parameters.exceptions.GetParameterError as error:
        return {"failed": bool(str(error))}
""",
    "an error of a transform": """
def handler(event, context):
    try:
        return parameters.get_secret("shop/text", transform="json")
    except parameters.exceptions.TransformParameterError as error:
        return {"failed": bool(str(error))}
""",
    "decrypt": """
ssm = parameters.SSMProvider()

def handler(event, context):
    return ssm.get("/shop/pin", decrypt=True), parameters.get_parameter("/shop/pin", decrypt=True)
""",
    "options of the SDK": """
secrets = parameters.SecretsProvider()

def handler(event, context):
    return secrets.get("shop/key", VersionStage="AWSCURRENT")
""",
    "a batch of secrets": """
def handler(event, context):
    found = parameters.get_secrets_by_name(["shop/key", "shop/login"])
    return found["shop/key"], found["shop/login"], len(found)
""",
    "a batch of a provider": """
secrets = parameters.SecretsProvider()

def handler(event, context):
    return secrets.get_multiple(
        names=["shop/login", "shop/text"], max_age=600, transform="json", raise_on_transform_error=False
    )
""",
}
"""By what they show: the code, without its import."""


def put_values(store: MemoryStore) -> None:
    """Put in what the examples read."""
    for name, text in SECRETS.items():
        store.put_secret(name, text)
    for name, text in (PARAMETERS | SECURE).items():
        store.put_parameter(name, text, type="SecureString" if name in SECURE else "String")
