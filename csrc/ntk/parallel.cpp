#include "ntk/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

namespace sestina::ntk {

void for_each_item(std::ptrdiff_t items, int threads,
                   const std::function<void(int thread, std::ptrdiff_t item)>& body) {
  std::atomic<std::ptrdiff_t> next{0};
  const auto work = [&](int thread) {
    for (std::ptrdiff_t item = next++; item < items; item = next++) {
      body(thread, item);
    }
  };
  const auto helpers = static_cast<int>(std::min<std::ptrdiff_t>(threads, items)) - 1;
  std::vector<std::thread> pool;
  pool.reserve(static_cast<std::size_t>(std::max(helpers, 0)));
  for (int thread = 1; thread <= helpers; ++thread) {
    try {
      pool.emplace_back(work, thread);
    } catch (const std::system_error&) {
      break;  // the system gives no more threads: those that run do the work
    }
  }
  work(0);
  for (std::thread& helper : pool) {
    helper.join();
  }
}

}  // namespace sestina::ntk
