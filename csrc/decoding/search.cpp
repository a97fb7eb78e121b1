// Objective: score(words) = Σ emissions + lm_weight · log10 p(words) + word_score · |words| + …, over
// paths of the acoustic model (docs/decoding.md has all terms), by beam search in time
// O(frames · beam · tokens that can still enter the beam).
//
// Design. A prefix is a place in the tree and a context; its paths that end in a blank and those
// that end in its token compete as two hypotheses, but share the prefix, so that staying and blank
// need neither lookup nor merging. They are made first and bound what can enter the beam: an
// expansion below the bound is never created. A word end is bounded before its language model score
// is known; those left are scored together, once per frame.

#include "decoding/search.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "decoding/prefix_table.hpp"
#include "decoding/ranks.hpp"

namespace sestina::decoding {

namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();
// Below every score of a path that has a probability; a bound has to be finite.
constexpr double impossible = -1e300;
constexpr std::uint32_t none = PrefixTable::none;
constexpr std::uint32_t kept = std::numeric_limits<std::uint32_t>::max();

double log_add(double left, double right) noexcept {
  const double high = std::max(left, right);
  const double low = std::min(left, right);
  return low == minus_infinity ? high : high + std::log1p(std::exp(low - high));
}

// What is known when a search is compiled.
struct Policy {
  bool sum;         // paths of one prefix add up; else the best one counts
  bool flashlight;  // see SearchOptions
};

// Where a hypothesis has last changed its token.
struct Record {
  std::uint32_t parent;
  std::int32_t frame;
  std::int32_t token;
  std::int32_t word;     // that ended here, or -1
  float language;        // of that word
  double acoustic_base;  // plus the token's running sum of emissions: the sum along the path
};

struct Prefix {
  double blank;  // score of its paths that end in a blank
  double token;  // score of those that end in its last token
  std::uint64_t children;
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

struct Ending {
  double shift;  // what it adds to the prefix's score, but for the language model's part
  std::uint32_t prefix;
  std::int32_t token;
  std::int32_t word;
  bool guarded;  // only paths that end in a blank may go this way
};

template <Policy P>
class LexiconSearch final : public Search {
 public:
  LexiconSearch(const LexiconGraph& graph, const LanguageModel& model,
                std::span<const std::int32_t> model_words, const SearchOptions& options)
      : graph_(graph),
        options_(options),
        session_(model.session()),
        contexts_(*session_, model_words, options.merge),
        num_tokens_(graph.num_tokens()),
        rise_(options.lm_weight *
              (options.lm_weight >= 0.0 ? graph.highest_rise() : graph.lowest_rise())),
        ceiling_(options.lm_weight == 0.0  ? 0.0
                 : options.lm_weight > 0.0 ? options.lm_weight * model.highest_score()
                                           : std::numeric_limits<double>::infinity()),
        ending_tokens_(graph.ending_tokens()),
        running_(static_cast<std::size_t>(num_tokens_), 0.0),
        allowed_tokens_(options.beam_size_token > 0
                            ? std::min(options.beam_size_token, num_tokens_)
                            : num_tokens_) {
    if (options.unk_score > minus_infinity) {
      ending_tokens_ = ~std::uint64_t{0};
    }
    ending_bonus_ = std::max(options.word_score, options.unk_score) + ceiling_;
    highest_bonus_ = ending_bonus_ + std::abs(options.lm_weight) * graph.largest_smear();
    begin();
  }

  void begin() override {
    frame_ = 0;
    spread_ = 0.0;
    std::fill(running_.begin(), running_.end(), 0.0);
    records_.assign(1, {0, -1, P.flashlight ? options_.silence : options_.blank, -1, 0.0F, 0.0});
    beam_.clear();
    Prefix start = at_root(contexts_.start());
    (P.flashlight ? start.token : start.blank) = 0.0;
    beam_.push_back(start);
  }

  void step(const float* scores, std::ptrdiff_t frames) override {
    for (std::ptrdiff_t t = 0; t < frames; ++t) {
      step_frame(scores + t * num_tokens_);
      ++frame_;
    }
  }

  std::ptrdiff_t frames() const noexcept override { return frame_; }

  std::vector<Hypothesis> finish(std::int32_t count) override;

 private:
  static double plus(double left, double right) noexcept {
    if constexpr (P.sum) {
      return log_add(left, right);
    } else {
      return std::max(left, right);
    }
  }

