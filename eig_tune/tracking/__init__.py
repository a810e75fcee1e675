"""MLflow: the only part that knows it."""

from eig_tune.tracking.address import check_address, masked
from eig_tune.tracking.databases import is_local, local_uri, usable_address
from eig_tune.tracking.reader import (
    COMPLETE,
    CONFIRMATION_TAG,
    CONFIRMED,
    CONFIRMED_DEVIATION,
    TrackedSearch,
    TrackedTrial,
    download,
    has_artifact,
    read_search,
    search_provenance,
)
from eig_tune.tracking.store import OBJECTIVES_TAG, Store, check_store, find_store, open_store
from eig_tune.tracking.tracker import SearchTracker

__all__ = [
    "COMPLETE",
    "CONFIRMATION_TAG",
    "CONFIRMED",
    "CONFIRMED_DEVIATION",
    "OBJECTIVES_TAG",
    "SearchTracker",
    "Store",
    "TrackedSearch",
    "TrackedTrial",
    "check_address",
    "check_store",
    "download",
    "find_store",
    "has_artifact",
    "is_local",
    "local_uri",
    "masked",
    "open_store",
    "read_search",
    "search_provenance",
    "usable_address",
]
