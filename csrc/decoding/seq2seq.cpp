#include "decoding/seq2seq.hpp"

#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <string>

#include "decoding/lm/symbols.hpp"

namespace sestina::decoding {

namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();
constexpr std::size_t block = 64;  // scores compared before anyone looks at the outcome

double log_add(double left, double right) noexcept {
  const double high = std::max(left, right);
  return high + std::log1p(std::exp(std::min(left, right) - high));
}

// Where the first NaN or plus infinity is, or -1.
std::ptrdiff_t first_impossible(const float* scores, std::size_t count) noexcept {
  const auto impossible = [](float score) {
    return !(score < std::numeric_limits<float>::infinity());
  };
  for (std::size_t begin = 0; begin < count; begin += block) {
    const std::size_t end = std::min(begin + block, count);
    int any = 0;
    for (std::size_t k = begin; k < end; ++k) {
      any |= impossible(scores[k]) ? 1 : 0;
    }
    if (any != 0) {
      return std::find_if(scores + begin, scores + end, impossible) - scores;
    }
  }
  return -1;
}

// Calls `take(k)` for each score that is at least `lowest()`, which may rise meanwhile.
template <typename Lowest, typename Take>
void each_at_least(const float* scores, std::size_t count, Lowest lowest, Take take) {
  for (std::size_t begin = 0; begin < count; begin += block) {
    const std::size_t end = std::min(begin + block, count);
    const float least = lowest();
    int any = 0;
    for (std::size_t k = begin; k < end; ++k) {
      any |= scores[k] >= least ? 1 : 0;
    }
    if (any == 0) {
      continue;
    }
    for (std::size_t k = begin; k < end; ++k) {
      if (scores[k] >= least) {
        take(k);
      }
    }
  }
}

}  // namespace

Seq2SeqDecoder::Seq2SeqDecoder(const Spellings& spellings, const Trie& trie,
                               std::span<const std::string_view> token_names,
                               std::shared_ptr<const LanguageModel> model, Smearing smearing,
                               const Seq2SeqOptions& options)
    : model_(std::move(model)),
      model_words_(options.token_lm ? ids_in_model(*model_, token_names)
                                    : ids_in_model(*model_, spellings)),
      highest_(highest_scores(*model_, model_words_)),
      num_tokens_(static_cast<std::int32_t>(token_names.size())),
      options_(options) {
  // A model of tokens scores each one as it comes; there is nothing to look ahead to.
  const bool looks_ahead = !options.token_lm && smearing != Smearing::none;
  const std::vector<float> no_highest(static_cast<std::size_t>(spellings.words().size()), 0.0F);
  const std::vector<float> first =
      looks_ahead ? entry_scores(*model_, trie, model_words_) : std::vector<float>();
  graph_.emplace(trie, look_ahead(trie, first, looks_ahead ? smearing : Smearing::none),
                 options.token_lm ? no_highest : highest_, num_tokens_);
}

Seq2SeqDecoder::Seq2SeqDecoder(std::span<const std::string_view> token_names,
                               std::shared_ptr<const LanguageModel> model,
                               const Seq2SeqOptions& options)
    : model_(std::move(model)),
      model_words_(ids_in_model(*model_, token_names)),
      highest_(highest_scores(*model_, model_words_)),
      num_tokens_(static_cast<std::int32_t>(token_names.size())),
      options_(options) {}

Seq2SeqSearch::Seq2SeqSearch(const Seq2SeqDecoder& decoder)
    : options_(decoder.options_),
      graph_(decoder.graph_ ? &*decoder.graph_ : nullptr),
      highest_(decoder.highest_),
      num_tokens_(static_cast<std::size_t>(decoder.num_tokens_)),
      reads_tokens_(graph_ == nullptr || options_.token_lm),
      // Without a lexicon, different hypotheses have different tokens.
      joins_(graph_ != nullptr || options_.joining == Joining::context),
      // Where hypotheses add up, even one below the beam adds to one within.
      bounded_(options_.lm_weight >= 0.0 && !(options_.log_add && joins_)),
      ceiling_(options_.lm_weight > 0.0
                   ? options_.lm_weight * double{decoder.model_->highest_score()}
                   : 0.0),
      session_(decoder.model_->session()),
      contexts_(*session_, decoder.model_words_, Merge::context) {
  begin();
}

