// Prefixes and one token more. What cannot enter the beam is ruled out as early as can be.
#pragma once

#include "decoding/beam_search.hpp"

namespace sestina::decoding {

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
      const std::int32_t token = prefix_of(target).symbol;
      contribute(target, late.prefix, token, late.score, late.shift, late.guarded);
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

// Finds the children of a place by binary search, where the tokens are too many for masks.
template <Policy P>
void BeamSearch<P>::expand_prefix_by_search(std::uint32_t index, std::size_t k) {
  for (std::size_t j = 0; j < k; ++j) {
    const std::int32_t token = tokens_.candidates()[j].token;
    if (const std::uint32_t child = child_of(beam_[index], token); child != 0) {
      try_child(index, child, token);
    }
  }
}

// Tries all tokens, since a word may leave the lexicon on any.
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
  return graph_->child(p.node, token);
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
  const double lowest = P.sum && !probing_ ? cut_ : bound_;
  if (smear > LexiconGraph::leaf && totals_[index] + shift >= lowest) {
    try_place(index, child, token, shift, is_guarded(token, p));
  }
}

// Further along at a place that needs no word of the language model.
template <Policy P>
void BeamSearch<P>::try_place(std::uint32_t index, std::uint32_t node, std::int32_t token,
                              double shift, bool guarded) {
  const Prefix& p = beam_[index];
  const double score = (guarded ? p.blank : source_of(index, shift)) + shift;
  const bool makes = score >= bound_;
  if (makes) {
    raise_bound(score);
  }
  if ((P.sum && probing_) || !(makes || (P.sum && score >= cut_))) {
    return;
  }
  const std::uint32_t target =
      makes ? find_or_add(p.context, node, token) : find(p.context, node);
  if (target != none) {
    contribute(target, index, token, score, shift, guarded);
  } else if (is_root(p.node)) {
    late_.push_back({score, shift, index, node, guarded});
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
  try_move({acoustic(token, p), index, token, token, -1, static_cast<std::uint32_t>(token) + 1,
            repeats},
           ceiling_);
}

// A letter more of a word that is not in the lexicon, or that leaves it here.
template <Policy P>
void BeamSearch<P>::try_spelled(std::uint32_t index, std::int32_t token) {
  const Prefix& p = beam_[index];
  double shift = acoustic(token, p);
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
  double shift = acoustic(options_.silence, p) + options_.word_score - options_.lm_weight * p.smear;
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

}  // namespace sestina::decoding
