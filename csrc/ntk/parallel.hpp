// A loop over independent items on a few threads.
#pragma once

#include <cstddef>
#include <functional>

namespace sestina::ntk {

// Calls body(thread, item) for each item in [0, items), on up to `threads` threads of which the
// caller is number 0. Each thread takes the next item when it is free, so that a slow core delays
// nobody but its own last item. `body` must not throw.
void for_each_item(std::ptrdiff_t items, int threads,
                   const std::function<void(int thread, std::ptrdiff_t item)>& body);

}  // namespace sestina::ntk
