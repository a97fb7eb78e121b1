// Language models against a scorer of a few lines that looks n-grams up in a map: from ARPA text
// cut anywhere, from files in KenLM's formats that are made here, and from caches; then the same
// files with 1,000 mutations each, which must be rejected or give models that can be asked.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "decoding/errors.hpp"
#include "decoding/lm/arpa.hpp"
#include "decoding/lm/cache.hpp"
#include "decoding/lm/combined.hpp"
#include "decoding/lm/kenlm.hpp"
#include "decoding/lm/ngram.hpp"

namespace {

using namespace sestina::decoding;
using Random = std::mt19937;

void check(bool holds, const char* what, const std::string& where = "") {
  if (!holds) {
    std::fprintf(stderr, "%s (%s)\n", what, where.c_str());
    std::exit(1);
  }
}

// --- the slow, obvious model ---------------------------------------------------------------------

using Words = std::vector<int>;  // indices of `names`

struct Weights {
  float score;
  float backoff;
};

struct Grams {
  std::vector<std::string> names{"<unk>", "<s>", "</s>"};
  std::size_t order = 0;
  std::map<Words, Weights> all;

  std::vector<Words> of_order(std::size_t order_wanted) const {
    std::vector<Words> found;
    for (const auto& [words, weights] : all) {
      if (words.size() == order_wanted) {
        found.push_back(words);
      }
    }
    return found;
  }
  bool extended(const Words& words) const {
    return std::any_of(all.begin(), all.end(), [&](const auto& gram) {
      return gram.first.size() == words.size() + 1 &&
             std::equal(words.begin(), words.end(), gram.first.begin());
    });
  }
  // The longest suffix that has a weight or is extended: what a state should be.
  Words state(Words words) const {
    while (!words.empty()) {
      const auto found = all.find(words);
      if (words.size() < order && found != all.end() &&
          (found->second.backoff != 0.0F || extended(words))) {
        break;
      }
      words.erase(words.begin());
    }
    return words;
  }
  float score(Words context, int word) const {
    double sum = 0.0;
    for (;; context.erase(context.begin())) {
      Words words = context;
      words.push_back(word);
      if (const auto found = all.find(words); found != all.end()) {
        return static_cast<float>(sum + found->second.score);
      }
      if (const auto found = all.find(context); found != all.end()) {
        sum += found->second.backoff;
      }
    }
  }
};

// Every context is there; every suffix only if `closed`, since some tools prune them. Scores are
// one of 60 values and so are weights, so that 8 bits say which.
Grams random_grams(std::size_t order, std::size_t num_words, bool closed, Random& random) {
  const auto chance = [&](double p) { return std::bernoulli_distribution(p)(random); };
  const auto value = [&](float parts) {
    return -0.05F * static_cast<float>(1 + random() % 60) / parts;
  };
  Grams grams;
  grams.order = order;
  for (std::size_t k = 0; k < num_words; ++k) {
    // The second byte of "é" and words longer than 8 bytes are part of the test.
    grams.names.push_back((k % 3 == 0 ? "é" : k % 3 == 1 ? "w" : "a longer word, ") +
                          std::to_string(k));
    std::replace(grams.names.back().begin(), grams.names.back().end(), ' ', '_');
  }
  const int num = static_cast<int>(grams.names.size());
  for (int word = 0; word < num; ++word) {
    grams.all[{word}] = {value(1), order == 1 || chance(0.3) ? 0.0F : value(2)};
  }
  for (std::size_t n = 2; n <= order; ++n) {
    for (const Words& context : grams.of_order(n - 1)) {
      for (int word = 0; word < num; ++word) {
        if (context.back() == 2 || word == 1 || !chance(n == 2 ? 0.35 : 0.2)) {
          continue;
        }
        Words words = context;
        words.push_back(word);
        if (closed && !grams.all.contains(Words(words.begin() + 1, words.end()))) {
          continue;
        }
        // Weights above 1 make longer n-grams' bounds matter.
        const float backoff = chance(0.1) ? -value(4) : value(2);
        grams.all[words] = {value(1), n == order || chance(0.4) ? 0.0F : backoff};
      }
    }
  }
  return grams;
}

std::string number(float value) {
  std::array<char, 32> text;
  std::snprintf(text.data(), text.size(), "%.9g", static_cast<double>(value));
  return text.data();
}

std::string arpa_text(const Grams& grams, const char* gap, const char* newline) {
  std::string text = std::string("made for a test") + newline + "\\data\\" + newline;
  for (std::size_t n = 1; n <= grams.order; ++n) {
    text += "ngram " + std::to_string(n) + "=" + std::to_string(grams.of_order(n).size()) + newline;
  }
  for (std::size_t n = 1; n <= grams.order; ++n) {
    text.append(newline).append("\\").append(std::to_string(n)).append("-grams:").append(newline);
    for (const Words& words : grams.of_order(n)) {
      const Weights weights = grams.all.at(words);
      text += number(weights.score);
      for (const int word : words) {
        text += gap + grams.names[static_cast<std::size_t>(word)];
      }
      text += weights.backoff == 0.0F ? "" : gap + number(weights.backoff);
      text += newline;
    }
  }
  return text + newline + "\\end\\" + newline;
}

// --- the same in KenLM's formats -----------------------------------------------------------------

using Bytes = std::vector<std::byte>;

template <class T>
void put(Bytes& bytes, T value) {
  const auto* const from = reinterpret_cast<const std::byte*>(&value);
  bytes.insert(bytes.end(), from, from + sizeof value);
}

void put_bits(Bytes& bytes, std::size_t at, std::size_t bit, std::uint64_t value, int width) {
  for (int k = 0; k < width; ++k, ++bit) {
    bytes[at + bit / 8] |= static_cast<std::byte>(((value >> k) & 1) << (bit % 8));
  }
}

std::uint64_t murmur(std::string_view text) {
  constexpr std::uint64_t m = 0xC6A4A7935BD1E995ULL;
  std::uint64_t hash = text.size() * m;
  for (; text.size() >= 8; text.remove_prefix(8)) {
    std::uint64_t block;
    std::memcpy(&block, text.data(), 8);
    block *= m;
    block ^= block >> 47;
    hash = (hash ^ (block * m)) * m;
  }
  std::uint64_t rest = 0;
  std::memcpy(&rest, text.data(), text.size());
  hash = text.empty() ? hash : (hash ^ rest) * m;
  hash = (hash ^ (hash >> 47)) * m;
  return hash ^ (hash >> 47);
}

class KenlmFile {
 public:
  // `closed` grams of order 2 or more.
  KenlmFile(const Grams& grams, bool quantised, bool arrays)
      : grams_(grams), quantised_(quantised), arrays_(arrays), ids_(grams.names.size(), 0) {}

