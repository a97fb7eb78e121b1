// Files that cannot be read as what they should be, and scores that cannot be searched with.
#pragma once

#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

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

// A language model gave NaN or plus infinity, as one of a damaged file may: files that are mapped
// are not read as a whole. The binding raises sestina.core.errors.NonFiniteError.
class ScoreError : public std::runtime_error {
 public:
  explicit ScoreError(float score)
      : std::runtime_error("a score of the language model is NaN or infinity"), score_(score) {}

  float score() const noexcept { return score_; }

 private:
  float score_;
};

// Minus infinity forbids a word; of plus infinity less itself a search would make NaN.
inline void check_score(float score) {
  if (!(score < std::numeric_limits<float>::infinity())) {
    throw ScoreError(score);
  }
}

}  // namespace sestina::decoding