void Seq2SeqSearch::begin() {
  records_.clear();
  histories_.clear();
  sequences_.clear();
  both_.clear();
  num_histories_ = num_sequences_ = 1;
  num_both_ = 0;
  length_ = 0;
  beam_.assign(1, {.score = 0.0,
                   .acoustic = 0.0,
                   .language = 0.0,
                   .context = contexts_.start(),
                   .history = 0,
                   .sequence = 0,
                   .node = Trie::root,
                   .record = none,
                   .token = -1,
                   .length = 0,
                   .row = -1,
                   .finished = false});
  list_rows();
}

void Seq2SeqSearch::list_rows() {
  tokens_.clear();
  parents_.clear();
  rows_.clear();
  for (std::uint32_t k = 0; k < beam_.size(); ++k) {
    if (!beam_[k].finished) {
      rows_.push_back(k);
      tokens_.push_back(beam_[k].token);
      parents_.push_back(beam_[k].row);
    }
  }
}

std::ptrdiff_t Seq2SeqSearch::step(const float* scores) {
  const std::ptrdiff_t impossible = first_impossible(scores, rows_.size() * num_tokens_);
  if (impossible >= 0) {
    return impossible;
  }
  choose_tokens(scores);
  gather(scores, minus_infinity, bounded_);
  ask_model();
  join();
  if (cut_) {
    // Those that were left out may still be better, once the language model is asked: all that can
    // enter the beam that these have made are gathered anew.
    const auto size = static_cast<std::size_t>(options_.beam_size);
    double floor = minus_infinity;
    if (joined_.size() >= size) {
      ranks_.clear();
      for (const Candidate& candidate : joined_) {
        ranks_.push_back(candidate.rank);
      }
      const auto nth = ranks_.begin() + options_.beam_size - 1;
      std::nth_element(ranks_.begin(), nth, ranks_.end(), std::greater<>());
      floor = *nth;
    }
    gather(scores, floor, false);
    ask_model();
    join();
  }
  select();
  return fine;
}

// The best tokens of each row, where not all are tried.
void Seq2SeqSearch::choose_tokens(const float* scores) {
  const auto wanted = static_cast<std::size_t>(options_.beam_size_token);
  num_chosen_ = 0;
  chosen_.clear();
  if (wanted == 0 || wanted >= num_tokens_) {
    return;
  }
  num_chosen_ = wanted;
  const auto better = [](const Scored& a, const Scored& b) {
    return a.score != b.score ? a.score > b.score : a.token < b.token;
  };
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    pool_.clear();
    float lowest = -std::numeric_limits<float>::infinity();
    const auto shrink = [&] {
      std::nth_element(pool_.begin(), pool_.begin() + static_cast<std::ptrdiff_t>(wanted - 1),
                       pool_.end(), better);
      pool_.resize(wanted);
      // Of equal scores the first is better, so what follows must be above.
      lowest = std::nextafter(pool_.back().score, std::numeric_limits<float>::infinity());
    };
    const float* const begin = scores + row * num_tokens_;
    each_at_least(
        begin, num_tokens_, [&] { return lowest; },
        [&](std::size_t token) {
          if (begin[token] >= lowest) {
            pool_.push_back({begin[token], static_cast<std::int32_t>(token)});
            if (pool_.size() == 2 * wanted + block) {
              shrink();
            }
          }
        });
    if (pool_.size() > wanted) {
      shrink();
    }
    // Where fewer tokens are possible, the last places stay empty.
    pool_.resize(wanted, {-std::numeric_limits<float>::infinity(), -1});
    chosen_.insert(chosen_.end(), pool_.begin(), pool_.end());
  }
}

