"""Versions of a registered model: made from a trial's bundle, found, tagged, and downloaded as a bundle again."""

import os
import re
import tempfile
import uuid
from collections.abc import Callable
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from eig_tune.errors import EigTuneError, ResultError, TrackingError
from eig_tune.hpo.candidates import ADDED
from eig_tune.paths import check_name
from eig_tune.tracking.address import missing_file
from eig_tune.tracking.champion import CHAMPION, Tags
from eig_tune.tracking.client import all_results, first_line, open_client, readable_errors
from eig_tune.tracking.duplicates import make_once
from eig_tune.tracking.limits import cut
from eig_tune.tracking.store import Store
from eig_tune.tracking.tags import LONGEST_TAG

BUNDLE = "bundle"  # the model's artifact; its folder must have this name when the model is made
MODELS = "models:/"
_MADE_TAG = "eig_tune.made"  # distinguishes the models that were made from one run
_REFERENCE = re.compile(r"models:/(?P<name>[^/:]+)(?:@(?P<alias>[\w-]+)|/(?P<number>\d+))")
_SERVED = Path(__file__).with_name("served_model.py")
_SERVED_WITH = ("mlflow", "numpy", "onnxruntime", "pandas")


def check_model_name(name: str) -> None:
    """Check that MLflow accepts the name, before anything is made.

    Raises:
        EigTuneError: it does not.
    """
    if ":" in name:  # models:/NAME@champion must be read back
        raise EigTuneError(f"--register: got {name!r}; a model's name has no colon; give another name")
    check_name(name, "--register")


def find_version(store: Store, name: str, run_id: str) -> Any | None:
    """The version of the model ``name`` that was made of this run before, or None.

    Raises:
        TrackingError: the store cannot be reached.
    """
    with readable_errors(store.uri):
        return next(iter(_versions(store.client, name, run_id)), None)


def add_version(store: Store, name: str, run_id: str, bundle: Path, example: NDArray[np.uint8], tags: Tags) -> Any:
    """Make a bundle the newest version of the model ``name``, and make that model when there is none yet.

    The run gets a link to the version; its status, times and metrics stay as they are. A model whose upload has failed
    remains pending and never becomes a version.

    Args:
        store: an open store.
        name: the registered model's.
        run_id: the trial's run.
        bundle: a folder that is called ``bundle``.
        example: images [N, C, S, S] such as the model takes.
        tags: the version's.

    Returns:
        MLflow's model version.

    Raises:
        TrackingError: the store cannot be reached, or refuses.
    """
    client = store.client
    with readable_errors(store.uri), tempfile.TemporaryDirectory() as temporary:
        from mlflow.entities import LoggedModelOutput

        model = _new_model(store, run_id)
        _save_model(Path(temporary, "model"), bundle, example, model)
        client.log_model_artifacts(model.model_id, str(Path(temporary, "model")))
        client.finalize_logged_model(model.model_id, "READY")
        client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
        if _registered(client, name) is None:
            _new_registered(client, name)
        # By its place, not as models:/ID: a sqlite store would look for that in MLflow's global store, not in itself.
        place = model.artifact_location
        return make_once(
            lambda: client.create_model_version(name, place, run_id, dict(tags), model_id=model.model_id),
            lambda: [version for version in _versions(client, name, run_id) if version.source == place],
            lambda duplicate: client.delete_model_version(name, duplicate.version),
        )


def _new_model(store: Store, run_id: str) -> Any:
    client, mark = store.client, {_MADE_TAG: uuid.uuid4().hex}
    condition = f"tags.`{_MADE_TAG}` = '{mark[_MADE_TAG]}'"
    return make_once(
        lambda: client.create_logged_model(store.experiment_id, "encoder", run_id, mark),
        lambda: list(client.search_logged_models([store.experiment_id], condition)),
        lambda duplicate: client.delete_logged_model(duplicate.model_id),
    )


def _new_registered(client: Any, name: str) -> None:
    from mlflow.exceptions import MlflowException

    try:
        client.create_registered_model(name)
    except MlflowException:
        # It is there by now if the client has repeated the request, or if another process was faster.
        if _registered(client, name) is None:
            raise


def _versions(client: Any, name: str, run_id: str) -> list[Any]:
    """The versions of a model that were made of a run, the oldest first."""
    found = all_results(lambda token: client.search_model_versions(f"run_id = '{run_id}'", page_token=token))
    return sorted((version for version in found if version.name == name), key=lambda version: int(version.version))


