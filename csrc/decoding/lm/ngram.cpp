#include "decoding/lm/ngram.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace sestina::decoding {

namespace {

class NgramSession final : public Session {
 public:
  explicit NgramSession(const NgramModel& model) : model_(model) {}

  std::int32_t start(bool sentence) override { return model_.start(sentence); }
  void score(std::span<const Query> queries, std::span<Step> steps) override {
    model_.steps(queries, steps);
  }
  float finish(std::int32_t state) override {
    return model_.step(state, model_.end_of_sentence()).score;
  }
  int matched(const Query& query) override {
    if (lengths_.empty()) {
      lengths_ = model_.lengths();
    }
    return model_.matched(query, lengths_);
  }

 private:
  const NgramModel& model_;
  std::vector<std::uint8_t> lengths_;  // made when first asked for
};

}  // namespace

NgramModel::NgramModel(Tables tables, std::vector<Block> owned)
    : tables_(std::move(tables)), owned_(std::move(owned)) {
  for (const float score : tables_.highest) {
    highest_score_ = std::max(highest_score_, score);
  }
}

std::unique_ptr<Session> NgramModel::session() const {
  return std::make_unique<NgramSession>(*this);
}

std::int32_t NgramModel::word(std::string_view text) const {
  const std::int32_t found = tables_.words.find(text);
  return found > 0 && static_cast<std::size_t>(found) < tables_.unigrams.size() ? found : 0;
}

void NgramModel::highest_scores(std::span<const std::int32_t> words,
                                std::span<float> highest) const {
  for (std::size_t k = 0; k < words.size(); ++k) {
    highest[k] = tables_.highest[static_cast<std::size_t>(words[k])];
  }
}

std::int32_t NgramModel::start(bool sentence) const noexcept {
  return sentence ? static_cast<std::int32_t>(checked(tables_.unigrams[tables_.begin].next)) : 0;
}

Step NgramModel::step(std::int32_t state, std::int32_t word) const noexcept {
  Step result;
  const Query query{state, word};
  steps({&query, 1}, {&result, 1});
  return result;
}

// Each level of back-off first fetches what it needs for all the batch's steps that are still open.
// A batch is as large as the misses that a core can have under way.
void NgramModel::steps(std::span<const Query> queries, std::span<Step> steps) const noexcept {
  constexpr std::size_t batch = 32;
  struct Open {
    std::uint32_t query;
    std::uint32_t state;
    std::uint32_t home;
    float weight;
  };
  std::array<Open, batch> open;
  const ArcTable arcs = tables_.arcs;
  const std::span<const Context> contexts = tables_.contexts;
  for (std::size_t first = 0; first < queries.size(); first += batch) {
    const auto end = static_cast<std::uint32_t>(std::min(first + batch, queries.size()));
    std::size_t count = 0;
    // Adds a step to those that wait, or sees to it that it can be finished.
    const auto wait = [&](std::uint32_t query, std::uint32_t state, float weight) {
      const auto word = static_cast<std::uint32_t>(queries[query].word);
      if (state == 0) {
        __builtin_prefetch(&tables_.unigrams[word]);
        steps[query] = {weight, -1};
        return;
      }
      const std::uint32_t home = arcs.home(state, word);
      arcs.prefetch(home);
      __builtin_prefetch(&contexts[state]);
      open[count++] = {query, state, home, weight};
    };
    for (auto query = static_cast<std::uint32_t>(first); query < end; ++query) {
      wait(query, static_cast<std::uint32_t>(queries[query].state), 0.0F);
    }
    // A hostile file's contexts could become shorter for ever.
    for (std::size_t level = 0; count > 0; ++level) {
      const std::size_t waiting = std::exchange(count, 0);
      for (std::size_t k = 0; k < waiting; ++k) {
        const Open now = open[k];
        const auto word = static_cast<std::uint32_t>(queries[now.query].word);
        const ArcTable::Place place = arcs.find(now.state, word, now.home);
        if (place.found()) {
          const ArcBucket& bucket = arcs[place.bucket];
          steps[now.query] = {now.weight + bucket.scores[place.index],
                              static_cast<std::int32_t>(checked(bucket.nexts[place.index]))};
        } else {
          const Context context = contexts[now.state];
          wait(now.query, level < highest_order ? checked(context.shorter) : 0,
               now.weight + context.backoff);
        }
      }
    }
    for (auto query = static_cast<std::uint32_t>(first); query < end; ++query) {
      if (steps[query].state < 0) {
        const Unigram unigram =
            tables_.unigrams[static_cast<std::size_t>(queries[query].word)];
        steps[query] = {steps[query].score + unigram.score,
                        static_cast<std::int32_t>(checked(unigram.next))};
      }
    }
  }
}

