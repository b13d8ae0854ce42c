"""An S3 server in this process."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from vcon_platform.store.objects import open_objects

_ENVIRONMENT = {"TEST_KEY": "a-key", "TEST_SECRET": "a-secret"}


@dataclass(frozen=True, slots=True)
class FakeS3:
    """A running server with one bucket."""

    port: int

    def url(self, bucket: str = "recordings", prefix: str = "calls") -> str:
        """A store's URL, as an operator would write it."""
        return (
            f"s3://{bucket}/{prefix}?endpoint=http://127.0.0.1:{self.port}&region=us-east-1&allow_http=true"
            "&access_key_id=env:TEST_KEY&secret_access_key=env:TEST_SECRET"
        )

    def objects(self, bucket: str = "recordings", prefix: str = "calls") -> Any:
        """The store there."""
        return open_objects(self.url(bucket, prefix), {**os.environ, **_ENVIRONMENT})


@contextlib.contextmanager
def fake_s3(bucket: str = "recordings") -> Iterator[FakeS3]:
    """Run one while the block runs."""
    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        _, port = server.get_host_and_port()
        boto3.client(
            "s3",
            endpoint_url=f"http://127.0.0.1:{port}",
            region_name="us-east-1",
            aws_access_key_id="a-key",
            aws_secret_access_key="a-secret",
        ).create_bucket(Bucket=bucket)
        yield FakeS3(port)
    finally:
        server.stop()
