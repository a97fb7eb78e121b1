#include "decoding/lm/builder.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <stdexcept>
#include <utility>

#include "decoding/errors.hpp"

namespace sestina::decoding {

namespace {

constexpr std::size_t batch = 64;
constexpr float unknown_score = -100.0F;  // of a model without <unk>, as in KenLM

// Where counts are right, 3.5 of a bucket's five places are used.
std::uint64_t buckets_for(std::uint64_t arcs, std::uint64_t states) {
  return std::max(arcs * 2 / 7, states / ArcTable::states_per_bucket) + 16;
}

template <class T>
std::span<const T> keep(std::vector<Block>& blocks, std::span<const T> values) {
  blocks.push_back(Block::copy(std::as_bytes(values)));
  return {reinterpret_cast<const T*>(blocks.back().data()), values.size()};
}

}  // namespace

NgramBuilder::NgramBuilder(std::vector<std::uint64_t> counts, std::uint64_t expected, bool marked)
    : counts_(std::move(counts)), marked_(marked), highest_(counts_.size()) {
  for (std::size_t order = 2; order <= counts_.size(); ++order) {
    most_arcs_ += std::min(counts_[order - 1], std::uint64_t{1} << 40);
  }
  if (counts_[0] >= ArcTable::most_words || buckets_for(most_arcs_, 0) > ArcTable::most_buckets) {
    throw FormatError("it says it has " + std::to_string(counts_[0]) + " words and " +
                          std::to_string(most_arcs_) + " longer n-grams, expected less than " +
                          std::to_string(ArcTable::most_words) + " and " +
                          std::to_string(std::uint64_t{ArcTable::most_buckets} * 7 / 2),
                      "prune the model");
  }
  pending_.reserve(batch);
  contexts_.push_back({0.0F, 0});
  words_.reserve(std::min({counts_[0], expected, std::uint64_t{1} << 20}));
  words_.add("<unk>");
  unigrams_.push_back({unknown_score, 0});
  grow(buckets_for(std::min(most_arcs_, expected), 0));
}

std::span<ArcBucket> NgramBuilder::buckets() noexcept {
  return {reinterpret_cast<ArcBucket*>(arcs_.data()), arcs_.bytes().size() / sizeof(ArcBucket)};
}

std::uint32_t& NgramBuilder::next_of(std::uint32_t place) noexcept {
  return buckets()[place / ArcBucket::size].nexts[place % ArcBucket::size];
}

void NgramBuilder::prefetch(std::uint32_t state, std::uint32_t word) const noexcept {
  table_.prefetch(table_.home(state, word));
}

// The state of an n-gram, or of its longest suffix that has one.
std::uint32_t NgramBuilder::state_of(Target target) noexcept {
  while (!is_state(target)) {
    const std::uint32_t value = target & ((std::uint32_t{1} << 30) - 1);
    if (target >> 30 == static_cast<std::uint32_t>(Kind::word)) {
      return unigrams_[value].next;
    }
    target = next_of(value);
  }
  return target;
}

// Whether an n-gram has a state because of its weight, whether something extends it or not.
bool NgramBuilder::matters(float backoff) const noexcept {
  return marked_ ? std::bit_cast<std::uint32_t>(backoff) != 0x80000000U : backoff != 0.0F;
}

std::uint32_t NgramBuilder::new_state(float backoff, Target shorter, std::size_t length) {
  contexts_.push_back({backoff, shorter});
  highest_backoff_[length - 1] = std::max(highest_backoff_[length - 1], backoff);
  return static_cast<std::uint32_t>(contexts_.size() - 1);
}

// Of an n-gram that had none, when the first one that extends it comes.
std::uint32_t NgramBuilder::extended_state(Target shorter, std::size_t length) {
  const std::uint32_t state = new_state(0.0F, shorter, length);
  if (marked_) {
    passed_.resize(contexts_.size(), false);
    passed_[state] = true;
  }
  return state;
}

void NgramBuilder::add_word(std::string_view text, float score, float backoff, long line) {
  std::uint32_t word = 0;
  const bool unknown = text == "<unk>" || text == "<UNK>";
  if (unknown ? std::exchange(unknown_given_, true) : !words_.add(text)) {
    throw FormatError("the word '" + std::string(text.substr(0, 80)) + "' was there before",
                      "keep one of the two lines", line);
  }
  if (!unknown) {
    word = static_cast<std::uint32_t>(unigrams_.size());
    unigrams_.push_back({});
  }
  // A weight of 1 alone gives no state; an n-gram that begins with the word will.
  unigrams_[word] = {score, matters(backoff) ? new_state(backoff, 0, 1) : 0};
}

void NgramBuilder::add(std::span<const std::uint32_t> words, float score, float backoff,
                       long line) {
  if (words.size() != order_ || pending_.size() == batch) {
    flush();
    order_ = words.size();
  }
  __builtin_prefetch(&unigrams_[words[0]]);
  Pending& ngram = pending_.emplace_back();
  std::copy(words.begin(), words.end(), ngram.words.begin());
  ngram.score = score;
  ngram.backoff = backoff;
  ngram.line = line;
}

void NgramBuilder::flush() {
  if (pending_.empty()) {
    return;
  }
  highest_[order_ - 1].resize(unigrams_.size(), -std::numeric_limits<float>::infinity());
  make_room(std::min(num_arcs_ + batch, most_arcs_), contexts_.size() + batch * order_);
  find_contexts();
  for (const Pending& ngram : pending_) {
    insert(ngram);
  }
  num_arcs_ += pending_.size();
  pending_.clear();
}

void NgramBuilder::make_room(std::uint64_t arcs, std::uint64_t states) {
  const std::uint64_t needed = buckets_for(arcs, states);
  if (needed > ArcTable::most_buckets) {
    throw FormatError("it has more n-grams than a model can have", "prune the model");
  }
  if (needed > table_.buckets().size()) {
    grow(std::min<std::uint64_t>(2 * needed, ArcTable::most_buckets));
  }
}

// Gives every pending n-gram its context and suffix, and fetches the places of their arcs.
void NgramBuilder::find_contexts() {
  for (Pending& ngram : pending_) {
    NgramModel::Unigram& first = unigrams_[ngram.words[0]];
    if (first.next == 0) {
      first.next = extended_state(0, 1);
    }
    ngram.context = first.next;
    prefetch(ngram.context, ngram.words[1]);
    __builtin_prefetch(&contexts_[ngram.context]);
  }
  for (std::size_t k = 1; k + 1 < order_; ++k) {
    for (Pending& ngram : pending_) {
      const ArcTable::Place place = table_.find(ngram.context, ngram.words[k]);
      if (!place.found()) {
        fail(ngram, "extends one that the model does not have",
             "add the n-gram of all its words but the last");
      }
      std::uint32_t& next = next_of(place_number(place));
      if (!is_state(next)) {
        next = extended_state(next, k + 1);
      }
      ngram.context = next;
      prefetch(next, ngram.words[k + 1]);
      __builtin_prefetch(&contexts_[next]);
    }
  }
  for (const Pending& ngram : pending_) {
    const Target shorter = contexts_[ngram.context].shorter;
    if (shorter >> 30 == static_cast<std::uint32_t>(Kind::arc)) {
      table_.prefetch((shorter & ((std::uint32_t{1} << 30) - 1)) / ArcBucket::size);
    }
  }
  for (Pending& ngram : pending_) {
    ngram.suffix = state_of(contexts_[ngram.context].shorter);
    prefetch(ngram.suffix, ngram.words[order_ - 1]);
  }
}

void NgramBuilder::insert(const Pending& ngram) {
  const std::uint32_t last = ngram.words[order_ - 1];
  if (table_.find(ngram.context, last).found()) {
    fail(ngram, "was there before", "keep one of the two");
  }
  ArcTable::Place place = ArcTable::enter(buckets(), ngram.context, last);
  while (!place.found()) {
    grow(table_.buckets().size() + table_.buckets().size() / 8 + 16);
    place = ArcTable::enter(buckets(), ngram.context, last);
  }
  // The longest suffix that is in the model. The next one as a rule, but tools that prune may have
  // dropped it.
  Target suffix = target(Kind::word, last);
  for (std::uint32_t state = ngram.suffix; state != 0;
       state = state_of(contexts_[state].shorter)) {
    const ArcTable::Place shorter = table_.find(state, last);
    if (shorter.found()) {
      suffix = target(Kind::arc, place_number(shorter));
      break;
    }
  }
  buckets()[place.bucket].scores[place.index] = ngram.score;
  next_of(place_number(place)) = order_ < counts_.size() && matters(ngram.backoff)
                                     ? new_state(ngram.backoff, suffix, order_)
                                     : suffix;
  float& highest = highest_[order_ - 1][last];
  highest = std::max(highest, ngram.score);
}

// The same arcs in more buckets; what names an arc gets its new place.
void NgramBuilder::grow(std::uint64_t count) {
  const ArcTable old = table_;
  std::vector<std::uint32_t> moved(old.buckets().size() * ArcBucket::size);
  Block block;
  for (bool done = false; !done; count += count / 8) {
    if (count > ArcTable::most_buckets) {
      throw FormatError("it has more n-grams than a model can have", "prune the model");
    }
    block = Block::zeros(count * sizeof(ArcBucket));
    const std::span<ArcBucket> fresh(reinterpret_cast<ArcBucket*>(block.data()), count);
    done = true;
    for (std::uint32_t number = 0; number < moved.size() && done; ++number) {
      const ArcTable::Place from{number / ArcBucket::size, number % ArcBucket::size};
      if (old[from.bucket].keys[from.index] == 0) {
        continue;
      }
      const auto [state, word] = old.name(from);
      const ArcTable::Place to = ArcTable::enter(fresh, state, word);
      done = to.found();
      if (done) {
        fresh[to.bucket].scores[to.index] = old[from.bucket].scores[from.index];
        fresh[to.bucket].nexts[to.index] = old[from.bucket].nexts[from.index];
        moved[number] = place_number(to);
      }
    }
  }
  const auto rename = [&](Target& named) {
    if (named >> 30 == static_cast<std::uint32_t>(Kind::arc)) {
      named = target(Kind::arc, moved[named & ((std::uint32_t{1} << 30) - 1)]);
    }
  };
  arcs_ = std::move(block);
  table_ = ArcTable(buckets());
  if (old.buckets().empty()) {
    return;
  }
  for (ArcBucket& bucket : buckets()) {
    std::for_each(std::begin(bucket.nexts), std::end(bucket.nexts), rename);
  }
  for (NgramModel::Context& context : contexts_) {
    rename(context.shorter);
  }
}

// Puts states in the place of all other targets.
void NgramBuilder::resolve() {
  for (NgramModel::Context& context : contexts_) {
    context.shorter = state_of(context.shorter);
  }
  const auto reached = [&](std::uint32_t state) {
    while (state < passed_.size() && passed_[state]) {
      state = contexts_[state].shorter;
    }
    return state;
  };
  constexpr std::size_t ahead = 16;
  const std::span<ArcBucket> all = buckets();
  for (std::size_t at = 0; at < all.size(); ++at) {
    for (const Target next : all[std::min(at + ahead, all.size() - 1)].nexts) {
      if (next >> 30 == static_cast<std::uint32_t>(Kind::arc)) {
        table_.prefetch((next & ((std::uint32_t{1} << 30) - 1)) / ArcBucket::size);
      }
    }
    for (Target& next : all[at].nexts) {
      next = reached(state_of(next));
    }
  }
  for (NgramModel::Unigram& unigram : unigrams_) {
    unigram.next = reached(unigram.next);
  }
}

// What an n-gram scores, and weights above 1 of the longer contexts that a step may come from.
std::vector<float> NgramBuilder::highest_scores() const {
  std::vector<float> scores(unigrams_.size(), -std::numeric_limits<float>::infinity());
  float rise = 0.0F;
  for (std::size_t order = counts_.size(); order >= 1; --order) {
    if (order < counts_.size()) {
      // A thousandth more than rounding can add.
      rise += std::max(0.0F, highest_backoff_[order - 1]) * 1.001F;
    }
    for (std::size_t word = 0; word < scores.size(); ++word) {
      if (order == 1) {
        scores[word] = std::max(scores[word], unigrams_[word].score + rise);
      } else if (!highest_[order - 1].empty()) {
        scores[word] = std::max(scores[word], highest_[order - 1][word] + rise);
      }
    }
  }
  return scores;
}

std::shared_ptr<NgramModel> NgramBuilder::finish() {
  flush();
  make_room(num_arcs_, contexts_.size());
  resolve();
  const std::vector<float> highest = highest_scores();
  const Vocabulary words = words_.view();
  std::vector<Block> blocks;
  NgramModel::Tables tables;
  tables.counts = counts_;
  tables.begin = static_cast<std::uint32_t>(std::max(words.find("<s>"), 0));
  tables.end = static_cast<std::uint32_t>(std::max(words.find("</s>"), 0));
  tables.unigrams = keep(blocks, std::span<const NgramModel::Unigram>(unigrams_));
  tables.highest = keep(blocks, std::span<const float>(highest));
  tables.contexts = keep(blocks, std::span<const NgramModel::Context>(contexts_));
  tables.words = Vocabulary(keep(blocks, words.texts()), keep(blocks, words.ends()),
                            keep(blocks, words.slots()));
  tables.arcs = table_;
  blocks.push_back(std::move(arcs_));
  return std::make_shared<NgramModel>(std::move(tables), std::move(blocks));
}

void NgramBuilder::fail(const Pending& ngram, const std::string& reason,
                        const std::string& remedy) const {
  std::string text;
  for (std::size_t k = 0; k < order_; ++k) {
    const auto word = static_cast<std::int32_t>(ngram.words[k]);
    text.append(k == 0 ? "" : " ").append(words_.view().text(word).substr(0, 80));
  }
  throw FormatError("the n-gram '" + text + "' " + reason, remedy, ngram.line);
}

}  // namespace sestina::decoding
