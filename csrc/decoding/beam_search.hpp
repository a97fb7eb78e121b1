// Objective: score(words) = Σ emissions + lm_weight · log10 p(words) + word_score · |words| + …, over
// paths of the acoustic model (docs/decoding.md has all terms), by beam search in time
// O(frames · beam · tokens that can still enter the beam).
//
// Design. A prefix is a place and a context; its paths that end in a blank and those that end in its
// token compete as two hypotheses, but share the prefix, so that staying and blank need neither
// lookup nor merging. They are made first and bound what can enter the beam: an expansion below the
// bound is never created. What the language model has to score is bounded before its score is known;
// those left are scored together, once per frame.
#pragma once

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "decoding/beam_search/prefix.hpp"
#include "decoding/frame_tokens.hpp"
#include "decoding/interruption.hpp"
#include "decoding/log_add.hpp"
#include "decoding/prefix_table.hpp"
#include "decoding/ranks.hpp"
#include "decoding/records.hpp"
#include "decoding/search.hpp"
#include "decoding/spelled.hpp"
#include "decoding/trellis_recorder.hpp"

namespace sestina::decoding {

template <Policy P>
class BeamSearch final : public Search {
 public:
  BeamSearch(const SearchSpace& space, const SearchOptions& options)
      : graph_(space.graph),
        options_(options),
        session_(space.model.session()),
        contexts_(*session_, space.model_symbols, options.merge),
        num_tokens_(space.num_tokens),
        num_nodes_(P.kind == Kind::free ? 0 : graph_->num_nodes()),
        has_masks_(P.kind != Kind::free && graph_->has_masks()),
        // Flashlight's lexicon-free search leaves transitions out of the scores.
        transitions_(P.flashlight && P.kind == Kind::free ? std::span<const float>()
                                                          : space.transitions),
        unknown_smear_(options.unknown_smear),
        records_(num_tokens_, options.asg ? space.transitions : std::span<const float>()),
        tokens_(num_tokens_, options.beam_size_token > 0
                                 ? std::min(options.beam_size_token, num_tokens_)
                                 : num_tokens_,
                has_masks_ && P.kind != Kind::open),
        spelled_(num_nodes_ + static_cast<std::uint32_t>(num_tokens_)) {
    bound_steps(space);
    begin();
  }

  void begin() override {
    frame_ = 0;
    spread_ = 0.0;
    spelled_.clear();
    kept_records_ = kept_spelled_ = 0;
    const std::int32_t first = P.flashlight || options_.asg ? options_.silence : options_.blank;
    records_.begin(first);
    beam_.clear();
    Prefix start = prefix_at(contexts_.start(), Trie::root);
    start.symbol = options_.silence;
    if constexpr (P.kind == Kind::free) {
      start.symbol = P.flashlight ? options_.silence : -1;
      start.node = static_cast<std::uint32_t>(start.symbol + 1);
    }
    (P.flashlight ? start.token : start.blank) = 0.0;
    beam_.push_back(start);
    if (options_.record) {
      recorder_.begin(first, !P.flashlight);
    }
  }

  void rest() override {
    beam_.clear();
    contexts_.clear();
  }

  void step(const float* scores, std::ptrdiff_t frames) override {
    for (std::ptrdiff_t t = 0; t < frames; ++t) {
      if (interruption != nullptr) {
        interruption->look();
      }
      const float* const emissions = scores + t * num_tokens_;
      if (!(emissions[options_.blank] > options_.blank_skip && skip(emissions))) {
        step_frame(emissions);
      }
      records_.advance(emissions);
      ++frame_;
      collect();
    }
  }

  std::ptrdiff_t frames() const noexcept override { return frame_; }

  std::vector<Hypothesis> finish(std::int32_t count) override;
  std::vector<Hypothesis> beam(std::int32_t count) const override;
  std::size_t settled() const override;
  void forget(std::size_t stretches) override;
  const Trellis& trellis() override;

 private:
  static double plus(double left, double right) noexcept {
    if constexpr (P.sum) {
      return log_add(left, right);
    } else {
      return std::max(left, right);
    }
  }

