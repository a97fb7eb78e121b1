#include "decoding/lm/combined.hpp"

#include <algorithm>
#include <utility>

namespace sestina::decoding {

namespace {

class CombinedSession final : public Session {
 public:
  explicit CombinedSession(const CombinedModel& model)
      : model_(model), states_(model.parts().size()), tuple_(model.parts().size()) {
    for (const WeightedModel& part : model.parts()) {
      sessions_.push_back(part.model->session());
    }
  }

  std::int32_t start(bool sentence) override {
    for (std::size_t part = 0; part < sessions_.size(); ++part) {
      tuple_[part] = sessions_[part]->start(sentence);
    }
    return states_.number(tuple_);
  }

  void score(std::span<const Query> queries, std::span<Step> steps) override {
    const std::size_t count = queries.size();
    words_.resize(count);
    std::ranges::transform(queries, words_.begin(), &Query::word);
    model_.split(words_, ids_);
    queries_.resize(count);
    steps_.resize(count * sessions_.size());
    sums_.assign(count, 0.0F);
    for (std::size_t part = 0; part < sessions_.size(); ++part) {
      for (std::size_t k = 0; k < count; ++k) {
        queries_[k] = {states_[queries[k].state][part], ids_[part * count + k]};
      }
      const std::span<Step> found = std::span(steps_).subspan(part * count, count);
      sessions_[part]->score(queries_, found);
      add(part, [&](std::size_t k) { return found[k].score; });
    }
    for (std::size_t k = 0; k < count; ++k) {
      for (std::size_t part = 0; part < sessions_.size(); ++part) {
        tuple_[part] = steps_[part * count + k].state;
      }
      steps[k] = {sums_[k], states_.number(tuple_)};
    }
  }

  float finish(std::int32_t state) override {
    float score = 0.0F;
    finish_all({&state, 1}, {&score, 1});
    return score;
  }

  void finish_all(std::span<const std::int32_t> states, std::span<float> scores) override {
    std::vector<std::int32_t> of_part(states.size());
    std::vector<float> found(states.size());
    sums_.assign(states.size(), 0.0F);
    for (std::size_t part = 0; part < sessions_.size(); ++part) {
      for (std::size_t k = 0; k < states.size(); ++k) {
        of_part[k] = states_[states[k]][part];
      }
      sessions_[part]->finish_all(of_part, found);
      add(part, [&](std::size_t k) { return found[k]; });
    }
    std::ranges::copy(sums_, scores.begin());
  }

  void keep(std::span<std::int32_t> states) override {
    const std::size_t count = states.size();
    std::vector<std::int32_t> kept(count * sessions_.size());
    for (std::size_t part = 0; part < sessions_.size(); ++part) {
      const std::span<std::int32_t> of_part = std::span(kept).subspan(part * count, count);
      for (std::size_t k = 0; k < count; ++k) {
        of_part[k] = states_[states[k]][part];
      }
      sessions_[part]->keep(of_part);
    }
    states_.clear();
    for (std::size_t k = 0; k < count; ++k) {
      for (std::size_t part = 0; part < sessions_.size(); ++part) {
        tuple_[part] = kept[part * count + k];
      }
      states[k] = states_.number(tuple_);
    }
  }

 private:
  // Adds what a part says, by its weight. A part that has none may say -inf.
  template <class Score>
  void add(std::size_t part, Score score_of) {
    const float weight = model_.parts()[part].weight;
    for (std::size_t k = 0; weight != 0.0F && k < sums_.size(); ++k) {
      sums_[k] += weight * score_of(k);
    }
  }

  const CombinedModel& model_;
  std::vector<std::unique_ptr<Session>> sessions_;
  TupleTable states_;
  std::vector<std::int32_t> tuple_;
  // Of a call.
  std::vector<std::int32_t> words_;
  std::vector<std::int32_t> ids_;
  std::vector<Query> queries_;
  std::vector<Step> steps_;  // of the first part, then of the second, and so on
  std::vector<float> sums_;
};

// A weight below 0 turns what is lowest, which nothing bounds, into what is highest.
float bound(float weight, float highest) noexcept {
  return weight == 0.0F  ? 0.0F
         : weight > 0.0F ? weight * highest
                         : std::numeric_limits<float>::infinity();
}

}  // namespace

CombinedModel::CombinedModel(std::vector<WeightedModel> parts)
    : parts_(std::move(parts)), words_(parts_.size()) {
  words_.number(std::vector<std::int32_t>(parts_.size(), 0));
}

std::unique_ptr<Session> CombinedModel::session() const {
  return std::make_unique<CombinedSession>(*this);
}

std::int32_t CombinedModel::word(std::string_view text) const {
  std::vector<std::int32_t> ids;
  for (const WeightedModel& part : parts_) {
    ids.push_back(part.model->word(text));
  }
  const std::lock_guard<std::mutex> lock(naming_);
  return words_.number(ids);
}

void CombinedModel::split(std::span<const std::int32_t> words,
                          std::vector<std::int32_t>& ids) const {
  ids.resize(words.size() * parts_.size());
  // Held once per call of a search: another search may be made meanwhile, with words of its own.
  const std::lock_guard<std::mutex> lock(naming_);
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    for (std::size_t k = 0; k < words.size(); ++k) {
      ids[part * words.size() + k] = by_index() ? words[k] : words_[words[k]][part];
    }
  }
}

float CombinedModel::highest_score() const noexcept {
  float sum = 0.0F;
  for (const WeightedModel& part : parts_) {
    sum += bound(part.weight, part.model->highest_score());
  }
  return sum;
}

void CombinedModel::highest_scores(std::span<const std::int32_t> words,
                                   std::span<float> highest) const {
  std::vector<std::int32_t> ids;
  split(words, ids);
  std::vector<float> found(words.size());
  std::fill_n(highest.begin(), words.size(), 0.0F);
  for (std::size_t part = 0; part < parts_.size(); ++part) {
    const WeightedModel& one = parts_[part];
    one.model->highest_scores(std::span(ids).subspan(part * words.size(), words.size()), found);
    for (std::size_t k = 0; k < words.size(); ++k) {
      highest[k] += bound(one.weight, found[k]);
    }
  }
}

}  // namespace sestina::decoding
