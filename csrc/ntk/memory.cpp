#include "ntk/memory.hpp"

#include <algorithm>
#include <cstdint>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

#include "ntk/parallel.hpp"

#if defined(__linux__)
#include <sys/mman.h>
#endif

namespace sestina::ntk {

namespace {

constexpr std::size_t large_page = std::size_t{2} << 20;

struct Piece {
  void* data;
  std::size_t bytes;
};

std::size_t whole_pages(std::size_t bytes) {
  return std::max<std::size_t>(1, (bytes + large_page - 1) / large_page) * large_page;
}

#if defined(__linux__)

// What is advised is a hint: where the kernel does not know it, nothing is lost but time.
void advise(void* data, std::size_t bytes, int advice) {
  static_cast<void>(madvise(data, bytes, advice));
}

Piece map_piece(std::size_t bytes) {
  // One page more than needed, so that an aligned part can be kept.
  const std::size_t reserved = bytes + large_page;
  void* const start =
      mmap(nullptr, reserved, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (start == MAP_FAILED) {
    throw std::bad_alloc();
  }
  const auto begin = reinterpret_cast<std::uintptr_t>(start);
  const std::size_t before = (large_page - begin % large_page) % large_page;
  char* const data = static_cast<char*>(start) + before;
  if (before > 0) {
    munmap(start, before);
  }
  munmap(data + bytes, large_page - before);
#if defined(MADV_HUGEPAGE)
  advise(data, bytes, MADV_HUGEPAGE);
#endif
  return {data, bytes};
}

void unmap_piece(const Piece& piece) noexcept { munmap(piece.data, piece.bytes); }

// The system may take the pages, as long as nobody writes to them again.
void offer_pages(const Piece& piece) noexcept {
#if defined(MADV_FREE)
  advise(piece.data, piece.bytes, MADV_FREE);
#else
  static_cast<void>(piece);
#endif
}

void provide_page(void* page) {
  // MADV_POPULATE_WRITE, since Linux 5.14; headers may be older than the kernel.
  constexpr int populate_for_writing = 23;
  advise(page, large_page, populate_for_writing);
}

#else

Piece map_piece(std::size_t bytes) {
  return {::operator new(bytes, std::align_val_t{large_page}), bytes};
}

void unmap_piece(const Piece& piece) noexcept {
  ::operator delete(piece.data, std::align_val_t{large_page});
}

void offer_pages(const Piece&) noexcept {}

void provide_page(void*) {}

#endif

// Freed pieces, the latest last. Process-wide, since memory is.
class Shelf {
 public:
  // A piece of at least so many bytes, and not much more; {nullptr, 0} if there is none.
  Piece take(std::size_t bytes) {
    const std::lock_guard lock(mutex_);
    for (auto piece = pieces_.rbegin(); piece != pieces_.rend(); ++piece) {
      if (piece->bytes >= bytes && piece->bytes <= bytes + bytes / 4) {
        const Piece found = *piece;
        pieces_.erase(std::next(piece).base());
        kept_ -= found.bytes;
        return found;
      }
    }
    return {nullptr, 0};
  }

  void put(const Piece& piece) noexcept {
    if (piece.bytes > LargeBlock::kept_bytes) {
      unmap_piece(piece);
      return;
    }
    offer_pages(piece);
    const std::lock_guard lock(mutex_);
    while (kept_ + piece.bytes > LargeBlock::kept_bytes || pieces_.size() == pieces_.capacity()) {
      unmap_piece(pieces_.front());
      kept_ -= pieces_.front().bytes;
      pieces_.erase(pieces_.begin());
    }
    pieces_.push_back(piece);
    kept_ += piece.bytes;
  }

  // Never destroyed: blocks may be freed while the process ends.
  static Shelf& get() {
    static Shelf& shelf = *new Shelf;
    return shelf;
  }

 private:
  Shelf() { pieces_.reserve(32); }  // so that put() never allocates

  std::mutex mutex_;
  std::vector<Piece> pieces_;
  std::size_t kept_ = 0;
};

}  // namespace

LargeBlock::LargeBlock(std::size_t bytes) {
  const std::size_t needed = whole_pages(bytes);
  Piece piece = Shelf::get().take(needed);
  is_fresh_ = piece.data == nullptr;
  if (is_fresh_) {
    piece = map_piece(needed);
  }
  data_ = piece.data;
  bytes_ = piece.bytes;
}

LargeBlock::~LargeBlock() {
  if (data_ != nullptr) {
    Shelf::get().put({data_, bytes_});
  }
}

LargeBlock::LargeBlock(LargeBlock&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      bytes_(std::exchange(other.bytes_, 0)),
      is_fresh_(other.is_fresh_) {}

void provide_pages(std::span<const LargeBlock> blocks, int threads) {
  std::vector<char*> pages;
  for (const LargeBlock& block : blocks) {
    for (std::size_t at = 0; block.is_fresh() && at < block.bytes(); at += large_page) {
      pages.push_back(static_cast<char*>(block.data()) + at);
    }
  }
  for_each_item(static_cast<std::ptrdiff_t>(pages.size()), threads, [&](int, std::ptrdiff_t page) {
    provide_page(pages[static_cast<std::size_t>(page)]);
  });
}

}  // namespace sestina::ntk