  Prefix at_root(std::uint32_t context) const noexcept {
    const Node& root = graph_.node(Trie::root);
    return {minus_infinity,   minus_infinity, root.children, Trie::root, context,
            root.first_child, 0.0F,           options_.silence, 0,       0};
  }
  // What the language model's part of a word is at most.
  double ceiling_of(const Word& word) const noexcept {
    return options_.lm_weight > 0.0 ? options_.lm_weight * word.highest_score : ceiling_;
  }
  bool is_root(std::uint32_t node) const noexcept {
    return node == Trie::root || node >= graph_.num_nodes();
  }

  void step_frame(const float* emissions);
  void stay(const float* emissions);
  void find_best(const float* emissions);
  void drop_stays_below_cut(const float* emissions);
  void bound_from_stays();
  void choose_tokens(const float* emissions);
  void keep_allowed(const float* emissions);
  void expand();
  void expand_prefix(std::uint32_t index);
  void expand_prefix_by_search(std::uint32_t index, std::size_t k);
  void leave_words(const float* emissions);
  void leave_word(std::uint32_t index, const float* emissions);
  void try_child(std::uint32_t index, std::uint32_t child, std::int32_t token);
  void end_words();
  void push_endings(double lowest, double highest);
  void select();
  std::uint32_t find(std::uint32_t context, std::uint32_t node);
  std::uint32_t find_or_add(std::uint32_t context, std::uint32_t node);
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
                           float language);
  double acoustic(const Record& record) const noexcept {
    return record.acoustic_base +
           (record.token < 0 ? 0.0 : running_[static_cast<std::size_t>(record.token)]);
  }
  Hypothesis trace(std::uint32_t record, double score) const;

  const LexiconGraph& graph_;
  const SearchOptions options_;
  const std::unique_ptr<Session> session_;
  Contexts contexts_;
  const std::int32_t num_tokens_;
  // Of contributions that may make one prefix together, none need be above the bound less this.
  const double margin_ = P.sum ? std::log(4.0) : 0.0;
  const double rise_;     // the most that look-ahead adds to an expansion, at least 0
  const double ceiling_;  // no language model score, weighted, is above this
  std::uint64_t ending_tokens_;  // tokens that can end a word; all where there are no masks
  double ending_bonus_ = 0.0;        // the most that ending a word adds, but for its look-ahead
  double highest_bonus_ = 0.0;       // and with it

  std::ptrdiff_t frame_ = 0;
  std::vector<double> running_;  // by token, the sum of the emissions of all frames before this one
  std::vector<Record> records_;
  std::vector<Prefix> beam_;
  std::vector<Prefix> next_beam_;

  // Of the frame at hand.
  double best_ = 0.0;
  bool probing_ = false;  // only looking for best_
  double cut_ = 0.0;      // for sums: best_ less the threshold
  double floor_ = 0.0;    // for sums: contributions below it do not show
  double bound_ = 0.0;    // nothing below it can be in the beam after this frame
  double highest_total_ = 0.0;
  std::vector<double> totals_;
  std::vector<Pending> pending_;
  std::vector<Prefix> created_;  // the prefixes of pending_ beyond those of beam_
  std::vector<Ending> endings_;
  std::vector<Contexts::Request> requests_;
  std::vector<double> values_;
  Ranks ranks_;
  double spread_ = 0.0;  // how far below the best the beam may reach, judging by the last frame

  const std::int32_t allowed_tokens_;
  struct Candidate {
    double emission;
    std::int32_t token;
  };
  std::vector<double> emission_ = std::vector<double>(static_cast<std::size_t>(num_tokens_), 0.0);
  std::vector<Candidate> candidates_;      // tokens that may be tried, best first
  std::vector<float> ranked_;
  std::vector<std::uint64_t> best_masks_;  // of the best k of them

