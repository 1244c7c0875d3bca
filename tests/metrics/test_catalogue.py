"""The catalogue is complete: every metric of the package is listed, with all that a reader must know."""

import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import pytest

import thjax.metrics
from thjax.metrics.catalogue import BEST, CATALOGUE, lines
from thjax.metrics.names import metric_name

HELPERS = {
    "bootstrap", "canny", "catalogue", "colour", "compare", "merging", "names", "shapes",  # modules without a metric
    "mouth_mask", "lower_face_mask", "lip_gap", "lip_width", "fit_lip_gap_probe",  # tracks and regions
    "eye_aspect_ratio", "lips_closed", "word_errors", "distance_curve", "speed_extrema", "pose_histogram",  # steps
    "short_runs",
    "mean_over_units", "head_similarity_of_histograms", "distribution_distances", "pairwise_distance",  # other ways
}
NAMED_BY_THE_PAPERS_AND_USERS = {
    "psnr", "psnr_per_frame", "psnr_uint8_overflow", "ssim", "ssim_skimage7", "ssim_torch11", "cpbd", "fdbm", "lmd",
    "lmd_abs", "f_lmd", "acd", "acd_mse", "wer", "sync_confidence", "sync_offset", "lse_d", "lse_c", "blink_rate_ear",
    "blink_rate_au45", "hs", "hs_union", "au_f1", "au_accuracy", "fid", "kid", "lpips", "csim", "diversity",
    "beat_alignment", "jitter", "mouth_psnr", "lower_face_psnr", "lip_gap_r_speech", "lip_width_r_speech",
    "closure_recall", "closure_precision",
}


def metric_functions():
    for module_info in pkgutil.iter_modules(thjax.metrics.__path__):
        if module_info.name not in HELPERS:
            module = importlib.import_module(f"thjax.metrics.{module_info.name}")
            for name, function in inspect.getmembers(module, inspect.isfunction):
                if function.__module__ == module.__name__ and not name.startswith("_") and name not in HELPERS:
                    yield function


def test_every_public_function_that_is_no_helper_is_listed():
    listed = {metric.function for metric in CATALOGUE.values()}
    assert {f.__qualname__ for f in metric_functions()} == {f.__qualname__ for f in listed}


def test_every_metric_that_papers_and_users_name_is_listed():
    assert not NAMED_BY_THE_PAPERS_AND_USERS - CATALOGUE.keys()


@pytest.mark.parametrize("metric", CATALOGUE.values(), ids=list(CATALOGUE))
def test_every_entry_says_all_and_fits_a_line(metric):
    for field in ("name", "units", "span", "source", "needs"):
        assert getattr(metric, field).strip(), field
    assert metric.best in BEST
    assert metric_name(metric.name, "net", "head", 128, 5).startswith(metric.name)
    text = inspect.getdoc(metric.function)
    assert len(text) > 80, "a definition, not a name"
    assert re.search("better|[Bb]est|direction as|as `", text), "which way is better"
    assert metric.line.count("\n") == 0 and len(metric.line) < 160


def test_there_is_one_line_a_metric():
    assert len(lines()) == len(CATALOGUE) and lines()[0].startswith("psnr: dB")


def test_names_carry_what_a_number_depends_on():
    assert metric_name("psnr") == "psnr"
    assert metric_name("wer", "synthetic") == "wer[synthetic]"
    assert metric_name("fid", "inception-2015", "head", 128, 4096) == "fid[inception-2015, head 128, N=4096]"
    assert metric_name("lmd", "dlib-68", n=200) == "lmd[dlib-68, N=200]"
    with pytest.raises(ValueError, match="size 128 but no crop"):
        metric_name("acd", "arcface", size=128)
    with pytest.raises(ValueError, match=r"'a\[b'"):
        metric_name("fid", "a[b")


def test_the_page_lists_every_metric_as_the_catalogue_does():
    page = (Path(__file__).parents[2] / "docs" / "evaluate.md").read_text()
    rows = [f"| `{m.name}` | {m.units} | {m.span} | {m.best} | {m.source} | {m.needs} |" for m in CATALOGUE.values()]
    assert [line for line in page.splitlines() if line.startswith("| `")] == rows
