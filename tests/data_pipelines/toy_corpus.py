"""A toy corpus: a square on a noisy ground, whose height in the frame follows the loudness of the sound."""

import numpy as np

from data_pipelines import schema
from data_pipelines.manifest import Manifest
from data_pipelines.writer import Writer

COEFFICIENTS = ("size", "yaw", "brow_left", "brow_right")
SPLITS = ("train", "validation", "test")


def toy_clip(key: str, frames: int, size: int, seed: int) -> dict:
    """A clip of `frames` frames of `size` pixels; labels follow from the same loudness that moves the square."""
    speaker = key.split("/")[1]
    rng = np.random.default_rng([seed, *key.encode()])
    loudness = np.abs(np.sin(np.arange(frames) * rng.uniform(0.2, 0.6) + rng.uniform(0, 6)))
    tone = np.sin(2 * np.pi * rng.uniform(100, 300) * np.arange(frames * schema.SAMPLES_PER_FRAME) / schema.SAMPLE_RATE)
    audio = (np.repeat(loudness, schema.SAMPLES_PER_FRAME) * tone * 12000).astype(np.int16)
    colour = np.random.default_rng([seed, *speaker.encode()]).integers(80, 255, 3)
    video = rng.integers(0, 40, (1, size, size, 3)).astype(np.uint8).repeat(frames, 0)
    side, landmarks = size // 4, np.empty((frames, schema.LANDMARKS, 2), np.float32)
    spread = np.random.default_rng(1).uniform(0.2, 0.8, (schema.LANDMARKS, 2)) * size
    for t, level in enumerate(loudness):
        top = int(level * (size - side))
        video[t, top : top + side, size // 2 - side // 2 :][:, :side] = colour
        landmarks[t] = spread + level
    presence = (loudness > 0.5).astype(np.uint8)
    return {
        "key": key, "speaker": f"toy/{speaker}", "frames": video, "audio": audio, "landmarks": landmarks,
        "au": np.tile(5 * loudness[:, None], (1, len(schema.AU_INTENSITY))).astype(np.float32),
        "au_presence": np.tile(presence[:, None], (1, len(schema.AU_PRESENCE))),
        "pose": np.tile(loudness[:, None], (1, 6)).astype(np.float32), "blink": presence,
        "coefficients": np.stack([loudness * k for k in range(1, 5)], 1).astype(np.float32),
        "identity": np.random.default_rng([seed, *speaker.encode()]).normal(0, 1, 512).astype(np.float32),
        "words": [["toy", 0.0, frames / schema.FPS]], "phonemes": [["t", 0.0, 0.1]], "sentence": "toy",
        "label_source": {"landmarks": "exact", "au": "exact"},
    }


def write_toy_corpus(directory, speakers: int = 4, clips: int = 3, frames: int | tuple[int, ...] = 20, size: int = 32,
                     seed: int = 0, clips_per_shard: int = 4) -> Manifest:
    """Writes a corpus of `speakers` x `clips` clips with every label; the last two speakers validate and test.

    Args:
        directory: where to.
        speakers: number of speakers, at least 3.
        clips: clips of each speaker.
        frames: of a clip; several are taken in turn.
        size: pixels of a frame.
        seed: of everything.
        clips_per_shard: clips in a file.
    """
    lengths = (frames,) if isinstance(frames, int) else frames
    plan, length_of = {split: [] for split in SPLITS}, {}
    for speaker in range(speakers):
        split = SPLITS[max(0, speaker - speakers + len(SPLITS))]
        for clip in range(clips):
            key = f"toy/s{speaker:02d}/c{clip:02d}"
            plan[split].append(key)
            length_of[key] = lengths[(speaker * clips + clip) % len(lengths)]
    writer = Writer(directory, dataset="toy", size=size, source=f"toy {seed} {lengths}",
                    rebuild="write_toy_corpus(...)", coefficients=COEFFICIENTS, odd_coefficients=("yaw",))
    shards = writer.plan(plan, seed, clips_per_shard)
    for shard in shards:
        writer.write_shard(shard, lambda key: toy_clip(key, length_of[key], size, seed))
    return writer.finish(shards)


def equal(a, b):
    """Whether two batches hold the same fields with the same bytes."""
    return set(a) == set(b) and all(np.array_equal(a[name], b[name]) and a[name].dtype == b[name].dtype for name in a)


def damage(directory, middle=0.5):
    """Turns one byte of the first training shard, `middle` of the way into it; returns the shard's name."""
    shard = sorted(directory.glob("*train*.array_record"))[0]
    data = bytearray(shard.read_bytes())
    data[int(middle * len(data))] ^= 255
    shard.write_bytes(data)
    return shard.name
