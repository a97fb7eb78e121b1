#include "decoding/lm/memory.hpp"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

namespace sestina::decoding {

namespace {

constexpr std::size_t large_page = std::size_t{2} << 20;
constexpr std::align_val_t cache_line{64};

[[noreturn]] void fail(int reason) { throw std::system_error(reason, std::generic_category()); }

}  // namespace

FileStream::FileStream(const char* path) : file_(open(path, O_RDONLY | O_CLOEXEC)) {
  if (file_ < 0) {
    fail(errno);
  }
  struct stat facts {};
  if (fstat(file_, &facts) != 0 || S_ISDIR(facts.st_mode)) {
    const int reason = S_ISDIR(facts.st_mode) ? EISDIR : errno;
    close(file_);
    fail(reason);
  }
  if (S_ISREG(facts.st_mode)) {
    size_ = static_cast<std::size_t>(facts.st_size);
  }
}

FileStream::~FileStream() { close(file_); }

std::size_t FileStream::read(std::span<std::byte> buffer) {
  std::size_t done = 0;
  while (done < buffer.size()) {
    const ssize_t got = ::read(file_, buffer.data() + done, buffer.size() - done);
    if (got == 0) {
      break;
    }
    if (got > 0) {
      done += static_cast<std::size_t>(got);
    } else if (errno != EINTR) {
      fail(errno);
    }
  }
  return done;
}

Block::~Block() {
  if (mapped_) {
    munmap(data_, size_);
  } else {
    ::operator delete(data_, cache_line);
  }
}

Block::Block(Block&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)),
      mapped_(std::exchange(other.mapped_, false)) {}

Block& Block::operator=(Block&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

Block Block::zeros(std::size_t bytes) {
  Block block;
  block.size_ = bytes;
  if (bytes < large_page) {
    block.data_ = static_cast<std::byte*>(::operator new(bytes, cache_line));
    std::memset(block.data_, 0, bytes);
    return block;
  }
  // One large page more than needed, so that the block can begin at one; the rest goes back. Pages
  // that are never written to cost nothing.
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t used = (bytes + page - 1) / page * page;
  if (used < bytes || used + large_page < used) {
    throw std::bad_alloc();
  }
  void* const got = mmap(nullptr, used + large_page, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (got == MAP_FAILED) {
    throw std::bad_alloc();
  }
  const std::size_t before =
      (large_page - reinterpret_cast<std::uintptr_t>(got) % large_page) % large_page;
  if (before > 0) {
    munmap(got, before);
  }
  block.data_ = static_cast<std::byte*>(got) + before;
  block.mapped_ = true;
  munmap(block.data_ + used, large_page - before);
#if defined(MADV_HUGEPAGE)
  madvise(block.data_, used, MADV_HUGEPAGE);  // a hint: without it a step only costs more
#endif
  return block;
}

Block Block::copy(std::span<const std::byte> bytes) {
  Block block = zeros(bytes.size());
  if (!bytes.empty()) {
    std::memcpy(block.data_, bytes.data(), bytes.size());
  }
  return block;
}

Block Block::file(const char* path, Loading loading) {
  FileStream stream(path);
  if (loading == Loading::memory) {
    Block block = zeros(stream.size());
    if (stream.read({block.data_, block.size_}) < block.size_) {
      fail(EIO);  // it has become shorter meanwhile
    }
    return block;
  }
  Block block;
  if (stream.size() > 0) {
    void* const got =
        mmap(nullptr, stream.size(), PROT_READ, MAP_SHARED, stream.descriptor(), 0);
    if (got == MAP_FAILED) {
      fail(errno);
    }
    block.data_ = static_cast<std::byte*>(got);
    block.size_ = stream.size();
    block.mapped_ = true;
  }
  return block;
}

}  // namespace sestina::decoding
