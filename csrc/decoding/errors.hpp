// Files that cannot be read as what they should be.
#pragma once

#include <stdexcept>
#include <string>

namespace sestina::decoding {

// The binding adds the path and raises sestina.core.errors.FileFormatError.
class FormatError : public std::runtime_error {
 public:
  // `line` counts from 1; 0 where lines make no sense.
  FormatError(const std::string& reason, std::string remedy, long line = 0)
      : std::runtime_error(reason), reason_(reason), remedy_(std::move(remedy)), line_(line) {}

  // Like what(), but whole where it quotes a zero byte.
  const std::string& reason() const noexcept { return reason_; }
  const std::string& remedy() const noexcept { return remedy_; }
  long line() const noexcept { return line_; }

 private:
  std::string reason_;
  std::string remedy_;
  long line_;
};

}  // namespace sestina::decoding
