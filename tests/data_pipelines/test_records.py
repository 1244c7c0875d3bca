import io

import msgpack
import numpy as np
import pytest
from PIL import Image

from data_pipelines import records, schema
from data_pipelines.schema import DataError
from tests.data_pipelines.toy_corpus import toy_clip


def smooth_frames(count, size, seed=0):
    """Photograph-like frames: low frequencies, so that JPEG keeps them."""
    rows = np.linspace(0, 3, size)
    phase = np.random.default_rng(seed).uniform(0, 6, (count, 3))
    wave = np.sin(rows[None, :, None, None] + np.cos(rows)[None, None, :, None] + phase[:, None, None])
    return (127 + 100 * wave).astype(np.uint8)


def record_of(frames=20, size=32):
    return next(records.segments(toy_clip("toy/s00/c00", frames, size, 0) | {"dataset": "toy", "split": "train"}))


def test_round_trip_keeps_every_label_and_the_sound():
    record = record_of()
    decoded = records.decode(records.encode(record))
    for name in (*records.LABELS, "audio"):
        np.testing.assert_array_equal(decoded[name], record[name])
    assert decoded["face_ok"].tolist() == [1] * 20
    assert decoded["words"] == [["toy", 0.0, 0.8]] and decoded["sentence"] == "toy"
    assert (decoded["height"], decoded["width"], decoded["n"], decoded["v"]) == (32, 32, 20, schema.VERSION)


def test_stored_names_are_those_of_the_schema():
    assert set(msgpack.unpackb(records.encode(record_of()))) == set(schema.RECORD_FIELDS) - {"start_pose"}
    assert set(msgpack.unpackb(records.encode(record_of(frames=120)))) == set(schema.RECORD_FIELDS)


def test_only_the_wanted_labels_are_decoded():
    decoded = records.decode(records.encode(record_of()), ("au",))
    assert "au" in decoded and "landmarks" not in decoded and "face_ok" in decoded


@pytest.mark.parametrize("size,sampling", [(64, (1, 1)), (128, (2, 2))])
def test_frames_are_jpegs_that_another_decoder_reads_alike(size, sampling):
    frames = smooth_frames(3, size)
    record = record_of(frames=3, size=size) | {"frames": frames}
    decoded = records.decode(records.encode(record))
    image = Image.open(io.BytesIO(decoded["video"][1]))
    assert image.size == (size, size)
    # Horizontal and vertical sampling of the first component: 1x1 is 4:4:4, 2x2 is 4:2:0.
    assert tuple(image.layer[0][1:3]) == sampling
    ours = records.decode_frames(decoded, [1])[0]
    assert np.abs(ours.astype(int) - np.asarray(image.convert("RGB"))).max() <= 2
    assert np.abs(ours.astype(int) - frames[1]).mean() < 2.5


def test_only_the_wanted_frames_are_decoded():
    decoded = records.decode(records.encode(record_of()))
    whole = records.decode_frames(decoded, range(20))
    decoded["video"][0] = b"broken"
    np.testing.assert_array_equal(records.decode_frames(decoded, [7, 3]), whole[[7, 3]])


def test_equal_records_are_equal_bytes():
    assert records.encode(record_of()) == records.encode(dict(reversed(record_of().items())))


@pytest.mark.parametrize("frames,lengths", [
    (1, [1]), (31, [31]), (75, [75]), (106, [106]), (107, [75, 32]), (150, [75, 75]), (181, [75, 106]),
    (182, [75, 75, 32]),
])
def test_segments_are_75_frames_and_short_tails_join(frames, lengths):
    bounds = records.segment_bounds(frames)
    assert [end - first for first, end in bounds] == lengths
    assert bounds[0][0] == 0 and bounds[-1][1] == frames


def test_a_segment_hears_its_neighbours_and_silence_at_the_ends():
    clip = toy_clip("toy/s00/c00", 120, 16, 0) | {"dataset": "toy", "split": "train"}
    clip["audio"] = np.random.default_rng(0).integers(-999, 999, 120 * 640).astype(np.int16)
    first, second = records.segments(clip)
    context = schema.AUDIO_CONTEXT
    assert not first["audio"][:context].any()
    np.testing.assert_array_equal(first["audio"][context:], clip["audio"][: 75 * 640 + context])
    np.testing.assert_array_equal(second["audio"][:-context], clip["audio"][75 * 640 - context :])
    assert not second["audio"][-context:].any()


