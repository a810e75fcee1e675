"""MLflow: the only part that knows it."""

from eig_tune.tracking.address import check_address, masked
from eig_tune.tracking.databases import is_local, local_uri, usable_address
from eig_tune.tracking.found import SearchRun
from eig_tune.tracking.reader import (
    CONFIRMATION_TAG,
    TrackedSearch,
    TrackedTrial,
    download,
    has_artifact,
    read_search,
)
from eig_tune.tracking.store import OBJECTIVES_TAG, Store, check_store, open_store
from eig_tune.tracking.tracker import SearchTracker

__all__ = [
    "CONFIRMATION_TAG",
    "OBJECTIVES_TAG",
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
    "local_uri",
    "masked",
    "open_store",
    "read_search",
    "usable_address",
]
