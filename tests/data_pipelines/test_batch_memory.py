import gc
import multiprocessing
import os
import pickle

import numpy as np
import pytest

from data_pipelines.batch_memory import BatchMemory

SHAPES = {"frames": ((2, 3, 4, 5, 3), np.uint8), "valid": ((2, 3), np.float32), "id": ((2,), np.uint32)}


def taken(memory, places):
    """Which of the places are taken, by asking for each and giving back at once what was free."""
    held = [memory.take(place) is None for place in range(places)]
    for place, was_taken in enumerate(held):
        if not was_taken:
            memory.give_back(place)
    return held


def test_arrays_have_the_shapes_asked_for_and_share_no_byte():
    memory = BatchMemory(SHAPES, places=3)
    batches = [memory.take(number) for number in range(3)]
    for number, batch in enumerate(batches):
        assert {name: (array.shape, array.dtype.type) for name, array in batch.items()} == SHAPES
        for array in batch.values():
            assert array.__array_interface__["data"][0] % 64 == 0  # jax copies what lies elsewhere
            array[...] = number + 1
    assert all((array == number + 1).all() for number, batch in enumerate(batches) for array in batch.values())


def test_a_place_is_free_when_the_last_of_its_arrays_is_gone():
    memory = BatchMemory(SHAPES, places=2)
    memory.take(5)
    batch = memory.lease(5)
    view = batch["frames"][1, :, ::2][1:, ..., ::-1]
    del batch
    assert taken(memory, 2) == [False, True] and memory.take(1) is None and memory.take(7) is None
    del view
    assert taken(memory, 2) == [False, False]


def test_what_jax_took_without_a_copy_is_still_held():
    import jax

    memory = BatchMemory({"valid": ((64, 64), np.float32)}, places=1)
    memory.take(0)["valid"][...] = 7
    on_device = jax.device_put(memory.lease(0)["valid"])
    gc.collect()
    later = memory.take(1)
    if later is not None:  # jax made a copy
        later["valid"][...] = 8
    np.testing.assert_array_equal(on_device, 7)


def test_arrays_outlive_their_memory():
    memory = BatchMemory(SHAPES, places=2, shared=True)
    memory.take(0)["id"][...] = 9
    batch = memory.lease(0)
    memory.close()
    del memory
    gc.collect()
    np.testing.assert_array_equal(batch["id"], 9)


def test_memory_of_one_process_is_not_pickled():
    with pytest.raises(pickle.PicklingError, match="this process alone"):
        pickle.dumps(BatchMemory(SHAPES, places=2))


def test_who_cannot_reach_the_memory_finds_every_place_taken():
    memory = BatchMemory(SHAPES, places=2, shared=True)
    state = pickle.dumps(memory)
    memory.close()
    assert [pickle.loads(state).take(number) for number in range(4)] == [None] * 4
    another = BatchMemory(SHAPES, places=2, shared=True)  # has the number that the first one's file had
    assert [pickle.loads(state).take(number) for number in range(4)] == [None] * 4
    assert another.take(0) is not None


def test_a_place_more_than_a_page_of_flags_is_a_place_like_others():
    places = 4097
    memory = BatchMemory({"id": ((2,), np.uint32)}, places)
    memory.take(0)["id"][...] = 2**32 - 1
    assert memory.take(places - 1) is not None and memory.take(places) is None
    assert not taken(memory, places)[5]


@pytest.mark.multi_process
@pytest.mark.filterwarnings("ignore:os.fork")
@pytest.mark.parametrize("shared", [False, True])
def test_a_process_that_is_forked_off_frees_nothing(shared):
    memory = BatchMemory(SHAPES, places=1, shared=shared)
    memory.take(0)["id"][...] = 7
    batch = memory.lease(0)
    child = os.fork()
    if not child:
        del batch
        os._exit(0)
    os.waitpid(child, 0)
    assert memory.take(1) is None and (batch["id"] == 7).all()


def _fill(memory, number, answer):
    place = memory.take(number)
    if place is not None:
        place["valid"][...] = number
    answer.put(place is not None)


@pytest.mark.multi_process
def test_a_worker_process_fills_what_this_one_reads():
    spawn = multiprocessing.get_context("spawn")
    memory, answer = BatchMemory(SHAPES, places=2, shared=True), spawn.Queue()

    def filled(number):
        worker = spawn.Process(target=_fill, args=(memory, number, answer))
        worker.start()
        made = answer.get(timeout=60)
        worker.join()
        return made

    assert filled(3)
    batch = memory.lease(3)
    np.testing.assert_array_equal(batch["valid"], 3)
    assert not filled(5)  # lies where batch 3 does
    del batch
    assert filled(5)
