#include "ntk/memory.hpp"

#include <algorithm>
#include <cstdint>
#include <vector>

#include "ntk/parallel.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#include <unistd.h>
#endif

namespace sestina::ntk {

#if defined(__linux__) && defined(MADV_HUGEPAGE)

namespace {

constexpr std::uintptr_t large_page = 2 << 20;

// MADV_POPULATE_WRITE, since Linux 5.14; headers may be older than the kernel.
constexpr int populate_for_writing = 23;

// Refusals are no errors: everything here is a hint.
void advise(std::uintptr_t begin, std::uintptr_t end, int advice) {
  static_cast<void>(madvise(reinterpret_cast<void*>(begin), end - begin, advice));
}

}  // namespace

void claim_memory(std::span<const MemoryRange> ranges, int threads) {
  struct Piece {
    std::uintptr_t begin;
    std::uintptr_t end;
  };
  const auto page = static_cast<std::uintptr_t>(sysconf(_SC_PAGESIZE));
  std::vector<Piece> pieces;
  for (const MemoryRange& range : ranges) {
    const auto data = reinterpret_cast<std::uintptr_t>(range.data);
    const std::uintptr_t begin = (data + page - 1) / page * page;
    const std::uintptr_t end = (data + range.bytes) / page * page;
    if (begin >= end) {
      continue;
    }
    advise(begin, end, MADV_HUGEPAGE);
    for (std::uintptr_t at = begin; at < end; at = (at / large_page + 1) * large_page) {
      pieces.push_back({at, std::min(end, (at / large_page + 1) * large_page)});
    }
  }
  if (threads > 1) {
    for_each_item(static_cast<std::ptrdiff_t>(pieces.size()), threads,
                  [&](int, std::ptrdiff_t item) {
                    const Piece& piece = pieces[static_cast<std::size_t>(item)];
                    advise(piece.begin, piece.end, populate_for_writing);
                  });
  }
}

#else

void claim_memory(std::span<const MemoryRange>, int) {}

#endif

}  // namespace sestina::ntk
