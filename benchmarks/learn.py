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
        score: module whose `score` makes the table of trained runs.
        drawing: those that draw the corpus; their change does, too, unless the corpus stays the same to the byte.
    """

    variant: str
    corpus: tuple[str, ...]
    code: tuple[str, ...]
    score: str
    drawing: tuple[str, ...] = ("data_pipelines/synthetic", "thjax/face3d")


NOT_DRAWING = ("data_pipelines/synthetic/command.py", "data_pipelines/synthetic/workshop.py",
               "data_pipelines/synthetic/preview.py", "data_pipelines/synthetic/features.py")
"""How corpora are asked for, written and looked at: it decides nothing that a rendered clip holds. Clips without pixels
come from features.py; a result that is made of them names it."""


GENERATOR_ALONE = (
    *(f"thjax/blocks/{name}.py" for name in ("dense_motion", "feature_layers", "keypoints3d", "patch_discriminator",
                                             "spectral", "volume_decoder", "warp3d")),
    *(f"thjax/losses/{name}.py" for name in ("features", "keypoints", "least_squares")),
)
"""Blocks and losses that `dirfa_generator` alone is made of: results of other systems do not hang on them, and its own
names them."""


LEARNING = {
    "temporal_gan": Learning(
        variant="temporal_gan:demo",
        corpus=("--speakers", "96", "--clips", "6", "--size", "96", "--motion", "still", "--sentences", "grid",
                "--seed", "0"),
        code=("thjax/systems/temporal_gan", "thjax/losses", "thjax/blocks", "thjax/engine", "data_pipelines/crops.py"),
        score="benchmarks.learning_pictures",
    ),
    "dirfa_mapper": Learning(
        variant="dirfa:demo",
        corpus=("--no_pixels", "--speakers", "240", "--clips", "16", "--motion", "natural", "--sentences", "free",
                "--validation_speakers", "12", "--test_speakers", "12", "--seed", "0"),
        code=("thjax/systems/dirfa", "thjax/audio", "thjax/blocks", "thjax/engine"),
        score="benchmarks.learning_motion",
        drawing=("data_pipelines/synthetic", "data_pipelines/synthetic/features.py", "thjax/face3d"),
    ),
    "dirfa_generator": Learning(
        variant="dirfa_generator:tiny",
        corpus=("--speakers", "96", "--clips", "3", "--size", "64", "--motion", "natural", "--sentences", "grid",
                "--seed", "0"),
        code=("thjax/systems/dirfa_generator", "thjax/losses", "thjax/blocks", "thjax/engine", *GENERATOR_ALONE),
        score="benchmarks.learning_generator",
    ),
}


def code_hash(paths: tuple[str, ...]) -> str:
    """SHA-256 over the syntax trees of the code, so that comments, docstrings and layout do not count.

    In folders the files of `NOT_DRAWING` and `GENERATOR_ALONE` do not count either.
    """
    digest, apart = hashlib.sha256(), NOT_DRAWING + GENERATOR_ALONE
    for path in paths:
        top = ROOT / path
        everything = sorted(top.rglob("*.py")) if top.is_dir() else [top]
        for file in (file for file in everything if file == top or str(file.relative_to(ROOT)) not in apart):
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
    plan = LEARNING[system]
    corpus = draw(plan, work)
    command = f"make learn SYSTEM={system}"
    runs = []
    for seed in SEEDS:
        runs.append(work / f"seed-{seed}")
        _thjax("train", plan.variant, "--data", str(corpus), "--out", str(runs[-1]), "--seed", str(seed))
    scored = importlib.import_module(plan.score).score(dict(zip(SEEDS, runs, strict=True)), corpus, split, command)
    return {
        "command": command, "variant": plan.variant, "split": split, "seeds": list(SEEDS),
        "config_hash": config_hash(plan.variant), "code_hash": code_hash(plan.code),
        "drawing_hash": code_hash(plan.drawing), "corpus_digest": corpus_digest(corpus), "corpus": list(plan.corpus),
        **scored,
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
