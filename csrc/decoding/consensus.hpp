// Words by the risk of being wrong: how well a sequence of words agrees with all paths of a lattice,
// and the sequence that agrees best.
//
// A path agrees with a sequence of words as far as their cheapest alignment goes (substitutions,
// insertions and deletions cost 1). The expected cost over all paths, and how often each word of the
// lattice is aligned with each place of the sequence, come from one recursion over the nodes that
// averages alignments where paths meet; exact for lists and trees, else an upper bound of the
// expected cost (H. Xu, D. Povey, L. Mangu and J. Zhu, "Minimum Bayes risk decoding and system
// combination based on a recursion for edit distance", Computer Speech & Language 25, 2011). Time
// and memory O(arcs · words).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "decoding/lattice.hpp"

namespace sestina::decoding {

// A word that the lattice has at some place of a sequence.
struct Candidate {
  std::int32_t word;  // -1: none
  double posterior;
  double start;  // mean over its occurrences, in frames; 0 for no word
  double end;
};

struct Alignment {
  // By place, most probable first. Places 1, 3, 5, … are those of the words; between and around
  // them are the places where the sequence has no word and paths may have one.
  std::vector<std::vector<Candidate>> places;
  double expected_errors;  // of the words, if the paths are as probable as they score
};

// Paths are as probable as exp(scale · score) says. Throws std::length_error if that takes more than
// 2 GiB.
Alignment align(const Lattice& lattice, std::span<const std::int32_t> words, double scale);

// Word k of the aligned ones as the lattice has it; its posterior is 0 if it has it not.
Candidate candidate_of(const Alignment& alignment, std::size_t k, std::int32_t word);

struct Consensus {
  std::vector<Candidate> words;
  double expected_errors;
};

// The words with the fewest expected errors that steps from the best path lead to: each
// place takes its likeliest word, until nothing changes.
Consensus consensus(const Lattice& lattice, double scale);

}  // namespace sestina::decoding
