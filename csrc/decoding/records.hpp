// Where the hypotheses of a search come from: a tree of records, one per change of token.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "decoding/search.hpp"

namespace sestina::decoding {

class Records {
 public:
  // `transitions` (token × token before it, natural logarithms) count on every frame; may be empty.
  Records(std::int32_t num_tokens, std::span<const float> transitions)
      : transitions_(transitions), running_(static_cast<std::size_t>(num_tokens), 0.0) {}

  // Forgets all; record 0 is what comes before the first frame, as if it were that token.
  void begin(std::int32_t token);
  // Ends a frame.
  void advance(const float* emissions);
  std::uint32_t add(std::uint32_t parent, std::int32_t token, std::int32_t word, float language);
  // A hypothesis that ends with this record.
  Hypothesis trace(std::uint32_t record, double score) const;

  // How many of the last records' ancestors, from the first on, all of these have in common.
  std::size_t common(std::span<const std::uint32_t> last) const;
  std::size_t size() const noexcept { return records_.size(); }
  // Forgets all records that lead to none of these, and puts in each one's place its new number. At
  // least one is given.
  void keep(std::span<std::uint32_t* const> last);
  // Leaves the first stretches out of all paths from now on; they have been put by.
  void forget(std::size_t stretches);

 private:
  struct Record {
    std::uint32_t parent;
    std::int32_t frame;
    std::int32_t token;
    std::int32_t word;     // that ended here, or -1
    float language;        // of that word
    double acoustic_base;  // plus the token's running sum of emissions: the sum along the path
  };

  // The last record that all of these come from.
  std::uint32_t shared(std::span<const std::uint32_t> last) const;
  double running(std::int32_t token) const noexcept {
    return token < 0 ? 0.0 : running_[static_cast<std::size_t>(token)];
  }
  double acoustic(const Record& record) const noexcept {
    return record.acoustic_base + running(record.token);
  }
  double transition(std::int32_t token, std::int32_t before) const noexcept {
    return transitions_[static_cast<std::size_t>(token) * running_.size() +
                        static_cast<std::size_t>(before)];
  }

  std::span<const float> transitions_;
  // By token, the sum of the emissions of all frames before this one (and of transitions to itself).
  std::vector<double> running_;
  std::vector<Record> records_;
  // What came before record 0.
  std::vector<Stretch> settled_;
  double settled_language_ = 0.0;
  std::int32_t frame_ = 0;
};

}  // namespace sestina::decoding
