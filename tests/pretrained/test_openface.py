"""OpenFace's nn4.small2 beside its twin in torch, from a Torch 7 file made here; the reader; the alignment."""

import struct

import jax
import numpy as np
import pytest

torch = pytest.importorskip("torch")
import torch.nn.functional as F  # noqa: E402
from torch import nn  # noqa: E402

from tests.pretrained.t7_writer import Lua, Raw, dump  # noqa: E402
from tests.pretrained.twins import apply, assert_fits, close, converted, randomise  # noqa: E402
from thjax.blocks.response_norm import response_norm  # noqa: E402
from thjax.core.errors import UserError  # noqa: E402
from thjax.pretrained import networks, t7_files  # noqa: E402
from thjax.pretrained.openface_align import LANDMARKS, TEMPLATE, align  # noqa: E402


def unit(inputs, outputs, kernel, stride=1):
    return [nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2), nn.BatchNorm2d(outputs), nn.ReLU()]


class Inception(nn.Module):
    """As nn.Inception of dpnn, definition `nn4.small2.def.lua`."""

    def __init__(self, inputs, kernels, strides, outputs, reduced, pool):
        super().__init__()
        columns = [nn.Sequential(*unit(inputs, r, 1), *unit(r, o, k, s))
                   for k, s, o, r in zip(kernels, strides, outputs, reduced, strict=False)]
        pooled, single = reduced[len(kernels):]
        columns.append(nn.Sequential(pool, *(unit(inputs, pooled, 1) if pooled else [])))
        if single:
            columns.append(nn.Sequential(*unit(inputs, single, 1)))
        self.columns = nn.ModuleList(columns)

    def forward(self, x):
        maps = [column(x) for column in self.columns]
        side = max(y.shape[-1] for y in maps)
        lows = [(side - y.shape[-1]) // 2 for y in maps]
        return torch.cat([F.pad(y, (low, side - y.shape[-1] - low) * 2) for y, low in zip(maps, lows, strict=True)], 1)


def build():
    maximum, length = nn.MaxPool2d(3, 2), nn.LPPool2d(2, 3, 3)
    halve, lrn = nn.MaxPool2d(3, 2, 1), nn.LocalResponseNorm(5, 1e-4, 0.75)
    return nn.Sequential(
        *unit(3, 64, 7, 2), halve, lrn, *unit(64, 64, 1), *unit(64, 192, 3), lrn, halve,
        Inception(192, (3, 5), (1, 1), (128, 32), (96, 16, 32, 64), maximum),
        Inception(256, (3, 5), (1, 1), (128, 64), (96, 32, 64, 64), length),
        Inception(320, (3, 5), (2, 2), (256, 64), (128, 32, None, None), maximum),
        Inception(640, (3, 5), (1, 1), (192, 64), (96, 32, 128, 256), length),
        Inception(640, (3, 5), (2, 2), (256, 128), (160, 64, None, None), maximum),
        Inception(1024, (3,), (1,), (384,), (96, 96, 256), length), nn.Identity(),
        Inception(736, (3,), (1,), (384,), (96, 96, 256), maximum),
        nn.AvgPool2d(3), nn.Identity(), nn.Flatten(), nn.Linear(736, 128))


def to_lua(module, old):
    """A torch module as Torch 7 writes it; `old`: as its first versions did."""
    tensors = {name: value.detach().numpy() for name, value in module.state_dict(keep_vars=True).items()
               if "." not in name and value.ndim}
    if isinstance(module, nn.Conv2d):
        (k, _), weight = module.kernel_size, tensors["weight"]
        sizes = {"nInputPlane": module.in_channels, "nOutputPlane": module.out_channels, "kW": k, "kH": k}
        flat = {"weight": np.ascontiguousarray(weight.reshape(len(weight), -1))} if old else {}
        return Lua("nn.SpatialConvolutionMM" if old else "nn.SpatialConvolution", **tensors | sizes | flat,
                   gradInput=np.zeros(0, "f4").reshape(0), train=False)
    if isinstance(module, nn.BatchNorm2d):
        if old:
            tensors["running_std"] = 1 / np.sqrt(tensors.pop("running_var").astype("f8") + 1e-5)
        return Lua("nn.SpatialBatchNormalization", **tensors, eps=1e-5, momentum=0.1)
    if isinstance(module, Inception):
        columns = {i: to_lua(column, old) for i, column in enumerate(module.columns, start=1)}
        return Lua("nn.Inception", modules={1: Lua("nn.DepthConcat", modules=columns, dimension=2)})
    if isinstance(module, nn.LPPool2d):
        return Lua("nn.SpatialLPPooling", modules={1: Lua("nn.Square"), 2: Lua("nn.Odd", weight=np.ones(3, "f4"))})
    if isinstance(module, nn.Sequential):
        return Lua("nn.Sequential", modules={i: to_lua(m, old) for i, m in enumerate(module, start=1)})
    return Lua(f"nn.{type(module).__name__}", **tensors)


@pytest.fixture(scope="module")
def twin():
    return randomise(build())


def test_the_code_is_the_twins(tmp_path, twin):
    (tmp_path / "nn4.small2.v1.t7").write_bytes(dump(to_lua(twin, old=False)))
    net, variables = converted("openface", tmp_path / "nn4.small2.v1.t7")
    faces = np.random.default_rng(0).uniform(0, 1, (2, 96, 96, 3)).astype("f4")
    assert_fits(net, variables, faces)
    with torch.no_grad():
        theirs = F.normalize(twin(torch.tensor(faces.transpose(0, 3, 1, 2))))
    close(apply(net, variables, faces), theirs)
    assert sum(p.size for p in jax.tree.leaves(variables["params"])) == 3_733_968  # as the public definition says

    (tmp_path / "old.t7").write_bytes(dump(to_lua(twin, old=True)))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4), variables,
                 networks.convert("openface", [tmp_path / "old.t7"]))


