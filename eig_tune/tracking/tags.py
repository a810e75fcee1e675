"""The tags by which eig-tune finds its runs again in MLflow."""

# search, comparison or suggestion on a parent run; trial, second-seed or confirmation below it
KIND_TAG = "eig_tune.kind"
SEARCH_TAG = "eig_tune.search_id"  # of the search, on its parent run, children and grandchildren alike
KEY_TAG = "eig_tune.trial"  # a trial's number; a further seed's with that behind a dot; not on a parent run
ENDED_TAG = "eig_tune.ended"  # set last of all: a run that has it is complete in MLflow
OBJECTIVES_TAG = "eig_tune.objectives"
CONSTRAINTS_TAG = "eig_tune.constraints"
CONFIRMATION_TAG = "confirmation"
DATA_TAG = "data_sha256"

LONGEST_TAG = 5000  # characters that MLflow's databases take; the description of a run is a tag

PARENT_TAG = "mlflow.parentRunId"
USER_TAG = "mlflow.user"
DESCRIPTION_TAG = "mlflow.note.content"


def runs_of_search(search_id: str) -> str:
    """MLflow's filter for the parent run, children and grandchildren of a search."""
    return f"tags.`{SEARCH_TAG}` = '{search_id}'"
