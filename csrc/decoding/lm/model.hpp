// What a search asks of a language model.
//
// A `LanguageModel` is immutable and may be shared by any number of threads. A `Session` is one
// search's view of it: it owns whatever must be remembered during that search, names states by
// small integers, and belongs to one thread at a time. Equal integers mean equal futures, so a
// search may merge hypotheses whose states are equal. Scores are log10, as in ARPA files.
#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <string_view>

namespace sestina::decoding {

struct Query {
  std::int32_t state;
  std::int32_t word;  // an id of this model; 0 is its unknown word
};

struct Step {
  float score;  // log10 p(word | state)
  std::int32_t state;
};

class Session {
 public:
  virtual ~Session() = default;
  // The state after <s>, or with `sentence` false that of no context at all.
  virtual std::int32_t start(bool sentence) = 0;
  // One step per query. Called once per frame with all that the frame needs: a model that is costly
  // to call answers them together, and one that lives in memory fetches ahead.
  virtual void score(std::span<const Query> queries, std::span<Step> steps) = 0;
  // log10 p(</s> | state).
  virtual float finish(std::int32_t state) = 0;
  // How many words the longest n-gram has that decides this step's score; 0 if the model has none.
  virtual int matched(const Query&) { return 0; }
  // The same as `finish` for many, for models that are costly to call.
  virtual void finish_all(std::span<const std::int32_t> states, std::span<float> scores) {
    for (std::size_t k = 0; k < states.size(); ++k) {
      scores[k] = finish(states[k]);
    }
  }
  // Forgets all states but these, and puts in each one's place its new name. For searches over
  // hours: a model that names states as it meets them would grow for ever.
  virtual void keep(std::span<std::int32_t>) {}
};

class LanguageModel {
 public:
  virtual ~LanguageModel() = default;
  virtual std::unique_ptr<Session> session() const = 0;
  // One whose scores say which words may come at all, wherever; for the look-ahead of a search.
  virtual std::unique_ptr<Session> look_ahead() const { return session(); }
  // The id of a word, 0 if the model does not know it.
  virtual std::int32_t word(std::string_view text) const = 0;
  // Whether words are named by the search's own numbers, for which `word` is not asked.
  virtual bool by_index() const noexcept { return false; }
  // The ids are below this.
  virtual std::int32_t num_words() const noexcept {
    return std::numeric_limits<std::int32_t>::max();
  }
  // No score of any step is above this; it lets a search discard a word before asking for its
  // score.
  virtual float highest_score() const noexcept { return std::numeric_limits<float>::infinity(); }
  // The same for each word by itself: no step to `words[k]` scores above `highest[k]`.
  virtual void highest_scores(std::span<const std::int32_t> words, std::span<float> highest) const {
    std::fill_n(highest.begin(), words.size(), highest_score());
  }
};

}  // namespace sestina::decoding
