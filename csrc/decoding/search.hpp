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

class Trellis;

struct SearchOptions {
  std::int32_t beam_size = 50;
  std::int32_t beam_size_token = 0;  // tokens tried in each frame; 0: all
  double beam_threshold = 50.0;      // below the best score of the frame
  double lm_weight = 2.0;            // times log10
  double word_score = 0.0;
  double unk_score = -std::numeric_limits<double>::infinity();
  double sil_score = 0.0;
  double token_score = 0.0;  // for each new token
  // The log-probability of the blank above which a frame is taken for nothing else.
  double blank_skip = std::numeric_limits<double>::infinity();
  bool log_add = false;
  // Segments instead of CTC: no blanks, and scores of going from token to token.
  bool asg = false;
  Merge merge = Merge::context;
  // Everything as Flashlight does it, its departures from CTC included (docs/decoding.md lists them).
  bool flashlight = false;
  std::int32_t blank = 0;
  std::int32_t silence = -1;  // the token between words; -1: there is none
  std::int32_t unk_word = -1;  // the word that stands for all that the lexicon lacks
  bool token_lm = false;       // the language model is one of tokens
  bool open = false;           // words may leave the lexicon; the silence ends those that do
  // Records, and answers of the language model, that a search gathers before it looks for those it
  // needs no more: a megabyte or two of each, and just before the answers' table would grow.
  std::size_t enough = (1U << 15) - 2048;
  float unknown_smear = 0.0F;  // then: log10 of an unknown word at the start of a sentence
  bool record = false;  // keep the trellis, which takes memory for every frame
  // How a search merges that records: its trellis tells apart what that makes one.
  Merge recorded_merge = Merge::context;
};

// The options themselves; std::invalid_argument if a search could not work with them: scores have to
// be below infinity, as one infinity less another is no number, and a beam has to hold something.
const SearchOptions& checked(const SearchOptions& options);

// Where a search walks, and whom it asks.
struct SearchSpace {
  const LexiconGraph* graph;  // none: every sequence of tokens is a result
  std::int32_t num_tokens;
  const LanguageModel& model;
  // The model's ids of words (or tokens), the last one for all beyond.
  std::span<const std::int32_t> model_symbols;
  std::span<const float> transitions;  // token × token before it, natural logarithms; or none
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
  std::vector<double> confidences = {};  // of its words, if they were asked for
};

// One search at a time; not for several threads at once.
class Search {
 public:
  virtual ~Search() = default;
  virtual void begin() = 0;
  // Forgets all that it has read, for a while without work; only `begin` may follow.
  virtual void rest() = 0;
  // `scores` are frames × tokens. May be called with any number of frames, zero included.
  virtual void step(const float* scores, std::ptrdiff_t frames) = 0;
  // The hypotheses, best first, as if the input ended here. The search can go on.
  virtual std::vector<Hypothesis> finish(std::int32_t count) = 0;
  // The hypotheses as they are, best first, whether or not they could end here.
  virtual std::vector<Hypothesis> beam(std::int32_t count) const = 0;
  // How many of the stretches of every hypothesis's path, from the first on, are the same in all and
  // will not change any more, nor the words that end with them.
  virtual std::size_t settled() const = 0;
  // Leaves the first stretches out of all paths from now on; no more of them than are settled.
  virtual void forget(std::size_t stretches) = 0;
  virtual std::ptrdiff_t frames() const noexcept = 0;
  // All that was kept of the frames so far, as if the input ended here; nothing unless the options
  // say to record it. Valid until the search goes on.
  virtual const Trellis& trellis() = 0;
};

// All that the space refers to must outlive the search.
std::unique_ptr<Search> make_search(const SearchSpace& space, const SearchOptions& options);

}  // namespace sestina::decoding
