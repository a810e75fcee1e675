"""An S3 server as a process of its own, with one bucket."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mlflow_server import answers, free_port

KEYS = {
    "AWS_ACCESS_KEY_ID": "the-key-of-the-tests",
    "AWS_SECRET_ACCESS_KEY": "the-secret-of-the-tests",
    "AWS_DEFAULT_REGION": "us-east-1",
}
BUCKET = "artifacts"


class S3Server:
    """A server on a free port that has the bucket ``artifacts``.

    Args:
        folder: where its log lies.
        anybody: whether it takes any keys; otherwise it takes none at all.
    """

    def __init__(self, folder: Path, *, anybody: bool = True) -> None:
        port = free_port()
        self.endpoint = f"http://127.0.0.1:{port}"
        log = folder / "s3.log"
        command = [str(Path(sys.executable).with_name("moto_server")), "--port", str(port)]
        # One request asks whether it is there, one makes the bucket; then everybody needs a key that nobody has.
        doorkeeper = {} if anybody else {"INITIAL_NO_AUTH_ACTION_COUNT": "2"}
        with log.open("w") as opened:
            self._process = subprocess.Popen(command, stdout=opened, stderr=opened, env={**os.environ, **doorkeeper})
        end = time.monotonic() + 60
        while not answers(self.endpoint):
            assert time.monotonic() < end and self._process.poll() is None, log.read_text()
            time.sleep(0.2)
        self._client().create_bucket(Bucket=BUCKET)

    @property
    def environment(self) -> Mapping[str, str]:
        """What a process needs to use it."""
        return {**KEYS, "AWS_ENDPOINT_URL": self.endpoint}

    def files(self, prefix: str = "") -> list[str]:
        """Keys of what it has, without the markers of folders."""
        listing = self._client().list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        assert not listing["IsTruncated"]
        return [entry["Key"] for entry in listing.get("Contents", []) if not entry["Key"].endswith("/")]

    def kill(self) -> None:
        """End it."""
        self._process.kill()
        self._process.wait()

    def _client(self) -> Any:
        import boto3

        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=KEYS["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key=KEYS["AWS_SECRET_ACCESS_KEY"],
            region_name=KEYS["AWS_DEFAULT_REGION"],
        )
