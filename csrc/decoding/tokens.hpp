// The tokens of an acoustic model: their spellings, and which score each one reads.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace sestina::decoding {

class TokenTable {
 public:
  // `entries` are (spelling, index); several spellings may share an index. The indices run from 0
  // to count - 1, which the caller has checked.
  TokenTable(std::vector<std::pair<std::string, std::int32_t>> entries, std::int32_t count);

  std::int32_t count() const noexcept { return count_; }
  // The index of a spelling, or -1.
  std::int32_t find(std::string_view spelling) const noexcept;
  // The known spelling that is nearest to this one (edit distance), for error messages.
  std::string nearest(std::string_view spelling) const;

 private:
  std::vector<std::pair<std::string, std::int32_t>> entries_;
  std::unordered_map<std::string_view, std::int32_t> index_;  // views of entries_
  std::array<std::int32_t, 256> bytes_;                       // spellings of one byte, -1 if none
  std::int32_t count_;
};

}  // namespace sestina::decoding
