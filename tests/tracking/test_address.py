"""Addresses of MLflow stores: completed or refused, and never shown with a password."""

import re
from pathlib import Path

import pytest

from eig_tune.errors import TrackingError
from eig_tune.tracking.address import check_address, masked, usable_address, without_secrets

ADDRESSES = {
    "postgresql://me:s3cret@db:5432/mlflow": "postgresql://me:***@db:5432/mlflow",
    "postgresql+psycopg2://me:s3cret/with@both@db/mlflow": "postgresql+psycopg2://me:***@db/mlflow",
    "postgresql://db/mlflow?user=me&password=s3cret&sslmode=require": (
        "postgresql://db/mlflow?user=me&password=***&sslmode=require"
    ),
    "mysql+pymysql://me:s3cret%40x@db/mlflow?ssl_key_passwd=s3cret2": (
        "mysql+pymysql://me:***@db/mlflow?ssl_key_passwd=***"
    ),
    "postgresql://me@db/mlflow": "postgresql://me@db/mlflow",
    "sqlite:////data/mlflow.db": "sqlite:////data/mlflow.db",
    "http://server:5000": "http://server:5000",
    "databricks": "databricks",
}


@pytest.mark.parametrize("uri", ADDRESSES)
def test_password_is_masked(uri: str) -> None:
    assert masked(uri) == ADDRESSES[uri]
    assert without_secrets(f"cannot connect to {uri}", uri) == f"cannot connect to {ADDRESSES[uri]}"


def test_password_is_hidden_as_it_is_written_and_unquoted() -> None:
    uri = "postgresql://me:s3cret%40x@db/mlflow"
    assert without_secrets("dsn password=s3cret@x, url :s3cret%40x@db", uri) == "dsn password=***, url :***@db"
    assert without_secrets("password=a@b/c", "postgresql://me:a@b/c@db/mlflow") == "password=***"
    assert without_secrets("no route to db", "postgresql://me@db/mlflow") == "no route to db"


@pytest.mark.parametrize("uri", ["http://me:s3cret@server:5000", "https://token@server", "http://me:s3/cret@server"])
def test_login_in_the_address_of_a_server_is_refused(uri: str) -> None:
    with pytest.raises(TrackingError, match="MLFLOW_TRACKING_PASSWORD") as caught:
        check_address(uri, typed=[])
    assert "://server" in str(caught.value)
    assert not [secret for secret in ("s3", "cret", "token@") if secret in str(caught.value)]


def test_typed_password_is_refused_and_one_from_the_environment_is_not() -> None:
    uri = "postgresql://me:s3cret@db/mlflow"
    check_address(uri, typed=["eig-tune", "search"])
    check_address("postgresql://me@db/mlflow", typed=["--tracking-uri", "postgresql://me@db/mlflow"])
    for typed in (["--tracking-uri", uri], [f"--tracking-uri={uri}"]):
        with pytest.raises(TrackingError, match="MLFLOW_TRACKING_URI") as caught:
            check_address(uri, typed)
        assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "meant"),
    [
        ("sqlite:///a.db", "sqlite:///{cwd}/a.db"),
        ("sqlite:////data/x/../a.db", "sqlite:////data/a.db"),
        ("sqlite:///~/a.db", "sqlite:///{home}/a.db"),
        ("sqlite:////data/a%20b/c%3F.db", "sqlite+pysqlite:////data/a b/c%3F.db"),
        ("sqlite+pysqlite:////data/100%25.db", "sqlite+pysqlite:////data/100%25.db"),
        ("http://server:5000", "http://server:5000"),
        ("databricks", "databricks"),
        ("postgresql://me@db/mlflow", "postgresql+psycopg2://me@db/mlflow"),
        ("postgres://me@db/mlflow", "postgresql+psycopg2://me@db/mlflow"),
        ("postgresql+psycopg2://me:a://b@db/mlflow", "postgresql+psycopg2://me:a://b@db/mlflow"),
        ("postgresql+asyncpg://me@db/mlflow", "postgresql+asyncpg://me@db/mlflow"),
    ],
)
def test_address_is_what_mlflow_needs(given: str, meant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if "psycopg2" in meant:
        pytest.importorskip("psycopg2")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/home/me")
    assert usable_address(given) == meant.format(cwd=tmp_path.resolve(), home="/home/me")
    assert usable_address(usable_address(given)) == usable_address(given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("sqlite://", "write sqlite:///FILE"),
        ("sqlite:///", "write sqlite:///FILE"),
        ("sqlite:///:memory:", "write sqlite:///FILE"),
        ("sqlite:///file:a?mode=memory", "write sqlite:///FILE"),
        ("sqlite:///{tmp}/what?/a.db", "is written %3F"),
        ("sqlite:///{tmp}/is%20there/a.db", "write sqlite:///{tmp}/is%2520there/a.db"),
        ("sqlite:///{tmp}/folder", "is a folder"),
        ("sqlite+aiosqlite:///a.db", "write sqlite:///FILE"),
        ("postgresql+psycopg://me:s3cret@db/mlflow", "pip install psycopg[binary]"),
        ("mysql://me:s3cret@db/mlflow", "pip install pymysql or mysqlclient"),
        ("mysql+mysqldb://me:s3cret@db/mlflow", "pip install mysqlclient"),
        ("mssql://me:s3cret@db/mlflow", "pip install pyodbc"),
    ],
)
def test_address_that_cannot_be_used_is_one_line_that_says_what_would_be_right(
    given: str, message: str, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "is%20there").mkdir()
    with pytest.raises(TrackingError, match=re.escape(message.format(tmp=tmp_path))) as caught:
        usable_address(given.format(tmp=tmp_path))
    assert "\n" not in str(caught.value) and "s3cret" not in str(caught.value)
