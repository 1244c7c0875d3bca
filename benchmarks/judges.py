"""The judges: `python -m benchmarks.judges` (`make judges`) trains all of them, examines them on the test split once,
and ships those that measure or that a variant trains by.

Settings were chosen on the validation split. Figures go to benchmarks/learning/judges.json with hashes of recipes and
code; weights that ship go into the package. tests/benchmarks/test_judges.py fails when a hash no longer matches.
"""

import argparse
import dataclasses
import json
import pathlib
import shutil
import subprocess
import sys
import time

from benchmarks.learn import RESULTS, one_thread
from benchmarks.staleness import code_hash

COMMAND = "make judges"
RESULT = RESULTS / "judges.json"
TRAINED_BY = ("face_loss",)
"""Judges that ship because a variant of configs/ learns by them: dirfa_generator:tiny."""
LANES = ("loss", "metric")
"""Trained side by side, one thread each."""
COMMON = ("thjax/judges/regions.py", "thjax/judge_training/fit.py", "data_pipelines/synthetic", "thjax/face3d",
          "data_pipelines/crops.py", "data_pipelines/warping.py",
          "data_pipelines/synthetic/espeak_worker.py")  # a process of its own, which nothing imports
CODE = {
    "sync": ("thjax/audio/log_mel.py", "thjax/judges/sync.py", "thjax/judge_training/sync.py",
             "thjax/judge_training/sync_variation.py", "thjax/judge_training/sync_controls.py",
             "thjax/judge_training/clips.py"),
    "lips": ("thjax/judges/lips.py", "thjax/judges/command_grammar.py", "thjax/judge_training/lips.py",
             "thjax/judge_training/lip_batches.py", "thjax/judge_training/lip_stages.py",
             "thjax/judge_training/lip_controls.py", "thjax/judge_training/equal_visemes.py",
             "thjax/judge_training/mouths.py", "thjax/judge_training/clips.py"),
    "identity": ("thjax/judges/identity.py", "thjax/judge_training/identity.py", "thjax/judge_training/verification.py",
                 "thjax/judge_training/stills.py"),
    "face": ("thjax/judges/face.py", "thjax/judges/face_alignment.py", "thjax/judge_training/face.py",
             "thjax/judge_training/face_batches.py", "thjax/judge_training/face_material.py",
             "thjax/judge_training/stills.py"),
}
"""Code whose change makes the weights of a kind stale, beside `COMMON`, and with them its figures."""
EXAMINING = {
    "face": ("thjax/judge_training/face_exam.py", "thjax/metrics/blinks.py", "thjax/metrics/closures.py"),
}
"""Code that trains nothing: its change makes the figures of a kind stale, not its weights."""


def weights_hash(kind: str) -> str:
    """SHA-256 of the code that decides the weights of a kind; of the folders, what its training imports."""
    return code_hash((*COMMON, *CODE[kind]), f"thjax.judge_training.{kind}")


def figures_hash(kind: str) -> str:
    """The same of the code that decides its figures."""
    return code_hash((*COMMON, *CODE[kind], *EXAMINING.get(kind, ())), f"thjax.judge_training.{kind}")


def in_lanes(command: list[str], out: pathlib.Path) -> float:
    """Runs `command NAMES... --out DIR` for both lanes side by side; returns the seconds it took."""
    from configs.judges import RECIPES

    started = time.monotonic()
    lanes = [
        subprocess.Popen([sys.executable, *command, *(name for name in RECIPES if name.endswith(f"_{lane}")), "--out",
                          str(out)], env=one_thread())
        for lane in LANES
    ]
    if any([lane.wait() for lane in lanes]):
        raise SystemExit("a judge failed, see above; the same command goes on from there")
    return time.monotonic() - started


def examine(name: str, out: pathlib.Path, split: str) -> dict:
    """One judge's figures, {row: {metric: {"mean", "ci95", "n"}}}, with what they belong to."""
    from configs.judges import get_config
    from thjax.judge_training import making
    from thjax.judges import face, shipped

    recipe, module = get_config(name), making.training(name)
    variables, header = shipped.read(making.path_of(out, name))
    arguments = {}
    if making.kind_of(name) == "face":
        other = {"face_loss": "face_metric", "face_metric": "face_loss"}[name]
        arguments["other"] = face.Judge(shipped.read(making.path_of(out, other))[0], get_config(other).network)
    rows = module.examine(variables, recipe, out / making.MATERIAL, split, **arguments)
    return {"seed": recipe.seed, "recipe_hash": header["recipe_hash"], "code_hash": figures_hash(making.kind_of(name)),
            "network": dataclasses.asdict(recipe.network), "rows": rows}


def figures_path(out: pathlib.Path, name: str, split: str) -> pathlib.Path:
    """Where a judge's figures wait to be gathered."""
    return out / f"{name}.{split}.json"


def forget_stale(out: pathlib.Path, names: list[str]) -> list[str]:
    """Deletes weights that other code has trained: their figures would be signed by code that did not make them.

    Returns:
        The names whose weights are kept.
    """
    from thjax.judge_training import making

    for name in names:
        signed, weights = out / f"{name}.code", making.path_of(out, name)
        code = weights_hash(making.kind_of(name))
        if weights.is_file() and not (signed.is_file() and signed.read_text() == code):
            print(f"{weights} was trained by other code and is trained anew")
            weights.unlink()
        out.mkdir(parents=True, exist_ok=True)
        signed.write_text(code)
    return [name for name in names if making.is_made(out, name)]


def ship(out: pathlib.Path, judges: dict) -> None:
    """Puts the judges that measure, and those that a variant trains by, into the package, with their figures."""
    from thjax.judge_training import making
    from thjax.judges import shipped

    shipped.FOLDER.mkdir(exist_ok=True)
    for name in judges:
        if name.endswith("_metric") or name in TRAINED_BY:
            path = making.path_of(out, name)
            variables, header = shipped.read(path)
            shipped.save(path, variables, header | {"figures": judges[name]["rows"]["ours"]})
            shutil.copyfile(path, shipped.FOLDER / path.name)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.judges", description=__doc__)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/judges"),
                        help="weights and material; what the same recipe and code made is kept (default: %(default)s)")
    parser.add_argument("--split", default="test", help="validation prints and ships nothing (default: %(default)s)")
    parser.add_argument("--examine", nargs="+", metavar="NAME", help="only examine these, trained before")
    arguments = parser.parse_args()
    out, split = arguments.out, arguments.split
    if arguments.examine:
        for name in arguments.examine:
            figures_path(out, name, split).write_text(json.dumps(examine(name, out, split)))
        return
    from configs.judges import RECIPES

    kept = forget_stale(out, list(RECIPES))
    training = in_lanes(["-m", "thjax.cli", "judges", "train"], out)
    examining = in_lanes(["-m", "benchmarks.judges", "--split", split, "--examine"], out)
    judges = {name: json.loads(figures_path(out, name, split).read_text()) for name in RECIPES}
    print(json.dumps({name: judge["rows"]["ours"] for name, judge in judges.items()}, indent=1))
    print(f"training {training:.0f} s, examination {examining:.0f} s")
    if split == "test":
        ship(out, judges)
        seconds = {"training": round(training), "examination": round(examining), "kept_from_before": kept}
        RESULT.write_text(json.dumps({"command": COMMAND, "split": "test", "seconds": seconds, "judges": judges},
                                     indent=1) + "\n")


if __name__ == "__main__":
    main()
