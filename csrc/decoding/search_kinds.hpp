// The searches by kind, each compiled on its own.
#pragma once

#include "decoding/beam_search.hpp"

namespace sestina::decoding {

template <Kind kind>
std::unique_ptr<Search> make_kind(const SearchSpace& space, const SearchOptions& options) {
  const auto make = [&]<Policy P>() -> std::unique_ptr<Search> {
    return std::make_unique<BeamSearch<P>>(space, options);
  };
  if (options.log_add) {
    return options.flashlight ? make.template operator()<Policy{true, true, kind}>()
                              : make.template operator()<Policy{true, false, kind}>();
  }
  return options.flashlight ? make.template operator()<Policy{false, true, kind}>()
                            : make.template operator()<Policy{false, false, kind}>();
}

extern template std::unique_ptr<Search> make_kind<Kind::words>(const SearchSpace&,
                                                               const SearchOptions&);
extern template std::unique_ptr<Search> make_kind<Kind::tokens>(const SearchSpace&,
                                                                const SearchOptions&);
extern template std::unique_ptr<Search> make_kind<Kind::free>(const SearchSpace&,
                                                              const SearchOptions&);
extern template std::unique_ptr<Search> make_kind<Kind::open>(const SearchSpace&,
                                                              const SearchOptions&);

}  // namespace sestina::decoding
