#include "decoding/lm/spelled_model.hpp"

#include <algorithm>
#include <map>
#include <optional>
#include <stdexcept>
#include <unordered_map>
#include <utility>

#include "decoding/lm/symbols.hpp"
#include "decoding/words.hpp"

namespace sestina::decoding {

namespace {

constexpr std::int32_t no_text = 0;  // between words
// Texts that a session remembers from one utterance to the next, since what they score is looked up.
constexpr std::size_t most_texts = 1U << 16;

std::uint64_t key_of(std::int32_t high, std::int32_t low) noexcept {
  return (std::uint64_t{static_cast<std::uint32_t>(high)} << 32) | static_cast<std::uint32_t>(low);
}

class SpelledSession final : public Session {
 public:
  SpelledSession(const SpelledModel& model, std::unique_ptr<Session> base)
      : model_(model), base_(std::move(base)) {
    forget_texts();
  }

  std::int32_t start(bool sentence) override {
    return number({said({none, no_text}, base_->start(sentence)), no_text});
  }

  void score(std::span<const Query> queries, std::span<Step> steps) override {
    const Detokenizer& detokenizer = model_.detokenizer();
    const auto ends = [&](const Query& query) {
      return at(query.state).text != no_text &&
             (detokenizer.begins(query.word) || detokenizer.separates(query.word));
    };
    base_queries_.clear();
    for (const Query& query : queries) {
      if (ends(query)) {
        base_queries_.push_back(completed(at(query.state)));
      }
    }
    base_steps_.resize(base_queries_.size());
    base_->score(base_queries_, base_steps_);
    auto step = base_steps_.begin();
    for (std::size_t k = 0; k < queries.size(); ++k) {
      const State before = at(queries[k].state);
      State after = before;
      float score = -foreseen(before.text);
      if (ends(queries[k])) {
        score += step->score + word(before.text).score;
        after = {said(before, step->state), no_text};
        ++step;
      }
      after.text = longer(after.text, queries[k].word);
      steps[k] = {score + foreseen(after.text), number(after)};
    }
  }

  float finish(std::int32_t state) override {
    float score = 0.0F;
    finish_all({&state, 1}, {&score, 1});
    return score;
  }

  void finish_all(std::span<const std::int32_t> states, std::span<float> scores) override {
    base_queries_.clear();
    for (const std::int32_t state : states) {
      if (at(state).text != no_text) {
        base_queries_.push_back(completed(at(state)));
      }
    }
    base_steps_.resize(base_queries_.size());
    base_->score(base_queries_, base_steps_);
    std::vector<std::int32_t> bases;
    auto step = base_steps_.begin();
    for (std::size_t k = 0; k < states.size(); ++k) {
      const State& state = at(states[k]);
      scores[k] = 0.0F;
      bases.push_back(base_of(state));
      if (state.text != no_text) {
        scores[k] = step->score + word(state.text).score - foreseen(state.text);
        bases.back() = step->state;
        ++step;
      }
    }
    std::vector<float> ends(bases.size());
    base_->finish_all(bases, ends);
    for (std::size_t k = 0; k < states.size(); ++k) {
      scores[k] += ends[k];
    }
  }

  void keep(std::span<std::int32_t> states) override {
    std::vector<State> kept;
    for (const std::int32_t state : states) {
      kept.push_back(at(state));
    }
    states_.clear();
    numbers_.clear();
    keep_words(kept);
    if (parts_.size() > most_texts) {
      const WordTable old = std::move(texts_);
      forget_texts();
      for (State& state : kept) {
        state.text = text_of(old.text(state.text));
      }
      for (Words& words : words_) {
        words.last.text = text_of(old.text(words.last.text));
      }
      number_words();
    }
    for (std::size_t k = 0; k < states.size(); ++k) {
      states[k] = number(kept[k]);
    }
  }

 private:
  static constexpr std::int32_t none = -1;

  struct State {
    std::int32_t words;  // all that are complete: the base's state, or a number of words_
    std::int32_t text;   // of the word at hand
  };
  // By history: the words before and the last one, and the base's state after it.
  struct Words {
    State last;
    std::int32_t base;
  };
  // Of a text: what it scores as the beginning of a word, and as one, if that was asked for.
  struct Part {
    float foreseen;
    std::optional<SpelledModel::Word> word;
  };

  const State& at(std::int32_t state) const { return states_[static_cast<std::size_t>(state)]; }
  float foreseen(std::int32_t text) const {
    return parts_[static_cast<std::size_t>(text)].foreseen;
  }
  const SpelledModel::Word& word(std::int32_t text) {
    std::optional<SpelledModel::Word>& word = parts_[static_cast<std::size_t>(text)].word;
    if (!word) {
      word = model_.complete(texts_.text(text));
    }
    return *word;
  }
  std::int32_t base_of(const State& state) const {
    return model_.by_history() ? words_[static_cast<std::size_t>(state.words)].base : state.words;
  }
  Query completed(const State& state) { return {base_of(state), word(state.text).id}; }

  // What stands for the words so far, after the word at hand, which led the base to a state.
  std::int32_t said(const State& last, std::int32_t base) {
    if (!model_.by_history()) {
      return base;
    }
    const auto [place, is_new] = word_numbers_.try_emplace(
        key_of(last.words, last.text), static_cast<std::int32_t>(words_.size()));
    if (is_new) {
      words_.push_back({last, base});
    }
    return place->second;
  }