  Bytes probing() {
    for (std::size_t k = 0; k < ids_.size(); ++k) {
      ids_[k] = static_cast<std::uint32_t>(k);
    }
    put_header(0, 0);
    put<std::uint32_t>(bytes_, 0);
    put(bytes_, static_cast<std::uint32_t>(ids_.size()));
    Table words(ids_.size(), 12);
    for (std::size_t k = 1; k < ids_.size(); ++k) {
      Bytes id;
      put(id, ids_[k]);
      words.insert(murmur(grams_.names[k]), id);
    }
    append(words.bytes);
    for (std::size_t k = 0; k < ids_.size(); ++k) {
      put_weights({static_cast<int>(k)}, true);
    }
    put<std::uint64_t>(bytes_, 0);  // room for <unk>, if the counts were without it
    for (std::size_t n = 2; n <= grams_.order; ++n) {
      const std::vector<Words> all = grams_.of_order(n);
      Table table(all.size(), n < grams_.order ? 16 : 12);
      for (const Words& words : all) {
        std::uint64_t key = static_cast<std::uint64_t>(words.back());
        for (auto word = words.rbegin() + 1; word != words.rend(); ++word) {
          key = (key * 8978948897894561157ULL) ^
                ((std::uint64_t{1} + static_cast<std::uint64_t>(*word)) * 17894857484156487943ULL);
        }
        Bytes kept;
        kept.swap(bytes_);
        put_weights(words, n < grams_.order);
        kept.swap(bytes_);
        table.insert(key, kept);
      }
      append(table.bytes);
    }
    put_texts();
    return bytes_;
  }

  Bytes trie() {
    for (std::size_t k = 1; k < ids_.size(); ++k) {
      hashes_.push_back(murmur(grams_.names[k]));
    }
    std::sort(hashes_.begin(), hashes_.end());
    for (std::size_t k = 1; k < ids_.size(); ++k) {
      const auto found = std::lower_bound(hashes_.begin(), hashes_.end(), murmur(grams_.names[k]));
      ids_[k] = static_cast<std::uint32_t>(found - hashes_.begin() + 1);
    }
    put_header(2U + (quantised_ ? 1U : 0U) + (arrays_ ? 2U : 0U), 1);
    put<std::uint64_t>(bytes_, hashes_.size());
    for (const std::uint64_t hash : hashes_) {
      put(bytes_, hash);
    }
    put<std::uint64_t>(bytes_, 0);  // counts are with <unk>
    for (std::size_t n = 1; n <= grams_.order; ++n) {
      levels_.push_back(reversed(n));
    }
    put_values();
    for (std::uint32_t id = 0; id < ids_.size(); ++id) {
      put_weights(levels_[0][id].words, false);
      put(bytes_, mark(levels_[0][id].words));
      put<std::uint64_t>(bytes_, first_below(1, {id}));
    }
    put<float>(bytes_, 0.0F);
    put<float>(bytes_, 0.0F);
    put<std::uint64_t>(bytes_, levels_[1].size());
    append(Bytes(16));  // room for <unk>, if the counts were without it
    for (std::size_t n = 2; n <= grams_.order; ++n) {
      put_records(n);
    }
    put_texts();
    return bytes_;
  }

