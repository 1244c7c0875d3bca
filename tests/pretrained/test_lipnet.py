"""LipNet beside its twin in torch, from a Keras file made here, and the public procedure around it."""

import itertools

import jax
import numpy as np
import pytest
from PIL import Image

torch = pytest.importorskip("torch")
h5py = pytest.importorskip("h5py")
import torch.nn.functional as F  # noqa: E402

from tests.pretrained.twins import apply, assert_fits, close, converted  # noqa: E402
from thjax.core.errors import UserError  # noqa: E402
from thjax.pretrained import h5_files, networks  # noqa: E402
from thjax.pretrained.ctc_beam import beam_search  # noqa: E402
from thjax.pretrained.lipnet import ALPHABET, BLANK  # noqa: E402
from thjax.pretrained.lipnet_crop import crop_mouths  # noqa: E402
from thjax.pretrained.lipnet_read import decode, read_lips  # noqa: E402
from thjax.pretrained.spelling import GRID_SLOTS, correct, count_words, grid_dictionary  # noqa: E402

CONVS = ((3, 32, (3, 5, 5), 2, (1, 2, 2)), (32, 64, (3, 5, 5), 1, (1, 2, 2)), (64, 96, (3, 3, 3), 1, (1, 1, 1)))


def weights():
    """{Keras layer: {Keras weight name: values}} of `model2`."""
    rng, found = np.random.default_rng(0), {}
    draw = lambda *shape: (rng.standard_normal(shape) / np.sqrt(np.prod(shape[:-1]))).astype("f4")
    for i, (inputs, outputs, kernel, *_) in enumerate(CONVS, start=1):
        found[f"conv{i}"] = {"kernel:0": 2 * draw(*kernel, inputs, outputs), "bias:0": 0.1 * draw(1, outputs)[0]}
        found[f"batc{i}"] = {"gamma:0": rng.uniform(0.6, 1.2, outputs), "beta:0": 0.1 * draw(1, outputs)[0],
                             "moving_mean:0": 0.1 * draw(1, outputs)[0],
                             "moving_variance:0": rng.uniform(0.5, 1.5, outputs)}
        found[f"max{i}"] = {}
    for i, inputs in ((1, 1728), (2, 512)):
        found[f"bidirectional_{i}"] = {
            f"{turn}_gru{i}/{name}:0": value for turn in ("forward", "backward") for name, value in
            {"kernel": 2 * draw(inputs, 768), "recurrent_kernel": 2 * draw(256, 768), "bias": draw(1, 768)[0]}.items()}
    found["dense1"] = {"kernel:0": 4 * draw(512, 28), "bias:0": draw(1, 28)[0]}
    return found


def write(path, found, inside=None):
    """As Keras 2 writes weights: a group per layer, in it a group of the same or another name, in it the numbers."""
    with h5py.File(path, "w") as file:
        root = file.create_group(inside) if inside else file
        for layer, values in found.items():
            group = root.create_group(layer)
            group.attrs["weight_names"] = [f"{layer}/{name}".encode() for name in values]
            for name, value in values.items():
                group[f"{layer}/{name}"] = np.asarray(value, "f4")
    return path


def gru(x, w, u, b):
    """Reset before the recurrent product; z, r, h; hard sigmoid."""
    (wz, wr, wh), (uz, ur, uh), (bz, br, bh) = (m.split(256, -1) for m in (w, u, b))
    hard = lambda a: (0.2 * a + 0.5).clamp(0, 1)
    h, states = torch.zeros(len(x), 256), []
    for frame in x.unbind(1):
        z, r = hard(frame @ wz + h @ uz + bz), hard(frame @ wr + h @ ur + br)
        h = z * h + (1 - z) * torch.tanh(frame @ wh + (r * h) @ uh + bh)
        states.append(h)
    return torch.stack(states, 1)


