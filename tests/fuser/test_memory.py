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