 private:
  struct Record {
    std::vector<std::uint32_t> ids;  // from the last word to the first
    Words words;
  };
  struct Table {
    Table(std::size_t entries, std::size_t width)
        : width(width), buckets(std::max(entries + 1, entries * 3 / 2)), bytes(buckets * width) {}
    void insert(std::uint64_t key, const Bytes& value) {
      std::size_t at = key % buckets;
      std::uint64_t there = 0;
      for (;; at = (at + 1) % buckets) {
        std::memcpy(&there, bytes.data() + at * width, 8);
        if (there == 0) {
          break;
        }
      }
      std::memcpy(bytes.data() + at * width, &key, 8);
      std::memcpy(bytes.data() + at * width + 8, value.data(), value.size());
    }
    std::size_t width;
    std::size_t buckets;
    Bytes bytes;
  };

  void append(const Bytes& more) { bytes_.insert(bytes_.end(), more.begin(), more.end()); }

  void put_header(std::uint32_t kind, std::uint32_t version) {
    const std::string_view magic("mmap lm http://kheafield.com/code format version 5\n\0", 52);
    append(Bytes(56));
    std::memcpy(bytes_.data(), magic.data(), magic.size());
    for (const float value : {0.0F, 1.0F, -0.5F}) {
      put(bytes_, value);
    }
    put<std::uint32_t>(bytes_, 1);
    put<std::uint32_t>(bytes_, 0xFFFFFFFF);
    put<std::uint32_t>(bytes_, 0);
    put<std::uint64_t>(bytes_, 1);
    put(bytes_, static_cast<std::uint32_t>(grams_.order));
    put(bytes_, 1.5F);
    put(bytes_, kind);
    put<std::uint32_t>(bytes_, 1);
    put(bytes_, version);
    for (std::size_t n = 1; n <= grams_.order; ++n) {
      put<std::uint64_t>(bytes_, grams_.of_order(n).size());
    }
    bytes_.resize((bytes_.size() + 7) / 8 * 8);
  }

  // The weight of an n-gram; its sign says of 0 whether the n-gram matters.
  float mark(const Words& words) const {
    const float backoff = grams_.all.at(words).backoff;
    return backoff == 0.0F && !grams_.extended(words) ? -0.0F : backoff;
  }
  // In the hash tables a score's sign says whether a longer n-gram ends in this one.
  void put_weights(const Words& words, bool backoff) {
    float score = grams_.all.at(words).score;
    const bool ends_longer =
        std::any_of(grams_.all.begin(), grams_.all.end(), [&](const auto& gram) {
          return gram.first.size() == words.size() + 1 &&
                 std::equal(words.begin(), words.end(), gram.first.begin() + 1);
        });
    if (hashes_.empty() && ends_longer) {
      score = -score;
    }
    put(bytes_, score);
    if (backoff) {
      put(bytes_, mark(words));
    }
  }

  std::vector<Record> reversed(std::size_t n) const {
    std::vector<Record> records;
    for (const Words& words : grams_.of_order(n)) {
      Record& record = records.emplace_back();
      record.words = words;
      for (auto word = words.rbegin(); word != words.rend(); ++word) {
        record.ids.push_back(ids_[static_cast<std::size_t>(*word)]);
      }
    }
    std::sort(records.begin(), records.end(),
              [](const Record& a, const Record& b) { return a.ids < b.ids; });
    return records;
  }
  std::size_t first_below(std::size_t level, const std::vector<std::uint32_t>& ids) const {
    const auto found =
        std::lower_bound(levels_[level].begin(), levels_[level].end(), ids,
                         [](const Record& a, const auto& wanted) { return a.ids < wanted; });
    return static_cast<std::size_t>(found - levels_[level].begin());
  }

