import threading

import torch

from sestina.fuser import held_bytes, release_memory
from sestina.fuser.memory import MIN_BYTES, Pool

LARGE = MIN_BYTES // 4


def test_memory_of_a_dropped_tensor_is_used_again():
    pool = Pool(capacity_bytes=1 << 30)
    first = pool.empty((LARGE,), (1,), torch.float32)
    place = first.data_ptr()
    second = pool.empty((LARGE,), (1,), torch.float32)
    assert second.data_ptr() != place
    del first
    assert pool.empty((LARGE,), (1,), torch.float32).data_ptr() == place


def test_memory_that_a_view_still_shows_is_not_used_again():
    pool = Pool(capacity_bytes=1 << 30)
    first = pool.empty((LARGE,), (1,), torch.float32)
    view, place = first[3:5], first.data_ptr()
    del first
    other = pool.empty((LARGE,), (1,), torch.float32)
    assert other.data_ptr() != place
    del view
    assert pool.empty((LARGE,), (1,), torch.float32).data_ptr() == place


def test_memory_that_autograd_has_saved_is_not_used_again():
    pool = Pool(capacity_bytes=1 << 30)
    first = pool.empty((LARGE,), (1,), torch.float32)
    first.fill_(2.0)
    leaf = torch.ones(LARGE, requires_grad=True)
    product = leaf * first
    del first
    pool.empty((LARGE,), (1,), torch.float32).fill_(7.0)
    product.sum().backward()
    assert bool((leaf.grad == 2).all())


def test_what_lies_idle_is_bounded_and_can_be_released():
    size = LARGE * 4
    pool = Pool(capacity_bytes=2 * size)
    tensors = [pool.empty((LARGE + k,), (1,), torch.float32) for k in range(6)]
    assert pool.held_bytes >= 6 * size
    tensors.clear()
    kept = pool.empty((LARGE + 99,), (1,), torch.float32)
    assert pool.held_bytes <= 4 * size
    assert pool.release() > 0
    assert pool.held_bytes == kept.untyped_storage().nbytes()


def test_what_lies_idle_is_bounded_at_every_call():
    pool = Pool(capacity_bytes=4 * MIN_BYTES)
    tensors = [pool.empty((LARGE,), (1,), torch.float32) for _ in range(20)]
    assert pool.held_bytes == 20 * MIN_BYTES
    tensors.clear()
    kept = pool.empty((LARGE,), (1,), torch.float32)  # of memory that is there
    assert pool.held_bytes <= 5 * MIN_BYTES
    assert kept.untyped_storage().nbytes() == MIN_BYTES


def test_what_was_handed_out_the_longest_ago_goes_first():
    pool = Pool(capacity_bytes=3 * MIN_BYTES // 2)
    sizes = [LARGE, LARGE + 1, LARGE + 2]
    tensors = [pool.empty((size,), (1,), torch.float32) for size in sizes[:2]]
    tensors.clear()
    pool.empty((sizes[0],), (1,), torch.float32)
    last = pool.empty((sizes[2],), (1,), torch.float32)  # the second has to go, not the first
    assert pool.held_bytes == 4 * (sizes[0] + last.numel())
    pool.empty((sizes[0],), (1,), torch.float32)
    assert pool.held_bytes == 4 * (sizes[0] + last.numel())


def test_sizes_that_do_not_come_back_do_not_pile_up():
    pool = Pool(capacity_bytes=4 << 30)
    for k in range(120):
        pool.empty((350_000 + 16 * k,), (1,), torch.float32)
    assert pool.held_bytes < 70 << 20  # of the 170 that were handed out


def test_a_loop_that_is_all_idle_between_its_steps_loses_nothing():
    pool = Pool(capacity_bytes=4 << 30)
    held = []
    for step in range(80):
        # As in training: much is kept from forward to backward, which needs half as much besides.
        saved = []
        for k in range(200):
            saved.append(pool.empty((LARGE + k % 40,), (1,), torch.float32))
            held += [pool.held_bytes] if step else []
        for k in range(100):
            saved.pop()
            pool.empty((2 * LARGE + k % 50,), (1,), torch.float32)
            held += [pool.held_bytes] if step else []
        saved.clear()
    assert held[0] > 300 * MIN_BYTES
    assert set(held) == {held[0]}


def test_what_was_once_in_use_is_forgotten():
    pool = Pool(capacity_bytes=4 << 30)
    tensors = [pool.empty((LARGE,), (1,), torch.float32) for _ in range(100)]
    tensors.clear()
    for _ in range(1000):
        pool.empty((LARGE,), (1,), torch.float32)
    assert pool.held_bytes == 100 * MIN_BYTES
    for _ in range(7000):
        pool.empty((LARGE,), (1,), torch.float32)
    assert pool.held_bytes <= 65 * MIN_BYTES


def test_memory_of_a_storage_that_is_held_is_not_used_again():
    pool = Pool(capacity_bytes=1 << 30)
    first = pool.empty((LARGE,), (1,), torch.float32).fill_(2.0)
    storage = first.untyped_storage()
    del first
    pool.empty((LARGE,), (1,), torch.float32).fill_(7.0)
    assert pool.release() == MIN_BYTES
    assert bool((torch.empty(0).set_(storage) == 2).all())


def test_threads_never_have_the_same_memory():
    pool = Pool(capacity_bytes=2 * MIN_BYTES)
    spoiled = []

    def work(number):
        for k in range(200):
            made = pool.empty((LARGE + k % 3,), (1,), torch.float32)
            made[:16] = number
            other = pool.empty((LARGE + k % 2,), (1,), torch.float32)
            other[:16] = -1.0
            if not bool((made[:16] == number).all()):
                spoiled.append((number, k))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spoiled == []
    assert pool.held_bytes <= 11 * MIN_BYTES


def test_shapes_and_strides_are_as_asked():
    pool = Pool(capacity_bytes=1 << 30)
    made = pool.empty((512, 1024), (1, 512), torch.float64)
    assert (made.shape, made.stride(), made.dtype) == ((512, 1024), (1, 512), torch.float64)
    small = pool.empty((2, 3), (3, 1), torch.int64)
    assert small.shape == (2, 3)
    assert pool.held_bytes == 512 * 1024 * 8


def test_the_process_has_one_pool():
    assert held_bytes() >= 0
    assert release_memory() >= 0
