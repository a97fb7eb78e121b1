// Where models keep their tables: memory of their own, or a file.
#pragma once

#include <cstddef>
#include <span>

namespace sestina::decoding {

// Whether a file is read into memory or mapped. What is mapped is read as it is needed and shared
// by all processes that map it; but its pages are small, so that a step costs more, and the file
// must not be changed while it is in use.
enum class Loading { memory, map };

// A file that is read from its beginning to its end.
class FileStream {
 public:
  // Throws std::system_error.
  explicit FileStream(const char* path);
  ~FileStream();
  FileStream(const FileStream&) = delete;
  FileStream& operator=(const FileStream&) = delete;

  int descriptor() const noexcept { return file_; }
  std::size_t size() const noexcept { return size_; }  // 0 for what is no regular file
  // Fills the buffer as far as the file goes; returns how far. Throws std::system_error.
  std::size_t read(std::span<std::byte> buffer);

 private:
  int file_;
  std::size_t size_ = 0;
};

// A block of bytes that stays where it is, aligned to a cache line.
class Block {
 public:
  Block() = default;
  ~Block();
  Block(Block&& other) noexcept;
  Block& operator=(Block&& other) noexcept;
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  // Zeros, on large pages if the system has them. Throws std::bad_alloc.
  static Block zeros(std::size_t bytes);
  static Block copy(std::span<const std::byte> bytes);
  // Throws std::system_error.
  static Block file(const char* path, Loading loading);

  std::byte* data() noexcept { return data_; }  // not to be written to if it is a mapped file
  std::span<const std::byte> bytes() const noexcept { return {data_, size_}; }

 private:
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
  bool mapped_ = false;  // rather than allocated
};

}  // namespace sestina::decoding