  void put_values() {
    if (!quantised_) {
      return;
    }
    append(Bytes(8));
    bytes_[bytes_.size() - 8] = std::byte{2};
    bytes_[bytes_.size() - 7] = bytes_[bytes_.size() - 6] = std::byte{value_bits};
    for (std::size_t n = 2; n <= grams_.order; ++n) {
      std::set<float> scores;
      std::set<float> backoffs;
      for (const Record& record : levels_[n - 1]) {
        scores.insert(grams_.all.at(record.words).score);
        if (grams_.all.at(record.words).backoff != 0.0F) {
          backoffs.insert(grams_.all.at(record.words).backoff);
        }
      }
      score_values_.emplace_back(scores.begin(), scores.end());
      backoff_values_.push_back({-0.0F, 0.0F});
      backoff_values_.back().insert(backoff_values_.back().end(), backoffs.begin(), backoffs.end());
      for (std::vector<float>* values : {&score_values_.back(), &backoff_values_.back()}) {
        values->resize(std::size_t{1} << value_bits);
        if (values == &score_values_.back() || n < grams_.order) {
          for (const float value : *values) {
            put(bytes_, value);
          }
        }
      }
    }
  }
  static std::uint64_t place_of(const std::vector<float>& values, float value) {
    const auto found = std::find_if(values.begin(), values.end(), [&](float other) {
      return std::bit_cast<std::uint32_t>(other) == std::bit_cast<std::uint32_t>(value);
    });
    return static_cast<std::uint64_t>(found - values.begin());
  }

  void put_records(std::size_t n) {
    const std::vector<Record>& records = levels_[n - 1];
    const bool longest = n == grams_.order;
    const int word_bits = std::bit_width(ids_.size());
    int pointer_bits = longest ? 0 : std::bit_width(levels_[n].size());
    if (!longest && arrays_) {
      pointer_bits = put_array(n, pointer_bits);
    }
    const int score_bits = quantised_ ? value_bits : 31;
    const int backoff_bits = longest ? 0 : quantised_ ? value_bits : 32;
    const auto bits =
        static_cast<std::size_t>(word_bits + score_bits + backoff_bits + pointer_bits);
    const std::size_t at = bytes_.size();
    append(Bytes(((1 + records.size()) * bits + 7) / 8 + 8));
    for (std::size_t k = 0; k <= records.size(); ++k) {
      std::size_t bit = k * bits;
      const auto field = [&](std::uint64_t value, int width) {
        put_bits(bytes_, at, bit, value, width);
        bit += static_cast<std::size_t>(width);
      };
      if (k == records.size()) {
        bit += bits - static_cast<std::size_t>(pointer_bits);
        field(longest ? 0 : levels_[n].size(), pointer_bits);
        break;
      }
      const Record& record = records[k];
      field(record.ids.back(), word_bits);
      const float score = grams_.all.at(record.words).score;
      const float backoff = longest ? 0.0F : mark(record.words);
      if (quantised_) {
        if (!longest) {
          field(place_of(backoff_values_[n - 2], backoff), value_bits);
        }
        field(place_of(score_values_[n - 2], score), value_bits);
      } else {
        field(std::bit_cast<std::uint32_t>(score) & 0x7FFFFFFFU, 31);
        field(std::bit_cast<std::uint32_t>(backoff), backoff_bits);
      }
      field(longest ? 0 : first_below(n, record.ids), pointer_bits);
    }
  }
  // Returns how many bits of a pointer are left.
  int put_array(std::size_t n, int pointer_bits) {
    const auto records = static_cast<std::int64_t>(levels_[n - 1].size() + 1);
    int best = 0;
    std::int64_t lowest = std::numeric_limits<std::int64_t>::max();
    for (int bits = 0; bits <= pointer_bits; ++bits) {
      const std::int64_t change =
          static_cast<std::int64_t>(levels_[n].size() >> (pointer_bits - bits)) * 64 -
          records * bits;
      if (change < lowest) {
        lowest = change;
        best = bits;
      }
    }
    const int left = pointer_bits - best;
    std::vector<std::uint64_t> firsts;
    for (std::size_t k = 0; k < static_cast<std::size_t>(records); ++k) {
      const std::size_t pointer = k < levels_[n - 1].size()
                                      ? first_below(n, levels_[n - 1][k].ids)
                                      : levels_[n].size();
      while (firsts.size() <= pointer >> left) {
        firsts.push_back(k);
      }
    }
    const std::size_t begin = bytes_.size();
    append(Bytes((8 - begin % 8) % 8 + 8));
    for (const std::uint64_t first : firsts) {
      put(bytes_, first);
    }
    bytes_.resize(begin + 8 * (1 + firsts.size()) + 7);
    bytes_[begin + 1] = std::byte{22};  // a limit that is not reached
    return left;
  }

  void put_texts() {
    std::vector<std::string> texts(ids_.size());
    for (std::size_t k = 0; k < ids_.size(); ++k) {
      texts[ids_[k]] = grams_.names[k];
    }
    for (const std::string& text : texts) {
      for (const char c : text) {
        put(bytes_, c);
      }
      put(bytes_, '\0');
    }
  }

