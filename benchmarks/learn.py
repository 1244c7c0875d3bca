"""Learning results: `python -m benchmarks.learn SYSTEM` trains with two seeds and scores the test split once.

Settings were chosen on the validation split. The result goes to benchmarks/learning/SYSTEM.json with hashes of the
config and of the code that decides it; tests/benchmarks/test_learning.py fails when they no longer match.

Code that draws the corpus may change without changing a byte of it: `--confirm` draws the corpus again, and where its
shards have the digest of those that were trained on, the result stands under the new code's hash.
"""

import argparse
import ast
import dataclasses
import hashlib
import importlib
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

from thjax.core.files import fingerprint

ROOT = pathlib.Path(__file__).parent.parent
RESULTS = ROOT / "benchmarks" / "learning"
SEEDS = (0, 1)


@dataclasses.dataclass(frozen=True)
class Learning:
    """What a learning result is made of.

    Attributes:
        variant: SYSTEM:VARIANT.
        corpus: arguments of `thjax data synth`.
        code: files and folders whose change makes the result stale.
        drawing: those that draw the corpus; their change does, too, unless the corpus stays the same to the byte.
    """

    variant: str
    corpus: tuple[str, ...]
    code: tuple[str, ...]
    drawing: tuple[str, ...] = ("data_pipelines/synthetic", "thjax/face3d")


SPEAKERS, CLIPS = "96", "6"
LEARNING = {
    "temporal_gan": Learning(
        variant="temporal_gan:demo",
        corpus=("--speakers", SPEAKERS, "--clips", CLIPS, "--size", "96", "--motion", "still", "--sentences", "grid",
                "--seed", "0"),
        code=("thjax/systems/temporal_gan", "thjax/losses", "thjax/blocks", "thjax/engine", "data_pipelines/crops.py"),
    )
}


def code_hash(paths: tuple[str, ...]) -> str:
    """SHA-256 over the syntax trees of the code, so that comments, docstrings and layout do not count."""
    digest = hashlib.sha256()
    for path in paths:
        top = ROOT / path
        for file in sorted(top.rglob("*.py")) if top.is_dir() else [top]:
            digest.update(str(file.relative_to(ROOT)).encode())
            digest.update(_without_docstrings(file.read_text()).encode())
    return digest.hexdigest()


def config_hash(variant: str) -> str:
    """SHA-256 of a variant's values."""
    system, _, name = variant.partition(":")
    config = importlib.import_module(f"configs.{system}").get_config(name)
    return hashlib.sha256(json.dumps(dataclasses.asdict(config), sort_keys=True).encode()).hexdigest()


def _without_docstrings(source: str) -> str:
    tree = ast.parse(source)
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [n for n in body if not (isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant))]
    return ast.dump(tree)


def learn(system: str, work: pathlib.Path, split: str) -> dict:
    """Makes the corpus, trains every seed, scores them; returns the table in the project's one form."""
    from data_pipelines.schema import DataError
    from thjax.checkpoint import load_run
    from thjax.evaluate.run import evaluate_run
    from thjax.evaluate.scores import paired, table

    plan = LEARNING[system]
    corpus = draw(plan, work)
    command = f"make learn SYSTEM={system}"
    results = []
    for seed in SEEDS:
        run = work / f"seed-{seed}"
        _thjax("train", plan.variant, "--data", str(corpus), "--out", str(run), "--seed", str(seed))
        result, _, _ = evaluate_run(load_run(run), corpus, split, seed, command, report=print)
        results.append(result)
    if any(result.keys != results[0].keys for result in results):
        raise DataError("the seeds were scored on different clips")
    speakers = results[0].speakers
    mean = {
        row: {name: np.mean([r.per_clip[row][name] for r in results], axis=0) for name in metrics}
        for row, metrics in results[0].per_clip.items()
    }
    per_seed = {f"ours_seed_{seed}": r.per_clip["ours"] for seed, r in zip(SEEDS, results, strict=True)}
    rows = table(mean | per_seed, speakers)
    return {
        "command": command, "variant": plan.variant, "split": split, "seeds": list(SEEDS),
        "config_hash": config_hash(plan.variant), "code_hash": code_hash(plan.code),
        "drawing_hash": code_hash(plan.drawing), "corpus_digest": corpus_digest(corpus),
        "corpus": list(plan.corpus), "manifest_hash": results[0].about["manifest_hash"],
        "rows": {row: {name: value.as_json() for name, value in metrics.items()} for row, metrics in rows.items()},
        "paired": {name: value.as_json() for name, value in paired(mean, speakers).items()},
        "paired_per_seed": [
            {name: value.as_json() for name, value in result.paired.items()} for result in results
        ],
    }


def draw(plan: Learning, work: pathlib.Path) -> pathlib.Path:
    """Writes the corpus of a result; returns its folder."""
    corpus = work / "corpus"
    _thjax("data", "synth", *plan.corpus, "--out", str(corpus))
    return corpus


def corpus_digest(corpus: pathlib.Path) -> str:
    """SHA-256 over the hashes of the shards: of everything that a loader can read."""
    shards = json.loads((corpus / "dataset.json").read_text())["shards"]
    return fingerprint(sorted([shard["name"], shard["sha256"]] for shard in shards))


def confirm(system: str, work: pathlib.Path) -> None:
    """Lets a result stand under the present drawing code, if that draws the corpus it was made on."""
    plan, path = LEARNING[system], RESULTS / f"{system}.json"
    made = json.loads(path.read_text())
    digest = corpus_digest(draw(plan, work))
    if digest != made["corpus_digest"]:
        raise SystemExit(f"the corpus is another one ({digest[:12]}, trained on {made['corpus_digest'][:12]}); "
                         f"run: {made['command']}")
    path.write_text(json.dumps(made | {"drawing_hash": code_hash(plan.drawing)}, indent=1) + "\n")
    print(f"{path}: the corpus is the same to the byte; the result stands")


def _thjax(*arguments: str) -> None:
    subprocess.run([sys.executable, "-m", "thjax.cli", *arguments], check=True)


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
