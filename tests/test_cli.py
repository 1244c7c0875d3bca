"""The dispatcher: quick help, unknown commands, and the boundary between expected errors and defects."""

import pathlib
import subprocess
import sys

import pytest

from thjax import cli


def test_help_names_every_command_and_imports_nothing_heavy():
    code = (
        "import sys; from thjax import cli; status = cli.main(['--help']); "
        "heavy = {'jax', 'numpy', 'tyro', 'grain'} & set(sys.modules); sys.exit(status or bool(heavy))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert all(f"  {name} " in done.stdout for name in cli.COMMANDS)


def test_an_unknown_command_names_the_nearest_and_all(capsys):
    assert cli.main(["trian"]) == 2
    message = capsys.readouterr().err
    assert "did you mean `thjax train`?" in message and all(name in message for name in cli.COMMANDS)


def test_no_command_is_wrong_use(capsys):
    assert cli.main([]) == 2
    assert "usage: thjax COMMAND" in capsys.readouterr().out


@pytest.fixture
def command(monkeypatch):
    """Makes `thjax train` run a function."""
    from thjax.train import command

    return lambda run: monkeypatch.setattr(command, "run", run)


def test_expected_errors_become_one_message(command, capsys):
    from data_pipelines.schema import DataError
    from thjax.core.config import TrainConfig
    from thjax.core.errors import RunStopped, UserError

    def raising(error):
        def run(argv):
            raise error

        return run

    cases = [
        (UserError("no such key"), 2, "thjax train: no such key"),
        (DataError("no shard"), 2, "thjax train: no shard"),
        (RunStopped("stopped", 143), 143, "thjax train: stopped"),
    ]
    for error, code, text in cases:
        command(raising(error))
        assert cli.main(["train"]) == code
        assert capsys.readouterr().err == text + "\n"
    command(lambda argv: pathlib.Path("/no/such/file").read_text())
    assert cli.main(["train"]) == 2
    assert capsys.readouterr().err == "thjax train: /no/such/file: no such file or directory\n"
    command(lambda argv: TrainConfig(keep=0))  # a ValueError raised in our own code
    assert cli.main(["train"]) == 2
    assert capsys.readouterr().err == "thjax train: train.keep 0 must be at least 1\n"


def test_a_defect_keeps_its_traceback(command, capsys):
    command(lambda argv: int("x"))
    # Raised by this very test file, which is not ours to the boundary.
    assert cli.main(["train"]) == 1
    message = capsys.readouterr().err
    assert "Traceback" in message and "defect of thjax" in message


def test_warnings_have_one_form_whatever_a_command_imports():
    code = (
        "import logging, sys, types; from thjax import cli; "
        "fake = sys.modules['fake'] = types.ModuleType('fake'); "
        "fake.run = lambda argv: logging.basicConfig() or logging.getLogger('fake').warning('told once'); "
        "cli.COMMANDS['train'] = ('fake', ''); cli.main(['train'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr == "warning: told once\n"


def test_ctrl_c_outside_of_training_exits_130(command):
    def run(argv):
        raise KeyboardInterrupt

    command(run)
    assert cli.main(["train"]) == 130
