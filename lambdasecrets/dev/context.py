"""What Lambda gives a handler beside the event, for where there is no Lambda."""

from __future__ import annotations

import os
import time
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from lambdasecrets.dev._stores.arns import OWN_ACCOUNT, OWN_REGION

if TYPE_CHECKING:
    from typing_extensions import Self

__all__ = ["LambdaContext"]

_DEFAULT_NAME = "function"
_DEFAULT_STREAM = "2026/01/01/[$LATEST]0123456789abcdef0123456789abcdef"


@dataclass(slots=True)
class LambdaContext:
    """What Lambda gives a handler beside the event.

    Attributes:
        function_name: AWS_LAMBDA_FUNCTION_NAME.
        function_version: AWS_LAMBDA_FUNCTION_VERSION.
        invoked_function_arn: made up of the Region, a made-up account and the name.
        memory_limit_in_mb: AWS_LAMBDA_FUNCTION_MEMORY_SIZE; a text, as in Lambda.
        aws_request_id: a new UUID.
        log_group_name: AWS_LAMBDA_LOG_GROUP_NAME.
        log_stream_name: AWS_LAMBDA_LOG_STREAM_NAME.
        tenant_id: the tenant that the function is invoked for, where it is one of a tenant-isolated function.
        ends: when the invocation's time is over, on the monotonic clock.
        identity: None: no Cognito identity calls.
        client_context: None: no mobile application calls.
    """

    function_name: str
    function_version: str
    invoked_function_arn: str
    memory_limit_in_mb: str
    aws_request_id: str
    log_group_name: str
    log_stream_name: str
    ends: float = field(repr=False)
    tenant_id: str | None = None
    identity: None = None
    client_context: None = None

    def get_remaining_time_in_millis(self) -> int:
        """Give the milliseconds that the invocation has left, 0 at the least."""
        return max(int((self.ends - time.monotonic()) * 1000), 0)

    @classmethod
    def from_environment(cls, timeout: float, *, tenant_id: str | None = None, account: str = OWN_ACCOUNT) -> Self:
        """Make the context of an invocation that begins now, as Lambda's variables describe its function.

        Args:
            timeout: seconds that it may take.
            tenant_id: the tenant that it is for.
            account: the account that the function is in, twelve digits.
        """
        variable = os.environ.get
        name = variable("AWS_LAMBDA_FUNCTION_NAME", _DEFAULT_NAME)
        region = variable("AWS_REGION", OWN_REGION)
        return cls(
            function_name=name,
            function_version=variable("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
            invoked_function_arn=f"arn:aws:lambda:{region}:{account}:function:{name}",
            memory_limit_in_mb=variable("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
            aws_request_id=str(uuid.uuid4()),
            log_group_name=variable("AWS_LAMBDA_LOG_GROUP_NAME", f"/aws/lambda/{name}"),
            log_stream_name=variable("AWS_LAMBDA_LOG_STREAM_NAME", _DEFAULT_STREAM),
            ends=time.monotonic() + timeout,
            tenant_id=tenant_id,
        )
