"""docker/Dockerfile, built and searched in: every instruction of it, on a base image from debootstrap.

The lock is cut: its PyTorch is replaced by a build without CUDA, of the same version or of the newest that can be had.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from images import Image, Store, skip_unless_images_can_be_built
from mlflow_server import free_port

pytestmark = [pytest.mark.real_cluster]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
GIGABYTE, MEGABYTE = 10**9, 10**6
USERS = ("10001:10001", "4711:0")  # the image's own, and whom a platform may give it, in the group 0
SPACE = """
dataset: {name: digits, image_size: 8, imbalance: {split: 0}}
method: elastic-infogan
model: {width: 8, noise_dim: 8}
train: {steps: 40, report_every: 20, batch_size: 32, images_per_category: 10, final_images_per_category: 20}
search:
  lambda_1: {loguniform: [0.3, 3]}
objectives: {nmi: maximize, prior_rmse: minimize}
asha: {grace: 20, reduction_factor: 2}
trials: 2
confirm: {finalists: 0, top: 0}
seed: 0
"""
# Starts a server, asks as the image's health check does until it is well, ends it, and asks again.
HEALTH = """
set -eu
healthy
export HEALTH_URL=http://127.0.0.1:$PORT/health
if healthy; then echo 'well without a server' && exit 1; fi
mlflow server --host 127.0.0.1 --port $PORT --workers 1 --backend-store-uri sqlite:////tmp/health.db \\
    >/tmp/server.log 2>&1 &
for _ in $(seq 120); do
    if healthy; then kill $! && wait $! || true; echo well && exit 0; fi
    sleep 1
done
cat /tmp/server.log
exit 1
"""


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    skip_unless_images_can_be_built()
    made = Store(Path(tempfile.mkdtemp(prefix="eig-image-", dir="/var/tmp")))
    try:
        made.make_base()
        yield made
    finally:
        made.remove()


@pytest.fixture(scope="module")
def context(store: Store) -> Path:
    assert store.wheels.is_dir()
    return store.context()


@pytest.fixture(scope="module")
def image(store: Store, context: Path) -> Image:
    return store.build(context, "eig-tune:cpu", {"DEVICE": "cpu", "GIT_COMMIT": COMMIT})


@pytest.fixture
def container(store: Store, image: Image) -> str:
    return store.container(image)


def test_the_image_without_cuda_is_small(image: Image, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\nimage without CUDA: {image.size / GIGABYTE:.2f} GB in layers of")
        print(", ".join(f"{size / MEGABYTE:.1f} MB" for size in image.layers.values()))
    assert image.size <= 2.5 * GIGABYTE
    assert image.config["User"] == "10001:10001"
    assert image.config["Healthcheck"]["Test"] == ["CMD", "healthy"]


@pytest.mark.parametrize("user", USERS)
def test_it_says_what_it_can_do(store: Store, container: str, user: str) -> None:
    assert "search" in store.run(container, user, "eig-tune", "--help")
    # As KubeRay starts it where it is told to use a login shell.
    assert "ray, version" in store.run(container, user, "bash", "-lc", "ray --version")
    ask = "from eig_tune.reports.provenance import git_commit; print(git_commit())"
    assert store.run(container, user, "python", "-c", ask).strip() == COMMIT


@pytest.mark.parametrize("user", USERS)
def test_it_searches(store: Store, container: str, user: str) -> None:
    script = f"cat >/tmp/tiny.yaml <<'END'\n{SPACE}END\neig-tune search --space /tmp/tiny.yaml --gpus 0 --cpus 1"
    said = store.run(container, user, "bash", "-c", f"{script} && ls -l /var/lib/eig-tune && eig-tune list")
    assert "events.jsonl" in store.run(container, user, "ls", "/var/lib/eig-tune/studies/tiny"), said
    listed = [line for line in said.splitlines() if "tiny" in line]
    assert any("complete" in line for line in listed), said


@pytest.mark.parametrize("user", USERS)
def test_its_health_check_tells_well_from_ill(store: Store, container: str, user: str) -> None:
    environment = {"PORT": str(free_port())}
    assert store.run(container, user, "bash", "-c", HEALTH, environment=environment).endswith("well\n")


def test_one_changed_line_ships_little(
    store: Store, context: Path, image: Image, capsys: pytest.CaptureFixture[str]
) -> None:
    """Made anew is the layer of eig-tune's own code alone; the commit changes as well, as it does in life."""
    file = context / "eig_tune" / "__init__.py"
    file.write_text(file.read_text() + "# one more line\n")
    shutil.copy2(Path(__file__), context / "README.md")  # of which no dependency may depend
    changed = store.build(context, "eig-tune:changed", {"DEVICE": "cpu", "GIT_COMMIT": COMMIT[::-1]})
    shipped = changed.shipped_after(image)
    with capsys.disabled():
        print(f"\none changed line ships {shipped / MEGABYTE:.2f} MB of {changed.size / GIGABYTE:.2f} GB")
    assert 0 < shipped < 10 * MEGABYTE
    assert len(changed.layers.keys() - image.layers.keys()) == 1