  Prefix prefix_at(std::uint32_t context, std::uint32_t node) const noexcept {
    Prefix made{minus_infinity, minus_infinity, 0, 0, node, context, 0, 0.0F, -1, 0, 0};
    if constexpr (P.kind != Kind::free) {
      if (spelled_.holds(node)) {
        made.smear = unknown_smear_;
      } else {
        const Node& place = graph_->node(is_root(node) ? Trie::root : node);
        made.children = place.children;
        made.near = place.near;
        made.first_child = place.first_child;
        made.smear = is_root(node) ? 0.0F : place.smear;
      }
    }
    return made;
  }
  // What the language model's part of a word is at most.
  double ceiling_of(const Word& word) const noexcept {
    return options_.lm_weight > 0.0 ? options_.lm_weight * word.highest_score : ceiling_;
  }
  bool is_after_word(std::uint32_t node) const noexcept {
    return P.kind != Kind::free && node >= num_nodes_ &&
           !(P.kind == Kind::open && spelled_.holds(node));
  }
  // Between words.
  bool is_root(std::uint32_t node) const noexcept {
    return P.kind == Kind::free || node == Trie::root || is_after_word(node);
  }
  // What a change of token adds.
  double transition(std::int32_t token, const Prefix& p) const noexcept {
    if (transitions_.empty() || p.symbol < 0 || (options_.asg && frame_ == 0) ||
        (!options_.asg && is_root(p.node) && P.kind != Kind::free)) {
      return 0.0;
    }
    return transitions_[static_cast<std::size_t>(token) * static_cast<std::size_t>(num_tokens_) +
                        static_cast<std::size_t>(p.symbol)];
  }
  // What a frame adds to paths that stay on their token.
  double staying(std::int32_t token, const float* emissions) const noexcept {
    double score = emissions[token] + (token == options_.silence ? options_.sil_score : 0.0);
    if (options_.asg && !transitions_.empty() && frame_ > 0) {
      score += transitions_[static_cast<std::size_t>(token) *
                            (static_cast<std::size_t>(num_tokens_) + 1)];
    }
    return score;
  }
  double blank_score(const float* emissions) const noexcept {
    return options_.asg ? minus_infinity : emissions[options_.blank];
  }

  void bound_steps(const SearchSpace& space);
  void step_frame(const float* emissions);
  bool skip(const float* emissions);
  void collect();
  void keep_records();
  void stay(const float* emissions);
  void find_best(const float* emissions);
  void drop_stays_below_cut();
  void bound_from_stays();
  void choose_tokens(const float* emissions);
  void expand();
  void expand_prefix(std::uint32_t index);
  void expand_prefix_by_search(std::uint32_t index, std::size_t k);
  void expand_prefix_openly(std::uint32_t index, std::size_t k);
  std::uint32_t child_of(const Prefix& p, std::int32_t token) const noexcept;
  void leave_words(const float* emissions);
  void leave_word(std::uint32_t index, const float* emissions);
  void try_child(std::uint32_t index, std::uint32_t child, std::int32_t token);
  void try_descent(std::uint32_t index, std::uint32_t child, std::int32_t token);
  void try_words(std::uint32_t index, std::uint32_t child, std::int32_t token);
  void try_place(std::uint32_t index, std::uint32_t node, std::int32_t token, double shift,
                 bool guarded);
  void try_token(std::uint32_t index, std::int32_t token);
  void try_spelled(std::uint32_t index, std::int32_t token);
  void end_spelled(std::uint32_t index);
  void try_move(const Move& move, double ceiling) {
    if ((move.guarded ? beam_[move.prefix].blank : totals_[move.prefix]) + move.shift + ceiling >=
        floor_) {
      moves_.push_back(move);
    }
  }
  std::int32_t spelled_symbol(std::uint32_t node) const noexcept {
    return options_.unk_word + 1 + static_cast<std::int32_t>(node);
  }
  void resolve_moves();
  void push_moves(double lowest, double highest);
  void select();
  void record_stays(const float* emissions);
  void record_token(std::uint32_t target, std::uint32_t index, double acoustic, double shift,
                    bool guarded, std::int32_t word, float language);
  // Of pending_.
  const Prefix& prefix_of(std::uint32_t target) const noexcept {
    return target < beam_.size() ? beam_[target] : created_[target - beam_.size()];
  }
  // What a new token scores by the frame and the token before it.
  double acoustic(std::int32_t token, const Prefix& p) const noexcept {
    return tokens_.score(token) + transition(token, p);
  }
  // The same token again is a new one only after a blank.
  bool is_guarded(std::int32_t token, const Prefix& p) const noexcept {
    return token == p.symbol && !(P.flashlight && options_.asg);
  }
  std::uint32_t find(std::uint32_t context, std::uint32_t node);
  std::uint32_t find_or_add(std::uint32_t context, std::uint32_t node, std::int32_t symbol);
  void contribute(std::uint32_t target, std::uint32_t index, std::int32_t token, double score,
                  double shift, bool guarded);
  void push_token(std::uint32_t target, std::uint32_t index, double score, double shift,
                  bool guarded, std::int32_t word, float language);
  void raise_bound(double score) noexcept {
    if constexpr (P.sum) {
      if (probing_ && score > best_) {
        best_ = score;
        bound_ = score;
      }
    } else if (score > best_) {
      best_ = score;
      bound_ = std::max(bound_, best_ - options_.beam_threshold);
    }
  }
  // A score of the frame has grown, from minus infinity if it is new.
  void count(double before, double now) noexcept {
    ranks_.move(before, now);
    bound_ = std::max(bound_, ranks_.bound());
  }
  // What a prefix brings to where its score goes with `shift`: the sum of its two kinds of paths,
  // or the better one where the other falls below the threshold.
  double source_of(std::size_t index, double shift) const noexcept {
    if constexpr (P.sum) {
      const Prefix& p = beam_[index];
      const double low = std::min(p.blank, p.token);
      if (probing_ || low + shift < cut_) {
        return std::max(p.blank, p.token);
      }
    }
    return totals_[index];
  }
  std::uint32_t new_record(std::uint32_t from, std::int32_t token, std::int32_t word,
                           float language) {
    const Prefix& source = beam_[from >> 1];
    return records_.add((from & 1) != 0 ? source.blank_record : source.token_record, token, word,
                        language);
  }

