// What a search consists of: its kinds, its prefixes, and what a frame makes of them.
#pragma once

#include <cstdint>
#include <limits>

#include "decoding/log_add.hpp"
#include "decoding/prefix_table.hpp"

namespace sestina::decoding {

// Below every score of a path that has a probability; a bound has to be finite.
inline constexpr double impossible = -1e300;
inline constexpr std::uint32_t none = PrefixTable::none;
inline constexpr std::uint32_t kept = std::numeric_limits<std::uint32_t>::max();

// Where a search walks, and when it asks the language model.
enum class Kind {
  words,   // in a lexicon; at the end of a word
  tokens,  // in a lexicon; at every token
  free,    // anywhere; at every token
  open,    // in a lexicon and off it; at the end of a word
};

// What is known when a search is compiled.
struct Policy {
  bool sum;         // paths of one prefix add up; else the best one counts
  bool flashlight;  // see SearchOptions
  Kind kind;
};

struct Prefix {
  double blank;  // score of its paths that end in a blank
  double token;  // score of those that end in its last token
  std::uint64_t children;
  std::uint64_t near;
  std::uint32_t node;  // num_nodes + x: at the root, after a word that ended with token x
  std::uint32_t context;
  std::uint32_t first_child;
  float smear;
  std::int32_t symbol;  // its last token; at the root the silence, or -1
  std::uint32_t blank_record;
  std::uint32_t token_record;
};

// What a frame makes of a prefix. A source is 2 · prefix + (1 if from its paths that end in a
// blank), or `kept` if the path goes on as it was.
struct Pending {
  double blank;
  double token;
  // The best single contribution to each: it decides where the path comes from.
  double highest_blank;
  double highest_token;
  std::uint32_t blank_from;
  std::uint32_t token_from;
  std::int32_t word;
  float language;
};

// One token more, where the language model has a say.
struct Move {
  double shift;  // what it adds to the prefix's score, but for the language model's part
  std::uint32_t prefix;
  std::int32_t token;
  std::int32_t symbol;  // what the language model is asked about
  std::int32_t word;    // that ends, or -1
  std::uint32_t node;   // where it leads
  bool guarded;         // only paths that end in a blank may go this way
};

// A step from the root that was too low to make a prefix. Several places of one context are at the
// root, so that a later step of the same frame may make it.
struct Late {
  double score;
  double shift;
  std::uint32_t prefix;
  std::uint32_t node;
  bool guarded;
};

}  // namespace sestina::decoding
