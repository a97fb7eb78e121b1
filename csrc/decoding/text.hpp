// What the readers of text files share.
#pragma once

#include <string>
#include <string_view>

namespace sestina::decoding {

// White space within a line. A carriage return before the line's end is some.
constexpr bool is_gap(char c) noexcept {
  return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

// Takes the next field off the front of a line; empty at its end.
inline std::string_view next_field(std::string_view& line) noexcept {
  std::size_t begin = 0;
  while (begin < line.size() && is_gap(line[begin])) {
    ++begin;
  }
  std::size_t end = begin;
  while (end < line.size() && !is_gap(line[end])) {
    ++end;
  }
  const std::string_view field = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return field;
}

// Quoted and, if long, shortened, for an error message.
inline std::string shown(std::string_view text) {
  constexpr std::size_t longest = 80;
  std::string quoted;
  quoted.append("'").append(text.substr(0, longest));
  return quoted.append(text.size() > longest ? "…'" : "'");
}

}  // namespace sestina::decoding