def update_tags(store: Store, version: Any, tags: Tags) -> None:
    """Update a version's tags: a trial may have been confirmed, or have lost its confirmation, since it was registered.

    Raises:
        TrackingError: the store cannot be reached.
    """
    with readable_errors(store.uri):
        for key, value in tags.items():
            if version.tags.get(key) != value:
                store.client.set_model_version_tag(version.name, version.version, key, value)
        for key in version.tags:
            if key.startswith(ADDED) and key not in tags:
                store.client.delete_model_version_tag(version.name, version.version, key)


def describe(store: Store, version: Any, markdown: str) -> None:
    """Set the description of a version, which the UI shows.

    Raises:
        TrackingError: the store cannot be reached.
    """
    with readable_errors(store.uri):
        store.client.update_model_version(version.name, version.version, description=cut(markdown, LONGEST_TAG))


def download_bundle(uri: str, reference: str, destination: Path) -> Path:
    """Download the bundle of a registered model, ``models:/NAME@ALIAS`` or ``models:/NAME/VERSION``.

    Returns:
        The bundle's folder, below ``destination``.

    Raises:
        ResultError: there is no such model, alias or version.
        TrackingError: the store cannot be reached, or the bundle cannot be fetched.
    """
    matched = _REFERENCE.fullmatch(reference)
    if matched is None:
        raise ResultError(f"{reference}: write a registered model as models:/NAME@{CHAMPION} or models:/NAME/3")
    if (missing := missing_file(uri)) is not None:
        raise ResultError(f"{reference}: there is no model here yet; {missing} does not exist")
    with readable_errors(uri):
        place = _place_of(open_client(uri), reference, **matched.groupdict())
    from mlflow.artifacts import download_artifacts
    from mlflow.exceptions import MlflowException

    try:
        return Path(download_artifacts(f"{place}/artifacts/{BUNDLE}", dst_path=str(destination), tracking_uri=uri))
    except (MlflowException, OSError) as error:
        raise TrackingError(f"{reference}: its bundle cannot be fetched ({first_line(error, uri)})") from error


def _place_of(client: Any, reference: str, name: str, alias: str | None, number: str | None) -> str:
    """Where the artifacts of a version lie."""
    model = _registered(client, name)
    if model is None:
        raise ResultError(f"{reference}: there is no model {name!r} here; `eig-tune best --register {name}` makes one")
    if alias is not None:
        number = model.aliases.get(alias)
        if number is None:
            raise ResultError(f"{reference}: no version of {name!r} has the alias {alias!r}")
    place = _found(lambda: client.get_model_version_download_uri(name, str(number)))
    if place is None:
        raise ResultError(f"{reference}: {name!r} has no version {number}")
    return str(place)


def _registered(client: Any, name: str) -> Any | None:
    return _found(lambda: client.get_registered_model(name))


def _found(look_up: Callable[[], Any]) -> Any | None:
    """The result of ``look_up``, or None when MLflow has no such thing."""
    from mlflow.exceptions import MlflowException

    try:
        return look_up()
    except MlflowException as error:
        if error.error_code != "RESOURCE_DOES_NOT_EXIST":
            raise
        return None


def _save_model(folder: Path, bundle: Path, example: NDArray[np.uint8], model: Any) -> None:
    """Write the MLflow model: the bundle, the code that serves it, its signature and its requirements."""
    import mlflow.pyfunc
    from mlflow.models import Model

    # Without this, MLflow adds the uv.lock and pyproject.toml of the folder in which the command was started.
    os.environ.setdefault("MLFLOW_UV_AUTO_DETECT", "false")
    mlflow.pyfunc.save_model(
        folder,
        python_model=str(_SERVED),
        artifacts={BUNDLE: str(bundle)},
        signature=_signature(),
        input_example=example,
        pip_requirements=[f"{package}=={installed(package)}" for package in _SERVED_WITH],
        mlflow_model=Model(
            artifact_path=model.artifact_location,
            run_id=model.source_run_id,
            model_uuid=model.model_id,
            model_id=model.model_id,
        ),
    )


def _signature() -> Any:
    """Any array goes in: MLflow casts JSON to the type of another signature without a word, and the model checks."""
    from mlflow.models import ModelSignature
    from mlflow.types import ColSpec, Schema, TensorSpec

    return ModelSignature(
        inputs=Schema([TensorSpec(np.dtype("O"), (-1,))]),
        outputs=Schema([ColSpec("long", "category"), ColSpec("double", "probability"), ColSpec("double", "entropy")]),
    )
