"""Every metric under every dose of every fault, a clip at a time; finished clips are kept on disk."""

import concurrent.futures
import concurrent.futures.process
import dataclasses
import functools
import hashlib
import io
import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

import thjax
from data_pipelines.schema import AUDIO_CONTEXT
from data_pipelines.synthetic.espeak import Espeak
from data_pipelines.synthetic.seeding import generator
from data_pipelines.synthetic.settings import Place
from thjax.core import processes
from thjax.core.code_hash import digest_of, imported
from thjax.core.errors import UserError
from thjax.core.files import fingerprint, write_bytes
from thjax.evaluate.calibration import performances
from thjax.evaluate.calibration.faults import FAULTS, Take
from thjax.evaluate.calibration.performances import Performance
from thjax.evaluate.groups import base_of
from thjax.evaluate.judges import Judges
from thjax.evaluate.measures import Measurement, measure_clip
from thjax.evaluate.measures.faces import identity_source
from thjax.evaluate.truth import ClipTruth
from thjax.judges import shipped

TRUTH = "truth"
CONTROLS = ("copy_first_frame", "wrong_lips", "other_clip", "blurred", "noisy")
"""What a metric is scaled by: a statue, lips of another clip, another person's clip, blur of sigma 4, noise of 32."""
STILL_FRAMES, OTHER_AUDIO = "copy_first_frame", "other_audio"
"""Rows in which nothing says when the sound belongs."""
Values = dict[str, tuple[float, float]]
"""{base of a metric's name: (numerator, denominator)} of one clip; action units are added up."""


@dataclasses.dataclass
class Measured:
    """One clip.

    Attributes:
        name: of the clip.
        values: {row: Values}; rows are `truth`, the controls, and `FAULT@NUMBER` of each dose from 1.
        features: {row: [T, D]} embeddings of the faces.
    """

    name: str
    values: dict[str, Values]
    features: dict[str, np.ndarray]

    def write(self, path: Path) -> None:
        """Writes an npz, whole or not at all."""
        header = np.frombuffer(json.dumps([self.name, self.values]).encode(), np.uint8)
        buffer = io.BytesIO()
        np.savez(buffer, header=header, **{f"features/{row}": part for row, part in self.features.items()})
        write_bytes(path, buffer.getvalue())

    @classmethod
    def read(cls, path: Path) -> "Measured":
        """What `write` wrote."""
        with np.load(path) as file:
            name, values = json.loads(file["header"].tobytes())
            return cls(name, values, {row.removeprefix("features/"): file[row] for row in file if row != "header"})


def dose_row(fault: str, number: int) -> str:
    """Name of a row: dose `number` of a fault, from 1."""
    return f"{fault}@{number}"


def measure_everything(folder: Path, workers: int, report: Callable[[int, int], None]) -> list[Measured]:
    """Measures the clips that are missing from `folder`, by processes; returns all of them in order.

    They lie in a folder named by everything that decides them, so that a new judge or fault finds none of the old.
    """
    folder = folder / version()
    folder.mkdir(parents=True, exist_ok=True)
    paths = {place: folder / f"{place.speaker:02d}-{place.clip:02d}.npz" for place in performances.places()}
    missing = [(place, str(path)) for place, path in paths.items() if not path.is_file()]
    done = len(paths) - len(missing)
    report(done, len(paths))
    context = multiprocessing.get_context("spawn")
    os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")  # processes share the cores already
    with concurrent.futures.ProcessPoolExecutor(max(1, min(workers, len(missing))), mp_context=context,
                                                initializer=processes.belong_to, initargs=(os.getpid(),)) as pool:
        try:
            for _ in pool.map(_measure_place, missing):
                done += 1
                report(done, len(paths))
        except concurrent.futures.process.BrokenProcessPool:
            raise UserError("a process that measured a clip was killed, most likely for want of memory; finished clips "
                            "stay: run the same command with fewer --workers") from None
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    return [Measured.read(path) for path in paths.values()]