def test_missing_unexpected_and_misshaped_tensors_are_named(tmp_path, twin):
    net = to_lua(twin, old=False)
    modules = net.fields["modules"]
    del modules[2].fields["running_mean"]
    modules[25].fields["weight"] = np.zeros((128, 735), "f4")
    modules[3].fields["weight"] = np.zeros(5, "f4")
    (tmp_path / "a.t7").write_bytes(dump(net))
    with pytest.raises(UserError) as raised:
        networks.convert("openface", [tmp_path / "a.t7"])
    for part in ("missing 2.running_mean (64,)", "unexpected 3.weight (5,)",
                 "25.weight has shape (128, 735), not (128, 736)"):
        assert part in str(raised.value)


def test_values_come_back(tmp_path):
    shared = np.arange(6, dtype="f8").reshape(2, 3)
    plain = {"n": 1.5, "yes": True, "no": False, "none": None, "text": "größe", 1: {2: "deep"}}
    value = plain | {"a": shared, "b": shared, "whole": np.arange(3), "object": Lua("nn.Any", x=3.0)}
    (tmp_path / "a.t7").write_bytes(dump(value))
    found = t7_files.read(tmp_path / "a.t7")
    assert {key: found[key] for key in plain} == plain
    np.testing.assert_array_equal(found["a"], shared)
    assert found["a"] is found["b"] and found["whole"].tolist() == [0, 1, 2]
    assert found["object"] == t7_files.Object("nn.Any", {"x": 3.0})


@pytest.mark.parametrize("value, message", [
    ({"f": Raw(struct.pack("<i", 8))}, "refused, it holds a Lua function"),
    ({"f": Raw(struct.pack("<i", 77))}, "refused, it holds a value of kind 77"),
    ({"f": Lua("torch.File")}, r"refused, it holds a torch\.File"),
    (Lua("nn.Linear", weight=np.zeros(3, "f4")), "holds nn.Linear, not a network"),
    ({"a": 1}, "holds dict, not a network"),
])
def test_what_is_more_than_numbers_is_refused(tmp_path, value, message):
    (tmp_path / "a.t7").write_bytes(dump(value))
    with pytest.raises(UserError, match=message):
        networks.convert("openface", [tmp_path / "a.t7"])


def test_damaged_files_are_named(tmp_path):
    whole = dump({"a": np.arange(9.0), "b": Lua("nn.Any", x=3.0)})
    for end in range(0, len(whole) - 1, 7):
        (tmp_path / "cut.t7").write_bytes(whole[:end])
        with pytest.raises(UserError, match=r"cut\.t7: (not a whole|refused)"):
            t7_files.read(tmp_path / "cut.t7")
    deep = struct.pack("<iiiid", 3, 1, 1, 1, 1.0) + b"".join(struct.pack("<iiiid", 3, n, 1, 1, 1.0)
                                                            for n in range(2, 5000))
    (tmp_path / "deep.t7").write_bytes(deep)
    with pytest.raises(UserError, match="not a whole"):
        t7_files.read(tmp_path / "deep.t7")
    looped = struct.pack("<ii", 4, 1) + struct.pack("<i", 3) + b"V 1" + struct.pack("<i", 13) + b"nn.Sequential"
    looped += struct.pack("<iii", 3, 2, 1) + struct.pack("<ii", 2, 7) + b"modules" + struct.pack("<iii", 3, 3, 1)
    looped += struct.pack("<id", 1, 1.0) + struct.pack("<ii", 4, 1)
    (tmp_path / "looped.t7").write_bytes(looped)
    with pytest.raises(UserError, match=r"missing 1\.bias"):
        networks.convert("openface", [tmp_path / "looped.t7"])
    with pytest.raises(UserError, match="no such file"):
        t7_files.read(tmp_path / "none.t7")


def test_faces_are_aligned_by_three_points():
    transform = pytest.importorskip("skimage.transform")
    rng = np.random.default_rng(0)
    frame = rng.integers(0, 256, (120, 140, 3), dtype=np.uint8)
    landmarks = np.zeros((1, 68, 2))
    landmarks[0, LANDMARKS] = (40, 50), (95, 44), (70, 85)
    (ours,) = align(frame[None], landmarks)
    back = transform.AffineTransform.from_estimate(TEMPLATE, landmarks[0, LANDMARKS])
    theirs = transform.warp(frame.astype(float), back, output_shape=(96, 96), order=1, preserve_range=True)
    np.testing.assert_allclose(ours, theirs / 255, atol=1e-4)
    landmarks[0, LANDMARKS] = (40, 50), (50, 60), (60, 70)
    with pytest.raises(UserError, match="frame 0: .* lie on one line"):
        align(frame[None], landmarks)


def test_response_norm_is_torchs():
    x = np.random.default_rng(0).standard_normal((2, 4, 5, 9)).astype("f4") * 30
    theirs = F.local_response_norm(torch.tensor(x).permute(0, 3, 1, 2), 5, 1e-2, 0.75, 2.0).permute(0, 2, 3, 1)
    close(np.asarray(response_norm(x, 5, 1e-2, 0.75, 2.0)), theirs)
    with pytest.raises(ValueError, match="4 channels have no middle"):
        response_norm(x, 4)
