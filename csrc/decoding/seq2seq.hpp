// Beam search over the outputs of a model that says one token after another, each given those before
// it (attention decoders, translation).
//
// Over the tokens y that end in eos, and the words w that they spell, it maximises
//
//   Σ log p(y_i | y_1 … y_i-1) + lm_weight · log10 p(w or y) + word_score · |w|
//     + token_score · (|y| - 1) + eos_score,   divided by |y| ** length_penalty
//
// The caller owns the model: the search says which hypotheses want scores (`tokens`, `parents`), the
// caller asks its model for all of them at once, and `step` expands them. One step costs one pass over
// the scores and O(candidates); a candidate whose score could not enter the beam even at the language
// model's best is never asked for. A `Seq2SeqDecoder` is immutable and shared by any number of
// threads; a search belongs to one at a time.
#pragma once

#include <cstdint>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "decoding/contexts.hpp"
#include "decoding/graph.hpp"
#include "decoding/lm/model.hpp"
#include "decoding/prefix_table.hpp"

namespace sestina::decoding {

// When two hypotheses become one. The model's own state depends on every token, so only the first is
// exact; the others keep the state of the better hypothesis. With a lexicon, finished hypotheses
// become one whenever their words are the same.
enum class Joining : int {
  tokens,   // all their tokens and words are the same
  history,  // what the language model has read is the same (as Flashlight does)
  context,  // the language model can't tell their futures apart
};

struct Seq2SeqOptions {
  std::int32_t beam_size = 50;
  std::int32_t beam_size_token = 0;  // tokens tried for each hypothesis; 0: all
  double beam_threshold = 50.0;      // below the best score of the step
  double lm_weight = 2.0;            // times log10
  double word_score = 0.0;
  double token_score = 0.0;
  double eos_score = 0.0;
  double length_penalty = 0.0;
  bool log_add = false;
  Joining joining = Joining::tokens;
  bool token_lm = false;  // with a lexicon: the language model reads tokens, not words
  // Everything as Flashlight does it (docs/decoding.md says what differs).
  bool flashlight = false;
  std::int32_t eos = 0;
};

// A token, and the word that it completes or -1.
struct Emitted {
  std::int32_t token;
  std::int32_t word;
};

struct Seq2SeqHypothesis {
  double score;
  double acoustic;  // the sum of its tokens' scores
  double language;  // the sum of log10 scores
  bool finished;    // whether the last token is eos
  std::vector<Emitted> path;
};

class Seq2SeqSearch;

class Seq2SeqDecoder {
 public:
  // With a lexicon. The model reads words, or tokens by `token_names` if `options.token_lm`.
  Seq2SeqDecoder(const Spellings& spellings, const Trie& trie,
                 std::span<const std::string_view> token_names,
                 std::shared_ptr<const LanguageModel> model, Smearing smearing,
                 const Seq2SeqOptions& options);
  // Without one: any sequence of tokens. The model reads tokens.
  Seq2SeqDecoder(std::span<const std::string_view> token_names,
                 std::shared_ptr<const LanguageModel> model, const Seq2SeqOptions& options);
  // With a look-ahead that is given, by node, and the model's id of each word or token; without a
  // lexicon if `trie` is null.
  Seq2SeqDecoder(const Trie* trie, std::span<const float> smears,
                 std::shared_ptr<const LanguageModel> model, std::vector<std::int32_t> model_words,
                 std::int32_t num_tokens, const Seq2SeqOptions& options);
  Seq2SeqDecoder(const Seq2SeqDecoder&) = delete;
  Seq2SeqDecoder& operator=(const Seq2SeqDecoder&) = delete;

  std::int32_t num_tokens() const noexcept { return num_tokens_; }
  const Seq2SeqOptions& options() const noexcept { return options_; }

 private:
  friend class Seq2SeqSearch;

  std::shared_ptr<const LanguageModel> model_;
  std::vector<std::int32_t> model_words_;  // the model's id of each word, or of each token
  std::vector<float> highest_;             // what no score of each exceeds
  std::optional<LexiconGraph> graph_;
  std::int32_t num_tokens_;
  Seq2SeqOptions options_;
};

class Seq2SeqSearch {
 public:
  static constexpr std::ptrdiff_t fine = -1;

  // The decoder must outlive it.
  explicit Seq2SeqSearch(const Seq2SeqDecoder& decoder);

  void begin();
  // Of each hypothesis that goes on, best first: its last token, -1 before the first.
  std::span<const std::int32_t> tokens() const noexcept { return tokens_; }
  // And its row in the scores of the last step, -1 before the first.
  std::span<const std::int32_t> parents() const noexcept { return parents_; }
  // `scores` has a row of num_tokens natural logarithms for each of tokens(). Returns `fine`, or where
  // the first NaN or plus infinity is; then nothing has happened.
  std::ptrdiff_t step(const float* scores);
  // Whether `count` finished hypotheses score better than any other can until it has `max_length`
  // tokens, if the scores of tokens are logarithms of probabilities. False where that can't be told.
  bool settled(std::int32_t count, std::int32_t max_length) const;
  // The hypotheses, best first: those that are finished, unless none is.
  std::vector<Seq2SeqHypothesis> finish(std::int32_t count) const;

