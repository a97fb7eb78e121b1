#include <cmath>
#include <cstdio>
#include <stdexcept>
#include <string>

#include "decoding/search_kinds.hpp"

namespace sestina::decoding {

const SearchOptions& checked(const SearchOptions& options) {
  const auto need = [](bool holds, const char* name, double value, const char* expected) {
    if (!holds) {
      char digits[32];
      std::snprintf(digits, sizeof digits, "%g", value);
      throw std::invalid_argument(std::string(name) + " is " + digits + ", expected " + expected);
    }
  };
  need(options.beam_size > 0, "beam_size", options.beam_size, "at least 1");
  need(!std::isnan(options.beam_threshold), "beam_threshold", options.beam_threshold, "a number");
  need(std::isfinite(options.lm_weight), "lm_weight", options.lm_weight, "a finite number");
  for (const auto& [name, score] : {std::pair{"word_score", options.word_score},
                                    std::pair{"unk_score", options.unk_score},
                                    std::pair{"sil_score", options.sil_score},
                                    std::pair{"token_score", options.token_score}}) {
    need(score < std::numeric_limits<double>::infinity(), name, score,
         "a number or minus infinity");
  }
  return options;
}

std::unique_ptr<Search> make_search(const SearchSpace& space, const SearchOptions& options) {
  if (space.graph == nullptr) {
    return make_kind<Kind::free>(space, options);
  }
  if (options.open) {
    return make_kind<Kind::open>(space, options);
  }
  return options.token_lm ? make_kind<Kind::tokens>(space, options)
                           : make_kind<Kind::words>(space, options);
}

}  // namespace sestina::decoding
