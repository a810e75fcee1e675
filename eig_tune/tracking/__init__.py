"""MLflow, which only this package imports."""

from eig_tune.tracking.address import check_address, is_local, local_uri, masked, usable_address
from eig_tune.tracking.artifacts import download, has_artifact
from eig_tune.tracking.client import check_store
from eig_tune.tracking.find_search import SearchRun
from eig_tune.tracking.pages import CLASSIFIER, SEARCHED, RunPage, RunsTable, is_server
from eig_tune.tracking.reader import TrackedSearch, TrackedTrial, read_search
from eig_tune.tracking.store import Store, open_store
from eig_tune.tracking.tags import CONFIRMATION_TAG, CONSTRAINTS_TAG, LONGEST_TAG, OBJECTIVES_TAG
from eig_tune.tracking.tracker import SearchTracker

__all__ = [
    "CLASSIFIER",
    "CONFIRMATION_TAG",
    "CONSTRAINTS_TAG",
    "LONGEST_TAG",
    "OBJECTIVES_TAG",
    "SEARCHED",
    "RunPage",
    "RunsTable",
    "SearchRun",
    "SearchTracker",
    "Store",
    "TrackedSearch",
    "TrackedTrial",
    "check_address",
    "check_store",
    "download",
    "has_artifact",
    "is_local",
    "is_server",
    "local_uri",
    "masked",
    "open_store",
    "read_search",
    "usable_address",
]