def twin(found, x):
    """[N, T, W, H, C] -> [N, T, 28]."""
    get = lambda layer, name: torch.tensor(np.asarray(found[layer][f"{name}:0"], "f4"))
    x = x.permute(0, 4, 1, 2, 3)
    for i, (*_, stride, padding) in enumerate(CONVS, start=1):
        kernel = get(f"conv{i}", "kernel").permute(4, 3, 0, 1, 2)
        x = F.conv3d(x, kernel, get(f"conv{i}", "bias"), (1, stride, stride), padding)
        norm = [get(f"batc{i}", name) for name in ("moving_mean", "moving_variance", "gamma", "beta")]
        x = F.max_pool3d(F.batch_norm(x, *norm, eps=1e-3).relu(), (1, 2, 2))
    x = x.permute(0, 2, 3, 4, 1).flatten(2)
    for i in (1, 2):
        ahead, back = ([get(f"bidirectional_{i}", f"{turn}_gru{i}/{name}") for name in
                        ("kernel", "recurrent_kernel", "bias")] for turn in ("forward", "backward"))
        x = torch.cat([gru(x, *ahead), gru(x.flip(1), *back).flip(1)], -1)
    return (x @ get("dense1", "kernel") + get("dense1", "bias")).softmax(-1)


@pytest.fixture(scope="module")
def ours(tmp_path_factory):
    return converted("lipnet", write(tmp_path_factory.mktemp("lipnet") / "unseen-weights178.h5", weights()))


def test_letters_are_the_twins(ours):
    mouths = np.random.default_rng(1).uniform(0, 1, (2, 5, 100, 50, 3)).astype("f4")
    assert_fits(*ours, mouths)
    close(apply(*ours, mouths), twin(weights(), torch.tensor(mouths)))


def test_names_of_other_versions_of_keras(tmp_path, ours):
    found = weights()
    found["bidirectional_1"] = {f"bidirectional_1/{name}": value for name, value in found["bidirectional_1"].items()}
    variables = networks.convert("lipnet", [write(tmp_path / "a.h5", found, inside="model_weights")])
    jax.tree.map(np.testing.assert_array_equal, variables, ours[1])


def test_missing_unexpected_and_misshaped_weights_are_named(tmp_path):
    found = weights()
    del found["batc2"]["gamma:0"]
    found["dense2"] = {"bias:0": np.zeros(3)}
    found["conv1"]["bias:0"] = np.zeros(31)
    with pytest.raises(UserError) as raised:
        networks.convert("lipnet", [write(tmp_path / "a.h5", found)])
    for part in (r"missing batc2/gamma (64,)", "unexpected dense2/bias (3,)", "conv1/bias has shape (31,), not (32,)"):
        assert part in str(raised.value)


def test_files_that_point_elsewhere_or_hold_no_numbers_are_refused(tmp_path):
    write(tmp_path / "other.h5", {"conv1": {"kernel:0": np.zeros(3)}})
    for name, make in {
        "external": lambda file: file.__setitem__("conv1", h5py.ExternalLink("other.h5", "/conv1")),
        "root": lambda file: file.__setitem__("model_weights", h5py.ExternalLink("other.h5", "/")),
        "soft": lambda file: file.create_group("conv1").__setitem__("kernel", h5py.SoftLink("/elsewhere")),
        "text": lambda file: file.__setitem__("conv1/kernel", "numbers"),
        "raw": lambda file: file.create_dataset("conv1/kernel", (3,), "f4", external=[(str(tmp_path / "raw"), 0, 12)]),
    }.items():
        with h5py.File(tmp_path / f"{name}.h5", "w") as file:
            make(file)
        with pytest.raises(UserError, match=rf"{name}\.h5: refused"):
            h5_files.read(tmp_path / f"{name}.h5")


def test_other_files_are_named(tmp_path, monkeypatch):
    (tmp_path / "a.h5").write_bytes(b"no such format")
    with pytest.raises(UserError, match="not a whole HDF5 file"):
        h5_files.read(tmp_path / "a.h5")
    whole = write(tmp_path / "b.h5", {"conv1": {"kernel:0": np.zeros(9000)}}).read_bytes()
    (tmp_path / "b.h5").write_bytes(whole[:-9000])
    with pytest.raises(UserError, match="not a whole HDF5 file"):
        h5_files.read(tmp_path / "b.h5")
    with pytest.raises(UserError, match="no such file"):
        h5_files.read(tmp_path / "c.h5")
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(UserError, match=r"pip install 'thjax\[h5\]'"):
        h5_files.read(tmp_path / "a.h5")


def faces(count=3):
    """Pictures of 360 x 288 and landmarks whose mouth is 60 wide and off the centre."""
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (count, 288, 360, 3), dtype=np.uint8)
    landmarks = rng.uniform(100, 200, (count, 68, 2))
    landmarks[:, 48:] = rng.uniform((150, 190), (210, 215), (count, 20, 2))
    return frames, landmarks


