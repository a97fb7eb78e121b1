// What the language model says of the moves, and contributions to the prefixes of the next beam.
#pragma once

#include "decoding/beam_search.hpp"

namespace sestina::decoding {

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

// A contribution of the frame where no word ends, to the beam and to the trellis if there is one.
template <Policy P>
void BeamSearch<P>::contribute(std::uint32_t target, std::uint32_t index, std::int32_t token,
                               double score, double shift, bool guarded) {
  push_token(target, index, score, shift, guarded, -1, 0.0F);
  if (options_.record) {
    record_token(target, index, acoustic(token, beam_[index]), shift, guarded, -1, 0.0F);
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

// For the trellis: a contribution to the token paths of a prefix, and what it is made of.
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

}  // namespace sestina::decoding
