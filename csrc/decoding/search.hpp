// Beam search over the frames of an acoustic model.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <span>
#include <vector>

#include "decoding/contexts.hpp"
#include "decoding/graph.hpp"
#include "decoding/lm/model.hpp"

namespace sestina::decoding {

struct SearchOptions {
  std::int32_t beam_size = 50;
  std::int32_t beam_size_token = 0;  // tokens tried in each frame; 0: all
  double beam_threshold = 50.0;      // below the best score of the frame
  double lm_weight = 2.0;            // times log10
  double word_score = 0.0;
  double unk_score = -std::numeric_limits<double>::infinity();
  double sil_score = 0.0;
  bool log_add = false;
  Merge merge = Merge::context;
  // Everything as Flashlight does it, its departures from CTC included (docs/decoding.md lists them).
  bool flashlight = false;
  std::int32_t blank = 0;
  std::int32_t silence = -1;  // the token between words; -1: there is none
  std::int32_t unk_word = -1;
};

// One token of a hypothesis that lasts from `frame` until the next one begins, or a blank.
struct Stretch {
  std::int32_t token;
  std::int32_t frame;  // -1: before the first
  std::int32_t word;   // that ends with it, or -1
};

struct Hypothesis {
  double score;
  double acoustic;  // the sum of the emissions along its best path
  double language;  // the sum of log10 scores
  std::vector<Stretch> path;  // blanks included
};

// One search at a time; not for several threads at once.
class Search {
 public:
  virtual ~Search() = default;
  virtual void begin() = 0;
  // `scores` are frames × tokens. May be called with any number of frames, zero included.
  virtual void step(const float* scores, std::ptrdiff_t frames) = 0;
  // The hypotheses, best first, as if the input ended here. The search can go on.
  virtual std::vector<Hypothesis> finish(std::int32_t count) = 0;
  virtual std::ptrdiff_t frames() const noexcept = 0;
};

// All references must outlive the search.
std::unique_ptr<Search> lexicon_search(const LexiconGraph& graph, const LanguageModel& model,
                                       std::span<const std::int32_t> model_words,
                                       const SearchOptions& options);

}  // namespace sestina::decoding
