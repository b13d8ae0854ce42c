"""When an op as a whole is tried again: Redis, Postgres or the object store was away.

Three retry systems could feel responsible; each failure has one owner. A conversation's own transient error is retried
inside the engine. A run whose process died is continued by Dagster's ``run_retries``. This is the one in between.

Dagster's ``RetryPolicy`` is not used for it: it also answers an *interrupt* with a retry (dagster 1.13.27,
``op_execution_error_boundary``), so that "Terminate" in the UI would begin the op again instead of ending the run.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from vcon_platform.pipelines.lease_keeper import LeaseLost

MAX_RETRIES = 2
FIRST_WAIT_SECONDS = 2


@contextmanager
def retried(context: dg.OpExecutionContext) -> Iterator[None]:
    """Turn what is raised inside into a request for another try, but for what no try can mend."""
    try:
        yield
    except (dg.Failure, dg.RetryRequested, LeaseLost, dg.DagsterError):
        raise
    except Exception as error:
        wait = FIRST_WAIT_SECONDS * 2**context.retry_number
        raise dg.RetryRequested(max_retries=MAX_RETRIES, seconds_to_wait=wait) from error
