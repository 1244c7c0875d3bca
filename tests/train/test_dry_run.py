"""`--dry_run`: what it prints, against counting by hand."""

import json
import shutil

from thjax.train.config_cli import parse


def test_a_dry_run_prints_config_parameters_memory_and_epochs_and_writes_nothing(toy, tmp_path, capsys):
    from thjax import cli

    arguments = ["train", "toy:two_stages", "--data", str(toy.corpus), "--dry_run", "--data.batch", "4"]
    before = sorted(tmp_path.rglob("*"))
    assert cli.main(arguments) == 0
    text = capsys.readouterr().out
    config = json.loads(text[text.index("{") : text.index("\n}\n") + 2])
    assert config["data"]["batch"] == 4 and config["variant"] == "two_stages"
    warm, gan = text.split("\nstage ")[1:]
    assert warm.startswith("warm: 5 steps") and gan.startswith("gan: 6 steps")
    # 6 clips of one record each train: one batch of 8 holds an epoch, two of 4 do.
    assert "batches per epoch  1\n" in warm and "batches per epoch  2\n" in gan
    # Dense 4 -> 8 -> 4: 40 + 36. Convolution 3x3 3 -> 8, Dense 8 -> 8 and 8 -> 3: 224 + 72 + 27.
    # Convolution 4x4 3 -> 8, Dense 8 -> 1: 392 + 9.
    lines = [line.split() for line in gan.splitlines()]
    counts = {line[0]: line[1] for line in lines if len(line) == 2 and line[1].isdecimal()}
    assert counts == {"landmarks": "76", "generator": "323", "discriminator": "401", "all": "800"}
    for row in ("parameters", "averaged parameters", "optimizers", "batch", "memory of a compiled step"):
        assert row in text
    assert sorted(tmp_path.rglob("*")) == before


def test_memory_is_counted_in_bytes(toy):
    from thjax.train.dry_run import count, size
    from thjax.train.run import assemble

    run = assemble(parse(["toy:demo", "--data", str(toy.corpus), "--dry_run"]).config, toy.corpus, None)
    batch = run.loaders[0].batch_at(0)
    assert size(batch) == sum(value.nbytes for value in batch.values())
    assert count(batch) == sum(value.size for value in batch.values())


def test_several_corpora_are_one_run(toy, tmp_path):
    from thjax.train.run import assemble

    copy = tmp_path / "copy"
    shutil.copytree(toy.corpus, copy)
    config = parse(["toy:demo", "--data", "D", "--dry_run"]).config
    alone, mixed = assemble(config, toy.corpus, None), assemble(config, f"{toy.corpus}=3,{copy}=1", None)
    assert mixed.stats["records"] == 2 * alone.stats["records"]
    evenly = assemble(config, f"{toy.corpus}=1,{copy}=1", None)
    assert len({alone.manifest_hash, mixed.manifest_hash, evenly.manifest_hash}) == 3
    drawn = [mixed.loaders[0].source_at(position)[0] for position in range(1024)]
    assert drawn.count(1) == 256
