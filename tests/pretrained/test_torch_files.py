"""Files of torch.save, in both formats, read without torch; and pickles that want more than tensors."""

import collections
import os
import pickle
import struct
import subprocess
import sys

import numpy as np
import pytest
import torch

from thjax.core.errors import UserError
from thjax.pretrained import torch_files
from thjax.pretrained.safe_unpickler import _ADMITTED

FORMATS = [pytest.param(True, id="zip"), pytest.param(False, id="legacy")]


def save(value, path, zipped):
    torch.save(value, path, _use_new_zipfile_serialization=zipped)
    return path


def equal(ours, theirs):
    if isinstance(theirs, torch.Tensor):
        wide = theirs.detach().float() if theirs.dtype == torch.bfloat16 else theirs.detach()
        np.testing.assert_array_equal(ours, wide.numpy())
        assert ours.dtype == wide.numpy().dtype
    elif isinstance(theirs, dict):
        assert type(ours) is dict and list(ours) == list(theirs)
        for key in theirs:
            equal(ours[key], theirs[key])
    elif isinstance(theirs, (list, tuple)):
        assert len(ours) == len(theirs)
        for one, other in zip(ours, theirs, strict=True):
            equal(one, other)
    elif isinstance(theirs, np.ndarray):
        np.testing.assert_array_equal(ours, theirs)
    else:
        assert ours == theirs and type(ours) is type(theirs)


@pytest.mark.parametrize("zipped", FORMATS)
def test_a_training_file_comes_back_whole(tmp_path, zipped):
    net = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.GRU(5, 6, 2))
    value = {"size": (128, 96), "rate": 50_000, "seconds": 0.2, "flag": True, "none": None, "name": "größe",
             "net": net.state_dict(), "weight": torch.nn.Parameter(torch.randn(3)), "list": [1, 2.5, {"a": b"bytes"}]}
    equal(torch_files.read(save(value, tmp_path / "a.dat", zipped)), value)


@pytest.mark.parametrize("zipped", FORMATS)
@pytest.mark.parametrize("name", ["float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8",
                                  "uint8", "bool"])
def test_every_type_of_number(tmp_path, zipped, name):
    dtype = getattr(torch, name)
    value = {"x": (torch.arange(12).reshape(3, 4) % 7).to(dtype), "scalar": torch.tensor(3).to(dtype),
             "empty": torch.zeros(0, 5).to(dtype)}
    equal(torch_files.read(save(value, tmp_path / "a.pt", zipped)), value)


@pytest.mark.parametrize("zipped", FORMATS)
def test_strided_looks_at_shared_storages(tmp_path, zipped):
    base = torch.arange(60.0).reshape(3, 4, 5)
    value = [base, base.permute(2, 0, 1), base[1:, ::2], base[0, 0, 3], base.mT[1]]
    equal(torch_files.read(save(value, tmp_path / "a.pt", zipped)), value)


@pytest.mark.parametrize("zipped", FORMATS)
def test_numpy_values_of_plain_numbers(tmp_path, zipped):
    value = {"face": np.arange(136.0).reshape(68, 2), "order": np.asfortranarray(np.arange(6).reshape(2, 3)),
             "big": np.arange(4, dtype=">i4")}
    save({**value, "scalar": np.float32(0.33)}, tmp_path / "a.pt", zipped)
    ours = torch_files.read(tmp_path / "a.pt")
    assert ours.pop("scalar") == np.float32(0.33)
    equal(ours, value)


