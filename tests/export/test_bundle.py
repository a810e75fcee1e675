"""A bundle is whole, agrees with the model in every format, opens without eig_tune, and is not trusted."""

import csv
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from eig_tune.cli import main
from eig_tune.data.left_out import LeftOut
from eig_tune.errors import CheckpointError, DataError, EigTuneError
from eig_tune.evaluation import metrics
from eig_tune.export import read_bundle, write_bundle
from eig_tune.export.card import model_card
from eig_tune.export.inference import find_images, predict, sample, write_predictions, write_samples
from eig_tune.export.programs import LARGEST_DIFFERENCE
from eig_tune.models.networks import AUTO, NETWORKS
from eig_tune.training import TrainConfig, checkpoint
from eig_tune.training.checkpoint import write_weights
from eig_tune.training.loop import TrialData, fit

MODELS = [*(("elastic-infogan", network) for network in NETWORKS), ("joint-vae", AUTO)]
METRICS = {"found": {"nmi": 0.9}, "confirmed": {"nmi": 0.88}, "confirmed_deviations": {"nmi": 0.02}}


@pytest.fixture(scope="module", params=MODELS, ids="-".join)
def bundle(
    request: pytest.FixtureRequest,
    tiny_config: TrainConfig,
    trial_data: TrialData,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    method, network = request.param
    folder = tmp_path_factory.mktemp(method)
    config = tiny_config.with_params({"method": method, "network": network})
    *_, last = fit(config, trial_data, device=torch.device("cpu"))
    last.save(folder / "checkpoint")
    reached = {**METRICS, "found": {**METRICS["found"], "nmi_real": last.metrics()["nmi_real"]}}
    write_weights(folder / "checkpoint", folder / "model")
    write_bundle(folder / "model", folder / "checkpoint", reached, {"search": "s", "trial": 3}, folder / "bundle")
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
    """Update the list of sums, as an attacker would."""
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
    card = (bundle / "README.md").read_text()
    assert "0.9000 | 0.8800 ± 0.0200" in card
    record, _ = read_bundle(bundle)
    assert (f"Networks: {record.network}," in card) == (record.network is not None)


def test_card_says_that_the_encoder_disagrees_with_the_prior() -> None:
    record = checkpoint.RunRecord(TrainConfig(), 100, 16, 1, ("0", "1"))
    card = model_card(record, 62, {"found": {"prior_posterior_gap": 0.4}, "confirmed": {}}, {}, [])
    assert "\n\n**Warning**: the encoder puts 40% of the real images into other categories" in card


def test_every_format_agrees_with_the_model_read_back(bundle: Path) -> None:
    import onnxruntime

    _, model = read_bundle(bundle)
    images = torch.rand(256, 1, 16, 16) * 2 - 1
    noise, categories = torch.randn(7, model.noise_dim), torch.arange(7) % 10
    expected = {"encoder": model.category_logits(images).softmax(dim=1), "generator": model.generate(categories, noise)}
    inputs = {"encoder": (images,), "generator": (noise, categories)}
    for name, output in expected.items():
        by_torch = torch.export.load(bundle / f"{name}.pt2").module()(*inputs[name])
        session = onnxruntime.InferenceSession(bundle / f"{name}.onnx")
        feed = {given.name: value.numpy() for given, value in zip(session.get_inputs(), inputs[name], strict=True)}
        (by_onnx,) = session.run(None, feed)
        assert (by_torch - output).abs().max() <= LARGEST_DIFFERENCE
        assert np.abs(by_onnx - output.numpy()).max() <= LARGEST_DIFFERENCE
    assert f"noise float32 [N, {model.noise_dim}]" in (bundle / "README.md").read_text()


PROGRAMS = {
    "torch": "import torch\nq = torch.export.load('encoder.pt2').module()(torch.from_numpy(images)).numpy()",
    "onnxruntime": "import onnxruntime\n"
    "(q,) = onnxruntime.InferenceSession('encoder.onnx').run(None, {'images': images})",
    "safetensors": f"sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
    "import plain_encoder\nq = plain_encoder.probabilities(model, images)",
}


@pytest.mark.parametrize("library", [pytest.param("torch", marks=pytest.mark.slow), "onnxruntime", "safetensors"])
def test_encoder_agrees_where_eig_tune_and_other_libraries_are_missing(
    bundle: Path, library: str, tmp_path: Path
) -> None:
    record, model = read_bundle(bundle)
    images = torch.rand(256, 1, 16, 16, generator=torch.Generator().manual_seed(1)) * 2 - 1
    np.save(tmp_path / "images.npy", images.numpy())
    missing = ["eig_tune", *(name for name in PROGRAMS if name != library)]
    program = f"""
import sys; sys.modules.update(dict.fromkeys({missing}))
import numpy; model, images = {record.network or record.config.method!r}, numpy.load({str(tmp_path / "images.npy")!r})
{PROGRAMS[library]}
numpy.save({str(tmp_path / "q.npy")!r}, q)
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=bundle, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    expected = model.category_logits(images).softmax(dim=1).numpy()
    assert np.abs(np.load(tmp_path / "q.npy") - expected).max() <= LARGEST_DIFFERENCE


@pytest.mark.slow
def test_folder_is_used_without_mlflow_and_ray(bundle: Path, tmp_path: Path) -> None:
    Image.new("L", (16, 16)).save(tmp_path / "image.png")
    for arguments in (["predict", str(bundle), str(tmp_path)], ["sample", str(bundle), "--out", f"{tmp_path}/s.npz"]):
        program = "import sys; sys.modules.update(mlflow=None, ray=None); from eig_tune.cli.app import app; app()"
        done = subprocess.run([sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


def test_half_a_bundle_is_never_there(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(CheckpointError):
        write_bundle(tmp_path / "no-checkpoint", tmp_path, METRICS, {}, tmp_path / "new")
    assert not list(tmp_path.iterdir())
    with pytest.raises(EigTuneError, match="is there already"):
        write_bundle(bundle, bundle, METRICS, {}, bundle)


@pytest.fixture
def refusal(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[[Path], str]:
    """What `eig-tune predict` says of a bundle that it must refuse: one line, exit code 2, and no prediction."""

    def refuse(folder: Path) -> str:
        monkeypatch.setattr(sys, "argv", ["eig-tune", "predict", str(folder), str(folder)])
        monkeypatch.setattr(os, "_exit", sys.exit)
        with pytest.raises(SystemExit) as left:
            main()
        printed = capsys.readouterr()
        assert (left.value.code, printed.out) == (2, "")
        assert printed.err.startswith("eig-tune: ") and printed.err.count("\n") == 1, printed.err
        assert printed.err.strip().isprintable()
        return printed.err

    return refuse


def test_flipped_bit_in_any_file_is_seen(
    broken: Callable[[str, Callable[[bytes], bytes]], Path], refusal: Callable[[Path], str], bundle: Path
) -> None:
    folder = broken("README.md", lambda raw: raw)
    read_bundle(folder)
    for file in sorted(folder.iterdir()):
        raw = file.read_bytes()
        for at in (0, 50, len(raw) // 2, len(raw) - 1):
            file.write_bytes(raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :])
            refusal(folder)
        file.write_bytes(raw)
    read_bundle(folder)


class Harm:
    """Pickled, it writes a file when it is loaded."""

    def __init__(self, file: Path) -> None:
        self._file = file

    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (Path.touch, (self._file,))  # type: ignore[return-value]


def test_pickle_in_disguise_is_refused_and_not_run(
    broken: Callable[[str, Callable[[bytes], bytes]], Path],
    refusal: Callable[[Path], str],
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    harmed = tmp_path_factory.mktemp("harm") / "done"
    refusal(resummed(broken("weights.safetensors", lambda raw: pickle.dumps(Harm(harmed)))))
    assert not harmed.exists()


def test_header_that_claims_ten_gigabytes_is_refused(
    broken: Callable[[str, Callable[[bytes], bytes]], Path], refusal: Callable[[Path], str]
) -> None:
    claim = (10 * 2**30).to_bytes(8, "little")
    refusal(resummed(broken("weights.safetensors", lambda raw: claim + raw[8:])))


def test_tensor_that_claims_ten_gigabytes_is_refused(
    broken: Callable[[str, Callable[[bytes], bytes]], Path], refusal: Callable[[Path], str]
) -> None:
    tensor = {"dtype": "F32", "shape": [10 * 2**28], "data_offsets": [0, 10 * 2**30]}
    header = json.dumps({"__metadata__": {"step": "5"}, "front_end.layers.0.weight": tensor}).encode()
    refusal(resummed(broken("weights.safetensors", lambda raw: len(header).to_bytes(8, "little") + header)))


def test_weights_of_another_model_are_refused(
    broken: Callable[[str, Callable[[bytes], bytes]], Path], refusal: Callable[[Path], str]
) -> None:
    def change(raw: bytes) -> bytes:
        document = json.loads(raw)
        document["config"]["model"]["width"] = 8
        return json.dumps(document).encode()

    assert "does not fit this model" in refusal(resummed(broken("config.json", change)))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("image_size", 100_000),
        ("channels", 50),
        ("image_size", "x"),
        ("step", None),
        ("config", []),
        ("config", {"model": {"width": 10**9}, "first\n\x1b[31msecond": 1}),
    ],
)
def test_record_that_cannot_be_is_refused(
    broken: Callable[[str, Callable[[bytes], bytes]], Path], refusal: Callable[[Path], str], key: str, value: object
) -> None:
    def change(raw: bytes) -> bytes:
        return json.dumps({**json.loads(raw), key: value}).encode()

    refusal(resummed(broken("config.json", change)))


@pytest.mark.parametrize("name", ["/etc/passwd", "../outside", "a/b", "..", "", "two\nlines", "\0", "\ud800"])
def test_path_out_of_the_bundle_is_refused(
    broken: Callable[[str, Callable[[bytes], bytes]], Path], refusal: Callable[[Path], str], name: str
) -> None:
    def change(raw: bytes) -> bytes:
        return json.dumps({**json.loads(raw), name: "0"}).encode()

    message = refusal(broken("sha256.json", change))
    assert "outside of the bundle" in message or "is missing or was changed" in message


def test_link_out_of_the_bundle_is_refused(
    broken: Callable[[str, Callable[[bytes], bytes]], Path], refusal: Callable[[Path], str], bundle: Path
) -> None:
    folder = broken("README.md", lambda raw: raw)
    (folder / "README.md").unlink()
    (folder / "README.md").symlink_to(bundle / "README.md")
    assert "outside of the bundle" in refusal(folder)


def test_folder_that_is_no_bundle_is_refused(tmp_path: Path, refusal: Callable[[Path], str]) -> None:
    assert "not a bundle" in refusal(tmp_path)
    assert "there is no such bundle" in refusal(tmp_path / "none")


def test_predictions_are_those_of_the_metrics(bundle: Path, trial_data: TrialData, tmp_path: Path) -> None:
    """The held-out digits as files give the nmi_real of the evaluation."""
    held_out = trial_data.images.held_out
    assert held_out.labels is not None
    for index, pixels in enumerate(held_out.pixels):
        Image.fromarray(pixels[0]).save(tmp_path / f"{index:04}.png")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    record, model = read_bundle(bundle)
    left_out: list[LeftOut] = []
    found = list(predict(record, model, find_images([tmp_path])[0], left_out.append))
    assert [(Path(each.path).name, each.reason) for each in left_out] == [("broken.png", "not an image")]
    assert [p.path.name for p in found] == [f"{index:04}.png" for index in range(len(held_out))]
    table = metrics.category_table(np.array([p.category for p in found]), held_out.labels, (10, 10))
    assert metrics.nmi(table) == json.loads((bundle / "metrics.json").read_text())["found"]["nmi_real"]
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
    assert len(list(predict(record, model, find_images([tmp_path])[0], lambda each: None))) == 2


def test_no_images_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no image in"):
        find_images([tmp_path])
    with pytest.raises(DataError, match="there is no"):
        find_images([tmp_path / "none"])


def test_samples_are_written_as_picture_and_arrays(bundle: Path, tmp_path: Path) -> None:
    _, model = read_bundle(bundle)
    drawn, prior = sample(model, [3, 1], count=4, seed=0), model.prior_probabilities().numpy()
    assert (drawn.shape, drawn.dtype) == ((2, 4, 1, 16, 16), np.dtype(np.uint8))
    assert np.array_equal(drawn, sample(model, [3, 1], count=4, seed=0))
    write_samples(drawn, [3, 1], tmp_path / "s.png", prior)
    write_samples(drawn, [3, 1], tmp_path / "s.npz", prior)
    with np.load(tmp_path / "s.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["images"], drawn)
        assert arrays["categories"].tolist() == [3, 1]
    with pytest.raises(EigTuneError, match="0 to 9"):
        sample(model, [10], 1, 0)
    with pytest.raises(EigTuneError, match=r"\.png or \.npz"):
        write_samples(drawn, [3, 1], tmp_path / "s.jpg", prior)
