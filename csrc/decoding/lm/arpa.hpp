// The ARPA format: counts of each order, then `log10 probability, words, log10 back-off weight`,
// one n-gram a line, in sections of ascending order.
//
// Accepted: tabs or spaces, CRLF, any lines before \data\, absent back-off weights, words of any
// bytes but blanks. As in KenLM the context of an n-gram must be in the model and its suffix need
// not be; positive probabilities, words that are no unigrams and n-grams given twice are errors.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "decoding/lm/builder.hpp"

namespace sestina::decoding {

class ArpaReader {
 public:
  // `size` is that of the whole text, if it is known: memory for what it can hold is taken at once.
  explicit ArpaReader(std::uint64_t size = 0) : size_(size) {}

  // The next piece of the text, cut anywhere. Throws FormatError; then the reader is of no more
  // use.
  void push(std::string_view piece);
  // After the last piece. Throws FormatError.
  std::shared_ptr<NgramModel> finish();

 private:
  enum class Part { preamble, counts, ngrams, after };
  // An n-gram whose words have no ids yet, as it stands in the piece.
  struct Line {
    std::array<std::string_view, NgramModel::highest_order> words;
    std::array<std::uint32_t, NgramModel::highest_order> hashes;
    // Of which words the line before has the same in the same place, as a mask: in sorted files
    // most, and they need not be looked up again.
    std::uint32_t repeated;
    float score;
    float backoff;
    long number;
  };

  void read_line(std::string_view line);
  void read_title(std::string_view line);
  void read_count(std::string_view line);
  void read_ngram(std::string_view line);
  void end_order();
  void flush();
  float number(std::string_view field, const char* what) const;
  [[noreturn]] void fail(const std::string& reason, const std::string& remedy) const;

  std::uint64_t size_;
  Part part_ = Part::preamble;
  long number_ = 0;      // of the line
  std::string cut_;      // the beginning of a line whose end has not come
  std::vector<std::uint64_t> counts_;
  std::size_t order_ = 0;  // of the section
  std::uint64_t read_ = 0;  // n-grams of it
  std::unique_ptr<NgramBuilder> builder_;
  // N-grams that wait for being handed to the builder together.
  std::array<Line, 64> lines_;
  std::size_t num_lines_ = 0;
};

}  // namespace sestina::decoding
