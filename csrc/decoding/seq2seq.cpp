#include "decoding/seq2seq.hpp"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "decoding/lm/symbols.hpp"

namespace sestina::decoding {

namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();
constexpr double margin = 10.0;   // natural logarithm
constexpr std::size_t block = 64;  // scores whose highest is known
constexpr float infinity = std::numeric_limits<float>::infinity();

// Just below, for comparisons of float32 with what was computed in float64.
float just_below(double value) noexcept {
  return std::nextafter(static_cast<float>(value), -infinity);
}

double log_add(double left, double right) noexcept {
  const double high = std::max(left, right);
  return high + std::log1p(std::exp(std::min(left, right) - high));
}

bool is_impossible(float score) noexcept { return !(score < infinity); }

// The highest of the scores of a block, NaN if one of them is NaN or plus infinity. Loops over floats
// are not turned into vectors where NaN counts, and this is most of a search's work.
float highest_of(const float* scores) noexcept {
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
  for (std::size_t at = 8; at < block; at += 8) {
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

std::vector<float> smears_of(const Spellings& spellings, const Trie& trie,
                             const LanguageModel& model, Smearing smearing,
                             const Seq2SeqOptions& options) {
  if (options.token_lm || smearing == Smearing::none) {
    return look_ahead(trie, {}, Smearing::none);
  }
  return look_ahead(trie, entry_scores(model, trie, ids_in_model(model, spellings)), smearing);
}

}  // namespace

Seq2SeqDecoder::Seq2SeqDecoder(const Trie* trie, std::span<const float> smears,
                               std::shared_ptr<const LanguageModel> model,
                               std::vector<std::int32_t> model_words, std::int32_t num_tokens,
                               const Seq2SeqOptions& options)
    : model_(std::move(model)),
      model_words_(std::move(model_words)),
      highest_(highest_scores(*model_, model_words_)),
      num_tokens_(num_tokens),
      options_(options) {
  if (trie == nullptr) {
    return;
  }
  if (!options.token_lm) {
    graph_.emplace(*trie, smears, highest_, num_tokens);
    return;
  }
  // A model of tokens scores each one as it comes: there is nothing to look ahead to, and words have
  // no scores.
  const std::int32_t last_word =
      trie->words.empty() ? 0 : *std::max_element(trie->words.begin(), trie->words.end());
  graph_.emplace(*trie, std::vector<float>(trie->num_nodes(), 0.0F),
                 std::vector<float>(static_cast<std::size_t>(last_word) + 1, 0.0F), num_tokens);
}

Seq2SeqDecoder::Seq2SeqDecoder(std::span<const std::string_view> token_names,
                               std::shared_ptr<const LanguageModel> model,
                               const Seq2SeqOptions& options)
    : Seq2SeqDecoder(nullptr, {}, model, ids_in_model(*model, token_names),
                     static_cast<std::int32_t>(token_names.size()), options) {}

Seq2SeqDecoder::Seq2SeqDecoder(const Spellings& spellings, const Trie& trie,
                               std::span<const std::string_view> token_names,
                               std::shared_ptr<const LanguageModel> model, Smearing smearing,
                               const Seq2SeqOptions& options)
    : Seq2SeqDecoder(&trie, smears_of(spellings, trie, *model, smearing, options), model,
                     options.token_lm ? ids_in_model(*model, token_names)
                                      : ids_in_model(*model, spellings),
                     static_cast<std::int32_t>(token_names.size()), options) {}

Seq2SeqSearch::Seq2SeqSearch(const Seq2SeqDecoder& decoder)
    : options_(decoder.options_),
      graph_(decoder.graph_ ? &*decoder.graph_ : nullptr),
      highest_(decoder.highest_),
      num_tokens_(static_cast<std::size_t>(decoder.num_tokens_)),
      num_blocks_((num_tokens_ + block - 1) / block),
      reads_tokens_(graph_ == nullptr || options_.token_lm),
      // Without a lexicon, different hypotheses have different tokens.
      joins_(graph_ != nullptr || options_.joining == Joining::context),
      ceiling_(options_.lm_weight == 0.0
                   ? 0.0
                   : (options_.lm_weight > 0.0
                          ? options_.lm_weight * double{decoder.model_->highest_score()}
                          : std::numeric_limits<double>::infinity())),
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
  probabilities_ = true;
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
  const std::ptrdiff_t impossible = survey(scores);
  if (impossible != fine) {
    return impossible;
  }
  gather(scores, minus_infinity, true);
  ask_model();
  join();
  if (cut_) {
    // Those left out may still be better once the language model is asked.
    gather(scores, floor_of_beam(), false);
    ask_model();
    join();
  }
  select();
  return fine;
}

// Notes the highest score of each block; returns where the first NaN or plus infinity is, or `fine`.
std::ptrdiff_t Seq2SeqSearch::survey(const float* scores) {
  highest_of_block_.clear();
  for (std::size_t row = 0; row < rows_.size(); ++row) {
    const float* const begin = scores + row * num_tokens_;
    const float* const end = begin + num_tokens_;
    const float* at = begin;
    for (; end - at >= static_cast<std::ptrdiff_t>(block); at += block) {
      highest_of_block_.push_back(highest_of(at));
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

// The child of a node by token, the root if there is none.
std::uint32_t Seq2SeqSearch::child_of(std::uint32_t node, std::int32_t token) const noexcept {
  if (node == Trie::root) {
    return graph_->root_child(token);
  }
  const std::uint32_t end = graph_->node(node + 1).first_child;
  std::uint32_t low = graph_->node(node).first_child;
  std::uint32_t high = end;
  while (low < high) {
    const std::uint32_t middle = low + (high - low) / 2;
    if (graph_->node(middle).token < token) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low < end && graph_->node(low).token == token ? low : Trie::root;
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
    if (const std::uint32_t child = child_of(h.node, token); child != Trie::root) {
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

void Seq2SeqSearch::ask_model() {
  requests_.clear();
  ending_.clear();
  for (const Candidate& candidate : candidates_) {
    if (candidate.ask == Ask::word) {
      requests_.push_back({beam_[candidate.from].context, asked(candidate)});
    } else if (candidate.ask == Ask::end) {
      ending_.push_back(beam_[candidate.from].context);
    }
  }
  contexts_.resolve(requests_);
  ends_.resize(ending_.size());
  contexts_.finish_all(ending_, ends_);
  auto end = ends_.begin();
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
        language = *end++;
      }
      candidate.language += language;
      candidate.score += weighted(language);
    }
    candidate.rank = candidate.score;
  }
}

// Leaves in joined_ what is within the threshold, each place once.
void Seq2SeqSearch::join() {
  joined_.clear();
  table_.clear();
  best_ = minus_infinity;
  for (const Candidate& candidate : candidates_) {
    best_ = std::max(best_, candidate.rank);
  }
  // Those that are finished compete with the others, whatever their length.
  const auto factor = [&](const Hypothesis& h) {
    return options_.length_penalty == 0.0
               ? 1.0
               : std::pow((length_ + 1.0) / h.length, options_.length_penalty);
  };
  for (const Hypothesis& h : beam_) {
    if (h.finished) {
      best_ = std::max(best_, h.score * factor(h));
    }
  }
  const double lowest = best_ - options_.beam_threshold;
  for (std::uint32_t k = 0; k < beam_.size(); ++k) {
    const Hypothesis& h = beam_[k];
    if (h.finished && h.score * factor(h) >= lowest) {
      Joined kept;
      kept.score = kept.single = h.score;
      kept.factor = factor(h);
      kept.rank = kept.score * kept.factor;
      kept.from = k;
      kept.context = h.context;
      kept.token = h.token;
      kept.ask = Ask::end;
      kept.history = h.history;
      kept.sequence = h.sequence;
      kept.kept = true;
      join_one(kept);
    }
  }
  for (const Candidate& candidate : candidates_) {
    if (candidate.rank >= lowest && candidate.rank > minus_infinity) {
      Joined made{candidate};
      made.single = made.score;
      join_one(made);
    }
  }
}

void Seq2SeqSearch::join_one(const Joined& candidate) {
  joined_.push_back(candidate);
  Joined& last = joined_.back();
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
  Joined& there = joined_[found];
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
std::pair<std::uint32_t, std::uint32_t> Seq2SeqSearch::place_of(Joined& candidate) {
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
  const auto better = [](const Joined& a, const Joined& b) { return a.rank > b.rank; };
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

bool Seq2SeqSearch::settled(std::int32_t count, std::int32_t max_length) const {
  if (options_.flashlight || (options_.log_add && joins_) || options_.length_penalty != 0.0 ||
      !probabilities_ || !(ceiling_ < infinity)) {
    return false;
  }
  const double gain =
      std::max(0.0, options_.token_score + std::max(0.0, options_.word_score) + ceiling_);
  const double last = std::max(0.0, options_.eos_score + ceiling_);
  std::int32_t finished = 0;
  double worst = infinity;  // of the best `count` that are finished
  for (const Hypothesis& h : beam_) {
    if (h.finished && finished < count) {
      worst = h.score;
      ++finished;
    }
  }
  if (finished < count) {
    return false;
  }
  return std::none_of(beam_.begin(), beam_.end(), [&](const Hypothesis& h) {
    if (h.finished) {
      return false;
    }
    // What the look-ahead took away may come back.
    const double ahead =
        graph_ == nullptr ? 0.0 : std::max(0.0, -weighted(graph_->node(h.node).smear));
    return h.score + ahead + gain * (max_length - length_) + last > worst;
  });
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