class Runs:
    """Pickles to a call of the given function."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


class Planted:
    pass


@pytest.mark.parametrize("zipped", FORMATS)
@pytest.mark.parametrize("value, named", [
    (Runs(os.system, "touch planted"), f"{os.system.__module__}.system"),
    (Runs(eval, "open('planted', 'w')"), "builtins.eval"),
    (Runs(getattr, "", "join"), "builtins.getattr"),
    (Runs(__import__, "os"), "builtins.__import__"),
    (torch.nn.Linear(2, 2), "torch.nn.modules.linear.Linear"),
    (collections.Counter("aab"), "collections.Counter"),
    ({"a": [torch.zeros(2), Runs(exec, "open('planted', 'w')")]}, "builtins.exec"),
    (np.array([1, "a", None], dtype=object), "numpy type"),
])
def test_anything_that_could_run_is_refused_by_name(tmp_path, monkeypatch, zipped, value, named):
    monkeypatch.chdir(tmp_path)
    save(value, tmp_path / "evil.dat", zipped)
    with pytest.raises(UserError, match=rf"evil\.dat: refused, .*{named}.*only tensors and plain values"):
        torch_files.read(tmp_path / "evil.dat")
    assert os.listdir(tmp_path) == ["evil.dat"]


def legacy(pickled: bytes) -> bytes:
    head = pickle.dumps(0x1950A86A20F9469CFC6C, 2) + pickle.dumps(1001, 2) + pickle.dumps({"little_endian": True}, 2)
    return head + pickled + pickle.dumps([], 2)


@pytest.mark.parametrize("pickled", [
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}U\x05_callcos\nsystem\nsb.",   # BUILD a function from a global
    b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n}U\x05_callU\x01xsb.",          # BUILD a function
    b"\x80\x02ctorch\nFloatStorage\n}U\x04nameU\x01xsb.",                        # BUILD a storage class
    b"\x80\x02ctorch\nFloatStorage\n)R.",                                        # call a storage class
    b"\x80\x02ctorch\nFloatStorage\n)\x81.",                                     # NEWOBJ of a storage class
    b"\x80\x02ccollections\nOrderedDict\n}U\x04evilK\x01sb.",                    # BUILD the dict class itself
    b"\x80\x02(U\x06moduleK\x01tQ.",                                             # a persistent id that is no storage
    b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x02ls\x85R.",                      # STACK_GLOBAL
    b"\x80\x02cos.path\njoin\n.",
])
def test_hand_made_pickles_alter_nothing(tmp_path, pickled):
    before = {key: getattr(value, "name", getattr(value, "_call", value)) for key, value in _ADMITTED.items()}
    (tmp_path / "evil.dat").write_bytes(legacy(pickled))
    with pytest.raises(UserError):
        torch_files.read(tmp_path / "evil.dat")
    assert before == {key: getattr(value, "name", getattr(value, "_call", value)) for key, value in _ADMITTED.items()}
    assert not hasattr(collections.OrderedDict, "evil")


def test_tensors_that_reach_outside_their_storage_are_refused(tmp_path):
    looks = ((0, (11,), (1,)), (5, (6,), (1,)), (0, (2, 5), (6, 1)), (-1, (2,), (1,)), (0, (2,), (-1,)),
             (0, (10**15,), (0,)))
    for offset, shape, stride in looks:
        storage = b"(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK\x0aNtQ"
        numbers = [pickle.dumps(value, 2)[2:-1] for value in (offset, shape, stride)]
        tensor = b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + storage + b"".join(numbers) + b"\x89NtR."
        head = legacy(tensor)[: -len(pickle.dumps([], 2))]
        content = head + pickle.dumps(["0"], 2) + struct.pack("<q", 10) + np.zeros(10, "<f4").tobytes()
        (tmp_path / "a.dat").write_bytes(content)
        with pytest.raises(UserError, match="not a whole file"):
            torch_files.read(tmp_path / "a.dat")


@pytest.mark.parametrize("zipped", FORMATS)
def test_a_truncated_file_is_named_at_every_length(tmp_path, zipped):
    content = save({"a": torch.randn(50)}, tmp_path / "a.dat", zipped).read_bytes()
    for end in range(1, len(content) - 1, max(1, len(content) // 40)):
        (tmp_path / "cut.dat").write_bytes(content[:end])
        with pytest.raises(UserError, match=r"cut\.dat: not a whole file of torch\.save"):
            torch_files.read(tmp_path / "cut.dat")


@pytest.mark.parametrize("content, message", [
    (None, "no such file"), (b"", r"empty \(0 bytes\)"), (b"hello world, this is text", "not a whole file of torch"),
    (b"version https://git-lfs.github.com/spec/v1\n", "Git LFS pointer"),
])
def test_other_files_are_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "a.dat").write_bytes(content)
    with pytest.raises(UserError, match=rf"a\.dat: .*{message}"):
        torch_files.read(tmp_path / "a.dat")


def test_torch_is_not_needed():
    code = "import sys; sys.modules['torch'] = None; from thjax.pretrained import torch_files"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
