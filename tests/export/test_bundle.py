"""A bundle is whole, agrees with the model in every format, opens without eig_tune, and is not trusted."""

import csv
import json
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from eig_tune.errors import CheckpointError, DataError, EigTuneError
from eig_tune.evaluation import metrics
from eig_tune.export import read_bundle, write_bundle
from eig_tune.export.inference import find_images, predict, sample, write_predictions, write_samples
from eig_tune.export.programs import LARGEST_DIFFERENCE
from eig_tune.training import TrainConfig, TrialData, fit

METHODS = ["elastic-infogan", "joint-vae"]
METRICS = {"found": {"nmi": 0.9}, "confirmed": {"nmi": 0.88}, "confirmed_deviations": {"nmi": 0.02}}


@pytest.fixture(scope="module", params=METHODS)
def bundle(
    request: pytest.FixtureRequest,
    tiny_config: TrainConfig,
    trial_data: TrialData,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    folder = tmp_path_factory.mktemp(request.param)
    config = tiny_config.with_values({"method": request.param})
    *_, last = fit(config, trial_data, device=torch.device("cpu"))
    last.save(folder / "checkpoint")
    last.run.evaluate()
    write_bundle(folder / "checkpoint", folder / "checkpoint", METRICS, {"search": "s", "trial": 3}, folder / "bundle")
    return folder / "bundle"


@pytest.fixture
def broken(bundle: Path, tmp_path: Path) -> Callable[[str, Callable[[bytes], bytes]], Path]:
    """A copy of the bundle with one file changed, its sum changed with it when ``sums`` is to be fooled too."""

    def make(name: str, change: Callable[[bytes], bytes]) -> Path:
        for file in bundle.iterdir():
            (tmp_path / file.name).write_bytes(file.read_bytes())
        (tmp_path / name).write_bytes(change((tmp_path / name).read_bytes()))
        return tmp_path

    return make


def resummed(folder: Path) -> Path:
    """Make the list of sums right again, as somebody would who means harm."""
    import hashlib

    sums = json.loads((folder / "sha256.json").read_text())
    fresh = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in sums}
    (folder / "sha256.json").write_text(json.dumps(fresh))
    return folder


def test_bundle_has_everything(bundle: Path) -> None:
    names = {file.name for file in bundle.iterdir()}
    assert names >= {
        "weights.safetensors", "config.json", "metrics.json", "README.md", "sha256.json", "samples.png",
        "encoder.pt2", "encoder.onnx", "generator.pt2", "generator.onnx",
    }  # fmt: skip
    config = json.loads((bundle / "config.json").read_text())
    assert config["provenance"] == {"search": "s", "trial": 3}
    assert "0.9000 | 0.8800 ± 0.0200" in (bundle / "README.md").read_text()


def test_every_format_agrees_with_the_model_read_back(bundle: Path) -> None:
    import onnxruntime

    record, model = read_bundle(bundle)
    images = torch.rand(256, 1, 16, 16) * 2 - 1
    noise, categories = torch.randn(7, model.noise_dim), torch.arange(7) % 10
    expected = {"encoder": model.category_logits(images).softmax(dim=1), "generator": model.generate(categories, noise)}
    inputs = {"encoder": (images,), "generator": (noise, categories)}
    for name, wanted in expected.items():
        by_torch = torch.export.load(bundle / f"{name}.pt2").module()(*inputs[name])
        session = onnxruntime.InferenceSession(bundle / f"{name}.onnx")
        feed = {given.name: value.numpy() for given, value in zip(session.get_inputs(), inputs[name], strict=True)}
        (by_onnx,) = session.run(None, feed)
        assert (by_torch - wanted).abs().max() <= LARGEST_DIFFERENCE
        assert np.abs(by_onnx - wanted.numpy()).max() <= LARGEST_DIFFERENCE
    assert record.noise_dim == model.noise_dim


