import json

import numpy as np
import pytest

from data_pipelines import bench, command, records, schema
from data_pipelines.loader import Loader
from tests.data_pipelines.toy_corpus import write_toy_corpus


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    return write_toy_corpus(tmp_path_factory.mktemp("corpus"), frames=(30, 20), size=16, clips=2)


@pytest.fixture
def brief(monkeypatch):
    monkeypatch.setattr(bench, "FRAMES", 100)
    monkeypatch.setattr(bench, "ROUNDS", 2)
    monkeypatch.setattr(bench, "BATCH", 4)
    monkeypatch.setattr(bench, "BATCHES", 1)


def test_it_prints_what_it_measured(corpus, brief, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "200")
    out = tmp_path / "feed.json"
    assert command.run(["bench", "--data", str(corpus.directory), "--workers", "0", "--out", str(out)]) == 0
    result, shown = json.loads(out.read_text()), capsys.readouterr().out
    assert list(result["rows"]) == [f"window {window}, 0 workers{crop}" for window in (12, 25)  # none has 75 frames
                                    for crop in ("", ", aligned and mirrored")]
    for name, row in result["rows"].items():
        assert name in shown and all(set(figure) == {"mean", "ci95", "n"} for figure in row.values())
        value = {metric: figure["mean"] for metric, figure in row.items()}
        assert row["frames/s"]["n"] == 2 and value["frames/s"] > 0 and value["roof frames/s"] > 0
        assert row["share of roof"]["n"] == 2 and value["share of roof"] > 0
        assert value["cores at 2000/s"] == pytest.approx(2 * value["CPU ms/frame"])
        assert value["cores at 20000/s"] == pytest.approx(10 * value["cores at 2000/s"])
        assert value["bytes read/used"] > 1
    assert all(metric in shown for metric in row) and f"wrote {out}" in shown
    assert result["command"].startswith("thjax data bench --data")


def test_the_share_is_that_of_a_round_whatever_the_machine_does_between_two(corpus, brief, monkeypatch):
    slow = np.array([1.0, 3.0, 2.0])  # times as slow in three rounds
    wall = {"in turn": 5 * slow, "roof 2": 0.9 * slow, "workers 0": 1.2 * slow}
    monkeypatch.setattr(bench, "timed", lambda runs, rounds: ({name: wall[name] for name in runs}, {"in turn": slow}))
    [row] = bench.measure_window(corpus.directory, bench.spec_of(corpus, 12), [0]).values()
    assert row["share of roof"] == {"mean": pytest.approx(0.75), "ci95": pytest.approx([0.75, 0.75]), "n": 3}
    assert row["frames/s"]["mean"] == pytest.approx(4 * 12 * 3 / 2.4)  # 3 batches of 4 windows reach 100 frames


@pytest.mark.multi_process
def test_worker_processes_are_measured_beside_as_many_threads(corpus, brief):
    rows = bench.measure_window(corpus.directory, bench.spec_of(corpus, 12), [1])
    assert list(rows) == ["window 12, 1 workers"] and rows["window 12, 1 workers"]["frames/s"]["mean"] > 0


def test_the_roof_decodes_what_the_loader_decodes(corpus, monkeypatch):
    spec = bench.spec_of(corpus, 12)
    loader = Loader(corpus.directory, spec, kept_bytes=0)
    decoded, decode = [], records.decode_frames

    def note(record, indices, out=None):
        decoded.extend((record["key"], frame) for frame in indices)
        return decode(record, indices, out)

    monkeypatch.setattr(records, "decode_frames", note)
    bench.make_in_turn(loader, 2)
    theirs, decoded[:] = list(decoded), []
    roof = bench.Roof(loader)
    roof.run(1)
    roof.run(1)
    assert decoded == theirs and 2 * spec.batch * 12 <= len(theirs) <= 2 * spec.batch * 13


def test_bytes_used_are_those_of_the_window(corpus):
    spec = bench.spec_of(corpus, 12)
    loader = Loader(corpus.directory, spec, kept_bytes=0)
    roof = bench.Roof(loader)
    size, record, window, still = roof._opened(0)
    used = sum(len(record["video"][frame]) for frame in {*window, still}) + 12 * 68 * 2 * 4
    used += 2 * (12 * schema.SAMPLES_PER_FRAME + 2 * schema.AUDIO_CONTEXT)
    example = loader.example_at(0)
    assert example["audio"].nbytes + example["landmarks"].nbytes < used < size
    ratios = [roof.bytes_read_over_used(1), bench.Roof(loader).bytes_read_over_used(1)]
    assert ratios[0] == ratios[1] > 1 and np.isfinite(ratios).all()


def test_a_negative_number_of_workers_is_refused(corpus, capsys):
    with pytest.raises(SystemExit):
        bench.run(["--data", str(corpus.directory), "--workers", "0", "-1"])
    assert "--workers -1: a number of processes is at least 0; 0 decodes in threads" in capsys.readouterr().err
