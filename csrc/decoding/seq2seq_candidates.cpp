// Which tokens a step tries: those that could still enter the beam, found by the highest scores of
// blocks of them.
#include "decoding/seq2seq.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "decoding/log_add.hpp"

namespace sestina::decoding {

namespace {

constexpr double margin = 10.0;  // natural logarithm
constexpr float infinity = std::numeric_limits<float>::infinity();

// Just below, for comparisons of float32 with what was computed in float64.
float just_below(double value) noexcept {
  return std::nextafter(static_cast<float>(value), -infinity);
}

bool is_impossible(float score) noexcept { return !(score < infinity); }

// The highest of the scores of a block, NaN if one of them is NaN or plus infinity. Loops over floats
// are not turned into vectors where NaN counts, and this is most of a search's work.
float highest_of(const float* scores, std::size_t count) noexcept {
  using Four = float __attribute__((vector_size(16)));
  const auto four = [&](std::size_t at) {
    Four loaded;
    std::memcpy(&loaded, scores + at, sizeof(loaded));
    return loaded;
  };
  const Four bound = {infinity, infinity, infinity, infinity};
  Four left = four(0);
  Four right = four(4);
  auto possible = (left < bound) & (right < bound);
  for (std::size_t at = 8; at < count; at += 8) {
    const Four first = four(at);
    const Four second = four(at + 4);
    possible &= (first < bound) & (second < bound);
    left = first > left ? first : left;
    right = second > right ? second : right;
  }
  if ((possible[0] & possible[1] & possible[2] & possible[3]) == 0) {
    return std::numeric_limits<float>::quiet_NaN();
  }
  left = left > right ? left : right;
  return std::max(std::max(left[0], left[1]), std::max(left[2], left[3]));
}

}  // namespace

// Notes the highest score of each block; returns where the first NaN or plus infinity is, or `fine`.
std::ptrdiff_t Seq2SeqSearch::survey(const float* scores) {
  highest_of_block_.clear();
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const float* const begin = scores + row * num_tokens_;
    const float* const end = begin + num_tokens_;
    const float* at = begin;
    for (; end - at >= static_cast<std::ptrdiff_t>(block); at += block) {
      highest_of_block_.push_back(highest_of(at, block));
    }
    if (at < end) {
      highest_of_block_.push_back(std::any_of(at, end, is_impossible)
                                      ? std::numeric_limits<float>::quiet_NaN()
                                      : *std::max_element(at, end));
    }
    const float* const blocks = highest_of_block_.data() + row * num_blocks_;
    if (std::any_of(blocks, blocks + num_blocks_, is_impossible)) {
      return std::find_if(begin, end, is_impossible) - scores;
    }
    // Rounding may leave the logarithm of a probability of 1 above 0.
    probabilities_ =
        probabilities_ && std::all_of(blocks, blocks + num_blocks_, [](float highest) {
          return highest <= 1e-4F;
        });
  }
  return fine;
}

// Calls `take(token)` for each token of a row that scores at least `lowest()`, which may rise
// meanwhile.
template <typename Lowest, typename Take>
void Seq2SeqSearch::each_at_least(std::size_t row, const float* scores, Lowest lowest,
                                  Take take) const {
  const float* const highest = highest_of_block_.data() + row * num_blocks_;
  for (std::size_t k = 0; k < num_blocks_; ++k) {
    if (!(highest[k] >= lowest())) {
      continue;
    }
    const std::size_t end = std::min((k + 1) * block, num_tokens_);
    for (std::size_t token = k * block; token < end; ++token) {
      if (scores[token] >= lowest()) {
        take(static_cast<std::int32_t>(token));
      }
    }
  }
}

// What a candidate must reach, given those in joined_, to be within the threshold and the beam.
double Seq2SeqSearch::floor_of_beam() {
  const double threshold = best_ - options_.beam_threshold;
  // Where hypotheses add up, even one below the beam adds to one within: all of them in Flashlight's
  // semantics, else those that add more than the margin leaves of a probability.
  const bool adds = options_.log_add && joins_;
  if ((adds && options_.flashlight) ||
      joined_.size() < static_cast<std::size_t>(options_.beam_size)) {
    return threshold;
  }
  ranks_.clear();
  for (const Joined& candidate : joined_) {
    ranks_.push_back(candidate.rank);
  }
  const auto nth = ranks_.begin() + options_.beam_size - 1;
  std::nth_element(ranks_.begin(), nth, ranks_.end(), std::greater<>());
  return std::max(threshold, *nth - (adds ? margin : 0.0));
}

// All candidates of at least `floor`; if `limited`, the best beam_size of them by what they could be.
void Seq2SeqSearch::gather(const float* scores, double floor, bool limited) {
  candidates_.clear();
  floor_ = floor;
  limited_ = limited && ceiling_ < infinity;
  cut_ = false;
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const float* const begin = scores + row * num_tokens_;
    const std::uint32_t from = rows_[row];
    const double most = beam_[from].score + highest_gain(beam_[from]);
    const auto lowest = [&] { return just_below(floor_ - most); };
    if (options_.beam_size_token > 0) {
      choose(row, begin, lowest());
      for (const Scored& one : chosen_) {
        try_token(from, one.token, one.score);
      }
    } else if (graph_ == nullptr || beam_[from].node == Trie::root) {
      each_at_least(row, begin, lowest,
                    [&](std::int32_t token) { try_token(from, token, begin[token]); });
    } else {
      const std::uint32_t end = graph_->node(beam_[from].node + 1).first_child;
      for (std::uint32_t child = graph_->node(beam_[from].node).first_child; child < end; ++child) {
        try_child(from, child, begin[graph_->node(child).token]);
      }
    }
  }
  if (limited_ && candidates_.size() > static_cast<std::size_t>(options_.beam_size)) {
    keep_best();
  }
}

