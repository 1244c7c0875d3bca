"""Learning results: `python -m benchmarks.learn SYSTEM` trains with its seeds and scores the test split once.

Settings were chosen on the validation split. A test split that was read before a design was mended is held out no
more: then `test` says how another corpus differs, whose test split nobody has seen. The result goes to
benchmarks/learning/SYSTEM.json with hashes of the config and of the code that decides it;
tests/benchmarks/test_learning.py fails when they no longer match.

Code that draws the corpora may change without changing a byte of them: `--confirm` draws them again, and where their
shards have the digests that the result was made with, it stands under the new code's hash.
"""

import argparse
import dataclasses
import hashlib
import importlib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

from benchmarks.staleness import ROOT, code_hash
from thjax.core import files

RESULTS = ROOT / "benchmarks" / "learning"


@dataclasses.dataclass(frozen=True)
class Learning:
    """What a learning result is made of.

    Attributes:
        variant: SYSTEM:VARIANT.
        corpus: arguments of `thjax data synth`.
        code: folders whose change makes the result stale, as far as the system imports what changed.
        score: module whose `score` makes the table of trained runs.
        drawing: those that draw the corpus; their change does, too, unless the corpus stays the same to the byte.
        seeds: of the runs. An ablation has one: it shows what a part is for, and meets no bar.
        files: what else the system learns from, whose change makes the result stale.
        test: arguments in which the corpus that test is read from differs; none: it is the same corpus. Controls that
            learn learn from its training split.
    """

    variant: str
    corpus: tuple[str, ...]
    code: tuple[str, ...]
    score: str
    drawing: tuple[str, ...] = ("data_pipelines/synthetic", "thjax/face3d")
    seeds: tuple[int, ...] = (0, 1)
    files: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    @property
    def root(self) -> str:
        """The module that imports all the system trains with."""
        return f"thjax.systems.{self.variant.partition(':')[0]}.system"


MAPPER = Learning(
    variant="dirfa:demo",
    corpus=("--no_pixels", "--speakers", "240", "--clips", "16", "--motion", "natural", "--sentences", "free",
            "--validation_speakers", "12", "--test_speakers", "12", "--seed", "0"),
    code=("thjax/systems/dirfa", "thjax/audio", "thjax/blocks", "thjax/engine"),
    score="benchmarks.learning_motion",
    drawing=("data_pipelines/synthetic", "data_pipelines/synthetic/features.py", "thjax/face3d"),
    test=("--seed", "1", "--speakers", "49", "--validation_speakers", "1"),
)

LEARNING = {
    "temporal_gan": Learning(
        variant="temporal_gan:demo",
        corpus=("--speakers", "96", "--clips", "6", "--size", "96", "--motion", "still", "--sentences", "grid",
                "--seed", "0"),
        code=("thjax/systems/temporal_gan", "thjax/losses", "thjax/blocks", "thjax/engine", "data_pipelines/crops.py"),
        score="benchmarks.learning_pictures",
    ),
    "dirfa_mapper": MAPPER,
    **{f"dirfa_mapper_{name}": dataclasses.replace(MAPPER, variant=f"dirfa:demo_{name}", seeds=(0,),
                                                   score="benchmarks.learning_ablations")
       for name in ("no_prob", "no_tbm")},
    "dirfa_generator": Learning(
        variant="dirfa_generator:tiny",
        corpus=("--speakers", "160", "--clips", "2", "--size", "64", "--motion", "natural", "--sentences", "grid",
                "--seed", "0"),
        code=("thjax/systems/dirfa_generator", "thjax/judges", "thjax/losses", "thjax/blocks", "thjax/engine"),
        score="benchmarks.learning_generator", files=("thjax/judges/weights/face_loss.safetensors",),
        test=("--seed", "1", "--speakers", "28", "--validation_speakers", "1", "--test_speakers", "26"),
    ),
}


def config_hash(variant: str) -> str:
    """SHA-256 of a variant's values; but for `parallel`: how many devices share a step decides nothing."""
    system, _, name = variant.partition(":")
    values = dataclasses.asdict(importlib.import_module(f"configs.{system}").get_config(name))
    del values["parallel"]
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()


def stale(system: str, made: dict) -> dict[str, object]:
    """What of a result belongs to other values, code, corpus or seeds than today's: {name: today's}."""
    plan = LEARNING[system]
    today = {"config_hash": config_hash(plan.variant), "code_hash": code_hash(plan.code, plan.root),
             "drawing_hash": code_hash(plan.drawing), "corpus": list(plan.corpus), "test": list(plan.test),
             "seeds": list(plan.seeds), "files": file_hashes(plan)}
    # A result from before `files` or `test` was thought of has none.
    return {name: value for name, value in today.items() if (made.get(name) or None) != (value or None)}