  static constexpr std::uint8_t value_bits = 8;
  const Grams& grams_;
  bool quantised_;
  bool arrays_;
  std::vector<std::uint32_t> ids_;  // by index of `names`
  std::vector<std::uint64_t> hashes_;
  std::vector<std::vector<Record>> levels_;
  std::vector<std::vector<float>> score_values_;
  std::vector<std::vector<float>> backoff_values_;
  Bytes bytes_;
};

Bytes kenlm_file(const Grams& grams, int kind) {
  KenlmFile file(grams, kind == 2 || kind == 4, kind >= 3);
  return kind == 0 ? file.probing() : file.trie();
}

// --- comparisons ---------------------------------------------------------------------------------

// Walks of random words: scores, states, bounds, and that batches are what single steps are.
void compare(const Grams& grams, const LanguageModel& model, Random& random,
             const std::string& where) {
  std::vector<std::int32_t> ids;
  for (const std::string& name : grams.names) {
    ids.push_back(model.word(name));
  }
  check(ids[0] == 0 && model.word("no such word") == 0, "unknown words are word 0", where);
  const std::unique_ptr<Session> session = model.session();
  std::vector<float> highest(ids.size());
  model.highest_scores(ids, highest);
  std::map<Words, std::int32_t> states;
  std::map<std::int32_t, Words> named;
  std::vector<Query> queries;
  std::vector<Step> expected;
  for (int walk = 0; walk < 60; ++walk) {
    Words context;
    const bool sentence = walk % 2 == 0;
    if (sentence) {
      context = {1};
    }
    std::int32_t state = session->start(sentence);
    for (int length = 0; length < 12; ++length) {
      const Words wanted = grams.state(context);
      check(states.try_emplace(wanted, state).first->second == state, "one context, two states",
            where);
      check(named.try_emplace(state, wanted).first->second == wanted, "two contexts, one state",
            where);
      check(std::abs(session->finish(state) - grams.score(context, 2)) < 1e-5F, "end's score",
            where);
      const auto word = static_cast<std::size_t>(random() % grams.names.size());
      const Query query{state, ids[word]};
      Step step{};
      session->score({&query, 1}, {&step, 1});
      check(std::abs(step.score - grams.score(context, static_cast<int>(word))) < 1e-5F,
            "a step's score", where);
      check(step.score <= model.highest_score(), "the model's bound", where);
      check(step.score <= highest[word], "the word's bound", where);
      queries.push_back(query);
      expected.push_back(step);
      state = step.state;
      context.push_back(static_cast<int>(word));
      if (context.size() >= grams.order) {
        context.erase(context.begin());
      }
    }
  }
  std::vector<Step> steps(queries.size());
  session->score(queries, steps);
  for (std::size_t k = 0; k < steps.size(); ++k) {
    check(steps[k].score == expected[k].score && steps[k].state == expected[k].state,
          "a batch's step", where);
  }
  // What is kept goes on as before.
  std::vector<std::int32_t> kept{queries.back().state, queries.front().state};
  session->keep(kept);
  const Query last{kept[0], queries.back().word};
  Step step{};
  session->score({&last, 1}, {&step, 1});
  check(step.score == expected.back().score, "a kept state's step", where);
}

Bytes cache_of(const NgramModel& model) {
  Bytes bytes;
  write_cache(model, [&](std::span<const std::byte> piece) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  });
  return bytes;
}

void test_random_models() {
  Random random(1);
  for (int round = 0; round < 24; ++round) {
    const std::size_t order = 1 + static_cast<std::size_t>(round) % 5;
    const bool closed = round % 2 == 0;
    const std::size_t num_words = order > 3 ? 2 + random() % 3 : 1 + random() % 9;
    const Grams grams = random_grams(order, num_words, closed, random);
    const std::string where = "round " + std::to_string(round);
    const std::string text =
        arpa_text(grams, round % 3 == 0 ? " " : "\t", round % 4 == 0 ? "\r\n" : "\n");

    const auto whole = NgramModel::parse_arpa(text);
    compare(grams, *whole, random, where);
    check(whole->order() == static_cast<int>(order), "the order", where);
    for (const std::string& name : grams.names) {
      check(whole->word_text(whole->word(name)) == name, "a word's text", where);
    }
    ArpaReader reader;
    for (std::size_t at = 0; at < text.size();) {
      const std::size_t size = 1 + random() % 200;
      reader.push(std::string_view(text).substr(at, size));
      at += size;
    }
    compare(grams, *reader.finish(), random, where + ", in pieces");

    const Bytes cache = cache_of(*whole);
    for (const bool all : {false, true}) {
      const auto read = parse_cache(Block::copy(cache), all);
      compare(grams, *read, random, where + ", cached");
      check(cache_of(*read) == cache, "a cache's cache", where);
    }
    for (int kind = 0; closed && order > 1 && kind < 5; ++kind) {
      const auto model = KenlmModel::parse(Block::copy(kenlm_file(grams, kind)));
      const std::string place = where + ", KenLM's " + model->kind();
      compare(grams, *model, random, place);
      for (const std::string& name : grams.names) {
        check(model->word_text(model->word(name)) == name, "a word's text", place);
      }
      if (kind > 0) {
        compare(grams, *model->compile(), random, place + ", compiled");
      }
    }
  }
}

