// Memory for large results: large pages where the system has them, and used again.
//
// Fresh memory is the dearest part of a kernel matrix. Writing 72 MB costs 26 ms with pages of
// 4 KiB and 3 ms with 2 MiB, where all arithmetic is 12 ms; on a virtual machine whose host takes
// free memory back, 100 to 200 ms. malloc's memory does not begin at a large page, and goes back to
// the system when it is freed.
#pragma once

#include <cstddef>
#include <span>

namespace sestina::ntk {

// A block of memory, aligned to a large page, with any contents.
//
// Freed blocks are kept for the next ones, up to `kept_bytes` in the whole process, and marked so
// that the system may take their pages when it runs short. Thread-safe.
class LargeBlock {
 public:
  static constexpr std::size_t kept_bytes = std::size_t{256} << 20;

  // Throws std::bad_alloc where the system has no such memory.
  explicit LargeBlock(std::size_t bytes);
  ~LargeBlock();
  LargeBlock(LargeBlock&& other) noexcept;
  LargeBlock(const LargeBlock&) = delete;
  LargeBlock& operator=(const LargeBlock&) = delete;
  LargeBlock& operator=(LargeBlock&&) = delete;

  void* data() const noexcept { return data_; }
  std::size_t bytes() const noexcept { return bytes_; }  // at least those asked for
  bool is_fresh() const noexcept { return is_fresh_; }   // no block before it

 private:
  void* data_ = nullptr;
  std::size_t bytes_ = 0;
  bool is_fresh_ = true;
};

// Has the system provide the pages of fresh blocks, on several threads. Left to the tiles, two
// threads that touch a fresh large page at once both clear one, and the second is thrown away.
// A hint: where the system does not know the request nothing happens.
void provide_pages(std::span<const LargeBlock> blocks, int threads);

}  // namespace sestina::ntk
