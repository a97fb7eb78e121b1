// Several language models as one: the weighted sum of their log10 scores.
//
// A state is one state of each model, a word one id of each; both are numbered as they are met,
// states by each session and words by the model. Any number of threads may use it.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <vector>

#include "decoding/lm/model.hpp"
#include "decoding/lm/tuple_table.hpp"

namespace sestina::decoding {

struct WeightedModel {
  std::shared_ptr<const LanguageModel> model;
  float weight;
};

class CombinedModel final : public LanguageModel {
 public:
  // At least one; all of them by index, or none.
  explicit CombinedModel(std::vector<WeightedModel> parts);

  std::unique_ptr<Session> session() const override;
  // Unknown if it is to all.
  std::int32_t word(std::string_view text) const override;
  bool by_index() const noexcept override { return parts_.front().model->by_index(); }
  float highest_score() const noexcept override;
  void highest_scores(std::span<const std::int32_t> words, std::span<float> highest) const override;

  std::span<const WeightedModel> parts() const noexcept { return parts_; }
  // For each part its ids of these words, one part after the other.
  void split(std::span<const std::int32_t> words, std::vector<std::int32_t>& ids) const;

 private:
  std::vector<WeightedModel> parts_;
  mutable std::mutex naming_;
  mutable TupleTable words_;
};

}  // namespace sestina::decoding