// Two halves are the whole; what is kept of a sum goes on as before (see compare).
void test_sums() {
  Random random(5);
  const Grams grams = random_grams(3, 6, true, random);
  const auto one = NgramModel::parse_arpa(arpa_text(grams, "\t", "\n"));
  const auto other = KenlmModel::parse(Block::copy(kenlm_file(grams, 0)));
  compare(grams, CombinedModel({{one, 0.25F}, {other, 0.75F}}), random, "a sum");
  compare(grams, CombinedModel({{one, 1.0F}, {other, 0.0F}}), random, "a sum of one");
}

// Tables that begin too small, and arcs that are listed.
void test_growth() {
  Random random(2);
  const Grams grams = random_grams(3, 40, true, random);
  std::vector<std::uint64_t> counts;
  for (std::size_t n = 1; n <= grams.order; ++n) {
    counts.push_back(grams.of_order(n).size());
  }
  NgramBuilder builder(counts, 0);
  for (const std::string& name : grams.names) {
    const Words words{static_cast<int>(&name - grams.names.data())};
    builder.add_word(name, grams.all.at(words).score, grams.all.at(words).backoff, 0);
  }
  for (std::size_t n = 2; n <= grams.order; ++n) {
    for (const Words& words : grams.of_order(n)) {
      const std::vector<std::uint32_t> ids(words.begin(), words.end());
      builder.add(ids, grams.all.at(words).score, grams.all.at(words).backoff, 0);
    }
  }
  const auto model = builder.finish();
  compare(grams, *model, random, "grown");
  const NgramModel::Automaton flat = model->automaton();
  check(flat.arc_states.size() == counts[1] + counts[2], "the number of arcs");
  for (std::size_t k = 0; k < flat.arc_states.size(); ++k) {
    const Step step = model->step(flat.arc_states[k], flat.arc_words[k]);
    check(step.score == flat.arc_scores[k] && step.state == flat.arc_next[k], "an arc");
  }
}

// Many contexts and no arcs.
void test_empty_order() {
  std::string text = "\\data\\\nngram 1=1000\nngram 2=0\n\\1-grams:\n";
  for (int word = 0; word < 1000; ++word) {
    text += "-2\tw" + std::to_string(word) + "\t-0.5\n";
  }
  const auto model = NgramModel::parse_arpa(text + "\\2-grams:\n\\end\\\n");
  const auto read = parse_cache(Block::copy(cache_of(*model)), true);
  const Step step = read->step(0, read->word("w7"));
  check(step.score == -2.0F && read->step(step.state, read->word("w999")).score == -2.5F,
        "an order without n-grams");
}

void test_absent_unknown_word() {
  const auto model = NgramModel::parse_arpa("\\data\\\nngram 1=1\n\\1-grams:\n-1 a\n\\end\\\n");
  check(model->step(0, model->word("b")).score == -100.0F, "a model without <unk>");
  check(model->step(0, model->word("a")).score == -1.0F, "a model of one word");
}

