"""The command line of a config."""

import pytest

from thjax.core.errors import UserError
from thjax.train import config_cli

PLACES = ["--data", "D", "--out", "O"]


def test_own_options_and_overrides_are_told_apart():
    request = config_cli.parse(
        [
            "toy:demo",
            *PLACES,
            "--data.batch=8",
            "--data.mirror",
            "False",
            "--toy.rate",
            "1e-4",
            "--parallel.executor",
            "pmap",
            "--data.fields",
            "audio",
            "landmarks",
            "--dry_run",
        ]
    )
    assert (str(request.data), str(request.out), request.dry_run, request.accept_changes) == ("D", "O", True, False)
    config = request.config
    assert (config.data.batch, config.data.mirror, config.data.fields) == (8, False, ("audio", "landmarks"))
    assert (config.toy.rate, config.parallel.executor, config.variant) == (1e-4, "pmap", "demo")


@pytest.mark.parametrize(
    "argv, message",
    [
        (
            ["toy:demo", *PLACES, "--paralel.executor", "jit"],
            r"unknown key --paralel.executor; did you mean --parallel.executor\?",
        ),
        (["toy:demo", *PLACES, "--executor", "jit"], r"did you mean --parallel.executor\?"),
        (["toy:demo", *PLACES, "--step", "3"], r"did you mean --train.steps\?"),
        (["toy:demo", *PLACES, "--dry-run"], r"did you mean --dry_run\?"),
        (["toy:demo", *PLACES, "--accept_change"], r"did you mean --accept_changes\?"),
        (["toy:demo", *PLACES, "--toy.zzz", "1"], "the keys of 'toy' are --toy.width, --toy.rate"),
        (["toy:demo", *PLACES, "--zzz", "1"], "the groups and keys are seed, precision"),
        (["toy:demo", *PLACES, "--system", "x"], "given by SYSTEM:VARIANT"),
        (
            ["toy:dmo", *PLACES],
            r"variant 'dmo' of toy is unknown; did you mean demo\? The variants are demo, two_stages, patience",
        ),
        (
            ["tyo:demo", *PLACES],
            r"system 'tyo' is unknown; did you mean toy\? The systems are dirfa, dirfa_generator, temporal_gan, toy",
        ),
        (["toy", *PLACES], "names no variant; use toy:VARIANT with one of demo"),
        (["toy:demo", *PLACES, "--accept_changes=false"], "--accept_changes takes no value; give it, or leave it out"),
        (["toy:demo", "--data", "D"], "--out DIR is missing"),
        (["toy:demo", "--out", "O"], "--data DIR is missing"),
        ([], r"which SYSTEM:VARIANT\?"),
    ],
)
def test_wrong_use_says_what_is_right(argv, message):
    with pytest.raises(UserError, match=message):
        config_cli.parse(argv)


@pytest.mark.parametrize(
    "key, value, message",
    [
        ("toy.width", "0", "toy.width 0 must be at least 1"),
        ("seed", "4294967296", "seed 4294967296 must be 0 to 4294967295"),
        ("toy.width", "wide", "wide"),
        ("loader.prefetch", "-1", "loader.prefetch -1 must be at least 0"),
        ("loader.workers", "-1", "loader.workers -1 must be at least 0"),
        ("parallel.devices", "-2", "parallel.devices -2 must be at least 1, or 0 for all of them"),
    ],
)
def test_a_bad_value_exits_with_2_and_names_it(key, value, message, capsys):
    with pytest.raises(SystemExit) as stopped:
        config_cli.parse(["toy:demo", *PLACES, f"--{key}", value])
    assert stopped.value.code == 2
    assert message in " ".join(capsys.readouterr().err.replace("│", " ").split())


def test_help_lists_every_key_with_its_unit(capsys):
    with pytest.raises(SystemExit) as stopped:
        config_cli.parse(["toy:demo", "--help"])
    assert stopped.value.code == 0
    text = " ".join(capsys.readouterr().out.replace("│", " ").split())
    for words in (
        "--toy.width INT",
        "--train.keep INT",
        "--data.crop.height INT",
        "Rows of a frame, in pixels.",
        "--parallel.executor {jit,shard_map,pmap}",
        "--accept_changes",
    ):
        assert words in text


def test_a_dry_run_needs_no_directory():
    assert config_cli.parse(["toy:demo", "--data", "D", "--dry_run"]).out is None
