"""What the property tests share."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

bounded = settings(
    max_examples=100,
    deadline=None,  # the machine may be busy
    derandomize=True,  # the same examples in every run: a failure is never luck
    database=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the bare environment serves every example
)