def test_every_record_knows_the_pose_in_which_its_clip_starts():
    clip = toy_clip("toy/s00/c00", 120, 16, 0) | {"dataset": "toy", "split": "train"}
    clip["face_ok"] = (np.arange(120) >= 3).astype(np.uint8)
    parts = [records.decode(records.encode(record)) for record in records.segments(clip)]
    assert len(parts) == 2
    for part in parts:
        np.testing.assert_array_equal(records.start_pose(part), clip["pose"][3])
    alone = next(records.segments({name: value[:60] if name in records.PER_FRAME_SHAPES or name == "frames" else value
                                   for name, value in clip.items()}))
    assert "start_pose" not in alone  # it lies in the record itself
    np.testing.assert_array_equal(records.start_pose(alone), clip["pose"][3])
    unseen = clip | {"face_ok": np.zeros(120, np.uint8)}
    assert not records.start_pose(next(records.segments(unseen))).any()
    del parts[1]["start_pose"]
    with pytest.raises(DataError, match="#001: one of several records, .* write the corpus again, into another folder"):
        records.start_pose(parts[1])


def test_word_times_count_from_the_segment():
    clip = toy_clip("toy/s00/c00", 120, 16, 0) | {"dataset": "toy", "split": "train"}
    clip["words"] = [("one", 0.2, 1.0), ("border", 2.8, 3.2), ("two", 3.5, 4.0)]
    first, second = records.segments(clip)
    assert [word for word, *_ in first["words"]] == ["one", "border"]
    assert [word for word, *_ in second["words"]] == ["border", "two"]
    np.testing.assert_allclose([span[1:] for span in second["words"]], [[-0.2, 0.2], [0.5, 1.0]], atol=1e-9)


def test_short_audio_is_filled_with_silence_and_long_audio_cut():
    clip = toy_clip("toy/s00/c00", 10, 16, 0) | {"dataset": "toy", "split": "train"}
    for samples in (3000, 9000):
        record = next(records.segments(clip | {"audio": np.ones(samples, np.int16)}))
        assert len(record["audio"]) == 10 * 640 + 6400
        assert record["audio"].sum() == min(samples, 6400)


@pytest.mark.parametrize("change,message", [
    ({"landmarks": np.zeros((19, 68, 2))},
     r"toy/s00/c00#000: landmarks has shape \(19, 68, 2\); 20 frames need \(20, 68, 2\)"),
    ({"audio": np.zeros(5, np.int16)}, r"audio is int16 \(5,\); 20 frames need int16 \(19200,\)"),
    ({"smile": 1}, "unknown field 'smile'; known: .*landmarks"),
    ({"n": 107}, "107 frames in a record; use 1 to 106"),
    ({"frames": np.zeros((20, 8, 8, 3), np.float32)}, r"frames are float32 .*; use uint8"),
])
def test_what_breaks_the_format_is_named(change, message):
    with pytest.raises(DataError, match=message):
        records.encode(record_of() | change)


def test_a_missing_field_is_named():
    record = record_of()
    del record["speaker"]
    with pytest.raises(DataError, match="field 'speaker' is missing"):
        records.encode(record)


def test_another_version_and_rubbish_are_refused():
    data = msgpack.unpackb(records.encode(record_of())) | {"v": 7}
    with pytest.raises(DataError, match="toy/s00/c00#000: record version 7, this program reads 1; write the corpus"):
        records.decode(msgpack.packb(data))
    with pytest.raises(DataError, match="are no record of version 1"):
        records.decode(b"\x93rubbish")


def test_a_damaged_frame_names_the_clip():
    decoded = records.decode(records.encode(record_of()))
    decoded["video"][4] = decoded["video"][4][:40]
    with pytest.raises(DataError, match="toy/s00/c00#000: frame 4 cannot be decoded"):
        records.decode_frames(decoded, [4])
