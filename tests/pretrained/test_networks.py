"""What holds for every public network: errors that name keys, files that are refused, the list, the converted file."""

import os

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from tests.pretrained.twins import save  # noqa: E402
from thjax.core.errors import UserError  # noqa: E402
from thjax.pretrained import networks, rules, torch_files, weights_file  # noqa: E402
from thjax.pretrained.catalogue import NETWORKS  # noqa: E402
from thjax.pretrained.command import parser, run  # noqa: E402


def test_missing_unexpected_and_misshaped_keys_are_named(tmp_path):
    module = networks._module("syncnet")
    state = {rule.source: torch.zeros(rule.shape) for rule in module.rules(module.network())}
    del state["netcnnlip.18.bias"]
    state["netfcaud.0.weight"] = torch.zeros(512, 9)
    state["netfcaud.9.weight"] = torch.zeros(3)
    state["netcnnaud.1.num_batches_tracked"] = torch.tensor(7)
    state["netcnnaud.0.bias"][0] = float("nan")
    with pytest.raises(UserError) as raised:
        networks.convert("syncnet", [save(state, tmp_path / "a.model")])
    message = str(raised.value)
    assert "missing netcnnlip.18.bias (512,)" in message
    assert "unexpected netfcaud.9.weight (3,)" in message
    assert "netfcaud.0.weight has shape (512, 9), not (512, 512)" in message
    assert "netcnnaud.0.bias has values that are not finite" in message
    assert "num_batches_tracked" not in message


class Runs:
    def __reduce__(self):
        return os.system, ("touch planted",)


@pytest.mark.parametrize("name", sorted(set(NETWORKS) - {"lipnet", "openface"}))
@pytest.mark.parametrize("zipped", [True, False])
def test_a_malicious_pickle_is_refused(tmp_path, monkeypatch, name, zipped):
    monkeypatch.chdir(tmp_path)
    path = save({"netcnnaud.0.weight": Runs()}, tmp_path / "evil.pth", zipped)
    with pytest.raises(UserError, match=r"evil\.pth: refused, .*system"):
        networks.convert(name, [path] * len(NETWORKS[name].files))
    assert not (tmp_path / "planted").exists()


@pytest.mark.parametrize("value, message", [
    ([torch.zeros(2)], "holds a list"), ({"a": torch.zeros(2), "epoch": 3}, "tensors; epoch"), ({}, "it is empty"),
])
def test_what_is_no_state_dict_is_named(tmp_path, value, message):
    torch.save(value, tmp_path / "a.pth")
    with pytest.raises(UserError, match=message):
        torch_files.read_state(tmp_path / "a.pth")


def test_a_converted_file_of_another_network_is_named(tmp_path):
    weights_file.write(tmp_path / "a.safetensors", {"lpips": {"params": {"x": np.zeros(2)}}}, {"layout": "lpips"})
    with pytest.raises(UserError, match="holds 'lpips', not 'syncnet'"):
        networks.load("syncnet", tmp_path / "a.safetensors")
    with pytest.raises(UserError, match="no converted weights; make them with `thjax weights convert syncnet"):
        networks.load("syncnet", tmp_path / "b.safetensors")
    with pytest.raises(UserError, match="'vgg' is unknown; use one of .*syncnet"):
        networks.load("vgg", tmp_path / "a.safetensors")
    with pytest.raises(UserError, match=r"made of syncnet_v2\.model; 2 file\(s\) given"):
        networks.convert("syncnet", [tmp_path / "a", tmp_path / "b"])


def test_options_of_other_kinds_are_named(tmp_path):
    with pytest.raises(UserError, match="--audio_scale belongs to sda"):
        run(["convert", "syncnet", "--in", "a", "--out", str(tmp_path), "--audio_scale", "2"])
    with pytest.raises(UserError, match="sda is made of one file; 2 given"):
        run(["convert", "sda", "--in", "a", "b", "--out", str(tmp_path)])


def test_the_list_tells_everything_about_each(capsys):
    assert run(["list"]) == 0
    said = capsys.readouterr().out
    for name, entry in NETWORKS.items():
        assert f"\n{name}\n" in said
        for part in (entry.what, *entry.files, entry.source, entry.licence, entry.input, entry.used_by):
            assert part and part in said
    assert "sda\n" in said
    (layout,) = (action for action in parser()._subparsers._group_actions[0].choices["convert"]._actions
                 if action.dest == "layout")
    assert set(layout.choices) == {"sda", *NETWORKS}


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_no_two_rules_share_a_key_or_a_place(name):
    module = networks._module(name)
    table = module.rules(module.network())
    places = [path for rule in table for path, _ in rule.places]
    assert len({rule.source for rule in table}) == len(table)
    assert len(set(places)) == len(places)
    assert rules.unread({"a.num_batches_tracked": 0, "head.b": 0, "body.b": 0}, "head.") == {"body.b": 0}
