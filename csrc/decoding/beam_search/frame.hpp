// One frame: what the prefixes become by themselves, what bounds the rest, and the tokens left to try.
#pragma once

#include "decoding/beam_search.hpp"

namespace sestina::decoding {

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
  // Of a large vocabulary most tokens go by this, and need not be gathered first.
  const float allowed = num_tokens_ > 64 ? tokens_.lowest_allowed(emissions)
                                         : -std::numeric_limits<float>::infinity();
  for (std::int32_t n = 0; n < num_tokens_; ++n) {
    if (emissions[n] < allowed) {
      continue;
    }
    const double e =
        emissions[n] + (n == options_.silence ? options_.sil_score : 0.0) + options_.token_score;
    const bool ends = P.kind != Kind::free && (!has_masks_ || (ending_tokens_ >> n & 1) != 0);
    if (e >= (ends ? ending : inside) && (n != options_.blank || options_.asg)) {
      tokens_.add(n, e);
    }
  }
  tokens_.finish(emissions);
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

}  // namespace sestina::decoding
