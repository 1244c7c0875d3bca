"""An installed wheel works outside the checkout: it ships configs and data_pipelines, and never the tests."""

import os
import pathlib
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out), str(ROOT)]
    environment = os.environ | {"SETUPTOOLS_SCM_PRETEND_VERSION": "0"}
    built = subprocess.run(command, capture_output=True, text=True, timeout=300, env=environment)
    assert built.returncode == 0, built.stdout + built.stderr
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def site(wheel, tmp_path_factory):
    """A folder with the wheel's files, to stand before everything else on the path."""
    folder = tmp_path_factory.mktemp("site")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


def test_the_wheel_ships_what_it_needs(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names if "dist-info" not in name}
    assert tops == {"thjax", "configs", "data_pipelines"}
    code = {
        str(path.relative_to(ROOT)) for top in tops for path in (ROOT / top).rglob("*.py")
    }
    assert code <= set(names)


@pytest.mark.wheel
@pytest.mark.multi_process
def test_train_runs_from_the_wheel_outside_the_checkout(site, tmp_path):
    # What the wheel ships is in question, not how fast its programs run: compiling them takes most of the time.
    environment = os.environ | {"PYTHONPATH": str(site), "JAX_DISABLE_MOST_OPTIMIZATIONS": "true"}

    def call(*arguments):
        command = [sys.executable, "-P", *arguments]
        return subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300)

    where = call("-c", "import thjax, configs, data_pipelines; print(thjax.__file__, configs.__file__)")
    assert where.stdout.count(str(site)) == 2, where.stderr
    corpus = ("--speakers", "3", "--clips", "1", "--size", "64", "--out", "corpus")
    made = call("-m", "thjax.cli", "data", "synth", *corpus)
    assert made.returncode == 0, made.stdout + made.stderr
    dry = call("-m", "thjax.cli", "train", "temporal_gan:demo", "--data", "corpus", "--out", "run", "--dry_run")
    assert dry.returncode == 0, dry.stdout + dry.stderr
    assert "generator" in dry.stdout and not (tmp_path / "run" / "checkpoints").exists()
