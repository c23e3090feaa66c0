"""An S3 server on loopback, moto's, which Flyte's storage layer uses in this process and in those that get its keys."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import pytest

from tests.support.real_processes import clean_environment, started

BUCKET = "team"


@pytest.fixture(scope="package")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables that lead to it. It has one bucket."""
    import boto3  # of the extra container-tests, which the other tests do without

    folder = tmp_path_factory.mktemp("s3")
    command = [sys.executable, "-m", "moto.server", "-p", "0"]
    with started(command, cwd=folder, env=clean_environment(folder), log=folder / "s3.log") as server:
        server.wait_for("Running on http://")
        endpoint = "http://" + server.output.split("Running on http://")[1].split()[0]
        keys = {"FLYTE_AWS_ENDPOINT": endpoint, "FLYTE_AWS_ACCESS_KEY_ID": "k", "FLYTE_AWS_SECRET_ACCESS_KEY": "s"}
        keys["AWS_REGION"] = "us-east-1"
        client = boto3.client(
            "s3", endpoint_url=endpoint, region_name="us-east-1", aws_access_key_id="k", aws_secret_access_key="s"
        )
        client.create_bucket(Bucket=BUCKET)
        os.environ |= keys
        yield keys
        for name in keys:
            del os.environ[name]
