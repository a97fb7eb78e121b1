// The absence of a language model: every word scores 0 and no context matters.
#pragma once

#include "decoding/lm/model.hpp"

namespace sestina::decoding {

class NoModel final : public LanguageModel {
 public:
  std::unique_ptr<Session> session() const override;
  std::int32_t word(std::string_view) const override { return 0; }
  float highest_score() const noexcept override { return 0.0F; }
};

}  // namespace sestina::decoding
