// The next beam: the best prefixes, a frame that is skipped, and what can be forgotten.
#pragma once

#include "decoding/beam_search.hpp"

namespace sestina::decoding {

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

// Those that a hypothesis comes from, of which there is one; what all have in common is put by.
template <Policy P>
void BeamSearch<P>::keep_records() {
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

// Forgets what no hypothesis needs any more, so that memory does not grow with the input.
template <Policy P>
void BeamSearch<P>::collect() {
  // Where much is needed for long, not as much again: tables would double.
  const auto is_enough = [&](std::size_t size, std::size_t kept) {
    return size > std::max(options_.enough, options_.enough / 512 * beam_.size()) &&
           size > kept + options_.enough / 4;
  };
  if (!beam_.empty() && is_enough(records_.size(), kept_records_)) {
    keep_records();
  }
  if (is_enough(contexts_.used(), contexts_.kept()) ||
      is_enough(spelled_.size(), kept_spelled_)) {
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

}  // namespace sestina::decoding