@pytest.mark.parametrize(
    "program",
    [
        "import torch; m = torch.export.load('encoder.pt2').module(); q = m(torch.zeros(5, 1, 16, 16)).numpy()",
        "import onnxruntime as o, numpy as n; s = o.InferenceSession('encoder.onnx'); "
        "(q,) = s.run(None, {s.get_inputs()[0].name: n.zeros((5, 1, 16, 16), 'float32')})",
        "import safetensors.numpy as s, numpy as n; "
        "assert s.load_file('weights.safetensors'); q = n.ones((5, 10)) / 10",
    ],
    ids=["torch", "onnxruntime", "safetensors"],
)
def test_bundle_opens_where_eig_tune_is_not_installed(bundle: Path, program: str) -> None:
    hidden = "import sys; sys.modules['eig_tune'] = None; "
    check = "; assert q.shape == (5, 10) and abs(q.sum() - 5) < 1e-3"
    done = subprocess.run(
        [sys.executable, "-c", hidden + program + check], cwd=bundle, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


def test_half_a_bundle_is_never_there(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        write_bundle(tmp_path / "no-checkpoint", tmp_path, METRICS, {}, tmp_path / "new")
    assert not list(tmp_path.iterdir())
    with pytest.raises(EigTuneError, match="is there already"):
        write_bundle(bundle, bundle, METRICS, {}, bundle)


@pytest.mark.parametrize("name", ["weights.safetensors", "config.json", "encoder.onnx", "samples.png", "sha256.json"])
def test_flipped_bit_is_seen(broken: Callable[[str, Callable[[bytes], bytes]], Path], name: str) -> None:
    with pytest.raises(CheckpointError):
        read_bundle(broken(name, lambda raw: raw[:50] + bytes([raw[50] ^ 1]) + raw[51:]))


class Harm:
    """Pickled, it writes a file when it is loaded."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (self._file,))  # type: ignore[return-value]


def test_pickle_in_disguise_is_refused_and_not_run(
    broken: Callable[[str, Callable[[bytes], bytes]], Path], tmp_path_factory: pytest.TempPathFactory
) -> None:
    harmed = tmp_path_factory.mktemp("harm") / "done"
    with pytest.raises(CheckpointError):
        read_bundle(resummed(broken("weights.safetensors", lambda raw: pickle.dumps(Harm(harmed)))))
    assert not harmed.exists()


def test_header_that_claims_ten_gigabytes_is_refused(broken: Callable[[str, Callable[[bytes], bytes]], Path]) -> None:
    claim = (10 * 2**30).to_bytes(8, "little")
    with pytest.raises(CheckpointError):
        read_bundle(resummed(broken("weights.safetensors", lambda raw: claim + raw[8:])))


@pytest.mark.parametrize(
    ("key", "value"), [("image_size", 100_000), ("channels", 50), ("image_size", "x"), ("step", None), ("config", [])]
)
def test_record_that_cannot_be_is_refused(
    broken: Callable[[str, Callable[[bytes], bytes]], Path], key: str, value: object
) -> None:
    def change(raw: bytes) -> bytes:
        return json.dumps({**json.loads(raw), key: value}).encode()

    with pytest.raises(CheckpointError):
        read_bundle(resummed(broken("config.json", change)))


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "a/b"])
def test_path_out_of_the_bundle_is_refused(broken: Callable[[str, Callable[[bytes], bytes]], Path], name: str) -> None:
    def change(raw: bytes) -> bytes:
        return json.dumps({**json.loads(raw), name: "0"}).encode()

    with pytest.raises(CheckpointError, match="outside of the bundle"):
        read_bundle(broken("sha256.json", change))


def test_predictions_are_those_of_the_metrics(bundle: Path, trial_data: TrialData, tmp_path: Path) -> None:
    """The held-out digits as files give the nmi_real of the evaluation."""
    held_out = trial_data.images.held_out
    assert held_out.labels is not None
    for index, pixels in enumerate(held_out.pixels):
        Image.fromarray(pixels[0]).save(tmp_path / f"{index:04}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    record, model = read_bundle(bundle)
    unreadable: list[Path] = []
    found = list(predict(record, model, find_images([tmp_path]), unreadable.append))
    assert [file.name for file in unreadable] == ["broken.png"]
    assert [p.path.name for p in found] == [f"{index:04}.png" for index in range(len(held_out))]
    table = metrics.category_table(np.array([p.category for p in found]), held_out.labels, (10, 10))
    images = torch.tensor(held_out.pixels).float() / 127.5 - 1
    again = metrics.category_table(model.category_logits(images).argmax(dim=1).numpy(), held_out.labels, (10, 10))
    assert metrics.nmi(table) == metrics.nmi(again)
    with (tmp_path / "out.csv").open("w+", newline="") as out:
        assert write_predictions(iter(found), out) == len(found)
        out.seek(0)
        rows = list(csv.DictReader(out))
    assert [int(row["category"]) for row in rows] == [p.category for p in found]
    assert all(0.1 <= float(row["probability"]) <= 1 for row in rows)


def test_images_of_any_size_and_colour_are_read(bundle: Path, tmp_path: Path) -> None:
    Image.new("RGBA", (301, 77), (255, 0, 0, 9)).save(tmp_path / "wide.png")
    Image.new("1", (5, 5)).save(tmp_path / "tiny.bmp")
    record, model = read_bundle(bundle)
    assert len(list(predict(record, model, find_images([tmp_path]), lambda file: None))) == 2


def test_no_images_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image in"):
        find_images([tmp_path])
    with pytest.raises(DataError, match="there is no"):
        find_images([tmp_path / "none"])


def test_samples_are_written_as_picture_and_arrays(bundle: Path, tmp_path: Path) -> None:
    _, model = read_bundle(bundle)
    drawn = sample(model, [3, 1], count=4, seed=0)
    assert (drawn.shape, drawn.dtype) == ((2, 4, 1, 16, 16), np.uint8)
    assert np.array_equal(drawn, sample(model, [3, 1], count=4, seed=0))
    write_samples(drawn, [3, 1], tmp_path / "s.png")
    write_samples(drawn, [3, 1], tmp_path / "s.npz")
    with np.load(tmp_path / "s.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["images"], drawn)
        assert arrays["categories"].tolist() == [3, 1]
    with pytest.raises(EigTuneError, match="0 to 9"):
        sample(model, [10], 1, 0)
    with pytest.raises(EigTuneError, match=r"\.png or \.npz"):
        write_samples(drawn, [3, 1], tmp_path / "s.jpg")