// All candidates of at least `floor`; if `limited`, only about the best beam_size of those.
void Seq2SeqSearch::gather(const float* scores, double floor, bool limited) {
  candidates_.clear();
  floor_ = floor;
  cut_ = false;
  limit_ = limited ? static_cast<std::size_t>(options_.beam_size) : 0;
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const float* const begin = scores + row * num_tokens_;
    if (num_chosen_ > 0) {
      gather_chosen(rows_[row], {chosen_.data() + row * num_chosen_, num_chosen_});
    } else if (graph_ == nullptr) {
      gather_freely(rows_[row], begin);
    } else {
      gather_children(rows_[row], begin);
    }
  }
  if (limit_ > 0 && candidates_.size() > limit_) {
    keep_best(limit_);
  }
}

void Seq2SeqSearch::gather_freely(std::uint32_t from, const float* row) {
  const double most =
      beam_[from].score + ceiling_ + std::max(options_.token_score, options_.eos_score);
  each_at_least(
      row, num_tokens_,
      [&] {
        return std::nextafter(static_cast<float>(floor_ - most),
                              -std::numeric_limits<float>::infinity());
      },
      [&](std::size_t token) { try_token(from, static_cast<std::int32_t>(token), row[token]); });
}

void Seq2SeqSearch::gather_chosen(std::uint32_t from, std::span<const Scored> chosen) {
  for (const Scored& one : chosen) {
    if (one.token < 0) {
      break;
    }
    if (graph_ == nullptr) {
      try_token(from, one.token, one.score);
      continue;
    }
    const std::uint32_t node = beam_[from].node;
    if (one.token == options_.eos) {
      if (node == Trie::root) {
        try_end(from, one.score);
      }
      continue;
    }
    std::uint32_t low = graph_->node(node).first_child;
    const std::uint32_t end = graph_->node(node + 1).first_child;
    std::uint32_t high = end;
    while (low < high) {
      const std::uint32_t middle = low + (high - low) / 2;
      if (graph_->node(middle).token < one.token) {
        low = middle + 1;
      } else {
        high = middle;
      }
    }
    if (low < end && graph_->node(low).token == one.token) {
      try_child(from, low, one.score);
    }
  }
}

void Seq2SeqSearch::gather_children(std::uint32_t from, const float* row) {
  const std::uint32_t node = beam_[from].node;
  if (node == Trie::root) {
    try_end(from, row[options_.eos]);
  }
  const std::uint32_t end = graph_->node(node + 1).first_child;
  for (std::uint32_t child = graph_->node(node).first_child; child < end; ++child) {
    const std::int32_t token = graph_->node(child).token;
    if (token != options_.eos) {
      try_child(from, child, row[token]);
    }
  }
}

void Seq2SeqSearch::try_token(std::uint32_t from, std::int32_t token, float emission) {
  if (token == options_.eos) {
    try_end(from, emission);
    return;
  }
  const Hypothesis& h = beam_[from];
  add({.score = h.score + emission + options_.token_score,
       .language = 0.0,
       .emission = emission,
       .from = from,
       .node = h.node,
       .token = token,
       .word = -1,
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
                      .word = -1,
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
       .language = 0.0,
       .emission = emission,
       .from = from,
       .node = h.node,
       .token = options_.eos,
       .word = -1,
       .ask = Ask::end},
      ceiling_ == 0.0 ? 0.0 : ceiling_ / options_.lm_weight);
}

void Seq2SeqSearch::add(Candidate candidate, double language_ceiling) {
  const double rise = options_.lm_weight > 0.0 ? options_.lm_weight * language_ceiling : 0.0;
  candidate.rank = candidate.score + rise;  // at most
  if (!(candidate.rank >= floor_) || candidate.score == minus_infinity) {
    return;
  }
  candidates_.push_back(candidate);
  if (limit_ > 0 && candidates_.size() >= std::max<std::size_t>(4 * limit_, 1024)) {
    keep_best(limit_);
  }
}