// Leaves in chosen_ the best beam_size_token tokens of a row that score at least `lowest`.
void Seq2SeqSearch::choose(std::size_t row, const float* scores, float lowest) {
  const auto wanted = static_cast<std::size_t>(options_.beam_size_token);
  const auto shrink = [&] {
    const auto nth = chosen_.begin() + static_cast<std::ptrdiff_t>(wanted - 1);
    std::nth_element(chosen_.begin(), nth, chosen_.end(), [](const Scored& a, const Scored& b) {
      return a.score != b.score ? a.score > b.score : a.token < b.token;
    });
    // Of equal scores the first is better, so what follows must be above.
    lowest = std::nextafter(nth->score, infinity);
    chosen_.resize(wanted);
  };
  chosen_.clear();
  each_at_least(
      row, scores, [&] { return lowest; },
      [&](std::int32_t token) {
        chosen_.push_back({scores[token], token});
        if (chosen_.size() == 2 * wanted + 8) {
          shrink();
        }
      });
  if (chosen_.size() > wanted) {
    shrink();
  }
}

// What one token more can add at most to the score of a hypothesis, besides its own score.
double Seq2SeqSearch::highest_gain(const Hypothesis& h) const noexcept {
  const double end = options_.eos_score + ceiling_;
  if (reads_tokens_) {
    return std::max(end, options_.token_score + std::max(options_.word_score, 0.0) + ceiling_);
  }
  const double rise = std::max(0.0, weighted(graph_->highest_rise()));
  const double word = options_.word_score - weighted(graph_->node(h.node).smear) + ceiling_;
  return std::max(end, options_.token_score + std::max(rise, word));
}

void Seq2SeqSearch::try_token(std::uint32_t from, std::int32_t token, float emission) {
  const Hypothesis& h = beam_[from];
  if (token == options_.eos) {
    if (h.node == Trie::root) {
      try_end(from, emission);
    }
    return;
  }
  if (graph_ != nullptr) {
    if (const std::uint32_t child = graph_->child(h.node, token); child != 0) {
      try_child(from, child, emission);
    }
    return;
  }
  add({.score = h.score + emission + options_.token_score,
       .emission = emission,
       .from = from,
       .token = token,
       .ask = Ask::word},
      highest_[static_cast<std::size_t>(token)]);
}

// One token further down the tree, and back to the root where a word is complete.
void Seq2SeqSearch::try_child(std::uint32_t from, std::uint32_t child, float emission) {
  const Hypothesis& h = beam_[from];
  const double score = h.score + emission + options_.token_score;
  const double smear = graph_->node(h.node).smear;
  const double token_ceiling =
      reads_tokens_ ? highest_[static_cast<std::size_t>(graph_->node(child).token)] : 0.0F;
  Candidate candidate{.emission = emission,
                      .from = from,
                      .node = child,
                      .token = graph_->node(child).token,
                      .ask = reads_tokens_ ? Ask::word : Ask::nothing};
  // Flashlight also enters leaves, from where nothing leads on.
  if (options_.flashlight || !graph_->is_leaf(child)) {
    candidate.language = graph_->node(child).smear - smear;
    candidate.score = score + weighted(candidate.language);
    add(candidate, token_ceiling);
  }
  candidate.node = Trie::root;
  candidate.ask = Ask::word;
  candidate.language = -smear;
  candidate.score = score + options_.word_score + weighted(candidate.language);
  for (const Word& word : graph_->words_at(child)) {
    candidate.word = word.id;
    add(candidate, reads_tokens_ ? token_ceiling : word.highest_score);
    if (options_.flashlight && reads_tokens_) {
      break;  // it takes the first of the words that are spelled alike
    }
  }
}

void Seq2SeqSearch::try_end(std::uint32_t from, float emission) {
  const Hypothesis& h = beam_[from];
  add({.score = h.score + emission + options_.eos_score,
       .emission = emission,
       .from = from,
       .token = options_.eos,
       .ask = Ask::end},
      std::numeric_limits<double>::infinity());
}

// `language_ceiling` is what the language model can say at most, if it is asked.
void Seq2SeqSearch::add(const Candidate& candidate, double language_ceiling) {
  double most = candidate.score;
  if (candidate.ask != Ask::nothing) {
    most += options_.lm_weight > 0.0 ? std::min(ceiling_, options_.lm_weight * language_ceiling)
                                     : ceiling_;
  }
  if (!(most >= floor_) || candidate.score == minus_infinity) {
    return;
  }
  candidates_.push_back(candidate);
  candidates_.back().rank = most;
  // The floor rises now and then, not with every candidate.
  if (limited_ &&
      candidates_.size() >= std::max<std::size_t>(3 * static_cast<std::size_t>(options_.beam_size), 256)) {
    keep_best();
  }
}

void Seq2SeqSearch::keep_best() {
  const auto nth = candidates_.begin() + options_.beam_size - 1;
  std::nth_element(candidates_.begin(), nth, candidates_.end(),
                   [](const Candidate& a, const Candidate& b) { return a.rank > b.rank; });
  floor_ = nth->rank;
  candidates_.resize(static_cast<std::size_t>(options_.beam_size));
  cut_ = true;
}

}  // namespace sestina::decoding