def file_hashes(plan: Learning) -> dict[str, str]:
    """SHA-256 of what else a system learns from."""
    return {name: files.sha256(ROOT / name) for name in plan.files}


def learn(system: str, work: pathlib.Path, split: str) -> dict:
    """Makes the corpus, trains every seed, scores them; returns the table in the project's one form."""
    plan = LEARNING[system]
    corpus = draw(plan.corpus, work / "corpus")
    command = f"make learn SYSTEM={system}"
    runs = train(plan, corpus, work)
    held_out = draw_test(plan, work) if split == "test" else corpus
    scored = importlib.import_module(plan.score).score(runs, held_out, split, command)
    return {
        "command": command, "variant": plan.variant, "split": split, "seeds": list(plan.seeds),
        "config_hash": config_hash(plan.variant), "code_hash": code_hash(plan.code, plan.root),
        "drawing_hash": code_hash(plan.drawing), "corpus_digest": corpus_digest(corpus), "corpus": list(plan.corpus),
        "test_digest": corpus_digest(held_out), "test": list(plan.test), "files": file_hashes(plan), **scored,
    }


def one_thread() -> dict[str, str]:
    """Environment of runs side by side: two programs of one thread use two cores better than one of two."""
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_cpu_multi_thread_eigen=false"
    return os.environ | {"XLA_FLAGS": flags.strip(), "OMP_NUM_THREADS": "1"}


def train(plan: Learning, corpus: pathlib.Path, work: pathlib.Path) -> dict[int, pathlib.Path]:
    """Trains all seeds, several of them side by side with one thread each; returns their runs."""
    runs = {seed: work / f"seed-{seed}" for seed in plan.seeds}
    environment = one_thread() if len(runs) > 1 else os.environ
    lanes = [subprocess.Popen(_command("train", plan.variant, "--data", str(corpus), "--out", str(run), "--seed",
                                       str(seed)), env=environment) for seed, run in runs.items()]
    if any([lane.wait() for lane in lanes]):
        raise SystemExit("a seed failed, see above; with the same --work it goes on from its last checkpoint")
    return runs


def draw(arguments: tuple[str, ...], corpus: pathlib.Path) -> pathlib.Path:
    """Writes a corpus; returns its folder."""
    _thjax("data", "synth", *arguments, "--out", str(corpus))
    return corpus


def draw_test(plan: Learning, work: pathlib.Path) -> pathlib.Path:
    """Writes the corpus that test is read from; returns its folder."""
    return draw((*plan.corpus, *plan.test), work / "test") if plan.test else work / "corpus"


def corpus_digest(corpus: pathlib.Path) -> str:
    """SHA-256 over the hashes of the shards: of everything that a loader can read."""
    shards = json.loads((corpus / "dataset.json").read_text())["shards"]
    return files.fingerprint(sorted([shard["name"], shard["sha256"]] for shard in shards))


def confirm(system: str, work: pathlib.Path) -> None:
    """Lets a result stand under the present drawing code, if that draws the corpus it was made on."""
    plan, path = LEARNING[system], RESULTS / f"{system}.json"
    made = json.loads(path.read_text())
    drawn = {"corpus_digest": draw(plan.corpus, work / "corpus")}
    if plan.test:
        drawn["test_digest"] = draw_test(plan, work)
    for name, corpus in drawn.items():
        digest = corpus_digest(corpus)
        if digest != made[name]:
            raise SystemExit(f"{name} is another one ({digest[:12]}, the result's is {made[name][:12]}); "
                             f"run: {made['command']}")
    path.write_text(json.dumps(made | {"drawing_hash": code_hash(plan.drawing)}, indent=1) + "\n")
    print(f"{path}: its corpora are the same to the byte; the result stands")


def _thjax(*arguments: str) -> None:
    subprocess.run(_command(*arguments), check=True)


def _command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "thjax.cli", *arguments]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.learn", description=__doc__)
    parser.add_argument("system", choices=sorted(LEARNING))
    parser.add_argument("--work", type=pathlib.Path, help="keeps corpus and runs (default: a temporary folder)")
    parser.add_argument("--confirm", action="store_true", help="only draw the corpus again, see above")
    parser.add_argument("--split", default="test", help="validation prints and writes nothing (default: %(default)s)")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = arguments.work or pathlib.Path(temporary)
        if arguments.confirm:
            confirm(arguments.system, work)
            return
        result = learn(arguments.system, work, arguments.split)
    print(json.dumps(result["paired"], indent=1))
    if arguments.split == "test":
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{arguments.system}.json").write_text(json.dumps(result, indent=1) + "\n")


if __name__ == "__main__":
    main()
