"""Every metric of a made clip, against answers that were planted in its pixels."""

import dataclasses
import types

import numpy as np
import pytest

from data_pipelines.schema import AU_PRESENCE
from tests.evaluate import planted
from tests.evaluate.planted import FOUND, GAP, LIDS, PERSON, WORDS, YAW
from thjax.evaluate.groups import base_of, grouped
from thjax.evaluate.judges import Judges
from thjax.evaluate.measures import Measurement, faces, measure_basic, measure_clip
from thjax.evaluate.truth import Seen
from thjax.metrics.catalogue import CATALOGUE


@pytest.fixture(scope="module")
def truth():
    return planted.clip()


@pytest.fixture(scope="module")
def judges():
    return planted.judges()


def value(measured, name):
    return measured.values[name].value


def test_the_truth_is_perfect_and_nearly_every_metric_of_the_catalogue_has_a_value(truth, judges):
    found = measure_clip(truth, truth.frames, judges)
    of_channels = {"opening_r", "width_r", "false_closures", "spread", "spread_of_true", "roughness", "variance",
                   "nod_energy_r", "cross_entropy", "squared_error"}
    asked = set(CATALOGUE) - of_channels - {"lpips", "fid", "kid", "diversity", "lip_gap_r"}
    assert {base_of(name) for name in found.values} >= asked
    best = {"psnr": 100, "psnr_uint8_overflow[frame 256]": 100, "ssim_skimage7": 1, "ssim_torch11": 1,
            "lower_face_psnr": 100, "lmd[synthetic]": 0, "lmd_abs[synthetic]": 0, "f_lmd[synthetic]": 0,
            "undetected[synthetic]": 0, "lip_gap_r_speech[synthetic]": 1, "closure_recall[synthetic]": 1,
            "closure_precision[synthetic]": 1, "acd[synthetic, head 64]": 0, "csim[synthetic, head 64]": 1,
            "wer[synthetic]": 0, "sync_offset[synthetic]": 0, "sync_offset_error[synthetic]": 0,
            "au_f1[synthetic, AU26]": 1, "au_accuracy[synthetic, AU45]": 1, "hs[synthetic]": 1,
            "hs_union[synthetic]": 1}
    assert {name: round(value(found, name), 3) for name in best} == best
    assert value(found, "lse_c[synthetic]") > 1 > value(found, "lse_d[synthetic]")
    assert value(found, "blink_rate_au45[synthetic]") == pytest.approx(25 / planted.FRAMES)
    (source, features), = found.features.items()
    assert source == ("synthetic", "head", 64) and features.shape == (planted.FRAMES, 16)
    assert sum(map(len, grouped(found.values).values())) < len(found.values)


def test_no_judge_that_is_trained_on_rendered_faces_gets_a_published_name(truth, judges):
    of_judges = {"sync_confidence", "sync_offset", "sync_offset_error", "lse_d", "lse_c", "wer", "acd", "acd_mse",
                 "csim", "lmd", "lmd_abs", "f_lmd", "hs", "hs_union", "blink_rate_ear", "blink_rate_au45",
                 "beat_alignment", "closure_recall", "closure_precision", "au_f1", "au_accuracy"}
    names = measure_clip(truth, truth.frames, judges).values
    assert not of_judges & set(names)
    assert all("[synthetic" in name for name in names if base_of(name) in of_judges)


def test_a_planted_offset_is_found_and_confidence_does_not_see_it(truth, judges):
    still = measure_clip(truth, truth.frames, judges)
    for frames in (3, -4):
        # The video shows late what the sound says: it is behind.
        made = measure_clip(truth, np.roll(truth.frames, frames, axis=0), judges)
        assert value(made, "sync_offset[synthetic]") == frames
        assert value(made, "sync_offset_error[synthetic]") == abs(frames)
        assert value(made, "sync_confidence[synthetic]") > 0.7 * value(still, "sync_confidence[synthetic]")
    other = planted.clip(seed=5)
    heard = measure_clip(truth, truth.frames, judges, audio=other.audio)
    assert value(heard, "sync_confidence[synthetic]") < 0.5 * value(still, "sync_confidence[synthetic]")


def test_planted_faults_move_their_metrics_and_no_others(truth, judges):
    still = measure_clip(truth, truth.frames, judges)

    def moved(place, code):
        found = measure_clip(truth, planted.changed(truth, place, code), judges)
        return {base_of(name) for name in still.values
                if name in found.values and abs(value(found, name) - value(still, name)) > 1e-6} | {
                base_of(name) for name in still.values.keys() - found.values.keys()}

    pixels = {base for base in map(base_of, still.values) if base in grouped(["psnr"]) or base in (
        "psnr", "psnr_per_frame", "psnr_uint8_overflow", "ssim", "ssim_skimage7", "ssim_torch11", "cpbd", "fdbm",
        "jitter", "mouth_psnr", "lower_face_psnr")}
    # Frozen lips close for every sound or for none.
    assert moved(GAP, 200) - pixels == {"lmd", "lmd_abs", "f_lmd", "lip_gap_r_speech", "closure_recall",
                                        "closure_precision", "au_f1", "au_accuracy"}
    assert moved(PERSON, 9) - pixels == {"acd", "acd_mse", "csim"}
    assert moved(YAW, 200) - pixels == {"hs", "hs_union", "beat_alignment"}
    assert moved(LIDS, 0) - pixels == {"blink_rate_au45", "au_f1", "au_accuracy"}
    assert moved(WORDS, 0) - pixels == {"wer"}


