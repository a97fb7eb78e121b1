#include "ntk/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <thread>
#include <vector>

#if defined(__linux__)
#include <pthread.h>
#include <sched.h>
#endif

namespace sestina::ntk {

namespace {

// Moves a new thread off the core of this one. Linux may start it there, behind its creator, although
// another core is idle, and balances 10 ms later: after a pause of 20 ms, two threads took 27 ms for
// what they do in 14.
void start_elsewhere([[maybe_unused]] std::thread& helper) {
#if defined(__linux__)
  cpu_set_t allowed;
  const pthread_t handle = helper.native_handle();
  const int here = sched_getcpu();
  if (here < 0 || pthread_getaffinity_np(handle, sizeof allowed, &allowed) != 0 ||
      !CPU_ISSET(here, &allowed) || CPU_COUNT(&allowed) < 2) {
    return;
  }
  cpu_set_t elsewhere = allowed;
  CPU_CLR(here, &elsewhere);
  // Moving is all that is wanted: at once it may run anywhere again.
  pthread_setaffinity_np(handle, sizeof elsewhere, &elsewhere);
  pthread_setaffinity_np(handle, sizeof allowed, &allowed);
#endif
}

}  // namespace

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
      start_elsewhere(pool.emplace_back(work, thread));
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
