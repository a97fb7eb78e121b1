#include "decoding/search_kinds.hpp"

namespace sestina::decoding {

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
