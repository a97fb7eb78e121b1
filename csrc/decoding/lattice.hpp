// The word lattice of an utterance: all that a search found likely, as a directed acyclic graph. An
// arc is a word with the frames in which it was said; a path from the first node to the last one is a
// reading.
//
// A path scores the sum of its arcs' scores. Paths of the same words (said at other times) compete
// or, where the search adds up, add up. Immutable; any number of threads may read it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "decoding/lm/model.hpp"
#include "decoding/search.hpp"

namespace sestina::decoding {

class OpenVocabulary;

struct LatticeArc {
  std::uint32_t from;
  std::uint32_t to;
  std::int32_t word;   // or -1: what follows the last word, into the last node
  std::int32_t start;  // the word's first frame
  std::int32_t end;    // the frame after its last
  float language;      // log10
  double acoustic;     // the emissions since the word before, blanks and silence included
  double bonus;        // the word's own part of the score: word_score or unk_score
  // Its tokens, in the lattice's stretches.
  std::uint32_t first_stretch = 0;
  std::uint32_t last_stretch = 0;
};

// The logarithms of what paths weigh together, from the first node to each and from each to the last.
struct LatticeSums {
  std::vector<double> forward;
  std::vector<double> backward;
  double total;
};

class Lattice {
 public:
  using Stretches = std::shared_ptr<const std::vector<Stretch>>;
  using Vocabulary = std::shared_ptr<const OpenVocabulary>;

  // `frames`: how many frames have passed at each node. Nodes are numbered so that arcs lead to
  // higher ones; node 0 is the first, the last one has the highest number. Arcs that are on no path
  // between these are dropped, and so are their nodes. Throws std::invalid_argument if there is no
  // path or an arc cannot be. `vocabulary` has the words that are in no lexicon, if there are such.
  Lattice(std::vector<std::int32_t> frames, std::vector<LatticeArc> arcs, double lm_weight, bool sums,
          Stretches stretches = nullptr, Vocabulary vocabulary = nullptr);

  std::uint32_t num_nodes() const noexcept { return static_cast<std::uint32_t>(frames_.size()); }
  std::span<const std::int32_t> frames() const noexcept { return frames_; }
  // In the order of the nodes that they leave.
  std::span<const LatticeArc> arcs() const noexcept { return arcs_; }
  std::span<const LatticeArc> arcs_of(std::uint32_t node) const noexcept {
    return {arcs_.data() + first_arc_[node], first_arc_[node + 1] - first_arc_[node]};
  }
  double lm_weight() const noexcept { return lm_weight_; }
  bool sums() const noexcept { return sums_; }
  double score(const LatticeArc& arc) const noexcept {
    return arc.acoustic + arc.bonus + lm_weight_ * static_cast<double>(arc.language);
  }
  std::span<const Stretch> stretches(const LatticeArc& arc) const noexcept;
  // The words that occur, each once, in rising order.
  std::vector<std::int32_t> words() const;
  // Those of a path of tokens, by the lattice's numbers.
  std::vector<std::int32_t> words_of(std::span<const Stretch> path) const;
  const OpenVocabulary* vocabulary() const noexcept { return vocabulary_.get(); }

  // Scores times `scale`; of competing paths the best one counts, or all if `sums`.
  LatticeSums sums(double scale, bool sums) const;
  // How probable each arc is, if paths are as probable as exp(scale · score) says.
  std::vector<double> posteriors(double scale) const;
  // The arcs on paths that score within `beam` of the best one.
  Lattice prune(double beam) const;
  // The same with the scores of another language model. `model_words` are its ids of words(), in
  // that order. A node comes as often as there are states of the model at it; throws
  // std::length_error if the arcs would be more than `most_arcs`.
  Lattice rescore(const LanguageModel& model, std::span<const std::int32_t> model_words,
                  double lm_weight, std::size_t most_arcs) const;

 private:
  void check() const;
  void drop_dead_ends();

  std::vector<std::int32_t> frames_;
  std::vector<LatticeArc> arcs_;
  std::vector<std::uint32_t> first_arc_;  // by node, one more than there are
  double lm_weight_;
  bool sums_;
  Stretches stretches_;
  Vocabulary vocabulary_;
};

// The best `count` sequences of words, each once, best first: exact. Expands histories of words in
// the order of the best that each can become (A*), where a history's paths are followed together.
// Throws std::length_error if that takes more than `most_places` places in the lattice.
std::vector<Hypothesis> nbest(const Lattice& lattice, std::size_t count,
                              std::size_t most_places = 50'000'000);

}  // namespace sestina::decoding
