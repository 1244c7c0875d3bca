"""`thjax demo`: corpus, training, a held-out face speaking an unheard sentence, evaluation."""

import argparse
import json
import pathlib
import shutil
import sys
import time

from rich.console import Console

from thjax.core.files import write_json

SYSTEM = "temporal_gan:demo"
SEED = 0
PIPE_COLUMNS = 160  # where the output is no terminal
CORPUS = ("--speakers", "48", "--clips", "6", "--size", "96", "--motion", "still", "--sentences", "grid",
          "--seed", str(SEED))
"""Arguments of `thjax data synth`: see thjax/systems/temporal_gan/README.md for why this much is enough."""
SCORED = 24
"""Clips of the test split's 48 that are scored, spread over its speakers: what eight minutes leave time for."""


def parser() -> argparse.ArgumentParser:
    """The command line of `thjax demo`."""
    parser = argparse.ArgumentParser(
        prog="thjax demo",
        description="Renders a corpus, trains the temporal GAN on it, lets a held-out face speak an unheard sentence "
        "and measures the result, in minutes on two CPU cores.",
    )
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("out/demo"), metavar="DIR",
                        help="folder of everything the demo writes (default: %(default)s)")
    parser.add_argument("--resume", action="store_true",
                        help="continue an interrupted training instead of starting anew")
    return parser


def run(argv: list[str]) -> int:
    """Runs the demo; returns its exit code."""
    arguments = parser().parse_args(argv)
    out = arguments.out
    console = Console() if sys.stdout.isatty() else Console(width=PIPE_COLUMNS)
    corpus, training = out / "corpus", out / "run"
    started = time.monotonic()
    if (training / "config.json").exists() and not arguments.resume:
        shutil.rmtree(training)

    from data_pipelines.command import run as data_command
    from thjax.train.memory import keep_freed_memory

    keep_freed_memory()  # training would, but the corpus comes first and may start jax
    console.rule("1 of 4: corpus")
    if code := data_command(["synth", *CORPUS, "--out", str(corpus)]):
        return code
    console.rule("2 of 4: training")
    from thjax.train.command import run as train_command

    if code := train_command([SYSTEM, "--data", str(corpus), "--out", str(training), "--seed", str(SEED)]):
        return code
    console.rule("3 of 4: evaluation")
    metrics = _evaluate(corpus, training, out, console)
    console.rule("4 of 4: a held-out face speaks")
    if code := _generate(corpus, training, out):
        return code
    minutes = (time.monotonic() - started) / 60
    for name, value in metrics["paired"].items():
        low, high = value["ci95"]
        console.print(f"{name}: {value['mean']:+.2f} dB [{low:+.2f}, {high:+.2f}]")
    console.print(f"done in {minutes:.1f} minutes: look at {out}/report.html and {out}/generated.mp4")
    return 0


def _evaluate(corpus: pathlib.Path, training: pathlib.Path, out: pathlib.Path, console: Console):
    """Scores the run on the test split; writes metrics.json, the pictures and the report."""
    from thjax.checkpoint import load_run
    from thjax.evaluate import pictures
    from thjax.evaluate.run import evaluate_run
    from thjax.evaluate.scores import METRICS

    command = f"thjax demo --out {out}"
    with console.status("evaluating") as status:
        result, clips, videos = evaluate_run(
            load_run(training), corpus, "test", SEED, command, limit=SCORED,
            report=lambda row: status.update(f"making row {row}")
        )
    result.write(out)
    as_json = result.as_json()
    metrics = {"command": command, "config_hash": result.config_hash, "seeds": result.seeds,
               "metrics": as_json["rows"]["ours"], "paired": as_json["paired"]}
    write_json(out / "metrics.json", metrics)
    sheet, curves = out / "contact_sheet.png", out / "curves.png"
    pictures.contact_sheet(clips, {"generated": videos["ours"], "copy": videos["copy_first_frame"]}, sheet)
    history = [json.loads(line) for line in (training / "metrics.jsonl").read_text().splitlines()]
    pictures.curves(history, curves)
    pictures.report(
        out / "report.html", "thjax demo: the temporal GAN on rendered faces",
        [command, "Held-out speakers, voices and sentences. The faces are rendered: a model trained on them does not "
         "animate photographs well.", *(f"{name}: {meaning}" for name, meaning in METRICS.items())],
        {"Scores on the test split": result.lines(), "Differences": result.paired_lines()},
        {"Truth, generated, first frame copied": sheet, "Training": curves},
    )
    for table in result.terminal_tables():
        console.print(table)
    return metrics


def _generate(corpus: pathlib.Path, training: pathlib.Path, out: pathlib.Path) -> int:
    """Writes face.png, face.csv (its landmarks), speech.wav and generated.mp4, through the code of `thjax generate`."""
    import numpy as np
    from scipy.io import wavfile

    from data_pipelines.loader import clips
    from data_pipelines.manifest import Manifest
    from data_pipelines.schema import AUDIO_CONTEXT, SAMPLE_RATE, SAMPLES_PER_FRAME
    from thjax.core.data_spec import CropSpec, DataSpec
    from thjax.evaluate.pictures import save_png
    from thjax.generate.command import run as generate_command

    stored = Manifest.load(corpus).content
    crop = CropSpec("none", stored["height"], stored["width"])
    spec = DataSpec(split="test", fields=("still", "audio", "landmarks"), crop=crop)
    clip = clips(corpus, "test", spec, limit=1)[0]
    face, points, speech = out / "face.png", out / "face.csv", out / "speech.wav"
    save_png(clip["still"], face)
    np.savetxt(points, clip["landmarks"][0], fmt="%.3f", delimiter=",")
    frames = int(clip["valid"].sum())
    wavfile.write(speech, SAMPLE_RATE, clip["audio"][AUDIO_CONTEXT : AUDIO_CONTEXT + frames * SAMPLES_PER_FRAME])
    return generate_command(
        ["--checkpoint", str(training), "--image", str(face), "--landmarks", str(points), "--audio", str(speech),
         "--out", str(out / "generated.mp4"), "--seed", str(SEED)]
    )

