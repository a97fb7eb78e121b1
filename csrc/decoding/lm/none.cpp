#include "decoding/lm/none.hpp"

#include <algorithm>

namespace sestina::decoding {

namespace {

class NoSession final : public Session {
 public:
  std::int32_t start(bool) override { return 0; }
  void score(std::span<const Query>, std::span<Step> steps) override {
    std::fill(steps.begin(), steps.end(), Step{0.0F, 0});
  }
  float finish(std::int32_t) override { return 0.0F; }
};

}  // namespace

std::unique_ptr<Session> NoModel::session() const { return std::make_unique<NoSession>(); }

}  // namespace sestina::decoding