void Seq2SeqSearch::keep_best(std::size_t count) {
  const auto nth = candidates_.begin() + static_cast<std::ptrdiff_t>(count - 1);
  std::nth_element(candidates_.begin(), nth, candidates_.end(),
                   [](const Candidate& a, const Candidate& b) { return a.rank > b.rank; });
  floor_ = nth->rank;
  candidates_.resize(count);
  cut_ = true;
}

void Seq2SeqSearch::ask_model() {
  requests_.clear();
  for (const Candidate& candidate : candidates_) {
    if (candidate.ask == Ask::word) {
      requests_.push_back({beam_[candidate.from].context, asked(candidate)});
    }
  }
  contexts_.resolve(requests_);
  for (Candidate& candidate : candidates_) {
    const Hypothesis& h = beam_[candidate.from];
    candidate.context = h.context;
    if (candidate.ask != Ask::nothing) {
      double language = 0.0;
      if (candidate.ask == Ask::word) {
        const Contexts::Transition transition = *contexts_.find(h.context, asked(candidate));
        candidate.context = transition.context;
        language = transition.score;
      } else {
        language = contexts_.finish(h.context);
      }
      candidate.language += language;
      candidate.score += weighted(language);
    }
    candidate.factor = 1.0;
    candidate.single = candidate.rank = candidate.score;
  }
}

// Leaves in joined_ what is within the threshold, each place once.
void Seq2SeqSearch::join() {
  joined_.clear();
  table_.clear();
  // Those that are finished compete with the others, whatever their length.
  const std::size_t num_new = candidates_.size();
  for (std::uint32_t k = 0; k < beam_.size(); ++k) {
    const Hypothesis& h = beam_[k];
    if (h.finished) {
      const double factor =
          options_.length_penalty == 0.0
              ? 1.0
              : std::pow(double{length_ + 1.0} / h.length, options_.length_penalty);
      candidates_.push_back({.score = h.score,
                             .single = h.score,
                             .factor = factor,
                             .rank = h.score * factor,
                             .from = k,
                             .context = h.context,
                             .history = h.history,
                             .sequence = h.sequence,
                             .token = h.token,
                             .word = -1,
                             .ask = Ask::end,
                             .kept = true});
    }
  }
  double best = minus_infinity;
  for (const Candidate& candidate : candidates_) {
    best = std::max(best, candidate.rank);
  }
  for (const Candidate& candidate : candidates_) {
    if (candidate.rank >= best - options_.beam_threshold && candidate.rank > minus_infinity) {
      join_one(candidate);
    }
  }
  candidates_.resize(num_new);
}

void Seq2SeqSearch::join_one(const Candidate& candidate) {
  joined_.push_back(candidate);
  Candidate& last = joined_.back();
  // Without a lexicon finished hypotheses all differ.
  if (!joins_ || (graph_ == nullptr && last.ask == Ask::end)) {
    return;
  }
  const auto made = static_cast<std::uint32_t>(joined_.size() - 1);
  const auto [whole, part] = place_of(last);
  const std::uint32_t found = table_.find_or_enter(whole, part, made);
  if (found == made) {
    return;
  }
  Candidate& there = joined_[found];
  const double sum =
      options_.log_add ? log_add(there.score, last.score) : std::max(there.score, last.score);
  if (last.single > there.single) {
    there = last;
  }
  there.score = sum;
  there.rank = sum * there.factor;
  joined_.pop_back();
}