  PrefixTable table_;  // of the frame's prefixes; empty until something is looked up
  bool table_filled_ = false;
  void fill_table();
};

template <Policy P>
void LexiconSearch<P>::step_frame(const float* emissions) {
  stay(emissions);
  if constexpr (P.sum) {
    find_best(emissions);
    drop_stays_below_cut(emissions);
  }
  bound_from_stays();
  choose_tokens(emissions);
  expand();
  leave_words(emissions);
  end_words();
  select();
  for (std::int32_t n = 0; n < num_tokens_; ++n) {
    // No path that survives has read a score of -inf, so leaving those out keeps the sums finite.
    const float e = emissions[n];
    running_[static_cast<std::size_t>(n)] += std::isinf(e) ? 0.0 : e;
  }
}

// What the prefixes of the beam become by themselves: a blank more, or their token for longer.
template <Policy P>
void LexiconSearch<P>::stay(const float* emissions) {
  const std::size_t live = beam_.size();
  const double blank = emissions[options_.blank];
  const double silence = options_.silence < 0
                             ? minus_infinity
                             : emissions[options_.silence] + options_.sil_score;
  totals_.resize(live);
  pending_.resize(live);
  created_.clear();
  endings_.clear();
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
    next.word = -1;
    next.language = 0.0F;
    if (p.node == Trie::root) {
      next.blank = total + blank;
      next.token = total + silence;
      next.blank_from = blank_is_better ? kept : self;
      next.token_from = blank_is_better ? self + 1 : kept;
    } else if (p.node < graph_.num_nodes()) {
      next.blank = total + blank;
      next.blank_from = blank_is_better ? kept : self;
      next.token = p.token + (p.symbol == options_.silence ? silence : emissions[p.symbol]);
      next.token_from = kept;
    } else {
      next.blank = minus_infinity;  // a blank leads back to the root proper: see leave_word
      next.token = P.flashlight ? minus_infinity : p.token + emissions[p.symbol];
      next.token_from = kept;
    }
    const double high = std::max(p.blank, p.token);
    next.highest_token = p.node == Trie::root ? high + silence : next.token;
    // Sums count in the beam, but the threshold is held against single contributions.
    next.highest_blank = p.node < graph_.num_nodes() ? high + blank : minus_infinity;
    best_ = std::max({best_, next.highest_blank, next.highest_token});
  }
}

// The best single contribution of the frame, by a first pass over what can be better than staying.
template <Policy P>
void LexiconSearch<P>::find_best(const float* emissions) {
  probing_ = true;
  bound_ = std::max(best_, impossible);
  choose_tokens(emissions);
  expand();
  leave_words(emissions);
  end_words();
  endings_.clear();
  probing_ = false;
  cut_ = best_ - options_.beam_threshold;
}

// Contributions below the threshold do not count in sums either.
template <Policy P>
void LexiconSearch<P>::drop_stays_below_cut(const float* emissions) {
  const double blank = emissions[options_.blank];
  for (std::size_t i = 0; i < beam_.size(); ++i) {
    const Prefix& p = beam_[i];
    Pending& next = pending_[i];
    if (next.highest_blank < cut_) {
      next.blank = next.highest_blank = minus_infinity;
    } else {
      next.blank = source_of(i, blank) + blank;
    }
    if (p.node == Trie::root && options_.silence >= 0) {
      const double silence = emissions[options_.silence] + options_.sil_score;
      next.token = source_of(i, silence) + silence;
    }
    if (next.highest_token < cut_) {
      next.token = next.highest_token = minus_infinity;
    }
  }
}

// Nothing that scores below the beam_size best stays can be in the beam.
template <Policy P>
void LexiconSearch<P>::bound_from_stays() {
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

// Of the candidates those that are among the beam_size_token best tokens of the frame.
template <Policy P>
void LexiconSearch<P>::keep_allowed(const float* emissions) {
  if (candidates_.size() <= 8) {  // few: count those before each
    std::erase_if(candidates_, [&](const Candidate& candidate) {
      const float own = emissions[candidate.token];
      std::int32_t before = 0;
      for (std::int32_t n = 0; n < num_tokens_; ++n) {
        before += emissions[n] > own ? 1 : 0;
      }
      return before >= allowed_tokens_;
    });
    return;
  }
  ranked_.assign(emissions, emissions + num_tokens_);
  const auto last = ranked_.begin() + (allowed_tokens_ - 1);
  std::nth_element(ranked_.begin(), last, ranked_.end(), std::greater<>());
  std::erase_if(candidates_,
                [&](const Candidate& candidate) { return emissions[candidate.token] < *last; });
}

// The tokens that some prefix can be extended with and still be in the beam, best first.
template <Policy P>
void LexiconSearch<P>::choose_tokens(const float* emissions) {
  candidates_.clear();
  const double needed = bound_ - highest_total_ - margin_;
  const double inside = needed - rise_;
  const double ending = needed - std::max(rise_, highest_bonus_);
  for (std::int32_t n = 0; n < num_tokens_; ++n) {
    const double e = emissions[n] + (n == options_.silence ? options_.sil_score : 0.0);
    const bool ends = !graph_.has_masks() || (ending_tokens_ >> n & 1) != 0;
    if (e >= (ends ? ending : inside) && n != options_.blank) {
      candidates_.push_back({e, n});
      emission_[static_cast<std::size_t>(n)] = e;
    }
  }
  if (allowed_tokens_ < num_tokens_) {
    keep_allowed(emissions);
  }
  std::sort(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
    return a.emission > b.emission;
  });
  best_masks_.resize(candidates_.size() + 1);
  best_masks_[0] = 0;
  if (graph_.has_masks()) {
    for (std::size_t k = 0; k < candidates_.size(); ++k) {
      best_masks_[k + 1] = best_masks_[k] | std::uint64_t{1} << candidates_[k].token;
    }
  }
}