void test_faulty_arpa() {
  struct Case {
    const char* text;
    long line;
    const char* reason;
  };
  const Case cases[] = {
      {"", 1, "no line \\data\\"},
      {"hello\n", 2, "no line \\data\\"},
      {"\\data\\\nngram 1=2\n\\1-grams:\n-1 a\n\\end\\\n", 5, "there are 1 n-grams of order 1"},
      {"\\data\\\nngram 1=1\n\\1-grams:\n-1 a\n-1 b\n\\end\\\n", 5, "more n-grams of order 1"},
      {"\\data\\\nngram 1=1\n\\1-grams:\n-1 a\n", 5, "the file ends"},
      {"\\data\\\nngram 1=1\n\\1-grams:\n-1 a\n\\end\\\nmore\n", 6, "after \\end\\"},
      {"\\data\\\nngram 2=1\n", 2, "the counts have"},
      {"\\data\\\nngram 1=x\n", 2, "the counts have"},
      {"\\data\\\nngram 1=99999999999\n", 2, "can't hold"},
      {"\\data\\\nngram 1=1\n\\2-grams:\n", 3, "expected \\1-grams:"},
      {"\\data\\\n\\1-grams:\n", 2, "expected counts"},
      {"\\data\\\nngram 1=1\n\\1-grams:\nnan a\n\\end\\\n", 4, "'nan', expected a number"},
      {"\\data\\\nngram 1=1\n\\1-grams:\n0.5 a\n\\end\\\n", 4, "above 1"},
      {"\\data\\\nngram 1=1\n\\1-grams:\n-1\n\\end\\\n", 4, "too few fields"},
      {"\\data\\\nngram 1=1\n\\1-grams:\n-1 a -1 -1\n\\end\\\n", 4, "too many fields"},
      {"\\data\\\nngram 1=1\n\\1-grams:\n-1 a -1\n\\end\\\n", 4, "no n-gram is longer"},
      {"\\data\\\nngram 1=2\n\\1-grams:\n-1 a\n-1 a\n\\end\\\n", 5, "was there before"},
      {"\\data\\\nngram 1=2\n\\1-grams:\n-1 <unk>\n-1 <UNK>\n\\end\\\n", 5, "was there before"},
      {"\\data\\\nngram 1=1\nngram 2=1\n\\1-grams:\n-1 a -inf\n\\2-grams:\n-1 a a\n\\end\\\n", 5,
       "the back-off weight is '-inf', expected a number"},
      {"\\data\\\nngram 1=1\nngram 2=1\n\\1-grams:\n-1 a\n\\2-grams:\n-1 a b\n\\end\\\n", 7,
       "has the word 'b', expected one of the unigrams"},
      {"\\data\\\nngram 1=1\nngram 2=2\n\\1-grams:\n-1 a\n\\2-grams:\n-1 a a\n-1 a a\n\\end\\\n", 8,
       "'a a' was there before"},
      {"\\data\\\nngram 1=1\nngram 2=0\nngram 3=1\n\\1-grams:\n-1 a\n\\2-grams:\n\\3-grams:\n"
       "-1 a a a\n\\end\\\n",
       9, "'a a a' extends one that the model does not have"},
      {"\\data\\\nngram 1=1\nngram 2=1\nngram 3=1\nngram 4=1\nngram 5=1\nngram 6=1\nngram 7=1\n"
       "ngram 8=1\nngram 9=1\n",
       10, "the order is 9 or more"},
  };
  for (const Case& faulty : cases) {
    try {
      NgramModel::parse_arpa(faulty.text);
      check(false, "accepted", faulty.text);
    } catch (const FormatError& error) {
      check(std::string_view(error.what()).find(faulty.reason) != std::string_view::npos &&
                error.line() == faulty.line && !error.remedy().empty(),
            faulty.text, std::string(error.what()) + " in line " + std::to_string(error.line()));
    }
  }
}

// --- mutations -----------------------------------------------------------------------------------

Bytes mutated(Bytes bytes, Random& random) {
  const auto any = [&](std::size_t below) { return random() % std::max<std::size_t>(below, 1); };
  const std::size_t header = std::min<std::size_t>(bytes.size(), 400);
  for (std::size_t times = 1 + any(3); times > 0 && !bytes.empty(); --times) {
    // Half of the changes are near the beginning, where sizes are.
    const std::size_t at = any(random() % 2 == 0 ? header : bytes.size()) % bytes.size();
    switch (any(6)) {
      case 0:
        bytes[at] ^= static_cast<std::byte>(1U << any(8));
        break;
      case 1:
        bytes[at] = static_cast<std::byte>(random());
        break;
      case 2:
        bytes.resize(at);
        break;
      case 3: {  // a piece of it elsewhere
        const std::size_t from = any(bytes.size());
        const std::size_t size = std::min(any(64), bytes.size() - from);
        const Bytes piece(bytes.begin() + static_cast<std::ptrdiff_t>(from),
                          bytes.begin() + static_cast<std::ptrdiff_t>(from + size));
        bytes.insert(bytes.begin() + static_cast<std::ptrdiff_t>(at), piece.begin(), piece.end());
        break;
      }
      case 4:  // something huge
        for (std::size_t k = at; k < std::min(at + 1 + any(8), bytes.size()); ++k) {
          bytes[k] = std::byte{0xFF};
        }
        break;
      default: {
        const std::size_t end = std::min(at + any(16), bytes.size());
        bytes.erase(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                    bytes.begin() + static_cast<std::ptrdiff_t>(end));
      }
    }
  }
  return bytes;
}

void walk(const LanguageModel& model, std::int32_t num_words, Random& random) {
  const std::unique_ptr<Session> session = model.session();
  std::vector<std::int32_t> states{session->start(true), session->start(false)};
  std::vector<Query> queries(40);
  std::vector<Step> steps(queries.size());
  const auto any_word = [&] {
    return static_cast<std::int32_t>(random() % static_cast<std::uint32_t>(num_words));
  };
  for (int round = 0; round < 4; ++round) {
    for (Query& query : queries) {
      query = {states[random() % states.size()], any_word()};
    }
    session->score(queries, steps);
    for (const Step& step : steps) {
      states.push_back(step.state);
    }
    static_cast<void>(session->finish(states.back()));
  }
  static_cast<void>(model.highest_score());
  const std::vector<std::int32_t> words{0, num_words - 1};
  std::vector<float> highest(words.size());
  model.highest_scores(words, highest);
  for (const char* word : {"", "<s>", "w1", "é0", "no such word"}) {
    check(model.word(word) >= 0 && model.word(word) < num_words, "a word's id");
  }
}

