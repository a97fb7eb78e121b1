#include "decoding/lm/symbols.hpp"

#include <algorithm>
#include <limits>
#include <memory>
#include <numeric>

#include "decoding/errors.hpp"

namespace sestina::decoding {

std::vector<std::int32_t> ids_in_model(const LanguageModel& model,
                                       std::span<const std::string_view> names) {
  std::vector<std::int32_t> ids(names.size());
  if (model.by_index()) {
    std::iota(ids.begin(), ids.end(), 0);
    return ids;
  }
  for (std::size_t k = 0; k < names.size(); ++k) {
    ids[k] = model.word(names[k]);
  }
  return ids;
}

std::vector<std::int32_t> ids_in_model(const LanguageModel& model, const Spellings& spellings) {
  const std::vector<std::string_view> names = spellings.texts();
  std::vector<std::int32_t> ids = ids_in_model(model, names);
  ids.push_back(model.by_index() ? spellings.words().size() : 0);
  return ids;
}

std::vector<float> first_scores(const LanguageModel& model, std::span<const std::int32_t> ids) {
  const std::unique_ptr<Session> session = model.look_ahead();
  const std::int32_t start = session->start(true);
  std::vector<Query> queries(ids.size());
  for (std::size_t k = 0; k < ids.size(); ++k) {
    queries[k] = {start, ids[k]};
  }
  std::vector<Step> steps(ids.size());
  session->score(queries, steps);
  constexpr float forbidden = -std::numeric_limits<float>::infinity();
  float lowest = 0.0F;
  std::vector<float> scores(ids.size());
  for (std::size_t k = 0; k < ids.size(); ++k) {
    check_score(steps[k].score);
    scores[k] = steps[k].score;
    lowest = scores[k] > forbidden ? std::min(lowest, scores[k]) : lowest;
  }
  // What can't begin a sentence may come later: a look-ahead ranks words, and rules none out.
  std::ranges::replace(scores, forbidden, lowest);
  return scores;
}

std::vector<float> highest_scores(const LanguageModel& model, std::span<const std::int32_t> ids) {
  std::vector<float> scores(ids.size());
  model.highest_scores(ids, scores);
  return scores;
}

std::vector<float> entry_scores(const LanguageModel& model, const Trie& trie,
                                std::span<const std::int32_t> ids) {
  const std::vector<float> by_word = first_scores(model, ids);
  std::vector<float> scores(trie.words.size());
  for (std::size_t w = 0; w < scores.size(); ++w) {
    scores[w] = by_word[static_cast<std::size_t>(trie.words[w])];
  }
  return scores;
}

}  // namespace sestina::decoding