template <Policy P>
void LexiconSearch<P>::expand() {
  if (candidates_.empty()) {
    return;
  }
  // What is below the bound makes no prefix, but counts in the sum of one that there is, as long as
  // a double shows it.
  floor_ = P.sum && !probing_ ? std::max(cut_, bound_ - 36.0) : bound_;
  for (std::uint32_t i = 0; i < totals_.size(); ++i) {
    expand_prefix(i);
  }
}

template <Policy P>
void LexiconSearch<P>::expand_prefix(std::uint32_t index) {
  const Prefix& p = beam_[index];
  const double total = totals_[index];
  const double needed = floor_ - total - rise_;
  std::size_t k = 0;
  while (k < candidates_.size() && candidates_[k].emission >= needed) {
    ++k;
  }
  if (!graph_.has_masks()) {
    expand_prefix_by_search(index, k);
    return;
  }
  std::uint64_t tokens = best_masks_[k] & p.children;
  if ((p.children & ending_tokens_) != 0) {
    const double ending_needed =
        floor_ - total - ending_bonus_ + options_.lm_weight * p.smear;
    while (k < candidates_.size() && candidates_[k].emission >= ending_needed) {
      ++k;
    }
    tokens |= best_masks_[k] & p.children & ending_tokens_;
  }
  while (tokens != 0) {
    const int n = std::countr_zero(tokens);
    const std::uint64_t before = p.children & ((std::uint64_t{1} << n) - 1);
    tokens &= tokens - 1;
    try_child(index, p.first_child + static_cast<std::uint32_t>(std::popcount(before)), n);
  }
}

// As above where the tokens are too many for masks: the root has a table, and elsewhere the fewer
// ones, of candidates and of children, are looked up among the others.
template <Policy P>
void LexiconSearch<P>::expand_prefix_by_search(std::uint32_t index, std::size_t k) {
  const Prefix& p = beam_[index];
  const double ending_needed =
      floor_ - totals_[index] - ending_bonus_ + options_.lm_weight * p.smear;
  while (k < candidates_.size() && candidates_[k].emission >= ending_needed) {
    ++k;
  }
  if (is_root(p.node)) {
    for (std::size_t j = 0; j < k; ++j) {
      const std::uint32_t child = graph_.root_child(candidates_[j].token);
      if (child != 0) {
        try_child(index, child, candidates_[j].token);
      }
    }
    return;
  }
  const std::uint32_t end = graph_.node(p.node + 1).first_child;
  for (std::size_t j = 0; j < k && p.first_child < end; ++j) {
    std::uint32_t low = p.first_child;
    std::uint32_t high = end;
    const std::int32_t token = candidates_[j].token;
    while (low < high) {
      const std::uint32_t middle = low + (high - low) / 2;
      if (graph_.node(middle).token < token) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low < end && graph_.node(low).token == token) {
      try_child(index, low, token);
    }
  }
}

