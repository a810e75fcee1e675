"""No password of an MLflow store is ever shown."""

import pytest

from eig_tune.errors import TrackingError
from eig_tune.tracking.address import check_address, masked, without_secrets

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


def test_password_is_hidden_as_it_is_written_and_as_it_is_meant() -> None:
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