def version() -> str:
    """Changes with the weights of the judges that measure and with the code that draws, plants and measures."""
    root = Path(thjax.__file__).parent.parent
    worker = root / "data_pipelines" / "synthetic" / "espeak_worker.py"  # a process of its own, which nothing imports
    code = digest_of(sorted({*imported(__name__, root), worker}), root)
    weights = [(path.name, tensors_hash(path)) for path in sorted(shipped.FOLDER.glob("*_metric.safetensors"))]
    return fingerprint([code, weights])[:12]


def tensors_hash(path: Path) -> str:
    """SHA-256 of a safetensors file but for its notes, for example the figures of its examination."""
    content = path.read_bytes()
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    header.pop("__metadata__", None)
    return hashlib.sha256(json.dumps(header, sort_keys=True).encode() + content[8 + size :]).hexdigest()


@functools.cache
def _tools() -> tuple[Judges, Espeak]:
    """What a process builds once."""
    return Judges.load(), Espeak()


def _measure_place(job: tuple[Place, str]) -> None:
    place, path = job
    judges, espeak = _tools()
    clip = performances.perform(place, espeak)
    other = performances.perform(performances.partner(place), espeak)
    measure_performance(clip, other, judges).write(Path(path))


def measure_performance(clip: Performance, other: Performance, judges: Judges) -> Measured:
    """One clip under everything; `other` is the clip whose face, lips and sound the faults borrow."""
    truth = true_clip(clip)
    theirs = other.render().frames
    measured = Measured(clip.place.key, {}, {})

    def note(row: str, take: Take, audio: np.ndarray | None = None) -> None:
        sheet = measure_clip(truth, take.frames, judges, audio=audio, landmark_noise=take.landmark_noise)
        measured.values[row] = in_bases(sheet)
        if sheet.features:
            measured.features[row] = sheet.features[identity_source(judges)].astype(np.float16)

    def planted(name: str, dose: float) -> Take:
        rng = generator(performances.SEED, name, clip.place.speaker, clip.place.clip)
        return FAULTS[name].plant(clip, truth.frames, other, dose, rng)

    note(TRUTH, Take(truth.frames))
    note(STILL_FRAMES, Take(np.repeat(truth.frames[:1], len(truth.frames), axis=0)))
    note(OTHER_AUDIO, Take(truth.frames), audio=padded(other.said.audio))
    note("wrong_lips", planted("shuffled_audio", 1.0))
    note("other_clip", Take(theirs))
    for name, fault in FAULTS.items():
        for number, dose in enumerate(fault.doses, 1):
            note(dose_row(name, number), planted(name, dose))
    for control, fault in (("blurred", "blur"), ("noisy", "noise")):
        last = dose_row(fault, len(FAULTS[fault].doses))
        measured.values[control] = measured.values[last]
        if last in measured.features:
            measured.features[control] = measured.features[last]
    return measured


def true_clip(clip: Performance) -> ClipTruth:
    """The clip as an evaluation takes it, with exact landmarks, words and phonemes."""
    made = clip.render()
    phonemes = [(sound.name, sound.start, sound.end) for sound in clip.said.phonemes]
    return ClipTruth(
        key=clip.place.key, speaker=clip.place.speaker_name, frames=made.frames, still=made.frames[0],
        audio=padded(clip.said.audio), counts=np.ones(len(made.frames), bool), landmarks=made.landmarks,
        words=list(clip.said.words), phonemes=phonemes,
    )


def padded(audio: np.ndarray) -> np.ndarray:
    """Audio [S] int16 with its context of silence on both sides."""
    return np.pad(audio, AUDIO_CONTEXT)


def in_bases(sheet: Measurement) -> Values:
    """The sheet's values under their bases, single action units added up."""
    sums: Values = {}
    for name, ratio in sheet.values.items():
        above, below = sums.get(base_of(name), (0.0, 0.0))
        sums[base_of(name)] = above + ratio.above, below + ratio.below
    return sums