// A prefix and one token more: further down the tree, and back to the root where a word ends.
template <Policy P>
void LexiconSearch<P>::try_child(std::uint32_t index, std::uint32_t child, std::int32_t token) {
  const Prefix& p = beam_[index];
  const Node& node = graph_.node(child);
  const double emission = emission_[static_cast<std::size_t>(token)];
  // The same token again is a new one only after a blank.
  const bool repeats = token == p.symbol;
  if (!graph_.is_leaf(child)) {
    const double shift = emission + options_.lm_weight * (node.smear - p.smear);
    const double score = (repeats ? p.blank : source_of(index, shift)) + shift;
    if (score >= bound_) {
      raise_bound(score);
      if (!(P.sum && probing_)) {
        const std::size_t before = pending_.size();
        const std::uint32_t target = find_or_add(p.context, child);
        if (pending_.size() > before) {
          Prefix& made = created_.back();
          made.children = node.children;
          made.first_child = node.first_child;
          made.smear = node.smear;
          made.symbol = token;
        }
        push_token(target, index, score, shift, repeats, -1, 0.0F);
      }
    } else if (P.sum && !probing_ && score >= cut_) {
      const std::uint32_t target = find(p.context, child);
      if (target != none) {
        push_token(target, index, score, shift, repeats, -1, 0.0F);
      }
    }
  }
  // Flashlight ends a word on a repeated token except at the root.
  const bool guarded = repeats && !(P.flashlight && !is_root(p.node));
  const double shift = emission - options_.lm_weight * p.smear;
  const double source = guarded ? p.blank : totals_[index];
  const std::span<const Word> words = graph_.words_at(child);
  for (const Word& word : words) {
    const double own = shift + options_.word_score;
    if (source + own + ceiling_of(word) >= floor_) {
      endings_.push_back({own, index, token, word.id, guarded});
    }
  }
  if (words.empty() && options_.unk_score > minus_infinity) {
    // Flashlight lets an unknown word repeat a token without a blank anywhere.
    const bool unknown_guarded = repeats && !P.flashlight;
    const double own = shift + options_.unk_score;
    if ((unknown_guarded ? p.blank : totals_[index]) + own + ceiling_ >= floor_) {
      endings_.push_back({own, index, token, options_.unk_word, unknown_guarded});
    }
  }
}

template <Policy P>
void LexiconSearch<P>::leave_words(const float* emissions) {
  for (std::uint32_t i = 0; i < totals_.size(); ++i) {
    if (beam_[i].node >= graph_.num_nodes()) {
      leave_word(i, emissions);
    }
  }
}

// From the end of a word on a token other than the silence: into the silence, or into blanks.
template <Policy P>
void LexiconSearch<P>::leave_word(std::uint32_t index, const float* emissions) {
  const Prefix& p = beam_[index];
  const double blank = p.token + emissions[options_.blank];
  const double silent = options_.silence < 0 || p.symbol == options_.silence
                            ? minus_infinity
                            : p.token + emissions[options_.silence] + options_.sil_score;
  raise_bound(std::max(blank, silent));
  if (probing_) {
    return;
  }
  const std::uint32_t target = find_or_add(p.context, Trie::root);
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
  }
}

template <Policy P>
void LexiconSearch<P>::end_words() {
  // A new prefix needs a contribution near the bound; for sums, several may reach it together.
  const double new_floor = P.sum && !probing_ ? std::max(cut_, bound_ - margin_) : bound_;
  const auto source = [&](const Ending& ending) {
    return ending.guarded ? beam_[ending.prefix].blank : totals_[ending.prefix];
  };
  requests_.clear();
  for (const Ending& ending : endings_) {
    if (source(ending) + ending.shift + ceiling_ >= new_floor) {
      requests_.push_back({beam_[ending.prefix].context, ending.word});
    }
  }
  contexts_.resolve(requests_);
  push_endings(new_floor, std::numeric_limits<double>::infinity());
  if (P.sum && !probing_) {
    // Then what joins a prefix that is there, by now, without being enough to make one.
    push_endings(cut_, new_floor);
  }
}

// Ends words whose scores are in [lowest, highest); only those from the bound's margin on make
// prefixes.
template <Policy P>
void LexiconSearch<P>::push_endings(double lowest, double highest) {
  const bool makes = highest == std::numeric_limits<double>::infinity();
  for (const Ending& ending : endings_) {
    const Prefix& p = beam_[ending.prefix];
    const double source = ending.guarded ? p.blank : totals_[ending.prefix];
    if (!(source + ending.shift + ceiling_ >= lowest)) {
      continue;
    }
    const Contexts::Transition* const known = contexts_.find(p.context, ending.word);
    if (known == nullptr) {
      continue;  // too low for a new prefix, and nothing has led there yet
    }
    const Contexts::Transition transition = *known;
    const double shift = ending.shift + options_.lm_weight * transition.score;
    const double score = (ending.guarded ? p.blank : source_of(ending.prefix, shift)) + shift;
    if (score < (P.sum ? lowest : bound_) || score >= highest) {
      continue;
    }
    raise_bound(score);
    if (P.sum && probing_) {
      continue;
    }
    const bool silent = ending.token == options_.silence;
    const std::uint32_t node =
        silent ? Trie::root : graph_.num_nodes() + static_cast<std::uint32_t>(ending.token);
    std::uint32_t target = none;
    if (makes) {
      const std::size_t before = pending_.size();
      target = find_or_add(transition.context, node);
      if (pending_.size() > before) {
        created_.back().symbol = silent ? options_.silence : ending.token;
      }
    } else {
      target = find(transition.context, node);
    }
    if (target != none) {
      push_token(target, ending.prefix, score, shift, ending.guarded, ending.word,
                 transition.score);
    }
  }
}

