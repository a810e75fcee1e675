"""The storage that a person names: a path, or ``s3://bucket/prefix``."""

import os
from functools import cache
from pathlib import Path

import pyarrow.fs

from eig_tune.cluster.storage import S3_SCHEME, Storage
from eig_tune.errors import EigTuneError
from eig_tune.paths import absolute

_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")


def named_storage(named: str | None, default: Path) -> Storage:
    """The storage that ``--storage`` names; it is not accessed.

    Args:
        named: a path, or ``s3://bucket/prefix``.
        default: the folder to use when none was named.

    Raises:
        EigTuneError: it is no such address.
    """
    uri = str(default) if named is None else named
    if not uri.startswith(S3_SCHEME):
        if "://" in uri:
            raise EigTuneError(f"--storage: got {uri!r}; write a path, or s3://bucket/prefix")
        return Storage(str(absolute(Path(uri), "--storage")))
    if "@" in uri or "?" in uri:
        raise EigTuneError("--storage: write s3://bucket/prefix; keys and endpoint are taken from the environment")
    bucket, _, prefix = uri.removeprefix(S3_SCHEME).strip("/").partition("/")
    if not bucket:
        raise EigTuneError(f"--storage: got {uri!r}; the bucket is missing: s3://bucket/prefix")
    endpoint = next((value for name in _ENDPOINTS if (value := os.environ.get(name))), None)
    region = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if endpoint is None and region is None:
        region = _region_of(bucket)
    return Storage("/".join(filter(None, [f"{S3_SCHEME}{bucket}", prefix])), endpoint, region)


@cache
def _region_of(bucket: str) -> str | None:
    try:
        return str(pyarrow.fs.resolve_s3_region(bucket))
    except OSError:
        return None  # the check of the storage says what is wrong
