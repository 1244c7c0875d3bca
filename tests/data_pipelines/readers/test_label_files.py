"""Parsers of label files, on the text of real ones."""

import pytest

from data_pipelines.readers import grid, lrw, tcd_timit, voxceleb2
from data_pipelines.readers.listing import Entry
from data_pipelines.schema import DataError

ALIGN = "0 23750 sil\n23750 29500 bin\n29500 34000 blue\n34000 35500 at\n35500 41000 f\n41000 47250 two\n" \
        "47250 53000 now\n53000 74500 sil\n"  # osalinasv/lipnet#2
TRACK = "Identity  : \tid00017\nReference : \t_mjZ87sK6cA\nOffset    : \t-2\nFV Conf   : \t16.140\t(1)\n" \
        "ASD Conf  : \t5.142\n\nFRAME \tX \tY \tW \tH \n008809\t0.123\t0.136\t0.422\t0.749\n"
MLF = '#!MLF!#\n"/media/x/volunteers/01M/Clips/straightcam/sa1.mp4"\n0 9100000 sil\n9100000 10500000 sh\n.\n' \
      '"D:\\TCD TIMIT\\lipspeakers\\Lipspkr2 \\Clips\\30degcam\\SX301.mp4"\n0 100000 s\n100000 250000 s\n' \
      '250000 300000 t\n.\n"/x/volunteers/02M/Clips/straightcam/sa2.mp4"\n0 x sil\n.\n' \
      '"/x/volunteers/03F/Clips/straightcam/sa3.mp4"\n0 100000 sil\n'


def test_grid_times_are_thousandths_of_a_frame():
    words = grid.parse_align(ALIGN)
    assert words[0] == ("bin", 0.95, 1.18) and words[-1] == ("now", 1.89, 2.12)
    assert grid.parse_align("0 74500 sp\n73500 74500 soon")[0][2] == pytest.approx(2.98)


@pytest.mark.parametrize("text", ["0 100\n", "a b bin\n", "9 5 bin\n", "0 74500 sil\n", ""])
def test_a_broken_alignment_is_told(text):
    with pytest.raises(DataError, match="START END WORD|no word"):
        grid.parse_align(text)


def test_a_name_of_grid_is_its_sentence():
    assert grid.sentence_of("bbaf2n") == "bin blue at f two now"
    assert grid.sentence_of("swwzzs") == "set white with z zero soon"
    assert grid.sentence_of("bbaw2n") is None and grid.sentence_of("bbaf2") is None


def test_folders_of_zenodo_go_to_whom_they_belong():
    # The permutation that lhotse corrects by a table (lhotse-speech/lhotse#1501), found from names alone.
    names = {5: 6, 6: 5, 10: 13, 11: 10, 12: 11, 13: 12, 14: 15, 15: 14, 18: 19, 19: 18, 20: 21, 22: 23, 23: 22}
    speakers = {f"grid/s{n}": {f"clip{n}_{i}" for i in range(20)} for n in range(1, 24) if n != 21}
    folders = {}
    for n in range(1, 24):
        if n != 20:
            stems = [f"clip{ {v: k for k, v in names.items()}.get(n, n) }_{i}" for i in range(20)]
            folders["alignments", f"s{n}"] = dict.fromkeys(stems, Entry((), "", None, 0, 1))
    found = grid.match_folders(speakers, folders)
    assert found == {f"grid/s{n}": ("alignments", f"s{names.get(n, n)}") for n in range(1, 24) if n != 21}


def test_a_folder_that_shares_a_few_names_is_nobodys():
    folder = dict.fromkeys([f"a{i}" for i in range(10)], Entry((), "", None, 0, 1))
    assert grid.match_folders({"grid/s1": {"a1", *(f"b{i}" for i in range(9))}}, {("x",): folder}) == {}


def test_tcd_timit_labels_by_the_last_parts_of_a_path():
    labels = tcd_timit.parse_mlf(MLF)
    assert labels["tcd_timit/01M/straightcam/sa1"] == ((("sil", 0.0, 0.91), ("sh", 0.91, 1.05)), None)
    merged, remark = labels["tcd_timit/Lipspkr2/30degcam/sx301"]
    assert merged == (("s", 0.0, 0.025), ("t", 0.025, 0.03)) and remark == "doubled phones merged"
    for key in ("tcd_timit/02M/straightcam/sa2", "tcd_timit/03F/straightcam/sa3"):
        phones, remark = labels[key]
        assert phones is None and remark.startswith("unreadable: ")
    assert len(labels) == 4


def test_tcd_timit_knows_volunteer_30_by_both_names():
    assert tcd_timit.key_of(["30F", "Clips", "straightcam", "sa1.mp4"]) == "tcd_timit/30M/straightcam/sa1"
    assert tcd_timit.key_of(["01M.zip", "Clips", "StraightCam", "SA1.mp4"]) == "tcd_timit/01M/straightcam/sa1"
    assert tcd_timit.key_of(["01M", "sa1.mp4"]) is None


def test_voxceleb2_track_and_its_sign():
    assert voxceleb2.parse_track(TRACK) == voxceleb2.Track(offset=-2, asd=5.142, fv=16.14)
    with pytest.raises(DataError, match="without `Offset`"):
        voxceleb2.parse_track("Identity: \tid00017\n")


@pytest.mark.parametrize("text", [
    "\ufeffVoxCeleb2 ID \tVGGFace2 ID \tGender \tSet \nid00012 \tn000012 \tm \tdev \n",
    "VoxCeleb2 ID,Name,Gender,Set\nid00012,\"Ada, B\",M,dev\n",
    "VoxCeleb2 ID ,VGGFace2 ID ,Gender ,Set \n\nid00012 ,n000012 ,m ,dev \n",
])
def test_voxceleb2_table_of_people_in_all_its_forms(text):
    (person,) = voxceleb2.parse_meta(text).values()
    assert (person["VoxCeleb2 ID"], person["Gender"], person["Set"]) == ("id00012", "m", "dev")


def test_voxceleb2_table_without_ids_is_told():
    with pytest.raises(DataError, match="no `VoxCeleb2 ID`"):
        voxceleb2.parse_meta("a,b\n1,2\n")


def test_the_published_list_of_voxceleb2():
    assert len(voxceleb2.TEST_SPEAKERS) == 118 and 17 in voxceleb2.TEST_SPEAKERS


def test_lrw_duration():
    start, end = lrw.word_span("Disk reference: 1\nChannel: BBC\nDuration: 0.53 seconds")
    assert end - start == pytest.approx(0.53) and (start + end) / 2 == pytest.approx(29 / 25 / 2)
    assert lrw.word_span("Duration: 9 seconds") == pytest.approx((0, 1.16))
    for text in ("", "Duration: none\n", "Duration: 0.0 seconds\n"):
        with pytest.raises(DataError, match="Duration"):
            lrw.word_span(text)
