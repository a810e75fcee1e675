"""MLflow's client with what it has no method for; importing this imports MLflow."""

from mlflow.entities import RunStatus
from mlflow.tracking import MlflowClient


class Client(MlflowClient):  # type: ignore[misc]  # MLflow has no types
    """MLflow's client."""

    def end_run(self, run_id: str, status: str, end_time: int, name: str | None) -> None:
        """End a run, under another name unless that is None, by one request where MLflow's own methods take three.

        Args:
            run_id: the run.
            status: FINISHED, KILLED or FAILED.
            end_time: in milliseconds since the epoch.
            name: of the run from now on.
        """
        self._tracking_client.store.update_run_info(run_id, RunStatus.from_string(status), end_time, name)