  // Forgets all words but those of these states, whose numbers become new ones.
  void keep_words(std::span<State> kept) {
    std::vector<std::int32_t> bases;
    for (const State& state : kept) {
      bases.push_back(base_of(state));
    }
    base_->keep(bases);
    if (!model_.by_history()) {
      for (std::size_t k = 0; k < kept.size(); ++k) {
        kept[k].words = bases[k];
      }
      return;
    }
    // In the order of their old numbers, those before come first.
    std::map<std::int32_t, std::int32_t> numbers;
    for (std::size_t k = 0; k < kept.size(); ++k) {
      numbers.emplace(kept[k].words, bases[k]);
    }
    const std::vector<Words> old = std::move(words_);
    words_ = {};
    for (auto& [before, number] : numbers) {
      Words words = old[static_cast<std::size_t>(before)];
      words.base = number;
      const auto parent = numbers.find(words.last.words);
      words.last.words = parent == numbers.end() ? none : parent->second;
      number = static_cast<std::int32_t>(words_.size());
      words_.push_back(words);
    }
    number_words();
    for (State& state : kept) {
      state.words = numbers.at(state.words);
    }
  }

  // Those that are met again. Others begin where words were forgotten, and can't be.
  void number_words() {
    word_numbers_.clear();
    for (std::size_t k = 0; k < words_.size(); ++k) {
      const State& last = words_[k].last;
      if (last.words != none) {
        word_numbers_.emplace(key_of(last.words, last.text), static_cast<std::int32_t>(k));
      }
    }
  }

  void forget_texts() {
    texts_ = {};
    longer_.clear();
    texts_.add("");
    parts_.assign(1, {0.0F, std::nullopt});
  }

  std::int32_t text_of(std::string_view text) {
    const std::int32_t id = texts_.add(text);
    if (static_cast<std::size_t>(id) == parts_.size()) {
      parts_.push_back({model_.foreseen(text), std::nullopt});
    }
    return id;
  }

  std::int32_t longer(std::int32_t text, std::int32_t token) {
    const std::string_view more = model_.detokenizer().text(token);
    if (more.empty()) {
      return text;
    }
    const auto [place, is_new] = longer_.try_emplace(key_of(text, token), 0);
    if (is_new) {
      place->second = text_of(std::string(texts_.text(text)).append(more));
    }
    return place->second;
  }

  std::int32_t number(const State& state) {
    const auto [place, is_new] = numbers_.try_emplace(key_of(state.words, state.text),
                                                      static_cast<std::int32_t>(states_.size()));
    if (is_new) {
      states_.push_back(state);
    }
    return place->second;
  }

  const SpelledModel& model_;
  std::unique_ptr<Session> base_;
  std::vector<State> states_;
  std::unordered_map<std::uint64_t, std::int32_t> numbers_;  // by words and text
  std::vector<Words> words_;
  std::unordered_map<std::uint64_t, std::int32_t> word_numbers_;  // by words before and text
  WordTable texts_;
  std::vector<Part> parts_;  // by text
  std::unordered_map<std::uint64_t, std::int32_t> longer_;  // by text and token
  std::vector<Query> base_queries_;
  std::vector<Step> base_steps_;
};

}  // namespace

SpelledModel::SpelledModel(std::shared_ptr<const LanguageModel> base, Detokenizer detokenizer,
                           std::vector<std::string> known, bool closed, bool by_history,
                           Scores scores)
    : base_(std::move(base)),
      detokenizer_(std::move(detokenizer)),
      known_(std::move(known)),
      closed_(closed),
      by_history_(by_history),
      scores_(scores) {
  if (base_->by_index()) {
    throw std::invalid_argument("the model names words by their places in a lexicon, expected one "
                                "that knows them by their texts");
  }
  std::sort(known_.begin(), known_.end());
  known_.erase(std::unique(known_.begin(), known_.end()), known_.end());
  const std::vector<std::string_view> names(known_.begin(), known_.end());
  ids_ = ids_in_model(*base_, names);
  ids_.push_back(0);  // for all others
  first_scores_ = sestina::decoding::first_scores(*base_, ids_);
  first_unknown_ = first_scores_.back();
  ids_.pop_back();
  first_scores_.pop_back();
  const float lowest = std::min(foreseen("\x01"), 0.0F);  // no word begins so
  const float unknown = scores_.word + scores_.unknown;
  highest_ = base_->highest_score() + std::max({scores_.word, unknown, 0.0F}) - lowest +
             std::max(foreseen(""), 0.0F);
}

std::unique_ptr<Session> SpelledModel::session() const {
  return std::make_unique<SpelledSession>(*this, base_->session());
}

SpelledModel::Word SpelledModel::complete(std::string_view text) const {
  const auto place = std::lower_bound(known_.begin(), known_.end(), text);
  if (place != known_.end() && *place == text) {
    return {ids_[static_cast<std::size_t>(place - known_.begin())], scores_.word};
  }
  const std::int32_t id = base_->word(text);
  return {id, scores_.word + (id != 0 && !closed_ ? 0.0F : scores_.unknown)};
}

// Never below that of a longer beginning: what is foreseen only falls as a word goes on.
float SpelledModel::foreseen(std::string_view beginning) const {
  float most = scores_.word + scores_.unknown + first_unknown_;
  const auto first = std::lower_bound(known_.begin(), known_.end(), beginning);
  for (auto word = first; word != known_.end() && word->starts_with(beginning); ++word) {
    const auto k = static_cast<std::size_t>(word - known_.begin());
    most = std::max(most, scores_.word + first_scores_[k]);
  }
  return most;
}

}  // namespace sestina::decoding
