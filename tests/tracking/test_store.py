"""What is told about a store that cannot be used."""

from pathlib import Path

import pytest
from mlflow_server import free_port

from eig_tune.errors import TrackingError
from eig_tune.tracking import check_store


def test_database_that_is_away_is_told_at_once_and_its_password_is_not() -> None:
    pytest.importorskip("psycopg2")
    port = free_port()
    with pytest.raises(TrackingError) as caught:
        check_store(f"postgresql+psycopg2://me:s3cret@127.0.0.1:{port}/db")
    assert f"me:***@127.0.0.1:{port}/db cannot be used" in str(caught.value)
    assert "Connection refused" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert caught.value.__cause__ is None, "what the driver says may quote the password"


def test_store_that_is_still_to_be_made_is_not_made(tmp_path: Path) -> None:
    check_store(f"sqlite:///{tmp_path}/mlflow.db")
    assert not list(tmp_path.iterdir())
