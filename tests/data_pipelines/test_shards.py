import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
from array_record.python.array_record_module import ArrayRecordWriter

from data_pipelines.schema import DataError
from data_pipelines.shards import ShardReader, count_records


@pytest.fixture
def paths(tmp_path):
    paths = [tmp_path / f"{i}.array_record" for i in range(5)]
    for number, path in enumerate(paths):
        output = ArrayRecordWriter(str(path), "group_size:1,uncompressed")
        for offset in range(7):
            output.write(f"{number}/{offset}".encode() * 100)
        output.close()
    return paths


def test_any_record_of_any_shard(paths):
    reader = ShardReader(paths)
    assert reader.read(3, 6) == b"3/6" * 100 and reader.read(0, 0) == b"0/0" * 100
    assert count_records(paths[2]) == 7


def test_open_readers_are_bounded_under_threads(paths):
    reader = ShardReader(paths, max_open=2)
    wanted = [(i % 5, i % 7) for i in range(400)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda place: reader.read(*place), wanted))
    assert found == [f"{shard}/{offset}".encode() * 100 for shard, offset in wanted]
    assert reader.open_shards <= 2


def test_a_pickled_reader_opens_its_own_files(paths):
    reader = ShardReader(paths)
    reader.read(1, 1)
    copy = pickle.loads(pickle.dumps(reader))
    assert copy.open_shards == 0 and copy.read(1, 1) == b"1/1" * 100


def test_a_damaged_record_names_the_file(paths):
    data = bytearray(paths[1].read_bytes())
    middle = data.index(b"1/4" * 100)
    data[middle : middle + 300] = bytes(300)
    paths[1].write_bytes(data)
    with pytest.raises(DataError, match="1.array_record: record 4 cannot be read"):
        ShardReader(paths).read(1, 4)


def test_a_missing_shard_names_the_file(paths):
    paths[4].unlink()
    with pytest.raises(DataError, match="4.array_record cannot be opened"):
        ShardReader(paths).read(4, 0)
