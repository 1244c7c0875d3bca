"""Cells and checks of fabricated measurements, whose answers are known."""

import itertools
import json
import pathlib

import numpy as np
import pytest

from thjax.evaluate.calibration.cells import cells, checks, rows_of, table
from thjax.evaluate.calibration.faults import FAULTS
from thjax.evaluate.calibration.matrix import FREE, MATRIX, NOT_IN_THE_MATRIX
from thjax.evaluate.calibration.measuring import CONTROLS, OTHER_AUDIO, TRUTH, Measured, dose_row
from thjax.evaluate.calibration.performances import places
from thjax.evaluate.calibration.run import broken, picture, terminal_table
from thjax.metrics.catalogue import CATALOGUE


def fabricated(sign_errors=0):
    """48 clips: psnr falls with blur, csim does not see light, offsets are found but for the first few clips."""
    rng = np.random.default_rng(0)
    clips = []
    for number, place in enumerate(places()):
        late = 1 if place.clip % 2 else -1
        values = {TRUTH: {"psnr": (100, 1), "csim": (0.9, 1), "sync_offset": (1, 1), "wer": (number % 2, 6)}}
        values |= {control: {"psnr": (20, 1), "csim": (0.1, 1), "wer": (5, 6)} for control in CONTROLS}
        values["copy_first_frame"]["sync_offset"] = values[OTHER_AUDIO] = (int(rng.integers(-15, 16)), 1)
        values[OTHER_AUDIO] = {"sync_offset": values[OTHER_AUDIO]}
        for name, fault in FAULTS.items():
            for dose in range(1, len(fault.doses) + 1):
                values[dose_row(name, dose)] = {"psnr": (100 - 5 * dose, 1), "csim": (0.9 - 0.005 * dose, 1),
                                                "wer": (dose, 6)}
        for dose in FAULTS["av_offset"].doses:
            found = 1 + (late if number >= sign_errors else -late) * dose
            values[dose_row("av_offset", dose)]["sync_offset"] = (found, 1)
        clips.append(Measured(place.key, values, {TRUTH: np.full((5, 4), number, np.float16)}))
    return clips


@pytest.fixture(scope="module")
def measured():
    return fabricated()


def test_cells_hold_where_they_do_what_is_asked(measured):
    asked = {"psnr": {"blur": "down", "noise": "up"}, "csim": {"changed_light": "silent", "turned_head": "down"}}
    found = cells(measured, asked)
    assert [found["psnr"][fault].holds for fault in ("blur", "noise")] == [True, False]
    assert found["csim"]["changed_light"].change == pytest.approx(-0.04 / 0.8) and found["csim"]["changed_light"].holds
    assert len(broken(found)) == 1 and broken(found)[0].startswith("psnr under noise: asked up")
    assert terminal_table(found).row_count == 2


def test_words_are_pooled_over_the_clips_of_a_speaker(measured):
    values = table(measured, "wer", rows_of("blur"))
    assert values.shape == (12, 9)
    np.testing.assert_allclose(values[:, 0], 2 / 24)
    np.testing.assert_allclose(values[:, 3], 3 / 6)


def test_rare_events_are_pooled_over_all_clips(measured):
    assert table(measured, "closure_recall", rows_of("blur")).shape == (1, 9)


def test_distances_of_sets_leave_out_clips_without_a_face_and_need_half_of_them():
    clips = fabricated()
    for number, clip in enumerate(clips):
        clip.features["blur@1"] = clip.features[TRUTH]
        if number % 2:
            clip.features["blur@2"] = clip.features[TRUTH]
        if number == 0:
            clip.features["blur@3"] = clip.features[TRUTH]
    values = table(clips, "fid", [TRUTH, "blur@1", "blur@2", "blur@3"])[0]
    np.testing.assert_allclose(values[:3], 0, atol=1e-6)
    assert np.isnan(values[3])


def test_offsets_are_counted_against_what_was_planted():
    found = checks(fabricated())
    assert found["offset_recovered"]["value"] == 1 and all(check["holds"] for check in found.values())
    # With the sign turned round a planted d is missed by 2 d: two frames and more.
    worse = checks(fabricated(sign_errors=5))["offset_recovered"]
    assert worse["value"] == pytest.approx(43 / 48) and not worse["holds"]


