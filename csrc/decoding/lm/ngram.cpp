#include "decoding/lm/ngram.hpp"

#include <algorithm>

namespace sestina::decoding {

namespace {

class NgramSession final : public Session {
 public:
  explicit NgramSession(const NgramModel& model) : model_(model) {}

  std::int32_t start(bool sentence) override { return model_.start(sentence); }
  void score(std::span<const Query> queries, std::span<Step> steps) override {
    constexpr std::size_t ahead = 8;
    for (std::size_t k = 0; k < std::min(ahead, queries.size()); ++k) {
      fetch(queries[k]);
    }
    for (std::size_t k = 0; k < queries.size(); ++k) {
      if (k + ahead < queries.size()) {
        fetch(queries[k + ahead]);
      }
      steps[k] = model_.step(static_cast<std::uint32_t>(queries[k].state), queries[k].word);
    }
  }
  float finish(std::int32_t state) override {
    return model_.step(static_cast<std::uint32_t>(state), model_.end_of_sentence()).score;
  }

 private:
  void fetch(const Query& query) const noexcept {
    model_.prefetch(static_cast<std::uint32_t>(query.state), query.word);
  }

  const NgramModel& model_;
};

}  // namespace

std::unique_ptr<Session> NgramModel::session() const {
  return std::make_unique<NgramSession>(*this);
}

std::int32_t NgramModel::word(std::string_view text) const {
  return std::max(words_.find(text), 0);
}

void NgramModel::highest_scores(std::span<const std::int32_t> words,
                                std::span<float> highest) const {
  std::vector<float> by_word(unigrams_.size());
  for (std::size_t word = 0; word < unigrams_.size(); ++word) {
    by_word[word] = unigrams_[word].score;
  }
  for (const Arc& arc : arcs_) {
    if (arc.state != no_state) {
      by_word[arc.word] = std::max(by_word[arc.word], arc.score);
    }
  }
  for (std::size_t k = 0; k < words.size(); ++k) {
    highest[k] = by_word[static_cast<std::size_t>(words[k])] + highest_weight_;
  }
}

Step NgramModel::step(std::uint32_t state, std::int32_t word) const noexcept {
  float weight = 0.0F;
  for (; state != 0; state = contexts_[state].shorter) {
    if (const Arc* arc = find(state, static_cast<std::uint32_t>(word))) {
      return {weight + arc->score, static_cast<std::int32_t>(arc->next)};
    }
    weight += contexts_[state].backoff;
  }
  const Unigram& unigram = unigrams_[static_cast<std::size_t>(word)];
  return {weight + unigram.score, static_cast<std::int32_t>(unigram.next)};
}

}  // namespace sestina::decoding