  // A hypothesis at the end of the input.
  struct Final {
    double score;
    std::uint64_t key;
    std::uint32_t record;
    double language;
    std::int32_t word;  // that the end of the input ends, or -1
  };
  void add_final(std::vector<Final>& finals, const Prefix& p, std::uint32_t context,
                 std::uint32_t node, double shift, double language, std::int32_t word);
  void close_words(std::vector<Final>& finals);
  template <typename Visit>
  void each_open_word(const Visit& visit) const;
  void end_open_words(std::vector<Trellis::Final>& finals);
  void add_ends(std::vector<Final>& finals);

  const LexiconGraph* const graph_;  // none if the search is free
  const SearchOptions options_;
  const std::unique_ptr<Session> session_;
  Contexts contexts_;
  const std::int32_t num_tokens_;
  const std::uint32_t num_nodes_;
  const bool has_masks_;
  const std::span<const float> transitions_;  // to a token (row) from another
  const float unknown_smear_;                 // the look-ahead of words off the lexicon
  // Of contributions that may make one prefix together, none need be above the bound less this.
  const double margin_ = P.sum ? std::log(4.0) : 0.0;
  double rise_ = 0.0;     // the most that a step but for its emission adds, at least 0
  double far_rise_ = 0.0; // and that one to a child that is not near adds
  double ceiling_ = 0.0;  // no language model score, weighted, is above this
  std::uint64_t ending_tokens_ = ~std::uint64_t{0};  // tokens that can end a word
  double ending_bonus_ = 0.0;   // the most that ending a word adds, but for its look-ahead
  double highest_bonus_ = 0.0;  // and with it

  std::ptrdiff_t frame_ = 0;
  Records records_;
  std::size_t kept_records_ = 0;  // when they were last collected
  std::size_t kept_spelled_ = 0;
  std::vector<Prefix> beam_;
  std::vector<Prefix> next_beam_;

  // Of the frame at hand.
  double best_ = 0.0;
  bool probing_ = false;  // only looking for best_
  double cut_ = 0.0;      // for sums: best_ less the threshold
  double floor_ = 0.0;    // for sums: contributions below it do not show
  double bound_ = 0.0;    // nothing below it can be in the beam after this frame
  double highest_total_ = 0.0;
  double blank_score_ = 0.0;
  double silence_score_ = 0.0;  // of staying in it
  std::vector<double> totals_;
  std::vector<Pending> pending_;
  std::vector<Prefix> created_;  // the prefixes of pending_ beyond those of beam_
  std::vector<Move> moves_;
  std::vector<Late> late_;  // for sums
  std::vector<Contexts::Request> requests_;
  std::vector<double> values_;
  Ranks ranks_;
  double spread_ = 0.0;  // how far below the best the beam may reach, judging by the last frame
  FrameTokens tokens_;
  Spelled spelled_;
  TrellisRecorder recorder_;  // idle unless the options say so

  PrefixTable table_;  // of the frame's prefixes; empty until something is looked up
  bool table_filled_ = false;
  void fill_table();
};

}  // namespace sestina::decoding

#include "decoding/beam_search/frame.hpp"
#include "decoding/beam_search/expand.hpp"
#include "decoding/beam_search/contribute.hpp"
#include "decoding/beam_search/select.hpp"
#include "decoding/beam_search/results.hpp"
#include "decoding/interruption.hpp"
