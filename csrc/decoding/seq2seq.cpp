#include "decoding/seq2seq.hpp"

#include <algorithm>
#include <cmath>

#include "decoding/lm/symbols.hpp"
#include "decoding/log_add.hpp"

namespace sestina::decoding {

namespace {

constexpr float infinity = std::numeric_limits<float>::infinity();

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