// What decides whether candidates are one, as two numbers; its history and sequence are set.
std::pair<std::uint32_t, std::uint32_t> Seq2SeqSearch::place_of(Candidate& candidate) {
  const Hypothesis& h = beam_[candidate.from];
  const auto number = [](PrefixTable& table, std::uint32_t& count, std::uint32_t before,
                         std::int32_t next) {
    const std::uint32_t found = table.find_or_enter(before, static_cast<std::uint32_t>(next), count);
    count += found == count ? 1 : 0;
    return found;
  };
  if (!candidate.kept) {
    candidate.history = candidate.word < 0
                            ? h.history
                            : number(histories_, num_histories_, h.history, candidate.word);
    candidate.sequence = number(sequences_, num_sequences_, h.sequence, candidate.token);
  }
  if (candidate.ask == Ask::end) {
    const bool by_tokens = options_.flashlight && reads_tokens_;
    return {by_tokens ? candidate.sequence : candidate.history, none};
  }
  // At the root the last token tells hypotheses apart, as elsewhere the node does.
  const std::uint32_t part =
      candidate.node != Trie::root
          ? candidate.node
          : (graph_ == nullptr ? 0 : graph_->num_nodes()) +
                static_cast<std::uint32_t>(candidate.token);
  switch (options_.joining) {
    case Joining::context:
      return {candidate.context, part};
    case Joining::history:
      return {reads_tokens_ ? candidate.sequence : candidate.history, part};
    case Joining::tokens:
      break;
  }
  return {number(both_, num_both_, candidate.sequence, static_cast<std::int32_t>(candidate.history)),
          part};
}

void Seq2SeqSearch::select() {
  if (joined_.empty()) {
    // Nothing leads on: the search is over, and what it had so far remains.
    tokens_.clear();
    parents_.clear();
    rows_.clear();
    return;
  }
  const auto size = std::min(joined_.size(), static_cast<std::size_t>(options_.beam_size));
  const auto better = [](const Candidate& a, const Candidate& b) { return a.rank > b.rank; };
  const auto end = joined_.begin() + static_cast<std::ptrdiff_t>(size);
  std::nth_element(joined_.begin(), end - 1, joined_.end(), better);
  std::sort(joined_.begin(), end, better);
  // The row of each hypothesis that went on.
  std::vector<std::int32_t> row_of(beam_.size(), -1);
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    row_of[rows_[row]] = static_cast<std::int32_t>(row);
  }
  ++length_;
  next_beam_.clear();
  for (auto candidate = joined_.begin(); candidate != end; ++candidate) {
    const Hypothesis& h = beam_[candidate->from];
    next_beam_.push_back(h);
    Hypothesis& made = next_beam_.back();
    made.score = candidate->score;
    if (candidate->kept) {
      continue;
    }
    made.acoustic += candidate->emission;
    made.language += candidate->language;
    made.context = candidate->context;
    made.history = candidate->history;
    made.sequence = candidate->sequence;
    made.node = candidate->node;
    made.token = candidate->token;
    made.length = length_;
    made.row = row_of[candidate->from];
    made.finished = candidate->ask == Ask::end;
    made.record = static_cast<std::uint32_t>(records_.size());
    records_.push_back({h.record, {candidate->token, candidate->word}});
  }
  beam_.swap(next_beam_);
  list_rows();
}

std::vector<Seq2SeqHypothesis> Seq2SeqSearch::finish(std::int32_t count) const {
  const bool any_finished =
      std::any_of(beam_.begin(), beam_.end(), [](const Hypothesis& h) { return h.finished; });
  std::vector<Seq2SeqHypothesis> result;
  for (const Hypothesis& h : beam_) {
    if (result.size() == static_cast<std::size_t>(std::max(count, 0))) {
      break;
    }
    if (any_finished && !h.finished && !options_.flashlight) {
      continue;
    }
    const double factor = std::pow(std::max(h.length, 1), -options_.length_penalty);
    result.push_back({h.score * factor, h.acoustic, h.language, h.finished, {}});
    std::vector<Emitted>& path = result.back().path;
    for (std::uint32_t at = h.record; at != none; at = records_[at].parent) {
      path.push_back(records_[at].emitted);
    }
    std::reverse(path.begin(), path.end());
  }
  return result;
}

}  // namespace sestina::decoding
