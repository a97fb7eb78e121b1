#include "decoding/detokenizer.hpp"

#include <algorithm>

namespace sestina::decoding {

namespace {

constexpr std::string_view beginning = "\u2581";  // ▁
constexpr std::string_view continuing = "##";

}  // namespace

Detokenizer::Style Detokenizer::style_of(std::span<const std::string_view> names) noexcept {
  const auto some_start_with = [&](std::string_view mark) {
    return std::any_of(names.begin(), names.end(),
                       [&](std::string_view name) { return name.starts_with(mark); });
  };
  if (some_start_with(beginning)) {
    return Style::sentencepiece;
  }
  return some_start_with(continuing) ? Style::wordpiece : Style::letters;
}

Detokenizer::Detokenizer(std::span<const std::string_view> names, Style style, std::int32_t blank,
                         std::int32_t separator)
    : separator_(separator) {
  for (std::string_view name : names) {
    const auto token = static_cast<std::int32_t>(texts_.size());
    const bool silent = token == blank || token == separator;
    begins_.push_back(!silent && (style == Style::sentencepiece ? name.starts_with(beginning)
                                  : style == Style::wordpiece   ? !name.starts_with(continuing)
                                                                : false));
    if (style != Style::letters) {
      while (name.starts_with(beginning)) {
        name.remove_prefix(beginning.size());
      }
      if (name.starts_with(continuing)) {
        name.remove_prefix(continuing.size());
      }
    }
    texts_.emplace_back(silent ? std::string_view() : name);
  }
}

}  // namespace sestina::decoding