def test_closures_and_words_are_counted_one_by_one(truth, judges):
    made = truth.frames.copy()
    made[10:12, 0, GAP, 2] = 100  # the p opens
    made[30, 0, GAP, 2] = 0  # a closure that nothing asks for
    made[0, 0, WORDS, 2][:2] = 1
    found = measure_clip(truth, made, judges).values
    assert dataclasses.astuple(found["closure_recall[synthetic]"]) == (0, 1)
    assert dataclasses.astuple(found["closure_precision[synthetic]"]) == (0, 1)
    # "bin blue" became "lay green": the lists begin with bin lay, blue green.
    assert dataclasses.astuple(found["wer[synthetic]"]) == (2, 6)


def test_presence_that_a_tracker_gives_counts_and_intensity_where_it_gives_none(truth):
    """OpenFace says of 18 units whether they are there; its AU 12 may be there at any intensity."""
    def side(intensity, present=None):
        track = types.SimpleNamespace(au=np.full((planted.FRAMES, 17), intensity), au_presence=present)
        return types.SimpleNamespace(track=track, found=np.ones(planted.FRAMES, bool), detector="openface_csv")

    there = np.zeros((planted.FRAMES, 18))
    there[:, AU_PRESENCE.index("AU28")] = 1
    sheet = Measurement()
    faces.action_units(truth, side(0.2, there), side(3.0, there), sheet)
    assert value(sheet, "au_f1[openface_csv, AU28]") == 1 and "au_f1[openface_csv, AU12]" not in sheet.values
    assert value(sheet, "au_accuracy[openface_csv, AU12]") == 1
    sheet = Measurement()
    faces.action_units(truth, side(0.2), side(3.0), sheet)
    assert value(sheet, "au_f1[openface_csv, AU12]") == 0 and "au_f1[openface_csv, AU28]" not in sheet.values


def test_heads_keep_their_moments_where_frames_are_lost(truth, judges):
    """Beats are asked for by moments: a frame without a face takes its neighbour's pose and moves no later one."""
    lost = np.isin(np.arange(planted.FRAMES), (0, 1, 8, 9, 10))
    whole = Seen(truth.frames, truth.audio, judges)
    seen = Seen(planted.changed(truth, FOUND, np.where(lost, 0, 255)), truth.audio, judges)
    assert len(seen.angles) == planted.FRAMES - 5 and len(seen.angles_throughout) == planted.FRAMES
    np.testing.assert_array_equal(seen.angles_throughout[~lost], whole.angles[~lost])
    np.testing.assert_array_equal(seen.angles_throughout[[0, 1, 8, 10]], whole.angles[[2, 2, 7, 11]])


def test_undetected_frames_are_skipped_and_counted(truth, judges):
    made = planted.changed(truth, FOUND, np.where(np.arange(planted.FRAMES) < 10, 0, 255))
    found = measure_clip(truth, made, judges)
    assert value(found, "undetected[synthetic]") == 10 / planted.FRAMES
    assert value(found, "lmd[synthetic]") == 0
    assert found.values["blink_rate_au45[synthetic]"].below == 30 / 25
    blind = measure_clip(truth, planted.changed(truth, FOUND, 0), judges)
    assert value(blind, "undetected[synthetic]") == 1 and value(blind, "psnr") > 20
    assert not {"lmd[synthetic]", "wer[synthetic]", "acd[synthetic, head 64]"} & set(blind.values)
    assert blind.left_out["wer[synthetic]"] == "no frame with a face"


def test_what_is_missing_is_left_out_with_its_reason(truth, judges):
    nobody = measure_clip(truth, truth.frames, Judges())
    assert {"psnr", "cpbd", "mouth_psnr"} <= set(nobody.values)
    assert nobody.left_out["wer"] == "no judge of lips" and nobody.left_out["lmd"] == "no judge of faces"
    silent = dataclasses.replace(truth, words=None, phonemes=None)
    left_out = measure_clip(silent, truth.frames, judges).left_out
    assert left_out["wer[synthetic]"] == "no words are known"
    assert left_out["closure_recall[synthetic]"] == "words without times"
    free = dataclasses.replace(truth, words=[("hello", 0.1, 0.9)])
    assert "not a GRID command" in measure_clip(free, truth.frames, judges).left_out["wer[synthetic]"]


def test_sync_and_words_without_a_judge_of_faces_use_the_true_landmarks(truth, judges):
    found = measure_clip(truth, truth.frames, dataclasses.replace(judges, face=None))
    assert value(found, "wer[synthetic]") == 0 and value(found, "acd[synthetic, head 64]") == 0
    assert "lmd" in found.left_out


def test_the_truth_is_looked_at_once_for_all_rows(judges):
    truth, judge = planted.clip(), planted.Face()
    looking = dataclasses.replace(judges, face=judge)
    for seed in range(3):
        measure_clip(truth, np.roll(truth.frames, seed, axis=0), looking)
    assert judge.calls == 3 + 2  # the made clips, the truth, its still


def test_basic_metrics_ask_no_judge_and_agree(truth):
    made = np.roll(truth.frames, 1, axis=0)
    basic, everything = measure_basic(truth, made), measure_clip(truth, made, Judges())
    assert set(basic.values) == {"psnr", "ssim", "mouth_psnr", "jitter"}
    assert all(everything.values[name] == ratio for name, ratio in basic.values.items())


def test_frames_of_another_shape_are_refused(truth, judges):
    with pytest.raises(ValueError, match="one shape"):
        measure_clip(truth, truth.frames[1:], judges)
    with pytest.raises(ValueError, match="audio of"):
        measure_clip(truth, truth.frames, judges, audio=truth.audio[:-640])
