// One search's view of a KenLM file: names its states by integers and remembers them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "decoding/lm/kenlm_search.hpp"
#include "decoding/lm/model.hpp"
#include "decoding/lm/ngram.hpp"

namespace sestina::decoding::kenlm {

template <class Search>
class KenlmSession final : public Session {
 public:
  // The search must outlive this.
  KenlmSession(const Search& search, std::size_t order, std::uint32_t begin, std::uint32_t end)
      : search_(search), context_(order - 1), begin_(begin), end_(end) {
    forget();
  }

  std::int32_t start(bool sentence) override {
    return sentence ? step({0, static_cast<std::int32_t>(begin_)}).state : 0;
  }

  void score(std::span<const Query> queries, std::span<Step> steps) override {
    constexpr std::size_t ahead = 8;
    for (std::size_t k = 0; k < std::min(ahead, queries.size()); ++k) {
      prefetch(queries[k]);
    }
    for (std::size_t k = 0; k < queries.size(); ++k) {
      if (k + ahead < queries.size()) {
        prefetch(queries[k + ahead]);
      }
      steps[k] = step(queries[k]);
    }
  }

  float finish(std::int32_t state) override {
    State next{};
    return look_up(state, end_, next).score;
  }

  int matched(const Query& query) override {
    State next{};
    return look_up(query.state, static_cast<std::uint32_t>(query.word), next).matched;
  }

  void keep(std::span<std::int32_t> states) override {
    const std::vector<std::uint32_t> words = std::move(words_);
    const std::vector<float> backoffs = std::move(backoffs_);
    const std::vector<std::uint8_t> lengths = std::move(lengths_);
    forget();
    for (std::int32_t& state : states) {
      State kept{};
      kept.length = lengths[static_cast<std::size_t>(state)];
      const auto at = static_cast<std::ptrdiff_t>(static_cast<std::size_t>(state) * context_);
      std::copy_n(words.begin() + at, kept.length, kept.words.begin());
      std::copy_n(backoffs.begin() + at, kept.length, kept.backoffs.begin());
      state = name(kept);
    }
  }

 private:
  // The last words that matter, the latest first, and the weights of the contexts that they are.
  struct State {
    std::array<std::uint32_t, NgramModel::highest_order> words;
    std::array<float, NgramModel::highest_order> backoffs;
    std::size_t length;
  };

  void forget() {
    words_.assign(context_, 0);
    backoffs_.assign(context_, 0.0F);
    lengths_.assign(1, 0);
    slots_.assign(64, 0);
  }

  std::span<const std::uint32_t> words(std::int32_t state) const noexcept {
    return {words_.data() + static_cast<std::size_t>(state) * context_,
            lengths_[static_cast<std::size_t>(state)]};
  }

  void prefetch(const Query& query) const noexcept {
    search_.prefetch(static_cast<std::uint32_t>(query.word), words(query.state));
  }

  Step step(const Query& query) {
    State next{};
    const float score = look_up(query.state, static_cast<std::uint32_t>(query.word), next).score;
    return {score, name(next)};
  }

  struct Found {
    float score;
    int matched;  // words of the longest n-gram
  };

  // What a word is worth, and the state after it.
  Found look_up(std::int32_t state, std::uint32_t word, State& next) const noexcept {
    const std::span<const std::uint32_t> context = words(state);
    typename Search::Node node;
    Entry entry = search_.unigram(word, node);
    float score = entry.score;
    std::size_t found = 1;
    next.words[0] = word;
    next.backoffs[0] = entry.backoff;
    next.length = matters(entry.backoff) ? 1 : 0;
    for (std::size_t k = 0; k < context.size() && entry.extended; ++k) {
      if (k + 1 == context_) {
        found += search_.longest(context[k], node, score) ? 1 : 0;
        break;
      }
      if (!search_.middle(k, context[k], node, entry)) {
        break;
      }
      score = entry.score;
      ++found;
      next.words[k + 1] = context[k];
      next.backoffs[k + 1] = entry.backoff;
      next.length = matters(entry.backoff) ? k + 2 : next.length;
    }
    const float* const backoffs = backoffs_.data() + static_cast<std::size_t>(state) * context_;
    for (std::size_t k = found - 1; k < context.size(); ++k) {
      score += backoffs[k];
    }
    return {score, static_cast<int>(found)};
  }

  std::int32_t name(const State& state) {
    if (state.length == 0) {
      return 0;
    }
    const std::span<const std::uint32_t> wanted(state.words.data(), state.length);
    if (2 * lengths_.size() >= slots_.size()) {
      grow();
    }
    std::size_t slot = slot_of(wanted);
    for (; slots_[slot] != 0; slot = (slot + 1) & (slots_.size() - 1)) {
      if (std::ranges::equal(words(slots_[slot]), wanted)) {
        return slots_[slot];
      }
    }
    slots_[slot] = static_cast<std::int32_t>(lengths_.size());
    lengths_.push_back(static_cast<std::uint8_t>(state.length));
    words_.insert(words_.end(), state.words.begin(),
                  state.words.begin() + static_cast<std::ptrdiff_t>(context_));
    backoffs_.insert(backoffs_.end(), state.backoffs.begin(),
                     state.backoffs.begin() + static_cast<std::ptrdiff_t>(context_));
    return slots_[slot];
  }

  std::size_t slot_of(std::span<const std::uint32_t> words) const noexcept {
    std::uint64_t hash = words.size();
    for (const std::uint32_t word : words) {
      hash = (hash ^ word) * 0x9E3779B97F4A7C15ULL;
      hash ^= hash >> 32;
    }
    return static_cast<std::size_t>(hash) & (slots_.size() - 1);
  }

  void grow() {
    slots_.assign(slots_.size() * 4, 0);
    for (std::size_t state = 1; state < lengths_.size(); ++state) {
      std::size_t slot = slot_of(words(static_cast<std::int32_t>(state)));
      while (slots_[slot] != 0) {
        slot = (slot + 1) & (slots_.size() - 1);
      }
      slots_[slot] = static_cast<std::int32_t>(state);
    }
  }

  const Search& search_;
  std::size_t context_;  // the most words of a state
  std::uint32_t begin_;
  std::uint32_t end_;
  // By state; 0 is the empty one.
  std::vector<std::uint32_t> words_;
  std::vector<float> backoffs_;
  std::vector<std::uint8_t> lengths_;
  std::vector<std::int32_t> slots_;  // open addressing by words; 0 where free
};

}  // namespace sestina::decoding::kenlm