template <class Try>
void fuzz(const Bytes& whole, const std::string& what, Random& random, Try&& attempt) {
  attempt(whole);
  int accepted = 0;
  for (int k = 0; k < 1000; ++k) {
    const Bytes bytes = mutated(whole, random);
    try {
      attempt(bytes);
      ++accepted;
    } catch (const FormatError& error) {
      check(*error.what() != '\0' && !error.remedy().empty(), "an empty message", what);
    }
  }
  check(accepted < 1000, "nothing was rejected", what);
}

void test_mutations() {
  Random random(3);
  const Grams grams = random_grams(3, 25, true, random);
  for (int kind = 0; kind < 5; ++kind) {
    fuzz(kenlm_file(grams, kind), "KenLM " + std::to_string(kind), random, [&](const Bytes& bytes) {
      const auto model = KenlmModel::parse(Block::copy(bytes));
      walk(*model, model->num_words(), random);
      for (std::int32_t word = -1; word <= model->num_words(); ++word) {
        static_cast<void>(model->word_text(word));
      }
      try {
        const auto compiled = model->compile();
        walk(*compiled, compiled->num_words(), random);
      } catch (const FormatError&) {
      }
    });
  }
  const Grams few = random_grams(3, 3, false, random);
  const std::string text = arpa_text(few, "\t", "\n");
  const auto* const begin = reinterpret_cast<const std::byte*>(text.data());
  const auto model = NgramModel::parse_arpa(text);
  fuzz(Bytes(begin, begin + text.size()), "ARPA", random, [&](const Bytes& bytes) {
    const std::string_view mutant(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    ArpaReader reader(random() % 2 == 0 ? mutant.size() : 0);
    reader.push(mutant.substr(0, mutant.size() / 2));
    reader.push(mutant.substr(mutant.size() / 2));
    const auto read = reader.finish();
    walk(*read, read->num_words(), random);
  });
  fuzz(cache_of(*model), "a cache", random, [&](const Bytes& bytes) {
    const auto read = parse_cache(Block::copy(bytes), random() % 2 == 0);
    walk(*read, read->num_words(), random);
  });
}

// Caches that are wrong with right checksums: written from tables that are.
void test_deceiving_caches() {
  Random random(4);
  const Grams grams = random_grams(4, 6, false, random);
  const auto model = NgramModel::parse_arpa(arpa_text(grams, "\t", "\n"));
  const auto changed = [&]<class T>(std::span<const T> values, Block& block) {
    block = Block::copy(std::as_bytes(values));
    for (std::size_t times = random() % 20; times > 0; --times) {
      const std::size_t at = random() % block.bytes().size();
      block.data()[at] = static_cast<std::byte>(random() % 3 == 0 ? 0xFF : random());
    }
    const std::size_t size = random() % 8 == 0 ? random() % (values.size() + 1) : values.size();
    return std::span<const T>(reinterpret_cast<const T*>(block.data()), size);
  };
  int accepted = 0;
  for (int k = 0; k < 1000; ++k) {
    std::array<Block, 7> blocks;
    const NgramModel::Tables& right = model->tables();
    NgramModel::Tables wrong = right;
    wrong.unigrams = changed(right.unigrams, blocks[0]);
    wrong.highest = changed(right.highest, blocks[1]);
    wrong.contexts = changed(right.contexts, blocks[2]);
    wrong.arcs = ArcTable(changed(right.arcs.buckets(), blocks[3]));
    wrong.words = Vocabulary(changed(right.words.texts(), blocks[4]),
                             changed(right.words.ends(), blocks[5]),
                             changed(right.words.slots(), blocks[6]));
    wrong.begin = random() % 10 == 0 ? static_cast<std::uint32_t>(random()) : right.begin;
    const Bytes bytes = cache_of(NgramModel(std::move(wrong), {}));
    try {
      const auto read = parse_cache(Block::copy(bytes), true);
      walk(*read, read->num_words(), random);
      static_cast<void>(read->automaton());
      ++accepted;
    } catch (const FormatError&) {
    }
  }
  check(accepted > 100 && accepted < 1000, "deceiving caches", std::to_string(accepted));
}

void test_files() {
  check(!is_cache({}) && !KenlmModel::recognises({}), "an empty file");
  for (const Loading loading : {Loading::memory, Loading::map}) {
    try {
      read_cache("/nonexistent", loading);
      check(false, "a file that does not exist");
    } catch (const std::system_error&) {
    }
  }
}

}  // namespace

int main() {
  test_random_models();
  test_sums();
  test_growth();
  test_empty_order();
  test_absent_unknown_word();
  test_faulty_arpa();
  test_mutations();
  test_deceiving_caches();
  test_files();
  return 0;
}
