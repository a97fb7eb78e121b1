#include "decoding/search_kinds.hpp"

namespace sestina::decoding {

template std::unique_ptr<Search> make_kind<Kind::tokens>(const SearchSpace&, const SearchOptions&);

}  // namespace sestina::decoding
