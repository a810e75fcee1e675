"""Checkpoints in a folder and in a bucket: written, read, thrown away, and refused in one line."""

import pickle
from collections.abc import Iterator
from pathlib import Path

import pytest
from s3_server import BUCKET, KEYS, S3Server

from eig_tune.cluster.storage import Storage
from eig_tune.cluster.storage_address import named_storage
from eig_tune.errors import CheckpointError, EigTuneError, StorageError


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    running = S3Server(tmp_path_factory.mktemp("s3"))
    yield running
    running.kill()


@pytest.fixture(params=["folder", pytest.param("bucket", marks=pytest.mark.slow)])
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Storage:
    if request.param == "folder":
        return opened(str(tmp_path / "checkpoints"), tmp_path)
    for name, value in request.getfixturevalue("server").environment.items():
        monkeypatch.setenv(name, value)
    return opened(f"s3://{BUCKET}/{request.node.callspec.id}/{request.function.__name__}/", tmp_path)


def opened(uri: str | None, default: Path) -> Storage:
    """The storage of that name, found fit."""
    storage = named_storage(uri, default)
    storage.check()
    return storage


def write(storage: Storage, checkpoint: str, size: int) -> str:
    """A checkpoint as Ray writes it; its location."""
    path = f"{storage.path}/{checkpoint}"
    storage.filesystem.create_dir(path)
    with storage.filesystem.open_output_stream(f"{path}/run.json") as file:
        file.write(b"x" * size)
    return storage.location(path)


def test_checkpoint_is_read_and_deleted_where_it_lies(storage: Storage) -> None:
    location = write(storage.below("digits"), "run/trial-1/checkpoint_000000", 10)
    assert location == f"{storage.uri}/digits/run/trial-1/checkpoint_000000"
    assert storage.read(location, "run.json") == b"x" * 10
    with storage.local(location) as folder:
        assert [(file.name, file.stat().st_size) for file in folder.iterdir()] == [("run.json", 10)]
    storage.delete(location)
    storage.delete(location)
    assert storage.size() == 0
    with pytest.raises(OSError):
        storage.read(location, "run.json")


def test_only_locations_to_keep_stay(storage: Storage) -> None:
    mine, theirs = storage.below("mine"), storage.below("theirs")
    locations = [write(mine, f"run{run}/trial-{trial}/checkpoint_0", 10) for run in range(2) for trial in range(3)]
    write(mine, "run0", 5)  # what Ray leaves beside them
    write(theirs, "run0/trial-0/checkpoint_0", 7)
    mine.clear([locations[1], "/of/another/storage"])
    assert mine.size() == 10 and mine.read(locations[1], "run.json")
    mine.clear()
    mine.clear()
    assert mine.size() == 0 and theirs.size() == 7


def test_try_to_write_leaves_nothing(tmp_path: Path) -> None:
    opened(None, tmp_path / "home" / "ray")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("gs://bucket/prefix", "write a path, or s3://bucket/prefix"),
        ("s3://", "the bucket is missing"),
        ("s3://key:secret@bucket/prefix", "keys and endpoint are taken from the environment"),
        ("s3://bucket?endpoint_override=host", "keys and endpoint are taken from the environment"),
        ("/proc/no", "/proc/no cannot be written"),
    ],
)
def test_place_that_is_none_is_one_line(uri: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(EigTuneError) as refused:
        opened(uri, tmp_path)
    assert str(refused.value).startswith("--storage: ") and message in str(refused.value)
    assert "secret" not in str(refused.value) and "\n" not in str(refused.value)


@pytest.mark.slow
def test_no_bucket_wrong_keys_and_no_server_are_one_line_each(
    server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strict = S3Server(tmp_path, anybody=False)
    try:
        for endpoint, bucket, reason in (
            (server.endpoint, "no-such-bucket", "not found"),
            (strict.endpoint, BUCKET, "ACCESS_DENIED"),
            ("http://127.0.0.1:9", BUCKET, "NETWORK_CONNECTION"),
        ):
            for name, value in {**KEYS, "AWS_ENDPOINT_URL": endpoint}.items():
                monkeypatch.setenv(name, value)
            with pytest.raises(StorageError, match=f"s3://{bucket} cannot be written .*{reason}.*AWS_ENDPOINT_URL"):
                opened(f"s3://{bucket}", tmp_path)
    finally:
        strict.kill()


def test_keys_do_not_travel(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    storage = Storage("s3://bucket/prefix", "http://127.0.0.1:9", "us-east-1")
    for thing in (storage, storage.filesystem):
        assert KEYS["AWS_SECRET_ACCESS_KEY"].encode() not in pickle.dumps(thing)
        assert KEYS["AWS_ACCESS_KEY_ID"].encode() not in pickle.dumps(thing)


@pytest.mark.slow
def test_missing_checkpoint_is_reported(server: S3Server, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name, value in server.environment.items():
        monkeypatch.setenv(name, value)
    storage = opened(f"s3://{BUCKET}/missing", tmp_path)
    with pytest.raises(CheckpointError, match="is not there"), storage.local(f"s3://{BUCKET}/missing/checkpoint"):
        pass
