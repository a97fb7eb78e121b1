#include "decoding/lm/phrases.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <utility>

namespace sestina::decoding {

namespace {

std::uint64_t key_of(std::int32_t high, std::int32_t low) noexcept {
  return (std::uint64_t{static_cast<std::uint32_t>(high)} << 32) | static_cast<std::uint32_t>(low);
}

void check(bool holds, const char* problem) {
  if (!holds) {
    throw std::invalid_argument(problem);
  }
}

// States are pairs of both models' own, numbered as they are met.
class BiasedSession final : public Session {
 public:
  BiasedSession(const BiasedModel& model, std::unique_ptr<Session> base, bool forbids)
      : model_(model), base_(std::move(base)), forbids_(forbids) {}

  std::int32_t start(bool sentence) override {
    return number(base_->start(sentence), model_.phrases().start());
  }

  void score(std::span<const Query> queries, std::span<Step> steps) override {
    base_queries_.clear();
    for (const Query& query : queries) {
      base_queries_.push_back(
          {states_[static_cast<std::size_t>(query.state)].base, model_.base_id(query.word)});
    }
    base_->score(base_queries_, steps);
    for (std::size_t k = 0; k < queries.size(); ++k) {
      const std::int32_t node = states_[static_cast<std::size_t>(queries[k].state)].node;
      const Step step = model_.phrases().step(node, model_.symbol(queries[k].word));
      if (forbids_ || step.score > PhraseAutomaton::forbidden) {
        steps[k].score += step.score;
      }
      steps[k].state = number(steps[k].state, step.state);
    }
  }

  float finish(std::int32_t state) override {
    const State& both = states_[static_cast<std::size_t>(state)];
    return base_->finish(both.base) + model_.phrases().finish(both.node);
  }

  void keep(std::span<std::int32_t> states) override {
    std::vector<std::int32_t> bases;
    std::vector<std::int32_t> nodes;
    for (const std::int32_t state : states) {
      bases.push_back(states_[static_cast<std::size_t>(state)].base);
      nodes.push_back(states_[static_cast<std::size_t>(state)].node);
    }
    base_->keep(bases);
    states_.clear();
    numbers_.clear();
    for (std::size_t k = 0; k < states.size(); ++k) {
      states[k] = number(bases[k], nodes[k]);
    }
  }

 private:
  struct State {
    std::int32_t base;
    std::int32_t node;
  };

  std::int32_t number(std::int32_t base, std::int32_t node) {
    const auto [at, is_new] =
        numbers_.try_emplace(key_of(base, node), static_cast<std::int32_t>(states_.size()));
    if (is_new) {
      states_.push_back({base, node});
    }
    return at->second;
  }

  const BiasedModel& model_;
  std::unique_ptr<Session> base_;
  bool forbids_;  // else nothing is forbidden
  std::vector<State> states_;
  std::unordered_map<std::uint64_t, std::int32_t> numbers_;
  std::vector<Query> base_queries_;
};

}  // namespace

PhraseAutomaton::PhraseAutomaton(std::vector<std::string> symbols, const std::vector<Arc>& arcs,
                                 std::vector<Fallback> fallbacks, std::vector<float> finals,
                                 std::int32_t start, bool otherwise)
    : fallbacks_(std::move(fallbacks)),
      finals_(std::move(finals)),
      start_(start),
      otherwise_(otherwise) {
  const auto num_nodes = static_cast<std::int32_t>(finals_.size());
  const auto num_symbols = static_cast<std::int32_t>(symbols.size());
  check(fallbacks_.size() == finals_.size(), "fallbacks and finals differ in number");
  check(start >= 0 && start < num_nodes, "the start is no node");
  for (std::int32_t k = 0; k < num_symbols; ++k) {
    symbols_.emplace(std::move(symbols[static_cast<std::size_t>(k)]), k);
  }
  for (std::int32_t node = 0; node < num_nodes; ++node) {
    // Those of a trie lead to shorter phrases, whose nodes come before if they are made breadth first.
    const Fallback& fallback = fallbacks_[static_cast<std::size_t>(node)];
    check(fallback.node < node && fallback.node >= -1, "a fallback does not lead back");
    check(!std::isnan(fallback.score), "a score is NaN");
    highest_score_ = std::max(highest_score_, fallback.score);
  }
  highest_other_ = highest_score_;
  for (const Arc& arc : arcs) {
    check(arc.node >= 0 && arc.node < num_nodes && arc.next >= 0 && arc.next < num_nodes &&
              arc.symbol >= 0 && arc.symbol < num_symbols,
          "an arc is out of range");
    check(!std::isnan(arc.score), "a score is NaN");
    arcs_[key_of(arc.node, arc.symbol)] = {arc.score, arc.next};
    highest_score_ = std::max(highest_score_, arc.score + highest_other_);
  }
}

std::int32_t PhraseAutomaton::find(std::string_view symbol) const {
  const auto at = symbols_.find(std::string(symbol));
  return at == symbols_.end() ? other : at->second;
}

Step PhraseAutomaton::step(std::int32_t node, std::int32_t symbol) const {
  float score = 0.0F;
  for (std::int32_t at = node;;) {
    if (symbol != other) {
      const auto arc = arcs_.find(key_of(at, symbol));
      if (arc != arcs_.end()) {
        return {score + arc->second.score, arc->second.state};
      }
    }
    const Fallback& fallback = fallbacks_[static_cast<std::size_t>(at)];
    if (fallback.node < 0) {
      return at == 0 && otherwise_ ? Step{score, 0} : Step{forbidden, node};
    }
    score += fallback.score;
    at = fallback.node;
  }
}

BiasedModel::BiasedModel(std::shared_ptr<const LanguageModel> base,
                         std::shared_ptr<const PhraseAutomaton> phrases,
                         std::vector<std::int32_t> base_ids,
                         std::span<const std::string_view> names)
    : base_(std::move(base)), phrases_(std::move(phrases)), base_ids_(std::move(base_ids)) {
  symbols_.reserve(base_ids_.size());
  for (const std::string_view name : names) {
    symbols_.push_back(phrases_->find(name));
  }
  symbols_.resize(base_ids_.size(), PhraseAutomaton::other);
}

BiasedModel::BiasedModel(std::shared_ptr<const LanguageModel> base,
                         std::shared_ptr<const PhraseAutomaton> phrases,
                         std::vector<std::int32_t> base_ids, std::vector<std::int32_t> symbols)
    : base_(std::move(base)),
      phrases_(std::move(phrases)),
      base_ids_(std::move(base_ids)),
      symbols_(std::move(symbols)) {}

std::unique_ptr<Session> BiasedModel::session() const {
  return std::make_unique<BiasedSession>(*this, base_->session(), true);
}

std::unique_ptr<Session> BiasedModel::look_ahead() const {
  return std::make_unique<BiasedSession>(*this, base_->look_ahead(), false);
}

float BiasedModel::highest_score() const noexcept {
  return base_->highest_score() + phrases_->highest_score();
}

void BiasedModel::highest_scores(std::span<const std::int32_t> words,
                                 std::span<float> highest) const {
  std::vector<std::int32_t> ids;
  for (const std::int32_t word : words) {
    ids.push_back(base_id(word));
  }
  base_->highest_scores(ids, highest);
  for (std::size_t k = 0; k < words.size(); ++k) {
    highest[k] += symbol(words[k]) == PhraseAutomaton::other ? phrases_->highest_other()
                                                             : phrases_->highest_score();
  }
}

}  // namespace sestina::decoding
