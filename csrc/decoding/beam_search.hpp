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

#include "decoding/frame_tokens.hpp"
#include "decoding/log_add.hpp"
#include "decoding/prefix_table.hpp"
#include "decoding/ranks.hpp"
#include "decoding/records.hpp"
#include "decoding/search.hpp"
#include "decoding/spelled.hpp"
#include "decoding/trellis_recorder.hpp"

namespace sestina::decoding {

inline constexpr double minus_infinity = -std::numeric_limits<double>::infinity();
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
    return P.kind != Kind::free && node >= num_nodes_ && !(P.kind == Kind::open && spelled_.holds(node));
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

template <Policy P>
void BeamSearch<P>::bound_steps(const SearchSpace& space) {
  const double weight = options_.lm_weight;
  ceiling_ = weight == 0.0  ? 0.0
             : weight > 0.0 ? weight * space.model.highest_score()
                            : std::numeric_limits<double>::infinity();
  if constexpr (P.kind == Kind::tokens || P.kind == Kind::free) {
    rise_ = std::max(0.0, ceiling_);
  } else {
    rise_ = weight * (weight >= 0.0 ? graph_->highest_rise() : graph_->lowest_rise());
  }
  if constexpr (P.kind != Kind::free) {
    if (has_masks_ && !(options_.unk_score > minus_infinity)) {
      ending_tokens_ = graph_->ending_tokens();
    }
    const double look_ahead = std::abs(weight) * graph_->largest_smear();
    ending_bonus_ = std::max(options_.word_score + graph_->highest_bonus(), options_.unk_score) +
                    ceiling_;
    if constexpr (P.kind == Kind::open) {
      const double leaving = std::max(options_.unk_score, 0.0);
      rise_ = std::max(rise_, leaving + look_ahead + std::abs(weight * unknown_smear_));
      ending_bonus_ += leaving + std::abs(weight * unknown_smear_);
    }
    highest_bonus_ = ending_bonus_ + look_ahead;
  }
  float highest = 0.0F;
  for (const float score : transitions_) {
    highest = std::max(highest, score);
  }
  far_rise_ = weight > 0.0 && P.kind == Kind::words ? -weight * near_loss : rise_;
  rise_ += highest;
  far_rise_ += highest;
  ending_bonus_ += highest;
  highest_bonus_ += highest;
}

template <Policy P>
void BeamSearch<P>::step_frame(const float* emissions) {
  stay(emissions);
  if constexpr (P.sum) {
    find_best(emissions);
    drop_stays_below_cut();
  }
  bound_from_stays();
  choose_tokens(emissions);
  expand();
  leave_words(emissions);
  resolve_moves();
  if (options_.record) {
    record_stays(emissions);
  }
  select();
}

// A frame that is nothing but blank: all go on, nothing competes. False if it has to be searched.
template <Policy P>
bool BeamSearch<P>::skip(const float* emissions) {
  const double blank = blank_score(emissions);
  if (std::any_of(beam_.begin(), beam_.end(),
                  [&](const Prefix& p) { return is_after_word(p.node); })) {
    return false;
  }
  next_beam_ = beam_;
  for (std::uint32_t i = 0; i < beam_.size(); ++i) {
    Prefix& p = next_beam_[i];
    if (p.token > p.blank) {
      p.blank_record = new_record(2 * i, options_.blank, -1, 0.0F);
    }
    p.blank = plus(p.blank, p.token) + blank;
    p.token = minus_infinity;
    if (options_.record) {
      recorder_.note_stay(i, false, true, blank);
      recorder_.note_stay(i, true, true, blank);
      recorder_.keep(i, options_.blank, true, -1, false);
    }
  }
  if (options_.record) {
    recorder_.end_frame();
  }
  beam_.swap(next_beam_);
  return true;
}

// Forgets what no hypothesis needs any more, so that memory does not grow with the input.
template <Policy P>
void BeamSearch<P>::collect() {
  const std::size_t enough = std::max(options_.enough, options_.enough / 512 * beam_.size());
  if (!beam_.empty() && records_.size() > enough + kept_records_) {
    std::vector<std::uint32_t*> live;
    for (Prefix& p : beam_) {
      // The record of paths that do not exist any more keeps nothing alive.
      for (const auto& [score, record] :
           {std::pair{p.blank, &p.blank_record}, std::pair{p.token, &p.token_record}}) {
        if (score > minus_infinity) {
          live.push_back(record);
        } else {
          *record = 0;
        }
      }
    }
    records_.keep(live);
    kept_records_ = records_.size();
  }
  if (contexts_.used() > enough + contexts_.kept() ||
      spelled_.size() > enough + kept_spelled_) {
    std::vector<std::uint32_t*> live;
    for (Prefix& p : beam_) {
      live.push_back(&p.context);
    }
    const std::vector<std::int32_t> words = contexts_.keep(live);
    if constexpr (P.kind == Kind::open) {
      std::vector<std::uint32_t> needed;
      for (const Prefix& p : beam_) {
        needed.push_back(p.node);
      }
      for (const std::int32_t word : words) {  // those spelled out are numbered by their nodes
        if (word > options_.unk_word) {
          needed.push_back(static_cast<std::uint32_t>(word - options_.unk_word - 1));
        }
      }
      std::erase_if(needed, [&](std::uint32_t node) { return !spelled_.holds(node); });
      spelled_.keep(needed);
      kept_spelled_ = spelled_.size();
    }
  }
}

// What the prefixes of the beam become by themselves: a blank more, or their token for longer.
template <Policy P>
void BeamSearch<P>::stay(const float* emissions) {
  const std::size_t live = beam_.size();
  double blank = blank_score(emissions);
  const double silence =
      options_.silence < 0 ? minus_infinity : staying(options_.silence, emissions);
  // Flashlight's lexicon-free search needs even these to be among the best tokens of the frame.
  [[maybe_unused]] float lowest = -std::numeric_limits<float>::infinity();
  if constexpr (P.flashlight && P.kind == Kind::free) {
    lowest = tokens_.lowest_allowed(emissions);
    blank = emissions[options_.blank] < lowest ? minus_infinity : blank;
  }
  totals_.resize(live);
  pending_.resize(live);
  created_.clear();
  moves_.clear();
  table_filled_ = false;
  highest_total_ = minus_infinity;
  best_ = minus_infinity;
  for (std::size_t i = 0; i < live; ++i) {
    const Prefix& p = beam_[i];
    Pending& next = pending_[i];
    const double total = plus(p.blank, p.token);
    totals_[i] = total;
    highest_total_ = std::max(highest_total_, total);
    const auto self = static_cast<std::uint32_t>(2 * i);
    const bool blank_is_better = p.blank >= p.token;
    const double high = std::max(p.blank, p.token);
    next.word = -1;
    next.language = 0.0F;
    next.token_from = kept;
    if (P.kind != Kind::free && p.node == Trie::root) {
      next.blank = total + blank;
      next.token = total + silence;
      next.blank_from = blank_is_better ? kept : self;
      next.token_from = blank_is_better ? self + 1 : kept;
    } else if (!is_after_word(p.node)) {
      next.blank = total + blank;
      next.blank_from = blank_is_better ? kept : self;
      next.token = p.symbol < 0                   ? minus_infinity
                   : p.symbol == options_.silence ? p.token + silence
                                                  : p.token + staying(p.symbol, emissions);
      if constexpr (P.flashlight && P.kind == Kind::free) {
        if (p.symbol >= 0 && emissions[p.symbol] < lowest) {
          next.token = minus_infinity;
        }
      }
    } else {
      next.blank = minus_infinity;  // a blank leads back to the root proper: see leave_word
      next.token = P.flashlight ? minus_infinity : p.token + staying(p.symbol, emissions);
    }
    // Sums count in the beam, but the threshold is held against single contributions.
    const bool at_root = P.kind != Kind::free && p.node == Trie::root;
    next.highest_token = at_root ? high + silence : next.token;
    next.highest_blank = is_after_word(p.node) ? minus_infinity : high + blank;
    best_ = std::max({best_, next.highest_blank, next.highest_token});
  }
  blank_score_ = blank;
  silence_score_ = silence;
}

// The best single contribution of the frame, by a first pass over what can be better than staying.
template <Policy P>
void BeamSearch<P>::find_best(const float* emissions) {
  probing_ = true;
  bound_ = std::max(best_, impossible);
  choose_tokens(emissions);
  expand();
  leave_words(emissions);
  resolve_moves();
  moves_.clear();
  probing_ = false;
  cut_ = best_ - options_.beam_threshold;
}

// Contributions below the threshold do not count in sums either.
template <Policy P>
void BeamSearch<P>::drop_stays_below_cut() {
  for (std::size_t i = 0; i < beam_.size(); ++i) {
    const Prefix& p = beam_[i];
    Pending& next = pending_[i];
    if (next.highest_blank < cut_) {
      next.blank = next.highest_blank = minus_infinity;
    } else {
      next.blank = source_of(i, blank_score_) + blank_score_;
    }
    if (P.kind != Kind::free && p.node == Trie::root && options_.silence >= 0) {
      next.token = source_of(i, silence_score_) + silence_score_;
    }
    if (next.highest_token < cut_) {
      next.token = next.highest_token = minus_infinity;
    }
  }
}

// Nothing that scores below the beam_size best stays can be in the beam.
template <Policy P>
void BeamSearch<P>::bound_from_stays() {
  const double lowest = std::max(best_ - options_.beam_threshold, impossible);
  const auto count_from = [&](double base) {
    ranks_.reset(base, std::max(best_, base), static_cast<std::size_t>(options_.beam_size));
    for (const Pending& next : pending_) {
      ranks_.add(next.blank);
      ranks_.add(next.token);
    }
  };
  // Finer buckets if the beam reaches no further down than it did in the last frame.
  const double near = best_ - spread_;
  if (near > lowest) {
    count_from(near);
  }
  if (!(near > lowest && ranks_.is_full())) {
    count_from(lowest);
  }
  bound_ = std::max(lowest, ranks_.bound());
}

// The tokens that some prefix can be extended with and still be in the beam, best first.
template <Policy P>
void BeamSearch<P>::choose_tokens(const float* emissions) {
  tokens_.clear();
  const double needed = bound_ - highest_total_ - margin_;
  const double inside = needed - rise_;
  const double ending = needed - std::max(rise_, highest_bonus_);
  for (std::int32_t n = 0; n < num_tokens_; ++n) {
    const double e =
        emissions[n] + (n == options_.silence ? options_.sil_score : 0.0) + options_.token_score;
    const bool ends = P.kind != Kind::free && (!has_masks_ || (ending_tokens_ >> n & 1) != 0);
    if (e >= (ends ? ending : inside) && (n != options_.blank || options_.asg)) {
      tokens_.add(n, e);
    }
  }
  tokens_.finish(emissions);
}

template <Policy P>
void BeamSearch<P>::expand() {
  if (tokens_.candidates().empty()) {
    return;
  }
  // What is below the bound makes no prefix, but counts in the sum of one that there is, as long as
  // a double shows it.
  floor_ = P.sum && !probing_ ? std::max(cut_, bound_ - 36.0) : bound_;
  late_.clear();
  for (std::uint32_t i = 0; i < totals_.size(); ++i) {
    expand_prefix(i);
  }
  for (const Late& late : late_) {
    const std::uint32_t target = find(beam_[late.prefix].context, late.node);
    if (target != none) {
      push_token(target, late.prefix, late.score, late.shift, late.guarded, -1, 0.0F);
      if (options_.record) {
        const double own = acoustic(prefix_of(target).symbol, beam_[late.prefix]);
        record_token(target, late.prefix, own, late.shift, late.guarded, -1, 0.0F);
      }
    }
  }
}

template <Policy P>
void BeamSearch<P>::expand_prefix(std::uint32_t index) {
  const Prefix& p = beam_[index];
  const double total = totals_[index];
  const double ending_needed = P.kind == Kind::free
                                   ? 0.0
                                   : floor_ - total - ending_bonus_ + options_.lm_weight * p.smear;
  if (P.kind != Kind::free && P.kind != Kind::open && has_masks_) {
    std::uint64_t masks[3];
    if (!tokens_.at_least({floor_ - total - far_rise_, floor_ - total - rise_, ending_needed},
                          masks)) {
      return;
    }
    std::uint64_t tokens =
        ((masks[0] | (masks[2] & ending_tokens_)) & p.children) | (masks[1] & p.near);
    while (tokens != 0) {
      const int n = std::countr_zero(tokens);
      const std::uint64_t before = p.children & ((std::uint64_t{1} << n) - 1);
      tokens &= tokens - 1;
      const std::uint32_t child = p.first_child + static_cast<std::uint32_t>(std::popcount(before));
      if constexpr (P.kind == Kind::tokens) {
        try_child(index, child, n);
      } else {
        try_descent(index, child, n);
        if ((ending_tokens_ >> n & 1) != 0) {
          try_words(index, child, n);
        }
      }
    }
    return;
  }
  const auto& candidates = tokens_.candidates();
  std::size_t k = 0;
  const auto pass = [&](double needed) {
    while (k < candidates.size() && candidates[k].score >= needed) {
      ++k;
    }
  };
  pass(floor_ - total - rise_);
  if constexpr (P.kind == Kind::free) {
    for (std::size_t j = 0; j < k; ++j) {
      try_token(index, candidates[j].token);
    }
    return;
  }
  pass(ending_needed);
  if constexpr (P.kind == Kind::open) {
    expand_prefix_openly(index, k);
  } else {
    expand_prefix_by_search(index, k);
  }
}

// Where the tokens are too many for masks.
template <Policy P>
void BeamSearch<P>::expand_prefix_by_search(std::uint32_t index, std::size_t k) {
  for (std::size_t j = 0; j < k; ++j) {
    const std::int32_t token = tokens_.candidates()[j].token;
    if (const std::uint32_t child = child_of(beam_[index], token); child != 0) {
      try_child(index, child, token);
    }
  }
}

// And where words may leave the lexicon.
template <Policy P>
void BeamSearch<P>::expand_prefix_openly(std::uint32_t index, std::size_t k) {
  const Prefix& p = beam_[index];
  for (std::size_t j = 0; j < k; ++j) {
    const std::int32_t token = tokens_.candidates()[j].token;
    const std::uint32_t child = child_of(p, token);
    if (child != 0) {
      try_child(index, child, token);
    }
    if (token != options_.silence) {
      if (child == 0) {
        try_spelled(index, token);
      }
    } else if (!is_root(p.node) && (child == 0 || graph_->words_at(child).empty())) {
      end_spelled(index);
    }
  }
}

// 0 if there is none.
template <Policy P>
std::uint32_t BeamSearch<P>::child_of(const Prefix& p, std::int32_t token) const noexcept {
  if (is_root(p.node)) {
    return graph_->root_child(token);
  }
  if (P.kind == Kind::open && spelled_.holds(p.node)) {
    return 0;
  }
  if (has_masks_) {
    const std::uint64_t bit = std::uint64_t{1} << token;
    return (p.children & bit) == 0
               ? 0
               : p.first_child + static_cast<std::uint32_t>(std::popcount(p.children & (bit - 1)));
  }
  std::uint32_t low = p.first_child;
  const std::uint32_t end = graph_->node(p.node + 1).first_child;
  for (std::uint32_t high = end; low < high;) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (graph_->node(middle).token < token) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < end && graph_->node(low).token == token ? low : 0;
}

// A prefix and one token more: further down the tree, and back to the root where a word ends.
template <Policy P>
void BeamSearch<P>::try_child(std::uint32_t index, std::uint32_t child, std::int32_t token) {
  if constexpr (P.kind != Kind::tokens) {
    try_descent(index, child, token);
  } else if (!graph_->is_leaf(child)) {
    const Prefix& p = beam_[index];
    try_move({acoustic(token, p), index, token, token, -1, child, is_guarded(token, p)}, ceiling_);
  }
  try_words(index, child, token);
}

// Further down the tree. Most children are too low, so that nothing but their look-ahead is read.
template <Policy P>
void BeamSearch<P>::try_descent(std::uint32_t index, std::uint32_t child, std::int32_t token) {
  const Prefix& p = beam_[index];
  const float smear = graph_->inner_smear(child);
  const double shift = acoustic(token, p) + options_.lm_weight * (smear - p.smear);
  if (smear > LexiconGraph::leaf && totals_[index] + shift >= (P.sum && !probing_ ? cut_ : bound_)) {
    try_place(index, child, token, shift, is_guarded(token, p));
  }
}

// Further along at a place that needs no word of the language model.
template <Policy P>
void BeamSearch<P>::try_place(std::uint32_t index, std::uint32_t node, std::int32_t token,
                              double shift, bool guarded) {
  const Prefix& p = beam_[index];
  const double score = (guarded ? p.blank : source_of(index, shift)) + shift;
  if (score >= bound_) {
    raise_bound(score);
    if (!(P.sum && probing_)) {
      const std::uint32_t target = find_or_add(p.context, node, token);
      push_token(target, index, score, shift, guarded, -1, 0.0F);
      if (options_.record) {
        record_token(target, index, acoustic(token, p), shift, guarded, -1, 0.0F);
      }
    }
  } else if (P.sum && !probing_ && score >= cut_) {
    const std::uint32_t target = find(p.context, node);
    if (target != none) {
      push_token(target, index, score, shift, guarded, -1, 0.0F);
      if (options_.record) {
        record_token(target, index, acoustic(token, p), shift, guarded, -1, 0.0F);
      }
    } else if (is_root(p.node)) {
      late_.push_back({score, shift, index, node, guarded});
    }
  }
}

template <Policy P>
void BeamSearch<P>::try_words(std::uint32_t index, std::uint32_t child, std::int32_t token) {
  const Prefix& p = beam_[index];
  const bool repeats = token == p.symbol;
  // Flashlight ends a word on a repeated token except at the root.
  const bool guarded = repeats && !(P.flashlight && !is_root(p.node));
  const double shift = acoustic(token, p) - options_.lm_weight * p.smear;
  const std::uint32_t target = token == options_.silence
                                   ? Trie::root
                                   : num_nodes_ + static_cast<std::uint32_t>(token);
  const std::span<const Word> words = graph_->words_at(child);
  for (const Word& word : words) {
    const bool by_token = P.kind == Kind::tokens;
    try_move({shift + options_.word_score + word.bonus, index, token, by_token ? token : word.id,
              word.id, target, guarded},
             by_token ? ceiling_ : ceiling_of(word));
  }
  if (P.kind != Kind::open && words.empty() && options_.unk_score > minus_infinity) {
    // Flashlight lets an unknown word repeat a token without a blank anywhere.
    try_move({shift + options_.unk_score, index, token,
              P.kind == Kind::tokens ? token : options_.unk_word, options_.unk_word, target,
              repeats && !P.flashlight},
             ceiling_);
  }
}

// A prefix and one token more, whatever the token.
template <Policy P>
void BeamSearch<P>::try_token(std::uint32_t index, std::int32_t token) {
  const Prefix& p = beam_[index];
  const bool repeats = token == p.symbol;
  if (repeats && P.flashlight && options_.asg) {
    return;  // staying, and nothing else
  }
  try_move({tokens_.score(token) + transition(token, p), index, token, token, -1,
            static_cast<std::uint32_t>(token) + 1, repeats},
           ceiling_);
}

// A letter more of a word that is not in the lexicon, or that leaves it here.
template <Policy P>
void BeamSearch<P>::try_spelled(std::uint32_t index, std::int32_t token) {
  const Prefix& p = beam_[index];
  double shift = tokens_.score(token) + transition(token, p);
  if (!spelled_.holds(p.node)) {
    shift += options_.unk_score + options_.lm_weight * (unknown_smear_ - p.smear);
  }
  const bool guarded = token == p.symbol;
  if ((guarded ? p.blank : totals_[index]) + shift >= floor_) {
    try_place(index, spelled_.child(is_root(p.node) ? Trie::root : p.node, token), token, shift,
              guarded);
  }
}

template <Policy P>
void BeamSearch<P>::end_spelled(std::uint32_t index) {
  const Prefix& p = beam_[index];
  double shift = tokens_.score(options_.silence) + transition(options_.silence, p) +
                 options_.word_score - options_.lm_weight * p.smear;
  if (!spelled_.holds(p.node)) {
    shift += options_.unk_score;
  }
  try_move({shift, index, options_.silence, spelled_symbol(p.node), options_.unk_word, Trie::root,
            false},
           ceiling_);
}

template <Policy P>
void BeamSearch<P>::leave_words(const float* emissions) {
  if constexpr (P.kind != Kind::free) {
    for (std::uint32_t i = 0; i < totals_.size(); ++i) {
      if (is_after_word(beam_[i].node)) {
        leave_word(i, emissions);
      }
    }
  }
}

// From the end of a word on a token other than the silence: into the silence, or into blanks.
template <Policy P>
void BeamSearch<P>::leave_word(std::uint32_t index, const float* emissions) {
  const Prefix& p = beam_[index];
  const double blank = p.token + blank_score_;
  const double silent =
      options_.silence < 0 || p.symbol == options_.silence
          ? minus_infinity
          : p.token + emissions[options_.silence] + options_.sil_score +
                (options_.asg ? transition(options_.silence, p) : 0.0);
  raise_bound(std::max(blank, silent));
  if (probing_) {
    return;
  }
  const std::uint32_t target = find_or_add(p.context, Trie::root, options_.silence);
  if (options_.record) {
    recorder_.note(index, true, target, true, {blank_score_});
  }
  if (!P.sum || blank >= cut_) {
    Pending& next = pending_[target];
    if (blank > next.highest_blank) {
      next.highest_blank = blank;
      next.blank_from = 2 * index;
    }
    const double before = next.blank;
    next.blank = plus(before, blank);
    count(before, next.blank);
  }
  if (silent > minus_infinity && (!P.sum || silent >= cut_)) {
    push_token(target, index, silent, silent - p.token, false, -1, 0.0F);
    if (options_.record) {
      record_token(target, index, silent - p.token, silent - p.token, false, -1, 0.0F);
    }
  }
}

template <Policy P>
void BeamSearch<P>::resolve_moves() {
  // A new prefix needs a contribution near the bound; for sums, several may reach it together.
  const double new_floor = P.sum && !probing_ ? std::max(cut_, bound_ - margin_) : bound_;
  // Where other words may lead to a context that there is, only the model knows which.
  const bool asks_all = P.sum && !probing_ && options_.merge == Merge::context;
  const double asked = asks_all ? floor_ : new_floor;
  requests_.clear();
  for (const Move& move : moves_) {
    const double source = move.guarded ? beam_[move.prefix].blank : totals_[move.prefix];
    if (source + move.shift + ceiling_ >= asked) {
      requests_.push_back({beam_[move.prefix].context, move.symbol});
    }
  }
  contexts_.resolve(requests_);
  push_moves(new_floor, std::numeric_limits<double>::infinity());
  if (P.sum && !probing_) {
    // Then what joins a prefix that is there, by now, without being enough to make one.
    push_moves(cut_, new_floor);
  }
}

// Makes the moves whose scores are in [lowest, highest); only those from the bound's margin on make
// prefixes.
template <Policy P>
void BeamSearch<P>::push_moves(double lowest, double highest) {
  const bool makes = highest == std::numeric_limits<double>::infinity();
  for (const Move& move : moves_) {
    const Prefix& p = beam_[move.prefix];
    const double source = move.guarded ? p.blank : totals_[move.prefix];
    if (!(source + move.shift + ceiling_ >= lowest)) {
      continue;
    }
    const Contexts::Transition* const known = contexts_.find(p.context, move.symbol);
    if (known == nullptr) {
      continue;  // too low for a new prefix, and nothing has led there yet
    }
    const Contexts::Transition transition = *known;
    const double shift = move.shift + options_.lm_weight * transition.score;
    const double score = (move.guarded ? p.blank : source_of(move.prefix, shift)) + shift;
    if (!(score >= (P.sum ? lowest : bound_)) || score >= highest) {
      continue;
    }
    raise_bound(score);
    if (P.sum && probing_) {
      continue;
    }
    const std::uint32_t target = makes ? find_or_add(transition.context, move.node, move.token)
                                       : find(transition.context, move.node);
    if (target != none) {
      push_token(target, move.prefix, score, shift, move.guarded, move.word, transition.score);
      if (options_.record) {
        // Words that are spelled out are one to the search, but not to those who read them.
        record_token(target, move.prefix, acoustic(move.token, p), shift, move.guarded,
                     P.kind == Kind::open && move.word >= 0 ? move.symbol : move.word,
                     transition.score);
      }
    }
  }
}

// Adds a contribution to the token paths of a prefix; `shift` is what it adds to its source.
template <Policy P>
void BeamSearch<P>::push_token(std::uint32_t target, std::uint32_t index, double score,
                                  double shift, bool guarded, std::int32_t word, float language) {
  const Prefix& source = beam_[index];
  const bool from_blank = guarded || source.blank >= source.token;
  const double single = (from_blank ? source.blank : source.token) + shift;
  Pending& next = pending_[target];
  if (single > next.highest_token) {
    next.highest_token = single;
    next.token_from = 2 * index + (from_blank ? 1 : 0);
    next.word = word;
    next.language = language;
  }
  const double before = next.token;
  next.token = plus(before, score);
  if (next.token > before) {
    count(before, next.token);
  }
}

// Most frames are blank and look nothing up, so this waits for the first that does.
template <Policy P>
void BeamSearch<P>::fill_table() {
  if (table_filled_) {
    return;
  }
  table_.clear();
  for (std::uint32_t i = 0; i < beam_.size(); ++i) {
    table_.find_or_enter(beam_[i].context, beam_[i].node, i);
  }
  table_filled_ = true;
}

template <Policy P>
std::uint32_t BeamSearch<P>::find(std::uint32_t context, std::uint32_t node) {
  fill_table();
  return table_.find(context, node);
}

// The prefix of this frame at that place, made if there is none.
template <Policy P>
std::uint32_t BeamSearch<P>::find_or_add(std::uint32_t context, std::uint32_t node,
                                         std::int32_t symbol) {
  fill_table();
  const auto made = static_cast<std::uint32_t>(pending_.size());
  const std::uint32_t index = table_.find_or_enter(context, node, made);
  if (index == made) {
    created_.push_back(prefix_at(context, node));
    created_.back().symbol = symbol;
    pending_.push_back(
        {minus_infinity, minus_infinity, minus_infinity, minus_infinity, kept, kept, -1, 0.0F});
  }
  return index;
}

// Keeps the best beam_size hypotheses of those within the threshold.
template <Policy P>
void BeamSearch<P>::select() {
  // All above the cut's bucket are kept, and the best of those in it.
  double lowest = std::max(bound_, best_ - options_.beam_threshold);
  std::size_t ties = pending_.size() * 2;  // how many that score exactly `lowest` still fit
  if (ranks_.is_full()) {
    values_.clear();
    for (const Pending& next : pending_) {
      if (ranks_.bucket(next.blank) == ranks_.cut()) {
        values_.push_back(next.blank);
      }
      if (ranks_.bucket(next.token) == ranks_.cut()) {
        values_.push_back(next.token);
      }
    }
    const std::size_t fit = ranks_.from_cut();
    const auto nth = values_.begin() + static_cast<std::ptrdiff_t>(fit - 1);
    std::nth_element(values_.begin(), nth, values_.end(), std::greater<>());
    if (*nth >= lowest) {
      lowest = *nth;
      ties = fit - static_cast<std::size_t>(std::count_if(
                       values_.begin(), nth, [&](double value) { return value > lowest; }));
    }
  }
  spread_ = best_ > lowest ? 1.25 * (best_ - lowest) + 1e-3 : 0.0;
  const auto keeps = [&](double value) {
    if (value > lowest) {
      return true;
    }
    if (value == lowest && value > minus_infinity && ties > 0) {
      --ties;
      return true;
    }
    return false;
  };
  next_beam_.clear();
  const std::size_t live = beam_.size();
  for (std::size_t i = 0; i < pending_.size(); ++i) {
    const Pending& next = pending_[i];
    const bool keeps_blank = keeps(next.blank);
    const bool keeps_token = keeps(next.token);
    if (!keeps_blank && !keeps_token) {
      continue;
    }
    Prefix p = i < live ? beam_[i] : created_[i - live];
    p.blank = keeps_blank ? next.blank : minus_infinity;
    p.token = keeps_token ? next.token : minus_infinity;
    if (keeps_blank && next.blank_from != kept) {
      p.blank_record = new_record(next.blank_from, options_.blank, -1, 0.0F);
    }
    if (keeps_token && next.token_from != kept) {
      p.token_record = new_record(next.token_from, p.symbol, next.word, next.language);
    }
    next_beam_.push_back(p);
    if constexpr (P.kind != Kind::free) {
      if (i >= live) {
        __builtin_prefetch(&graph_->node(p.first_child));  // for the next frame
      }
    }
    if (options_.record) {
      recorder_.keep(static_cast<std::uint32_t>(i), options_.blank, keeps_blank, p.symbol,
                     keeps_token);
    }
  }
  if (options_.record) {
    recorder_.end_frame();
  }
  beam_.swap(next_beam_);
}

// For the trellis: what the prefixes of the beam become by themselves, as in stay().
template <Policy P>
void BeamSearch<P>::record_stays(const float* emissions) {
  for (std::uint32_t i = 0; i < beam_.size(); ++i) {
    const Prefix& p = beam_[i];
    if (!is_after_word(p.node)) {
      recorder_.note_stay(i, false, true, blank_score_);
      recorder_.note_stay(i, true, true, blank_score_);
    }
    if (P.kind != Kind::free && p.node == Trie::root && options_.silence >= 0) {
      recorder_.note_stay(i, false, false, silence_score_);
      recorder_.note_stay(i, true, false, silence_score_);
    } else if (p.symbol >= 0 && !(P.flashlight && is_after_word(p.node))) {
      recorder_.note_stay(i, true, false, staying(p.symbol, emissions));
    }
  }
}

// And what contributes to token paths, as in push_token().
template <Policy P>
void BeamSearch<P>::record_token(std::uint32_t target, std::uint32_t index, double acoustic,
                                 double shift, bool guarded, std::int32_t word, float language) {
  const double look_ahead = static_cast<double>(prefix_of(target).smear) - beam_[index].smear;
  const double bonus = shift - acoustic - options_.lm_weight * (language + look_ahead);
  recorder_.note(index, false, target, false, {acoustic, bonus, word, language});
  if (!guarded) {
    recorder_.note(index, true, target, false, {acoustic, bonus, word, language});
  }
}

template <Policy P>
const Trellis& BeamSearch<P>::trellis() {
  std::vector<Trellis::Final> finals;
  const bool complete = P.kind == Kind::open ||
                        std::any_of(beam_.begin(), beam_.end(),
                                    [&](const Prefix& p) { return is_root(p.node); });
  for (std::size_t k = 0; options_.record && k < beam_.size(); ++k) {
    const Prefix& p = beam_[k];
    if (is_root(p.node) || !complete) {
      const double last = static_cast<double>(contexts_.finish(p.context)) + p.smear;
      const TrellisRecorder::States states = recorder_.states(k);
      for (const std::uint32_t state : {states.blank, states.token}) {
        if (state != TrellisRecorder::none) {
          finals.push_back({state, last, static_cast<std::uint32_t>(k)});
        }
      }
    }
  }
  if constexpr (P.kind == Kind::open) {
    if (options_.record) {
      end_open_words(finals);
    }
  }
  return recorder_.finish(std::move(finals));
}

template <Policy P>
std::vector<Hypothesis> BeamSearch<P>::beam(std::int32_t count) const {
  struct Place {
    double score;
    std::uint32_t record;
    float smear;
  };
  std::vector<Place> places;
  for (const Prefix& p : beam_) {
    places.push_back({p.token, p.token_record, p.smear});
    places.push_back({p.blank, p.blank_record, p.smear});
  }
  std::erase_if(places, [](const Place& place) { return place.score == minus_infinity; });
  std::stable_sort(places.begin(), places.end(),
                   [](const Place& a, const Place& b) { return a.score > b.score; });
  places.resize(std::min(places.size(), static_cast<std::size_t>(std::max(count, 0))));
  std::vector<Hypothesis> result;
  for (const Place& place : places) {
    result.push_back(records_.trace(place.record, place.score));
    result.back().language += place.smear;
  }
  return result;
}

template <Policy P>
std::size_t BeamSearch<P>::settled() const {
  std::vector<std::uint32_t> last;
  for (const Prefix& p : beam_) {
    if (p.blank > minus_infinity) {
      last.push_back(p.blank_record);
    }
    if (p.token > minus_infinity) {
      last.push_back(p.token_record);
    }
  }
  return records_.common(last);
}

template <Policy P>
void BeamSearch<P>::add_final(std::vector<Final>& finals, const Prefix& p, std::uint32_t context,
                              std::uint32_t node, double shift, double language,
                              std::int32_t word) {
  const std::uint64_t key = (std::uint64_t{context} << 32) | node;
  for (const auto& [score, record] :
       {std::pair{p.token, p.token_record}, std::pair{p.blank, p.blank_record}}) {
    if (score > minus_infinity) {
      finals.push_back({score + shift, key, record, language, word});
    }
  }
}

// Adds what the language model says of the end; all contexts are asked at once.
template <Policy P>
void BeamSearch<P>::add_ends(std::vector<Final>& finals) {
  const auto context_of = [](const Final& final) {
    return static_cast<std::uint32_t>(final.key >> 32);
  };
  std::vector<std::uint32_t> contexts;
  for (const Final& final : finals) {
    contexts.push_back(context_of(final));
  }
  std::sort(contexts.begin(), contexts.end());
  contexts.erase(std::unique(contexts.begin(), contexts.end()), contexts.end());
  std::vector<float> ends(contexts.size());
  contexts_.finish_all(contexts, ends);
  for (Final& final : finals) {
    const auto place = std::lower_bound(contexts.begin(), contexts.end(), context_of(final));
    const double end = ends[static_cast<std::size_t>(place - contexts.begin())];
    final.score += options_.lm_weight * end;
    final.language = end + final.language;
  }
  std::erase_if(finals, [](const Final& final) { return !(final.score > minus_infinity); });
}

// The words that the end of the input ends, with their prefixes, bonuses, and symbols.
template <Policy P>
template <typename Visit>
void BeamSearch<P>::each_open_word(const Visit& visit) const {
  for (const Prefix& p : beam_) {
    if (is_root(p.node)) {
      continue;
    }
    const std::uint32_t child = child_of(p, options_.silence);
    if (child != 0 && !graph_->words_at(child).empty()) {
      for (const Word& word : graph_->words_at(child)) {
        visit(p, options_.word_score + word.bonus, word.id);
      }
    } else {
      visit(p, options_.word_score + (spelled_.holds(p.node) ? 0.0 : options_.unk_score),
            spelled_symbol(p.node));
    }
  }
}

template <Policy P>
void BeamSearch<P>::close_words(std::vector<Final>& finals) {
  requests_.clear();
  each_open_word([&](const Prefix& p, double, std::int32_t symbol) {
    requests_.push_back({p.context, symbol});
  });
  contexts_.resolve(requests_);
  each_open_word([&](const Prefix& p, double bonus, std::int32_t symbol) {
    const Contexts::Transition step = *contexts_.find(p.context, symbol);
    add_final(finals, p, step.context, Trie::root,
              bonus + options_.lm_weight * (static_cast<double>(step.score) - p.smear), step.score,
              std::min(symbol, options_.unk_word));
  });
}

// The same for the trellis.
template <Policy P>
void BeamSearch<P>::end_open_words(std::vector<Trellis::Final>& finals) {
  requests_.clear();
  each_open_word([&](const Prefix& p, double, std::int32_t symbol) {
    requests_.push_back({p.context, symbol});
  });
  contexts_.resolve(requests_);
  auto place = static_cast<std::uint32_t>(beam_.size());
  each_open_word([&](const Prefix& p, double bonus, std::int32_t symbol) {
    const Contexts::Transition step = *contexts_.find(p.context, symbol);
    const double end = contexts_.finish(step.context);
    const auto index = static_cast<std::size_t>(&p - beam_.data());
    const TrellisRecorder::States states = recorder_.states(index);
    for (const std::uint32_t state : {states.blank, states.token}) {
      if (state != TrellisRecorder::none) {
        finals.push_back({state, end, place, symbol, step.score, bonus});
      }
    }
    ++place;
  });
}

template <Policy P>
std::vector<Hypothesis> BeamSearch<P>::finish(std::int32_t count) {
  std::vector<Final> finals;
  const bool complete = P.kind == Kind::open ||
                        std::any_of(beam_.begin(), beam_.end(),
                                    [&](const Prefix& p) { return is_root(p.node); });
  for (const Prefix& p : beam_) {
    if (is_root(p.node) || !complete) {
      const bool between = P.kind != Kind::free && is_root(p.node);
      const std::uint32_t place = P.kind == Kind::free || between ? Trie::root : p.node;
      add_final(finals, p, p.context, place, 0.0, p.smear, -1);
    }
  }
  if constexpr (P.kind == Kind::open) {
    close_words(finals);
  }
  add_ends(finals);
  double best = minus_infinity;
  for (const Final& final : finals) {
    best = std::max(best, final.score);
  }
  std::erase_if(finals,
                [&](const Final& final) { return final.score < best - options_.beam_threshold; });
  std::stable_sort(finals.begin(), finals.end(), [](const Final& a, const Final& b) {
    return a.key != b.key ? a.key < b.key : a.score > b.score;
  });
  std::vector<Final> merged;
  for (const Final& final : finals) {
    if (!merged.empty() && merged.back().key == final.key) {
      merged.back().score = plus(merged.back().score, final.score);
    } else {
      merged.push_back(final);
    }
  }
  std::stable_sort(merged.begin(), merged.end(),
                   [](const Final& a, const Final& b) { return a.score > b.score; });
  std::vector<Hypothesis> result;
  for (const Final& final : merged) {
    if (result.size() == static_cast<std::size_t>(std::max(count, 0))) {
      break;
    }
    Hypothesis found = records_.trace(final.record, final.score);
    found.language += final.language;
    if (final.word >= 0) {
      // It ends with the last token there is.
      const auto last = std::find_if(found.path.rbegin(), found.path.rend(), [&](const Stretch& s) {
        return options_.asg || s.token != options_.blank;
      });
      last->word = final.word;
    }
    result.push_back(std::move(found));
  }
  return result;
}

}  // namespace sestina::decoding
