"""AWS on loopback: moto's server, with Secrets Manager, Parameter Store, KMS, IAM and STS behind one URL."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any

import boto3

REGION = "eu-west-1"

_STOP_SECONDS = 10.0
_CALL_SECONDS = 10.0
_POLL_SECONDS = 0.05
_START_POLLS = 1200
_SETUP = "setup"


@dataclass(frozen=True)
class AwsDouble:
    """AWS, as far as these tests need it.

    Attributes:
        url: what AWS_ENDPOINT_URL has to be.
    """

    url: str

    def client(self, service: str) -> Any:
        """Return a client for setting things up. IAM lets it through while it is not enforced."""
        session: Any = boto3.Session(_SETUP, _SETUP, _SETUP)  # its types know a service by its literal name
        return session.client(service, region_name=REGION, endpoint_url=self.url)

    def load(self) -> None:
        """Have the services imported, which moto does at a service's first request and which can take seconds."""
        self.client("secretsmanager").list_secrets()
        self.client("ssm").describe_parameters()
        self.client("kms").list_keys()
        self.environment("sts:GetCallerIdentity")

    def environment(self, *actions: str) -> dict[str, str]:
        """Return the variables of a process with a role that may do these actions, and with no more rights."""
        role = f"role-{uuid.uuid4()}"
        iam = self.client("iam")
        trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
        arn = iam.create_role(RoleName=role, AssumeRolePolicyDocument=_policy(trust))["Role"]["Arn"]
        allowed = {"Effect": "Allow", "Action": list(actions), "Resource": "*"}
        iam.put_role_policy(RoleName=role, PolicyName="allowed", PolicyDocument=_policy(allowed))
        issued = self.client("sts").assume_role(RoleArn=arn, RoleSessionName="function")["Credentials"]
        return {
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": issued["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": issued["SecretAccessKey"],
            "AWS_SESSION_TOKEN": issued["SessionToken"],
        }

    @contextmanager
    def enforcing_iam(self) -> Iterator[None]:
        """Check every signature and permission for a while."""
        self._let_pass("0")
        try:
            yield
        finally:
            self._let_pass("inf")

    def reset(self) -> None:
        """Forget everything."""
        self._post("/moto-api/reset", b"")

    def _let_pass(self, requests: str) -> None:
        self._post("/moto-api/reset-auth", requests.encode())

    def _post(self, path: str, body: bytes) -> None:
        connection = http.client.HTTPConnection(self.url.removeprefix("http://"), timeout=_CALL_SECONDS)
        with contextlib.closing(connection):
            connection.request("POST", path, body, {"Content-Type": "text/plain"})
            assert connection.getresponse().status == HTTPStatus.OK


@contextmanager
def running_aws(folder: Path) -> Iterator[AwsDouble]:
    """Run moto's server; its log goes into the folder."""
    port = _free_port()
    with (folder / "moto.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "--host", "127.0.0.1", "--port", str(port)],
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        try:
            assert any(_accepts(port) for _ in range(_START_POLLS)), "moto's server did not start"
            aws = AwsDouble(f"http://127.0.0.1:{port}")
            aws.load()
            yield aws
        finally:
            process.kill()  # nothing of it is to be kept
            process.wait(_STOP_SECONDS)


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _accepts(port: int) -> bool:
    time.sleep(_POLL_SECONDS)
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