def test_crops_are_the_public_programs():
    frames, landmarks = faces()
    crops = crop_mouths(frames, landmarks)
    mouths = np.rint(landmarks[:, 48:]).astype(int)
    ratio = 100 / float(np.max(mouths[0][:, :-1]) * 1.19 - np.min(mouths[0][:, :-1]) * 0.81)
    for crop, frame, mouth in zip(crops, frames, mouths, strict=True):
        size = int(360 * ratio), int(288 * ratio)
        scaled = np.asarray(Image.fromarray(frame).resize(size, Image.Resampling.BILINEAR))
        x, y = np.mean(mouth[:, -2:], axis=0) * ratio
        theirs = scaled[int(y - 25):int(y + 25), int(x - 50):int(x + 50)].swapaxes(0, 1)
        assert crop.shape == (100, 50, 3) and crop.dtype == np.float32
        np.testing.assert_array_equal(crop, theirs.astype(np.float32) / 255)


def test_crops_that_leave_the_picture_are_named():
    frames, landmarks = faces(1)
    with pytest.raises(UserError, match="frame 0: the mouth crop at .* leaves the picture"):
        crop_mouths(frames, landmarks + [0, 80])
    with pytest.raises(UserError, match=r"give \[T, H, W, 3\] uint8"):
        crop_mouths(frames, landmarks[:, :67])


def exhaustive(probabilities, blank):
    """Probability of every label sequence: the sum over all paths."""
    found = {}
    for path in itertools.product(range(probabilities.shape[1]), repeat=len(probabilities)):
        labels = tuple(label for label, _ in itertools.groupby(path) if label != blank)
        found[labels] = found.get(labels, 0) + probabilities[range(len(path)), path].prod()
    return found


@pytest.mark.parametrize("seed", range(6))
def test_a_wide_beam_finds_every_sequence_and_its_probability(seed):
    rng = np.random.default_rng(seed)
    probabilities, blank = rng.dirichlet(np.ones(4), 5), seed % 4
    truth = exhaustive(probabilities, blank)
    found = beam_search(probabilities, blank, 4**5)
    assert {labels for labels, _ in found} == {labels for labels, p in truth.items() if p > 0}
    for labels, logarithm in found:
        np.testing.assert_allclose(np.exp(logarithm), truth[labels], rtol=1e-5, atol=1e-8)  # Keras's floor
    assert [p for _, p in found] == sorted((p for _, p in found), reverse=True)
    assert beam_search(probabilities, blank, 20)[0][0] == max(truth, key=truth.get)


def spoken(text):
    """[T, 28] probabilities that nearly say the text, two frames a letter and a blank between."""
    labels = [label for letter in text for label in (ALPHABET.index(letter),) * 2 + (BLANK,)]
    return 0.9 * np.eye(28)[labels] + 0.1 / 28


def test_sentences_are_decoded_and_spelt():
    assert decode(spoken("bin green at x three soon")) == "bin green at x three soon"  # through "gren", "thre", "son"
    assert decode(spoken("plact bleu wit q zeo agan")) == "place blue with q zero again"
    assert decode(spoken("hello word"), count_words("Hello, world! world")) == "hello world"


def test_corrections():
    words = grid_dictionary()
    assert len(words) == 4 + 4 + 4 + 25 + 10 + 4 and "w" not in words
    assert correct("zero zreo zer zeroo zxro xyzzyx", words) == "zero zero zero zero zero xyzzyx"
    assert correct("bn", {"bin": 1, "ban": 1, "bun": 3}) == "bun"
    assert correct("bn", {"bin": 1, "ban": 1}) == "ban"
    assert all(correct(word, words) == word for slot in GRID_SLOTS for word in slot)


def test_a_clip_is_read(ours):
    theirs = twin(weights(), torch.tensor(crop_mouths(*faces(4)))[None])[0].numpy()
    assert read_lips(*ours, *faces(4)) == decode(theirs)
    assert read_lips(*ours, *faces(4), {"zyx": 1}) == decode(theirs, {"zyx": 1})
    with pytest.raises(UserError, match="leaves the picture"):
        read_lips(*ours, faces(1)[0], faces(1)[1] + [0, 80])
