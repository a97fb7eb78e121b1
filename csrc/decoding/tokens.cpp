#include "decoding/tokens.hpp"

#include <algorithm>
#include <numeric>

namespace sestina::decoding {

namespace {

std::size_t edit_distance(std::string_view left, std::string_view right) {
  std::vector<std::size_t> row(right.size() + 1);
  std::iota(row.begin(), row.end(), std::size_t{0});
  for (std::size_t i = 1; i <= left.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= right.size(); ++j) {
      const std::size_t replaced = diagonal + (left[i - 1] == right[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({row[j] + 1, row[j - 1] + 1, replaced});
    }
  }
  return row.back();
}

}  // namespace

TokenTable::TokenTable(std::vector<std::pair<std::string, std::int32_t>> entries,
                       std::int32_t count)
    : entries_(std::move(entries)), count_(count) {
  bytes_.fill(-1);
  index_.reserve(entries_.size());
  for (const auto& [spelling, index] : entries_) {
    index_.emplace(spelling, index);
    if (spelling.size() == 1) {
      bytes_[static_cast<unsigned char>(spelling[0])] = index;
    }
  }
}

std::int32_t TokenTable::find(std::string_view spelling) const noexcept {
  if (spelling.size() == 1) {
    return bytes_[static_cast<unsigned char>(spelling[0])];
  }
  const auto found = index_.find(spelling);
  return found == index_.end() ? -1 : found->second;
}

std::string TokenTable::nearest(std::string_view spelling) const {
  constexpr std::size_t longest = 64;  // what is longer than this is no typing error
  const auto distance = [&](const auto& entry) {
    return edit_distance(spelling.substr(0, longest),
                         std::string_view(entry.first).substr(0, longest));
  };
  const auto best = std::min_element(
      entries_.begin(), entries_.end(),
      [&](const auto& a, const auto& b) { return distance(a) < distance(b); });
  return best == entries_.end() ? std::string() : best->first;
}

}  // namespace sestina::decoding