 private:
  static constexpr std::size_t block = 64;  // scores whose highest is known

  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

  struct Hypothesis {
    double score;
    double acoustic;
    double language;
    std::uint32_t context;   // of the language model
    std::uint32_t history;   // its words, as a number; unused without a lexicon
    std::uint32_t sequence;  // its tokens, as a number; used where they decide what is one
    std::uint32_t node;
    std::uint32_t record;
    std::int32_t token;
    std::int32_t length;
    std::int32_t row;  // in the scores that made it
    bool finished;
  };
  enum class Ask : std::uint8_t { nothing, word, end };
  // What a hypothesis becomes with one token more.
  struct Candidate {
    double score = 0.0;     // without what the language model says until it was asked
    double rank = 0.0;      // what it competes with; the most that can be until the model was asked
    double language = 0.0;  // that it adds
    float emission = 0.0F;
    std::uint32_t from = 0;  // in the beam
    std::uint32_t node = Trie::root;
    std::uint32_t context = 0;
    std::int32_t token = -1;
    std::int32_t word = -1;
    Ask ask = Ask::nothing;
  };
  struct Joined : Candidate {
    double single = 0.0;  // the best score of those that became one
    double factor = 1.0;  // score * factor = rank
    std::uint32_t history = 0;
    std::uint32_t sequence = 0;
    bool kept = false;  // a finished hypothesis that stays as it is
  };
  struct Scored {
    float score;
    std::int32_t token;
  };
  struct Record {
    std::uint32_t parent;
    Emitted emitted;
  };

  std::ptrdiff_t survey(const float* scores);
  double floor_of_beam();
  void gather(const float* scores, double floor, bool limited);
  void choose(std::size_t row, const float* scores, float lowest);
  template <typename Lowest, typename Take>
  void each_at_least(std::size_t row, const float* scores, Lowest lowest, Take take) const;
  double highest_gain(const Hypothesis& h) const noexcept;
  void try_token(std::uint32_t from, std::int32_t token, float emission);
  void try_child(std::uint32_t from, std::uint32_t child, float emission);
  void try_end(std::uint32_t from, float emission);
  void add(const Candidate& candidate, double language_ceiling);
  void keep_best();
  void ask_model();
  void join();
  void join_one(const Joined& candidate);
  std::pair<std::uint32_t, std::uint32_t> place_of(Joined& candidate);
  void select();
  void list_rows();

  double weighted(double language) const noexcept {
    return options_.lm_weight == 0.0 ? 0.0 : options_.lm_weight * language;
  }
  std::int32_t asked(const Candidate& candidate) const noexcept {
    return reads_tokens_ ? candidate.token : candidate.word;
  }

  const Seq2SeqOptions& options_;
  const LexiconGraph* graph_;  // null without a lexicon
  std::span<const float> highest_;
  std::size_t num_tokens_;
  std::size_t num_blocks_;  // of the scores of a row
  bool reads_tokens_;       // the language model, not words
  bool joins_;              // whether two hypotheses can become one at all
  double ceiling_;          // of what the language model adds to any score
  std::unique_ptr<Session> session_;
  Contexts contexts_;

  std::vector<Hypothesis> beam_;  // best first
  std::vector<Hypothesis> next_beam_;
  std::vector<Record> records_;
  std::vector<std::int32_t> tokens_;
  std::vector<std::int32_t> parents_;
  std::vector<std::uint32_t> rows_;  // the hypothesis of each row
  std::int32_t length_ = 0;          // of the hypotheses that go on

  std::vector<float> highest_of_block_;
  std::vector<Scored> chosen_;  // the best tokens of the row at hand
  std::vector<Candidate> candidates_;
  std::vector<Joined> joined_;
  std::vector<Contexts::Request> requests_;
  std::vector<std::uint32_t> ending_;  // contexts of hypotheses that may end
  std::vector<float> ends_;            // and how their ends score
  std::vector<double> ranks_;
  double floor_ = 0.0;   // a candidate below it is not gathered
  bool limited_ = false;  // whether the best beam_size candidates will do
  bool cut_ = false;      // some were left out for that
  double best_ = 0.0;     // rank of any single candidate
  bool probabilities_ = true;  // whether no score of a token was above 0
  PrefixTable table_;
  PrefixTable histories_;
  PrefixTable sequences_;
  PrefixTable both_;
  std::uint32_t num_histories_ = 0;
  std::uint32_t num_sequences_ = 0;
  std::uint32_t num_both_ = 0;
};

}  // namespace sestina::decoding