// A context of n words is reached from nothing by n arcs, one a word, and no arc adds more than one
// word: its length is its distance from the empty one.
std::vector<std::uint8_t> NgramModel::lengths() const {
  constexpr auto unknown = static_cast<std::uint8_t>(highest_order);
  std::vector<std::uint8_t> lengths(num_states(), unknown);
  lengths[0] = 0;
  for (const Unigram& unigram : tables_.unigrams) {
    std::uint8_t& length = lengths[checked(unigram.next)];
    length = std::min<std::uint8_t>(length, 1);
  }
  const ArcTable& table = tables_.arcs;
  for (int known = 1; known + 1 < order(); ++known) {
    for (std::uint32_t bucket = 0; bucket < table.buckets().size(); ++bucket) {
      for (std::uint32_t index = 0; index < ArcBucket::size; ++index) {
        if (table[bucket].keys[index] == 0) {
          continue;
        }
        const std::uint32_t state = table.name({bucket, index}).state;
        if (state < num_states() && lengths[state] == known) {
          std::uint8_t& length = lengths[checked(table[bucket].nexts[index])];
          length = std::min(length, static_cast<std::uint8_t>(known + 1));
        }
      }
    }
  }
  return lengths;
}

int NgramModel::matched(const Query& query, std::span<const std::uint8_t> lengths) const noexcept {
  const auto word = static_cast<std::uint32_t>(query.word);
  auto state = static_cast<std::uint32_t>(query.state);
  // A hostile file's contexts could become shorter for ever.
  for (std::size_t level = 0; state != 0 && level <= highest_order; ++level) {
    if (tables_.arcs.find(state, word, tables_.arcs.home(state, word)).found()) {
      return lengths[state] + 1;
    }
    state = checked(tables_.contexts[state].shorter);
  }
  return 1;
}

NgramModel::Automaton NgramModel::automaton() const {
  Automaton flat;
  for (const Context& context : tables_.contexts) {
    flat.backoffs.push_back(context.backoff);
    flat.shorter.push_back(static_cast<std::int32_t>(checked(context.shorter)));
  }
  for (const Unigram& unigram : tables_.unigrams) {
    flat.unigram_scores.push_back(unigram.score);
    flat.unigram_next.push_back(static_cast<std::int32_t>(checked(unigram.next)));
  }
  const ArcTable& table = tables_.arcs;
  for (std::uint32_t bucket = 0; bucket < table.buckets().size(); ++bucket) {
    for (std::uint32_t index = 0; index < ArcBucket::size; ++index) {
      if (table[bucket].keys[index] == 0) {
        continue;
      }
      const auto [state, word] = table.name({bucket, index});
      if (state < num_states() && word < tables_.unigrams.size()) {
        flat.arc_states.push_back(static_cast<std::int32_t>(state));
        flat.arc_words.push_back(static_cast<std::int32_t>(word));
        flat.arc_scores.push_back(table[bucket].scores[index]);
        flat.arc_next.push_back(static_cast<std::int32_t>(checked(table[bucket].nexts[index])));
      }
    }
  }
  return flat;
}

}  // namespace sestina::decoding