// Adds a contribution to the token paths of a prefix; `shift` is what it adds to its source.
template <Policy P>
void LexiconSearch<P>::push_token(std::uint32_t target, std::uint32_t index, double score,
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
void LexiconSearch<P>::fill_table() {
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
std::uint32_t LexiconSearch<P>::find(std::uint32_t context, std::uint32_t node) {
  fill_table();
  return table_.find(context, node);
}

// The prefix of this frame at that place, made if there is none; as if at the root, since that is
// what the callers that know better fill in themselves.
template <Policy P>
std::uint32_t LexiconSearch<P>::find_or_add(std::uint32_t context, std::uint32_t node) {
  fill_table();
  const auto made = static_cast<std::uint32_t>(pending_.size());
  const std::uint32_t index = table_.find_or_enter(context, node, made);
  if (index == made) {
    Prefix prefix = at_root(context);
    prefix.node = node;
    created_.push_back(prefix);
    pending_.push_back(
        {minus_infinity, minus_infinity, minus_infinity, minus_infinity, kept, kept, -1, 0.0F});
  }
  return index;
}

template <Policy P>
std::uint32_t LexiconSearch<P>::new_record(std::uint32_t from, std::int32_t token,
                                           std::int32_t word, float language) {
  const Prefix& source = beam_[from >> 1];
  const std::uint32_t parent = (from & 1) != 0 ? source.blank_record : source.token_record;
  const double base = acoustic(records_[parent]) -
                      (token < 0 ? 0.0 : running_[static_cast<std::size_t>(token)]);
  records_.push_back({parent, static_cast<std::int32_t>(frame_), token, word, language, base});
  return static_cast<std::uint32_t>(records_.size() - 1);
}

// Keeps the best beam_size hypotheses of those within the threshold.
template <Policy P>
void LexiconSearch<P>::select() {
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
  }
  beam_.swap(next_beam_);
}

template <Policy P>
std::vector<Hypothesis> LexiconSearch<P>::finish(std::int32_t count) {
  struct Final {
    double score;
    std::uint64_t key;
    std::uint32_t record;
    double language;
  };
  const bool complete = std::any_of(beam_.begin(), beam_.end(),
                                    [&](const Prefix& p) { return is_root(p.node); });
  std::vector<Final> finals;
  double best = minus_infinity;
  for (const Prefix& p : beam_) {
    if (complete && !is_root(p.node)) {
      continue;
    }
    const double last = contexts_.finish(p.context);
    const std::uint64_t key =
        (std::uint64_t{p.context} << 32) | (is_root(p.node) ? Trie::root : p.node);
    for (const auto& [score, record] :
         {std::pair{p.token, p.token_record}, std::pair{p.blank, p.blank_record}}) {
      if (score > minus_infinity) {
        const double full = score + options_.lm_weight * last;
        finals.push_back({full, key, record, last + p.smear});
        best = std::max(best, full);
      }
    }
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
    result.push_back(trace(final.record, final.score));
    result.back().language += final.language;
  }
  return result;
}

template <Policy P>
Hypothesis LexiconSearch<P>::trace(std::uint32_t record, double score) const {
  Hypothesis hypothesis{score, acoustic(records_[record]), 0.0, {}};
  for (std::uint32_t at = record;; at = records_[at].parent) {
    const Record& r = records_[at];
    hypothesis.language += r.language;
    hypothesis.path.push_back({r.token, r.frame, r.word});
    if (at == 0) {
      break;
    }
  }
  std::reverse(hypothesis.path.begin(), hypothesis.path.end());
  return hypothesis;
}

}  // namespace

std::unique_ptr<Search> lexicon_search(const LexiconGraph& graph, const LanguageModel& model,
                                       std::span<const std::int32_t> model_words,
                                       const SearchOptions& options) {
  const auto make = [&]<Policy P>() -> std::unique_ptr<Search> {
    return std::make_unique<LexiconSearch<P>>(graph, model, model_words, options);
  };
  if (options.log_add) {
    return options.flashlight ? make.template operator()<Policy{true, true}>()
                              : make.template operator()<Policy{true, false}>();
  }
  return options.flashlight ? make.template operator()<Policy{false, true}>()
                            : make.template operator()<Policy{false, false}>();
}

}  // namespace sestina::decoding