def test_a_clip_is_written_whole_and_read_to_the_bit(measured, tmp_path):
    measured[0].write(tmp_path / "clip.npz")
    again = Measured.read(tmp_path / "clip.npz")
    assert again.name == measured[0].name
    assert {row: {m: tuple(v) for m, v in values.items()} for row, values in again.values.items()} == measured[0].values
    np.testing.assert_array_equal(again.features[TRUTH], measured[0].features[TRUTH])


def test_the_matrix_has_every_metric_under_every_fault():
    assert set(MATRIX) == set(CATALOGUE) - set(NOT_IN_THE_MATRIX)
    for metric, row in MATRIX.items():
        assert list(row) == list(FAULTS)
        assert {"up", "down"} & set(row.values()), metric
        assert "silent" in row.values(), metric


def test_at_most_a_quarter_of_the_matrix_is_free_and_each_free_cell_has_its_reason():
    free = {(metric, fault) for metric, row in MATRIX.items() for fault, kind in row.items() if kind == "free"}
    assert len(free) <= len(MATRIX) * len(FAULTS) / 4
    reasons = [(metric, fault) for _, metrics, faults in FREE for metric in metrics for fault in faults]
    assert len(reasons) == len(set(reasons)) and set(reasons) == free


@pytest.mark.parametrize("asked, code", [("down", 0), ("up", 1), ("silent", 1)])
def test_the_command_writes_the_form_and_exits_by_what_holds(measured, tmp_path, monkeypatch, capsys, asked, code):
    from thjax.evaluate import command
    from thjax.evaluate.calibration import run

    monkeypatch.setattr(run, "measure_everything", lambda *arguments: measured)
    monkeypatch.setattr(run, "MATRIX", {"psnr": {"blur": asked, "noise": "free"}})
    assert command.run(["--calibrate", "--out", str(tmp_path)]) == code
    written = json.loads((tmp_path / "calibration.json").read_text())
    assert written["psnr"]["blur"] == {"class": asked, "spearman": -1.0, "change": -0.5, "holds": code == 0}
    assert written["psnr"]["noise"]["holds"] and (tmp_path / "calibration.png").is_file()
    printed = capsys.readouterr().out
    assert ("psnr under blur: asked" in printed) == bool(code) and "offset_recovered: 1.000" in printed


def test_what_identity_and_sync_must_see_and_must_not():
    for metric in ("csim", "acd_mse", "acd"):
        for fault in ("turned_head", "damped_pose", "changed_light", "brightness"):
            assert MATRIX[metric][fault] == "silent"
    for metric, fault in itertools.product(("sync_confidence", "lse_c", "lse_d"), ("slight_blur", "brightness")):
        assert MATRIX[metric][fault] == "silent"
    for fault in ("frozen_mouth", "damped_mouth"):
        assert MATRIX["sync_confidence"][fault] == MATRIX["lse_c"][fault] == "down" and MATRIX["lse_d"][fault] == "up"
    assert MATRIX["lse_d"]["av_offset"] == MATRIX["lse_c"]["av_offset"] == "silent"
    assert MATRIX["sync_offset_error"]["av_offset"] == "up"


def test_the_committed_calibration_is_of_this_matrix_and_holds():
    folder = pathlib.Path(__file__).parents[3] / "benchmarks"
    committed = json.loads((folder / "calibration.json").read_text())
    asked = {metric: {fault: cell["class"] for fault, cell in row.items()} for metric, row in committed.items()}
    assert asked == MATRIX, "the matrix changed since its figures were made; run: make calibration"
    assert all(cell["holds"] for row in committed.values() for cell in row.values())
    checks = json.loads((folder / "calibration_checks.json").read_text())
    assert set(checks) == {"offset_recovered", "offset_at_chance_copy_first_frame", "offset_at_chance_other_audio"}
    assert all(check["holds"] for check in checks.values())


def test_the_matrix_can_be_looked_at(measured, tmp_path):
    picture(cells(measured, {"psnr": {"blur": "down", "noise": "up"}}), tmp_path / "matrix.png")
    assert (tmp_path / "matrix.png").stat().st_size > 5000
