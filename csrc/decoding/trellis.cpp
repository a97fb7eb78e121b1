#include "decoding/trellis.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "decoding/log_add.hpp"
#include "decoding/prefix_table.hpp"

namespace sestina::decoding {

namespace {

constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

// Where the best of some paths has last begun a token, since the node they come from.
struct Record {
  std::uint32_t parent;
  std::int32_t frame;
  std::int32_t token;
};

// The paths from a node to a state, no word between.
struct Item {
  std::uint32_t entry;   // the node
  std::uint32_t text;    // of the word so far, if words are read off the tokens
  std::uint32_t record;  // of the best of them
  double weight = 0.0;
  double highest = 0.0;   // contribution to the weight
  double language = 0.0;  // log10 of the best of them
  double bonus = 0.0;     // and the rest of its score that is not acoustic
};

class Contraction {
 public:
  Contraction(const Trellis& trellis, const LatticeOptions& options)
      : trellis_(trellis), options_(options) {}

  Lattice run() {
    find_best_scores();
    nodes_.push_back({0, 0});
    current_.resize(1);
    records_.push_back({none, -1, trellis_.token(0)});
    current_[0].push_back({0, OpenVocabulary::no_text, 0});
    for (frame_ = 0; frame_ < trellis_.num_frames(); ++frame_) {
      step();
    }
    finish();
    std::vector<std::int32_t> frames;
    for (const Node& node : nodes_) {
      frames.push_back(node.frames);
    }
    return {std::move(frames),
            std::move(arcs_),
            options_.lm_weight,
            options_.sums,
            std::make_shared<const std::vector<Stretch>>(std::move(stretches_)),
            options_.vocabulary};
  }

 private:
  struct Node {
    std::uint32_t state;
    std::int32_t frames;
  };
  struct Ended {
    LatticeArc arc;
    double highest;  // contribution to its score
    std::uint32_t record;
  };

  double score(const Trellis::Way& way) const {
    return way.emission + way.bonus + options_.lm_weight * static_cast<double>(way.language);
  }
  // An arc that scores `full` in all.
  LatticeArc arc_of(std::uint32_t from, std::int32_t word, double full, double language,
                    double bonus) const {
    const auto rounded = static_cast<float>(language);
    return {from, 0,  word, 0, 0, rounded, full - bonus - options_.lm_weight * rounded, bonus};
  }
  double plus(double left, double right) const {
    return options_.sums ? log_add(left, right) : std::max(left, right);
  }
  void find_best_scores();
  void step();
  void end_words_before_beginnings();
  void step_state(std::span<const Trellis::Way> ways);
  void drop_unlikely_texts(std::vector<Item>& items);
  void extend(std::vector<Item>& items, const Trellis::Way& way);
  void extend(std::vector<Item>& items, const Trellis::Way& way, const Item& item);
  void end_word(const Trellis::Way& way);
  // Of words that are read off the tokens.
  bool begins_word(const Trellis::Way& way) const {
    return reads_ && !way.stays &&
           options_.vocabulary->detokenizer().begins(trellis_.token(way.to));
  }
  bool separates_words(const Trellis::Way& way) const {
    return reads_ && !way.stays &&
           options_.vocabulary->detokenizer().separates(trellis_.token(way.to));
  }
  std::int32_t word_of(std::int32_t word, const Item& item);
  bool is_likely(const Item& item, double full, double after) const {
    return before_[nodes_[item.entry].state] + full + after >= lowest_;
  }
  template <typename MakeRecord>
  void add_arc(const LatticeArc& arc, const MakeRecord& record);
  std::uint32_t end_arcs(std::uint32_t state, std::int32_t frames);
  void finish();
  void finish_place(std::span<const Trellis::Final> finals, std::vector<Ended>& last);
  std::uint32_t new_record(std::uint32_t parent, std::int32_t token) {
    records_.push_back({parent, frame_, token});
    return static_cast<std::uint32_t>(records_.size() - 1);
  }
  void spell(LatticeArc& arc, std::uint32_t record, std::int32_t frames);

  const Trellis& trellis_;
  const LatticeOptions options_;
  // Whether words are read off the tokens; else the ways say where they end.
  const bool reads_ = options_.vocabulary && options_.vocabulary->reads_tokens();
  // The best path from the start to each state, and from each to the end.
  std::vector<double> before_;
  std::vector<double> after_;
  double lowest_ = 0.0;  // what a path must score

  std::int32_t frame_ = 0;
  std::vector<std::vector<Item>> current_;  // by state after the frame before
  std::vector<std::vector<Item>> next_;
  std::vector<Trellis::Way> ways_;
  std::vector<Record> records_;
  std::vector<std::uint32_t> ends_;  // by state after the frame before: the node of words that end in it
  PrefixTable places_;               // of items of one state
  std::unordered_map<std::int32_t, std::int32_t> spelled_;  // what a number of the search's stands for
  struct Text {
    std::uint32_t text;
    double best;  // score up to there of a path with it
  };
  std::vector<Text> texts_;   // of one state
  std::vector<Ended> ended_;  // arcs into one node
  std::vector<Node> nodes_;
  std::vector<LatticeArc> arcs_;
  std::vector<Stretch> stretches_;
};

void Contraction::find_best_scores() {
  before_.assign(trellis_.num_states(), minus_infinity);
  after_.assign(trellis_.num_states(), minus_infinity);
  before_[0] = 0.0;
  const std::span<const Trellis::Way> ways = trellis_.ways();
  for (const Trellis::Way& way : ways) {
    before_[way.to] = std::max(before_[way.to], before_[way.from] + score(way));
  }
  double best = minus_infinity;
  for (const Trellis::Final& final : trellis_.finals()) {
    const double last =
        final.bonus + options_.lm_weight * (final.language + static_cast<double>(final.word_language));
    after_[final.state] = std::max(after_[final.state], last);
    best = std::max(best, before_[final.state] + last);
  }
  for (auto way = ways.rbegin(); way != ways.rend(); ++way) {
    after_[way->from] = std::max(after_[way->from], after_[way->to] + score(*way));
  }
  if (best == minus_infinity) {
    throw std::invalid_argument("no path leads to the end of " +
                                std::to_string(trellis_.num_frames()) +
                                " frames, expected one at least; look for frames of minus infinity");
  }
  // The best path itself must stay, whatever the last digits of its sums; what leads nowhere not.
  lowest_ = std::max(best - options_.beam - 1e-9 * (1.0 + std::abs(best)),
                     std::numeric_limits<double>::lowest());
}

void Contraction::step() {
  ways_.clear();
  for (const Trellis::Way& way : trellis_.ways(frame_)) {
    if (before_[way.from] + score(way) + after_[way.to] >= lowest_) {
      ways_.push_back(way);
    }
  }
  std::stable_sort(ways_.begin(), ways_.end(),
                   [](const Trellis::Way& a, const Trellis::Way& b) { return a.to < b.to; });
  next_.resize(trellis_.last_state(frame_ + 1) - trellis_.first_state(frame_ + 1));
  for (std::vector<Item>& items : next_) {
    items.clear();
  }
  if (reads_) {
    end_words_before_beginnings();
  }
  for (std::size_t first = 0; first < ways_.size();) {
    std::size_t last = first;
    while (last < ways_.size() && ways_[last].to == ways_[first].to) {
      ++last;
    }
    step_state(std::span(ways_).subspan(first, last - first));
    first = last;
  }
  current_.swap(next_);
}

// Of words that are read off the tokens: a token that begins one ends the one before, in the state
// that it comes from.
void Contraction::end_words_before_beginnings() {
  const std::uint32_t first = trellis_.first_state(frame_);
  std::vector<double> after(current_.size(), minus_infinity);
  for (const Trellis::Way& way : ways_) {
    if (begins_word(way)) {
      after[way.from - first] = std::max(after[way.from - first], score(way) + after_[way.to]);
    }
  }
  ends_.assign(current_.size(), none);
  for (std::uint32_t k = 0; k < current_.size(); ++k) {
    if (after[k] == minus_infinity) {
      continue;
    }
    ended_.clear();
    for (const Item& item : current_[k]) {
      if (item.text != OpenVocabulary::no_text && is_likely(item, item.weight, after[k])) {
        add_arc(arc_of(item.entry, word_of(-1, item), item.weight, item.language, item.bonus),
                [&] { return item.record; });
      }
    }
    if (!ended_.empty()) {
      ends_[k] = end_arcs(first + k, frame_);
    }
  }
}

// All ways into one state.
void Contraction::step_state(std::span<const Trellis::Way> ways) {
  const std::uint32_t state = ways.front().to;
  std::vector<Item>& items = next_[state - trellis_.first_state(frame_ + 1)];
  ended_.clear();
  places_.clear();
  for (const Trellis::Way& way : ways) {
    if (way.word < 0 && !separates_words(way)) {
      extend(items, way);
    } else {
      end_word(way);
    }
  }
  if (reads_ && items.size() > options_.most_texts) {
    drop_unlikely_texts(items);
  }
  if (!ended_.empty()) {
    const std::uint32_t node = end_arcs(state, frame_ + 1);
    items.push_back({node, OpenVocabulary::no_text, none});
  }
}

// Keeps the items of the texts with the best paths.
void Contraction::drop_unlikely_texts(std::vector<Item>& items) {
  texts_.clear();
  for (const Item& item : items) {
    texts_.push_back({item.text, before_[nodes_[item.entry].state] + item.weight});
  }
  std::sort(texts_.begin(), texts_.end(), [](const Text& a, const Text& b) {
    return a.text != b.text ? a.text < b.text : a.best > b.best;
  });
  texts_.erase(std::unique(texts_.begin(), texts_.end(),
                           [](const Text& a, const Text& b) { return a.text == b.text; }),
               texts_.end());
  if (texts_.size() <= options_.most_texts) {
    return;
  }
  const auto last = texts_.begin() + static_cast<std::ptrdiff_t>(options_.most_texts);
  std::nth_element(texts_.begin(), last - 1, texts_.end(), [](const Text& a, const Text& b) {
    return a.best != b.best ? a.best > b.best : a.text < b.text;
  });
  std::sort(texts_.begin(), last, [](const Text& a, const Text& b) { return a.text < b.text; });
  std::erase_if(items, [&](const Item& item) {
    const auto at = std::lower_bound(texts_.begin(), last, item.text,
                                     [](const Text& a, std::uint32_t b) { return a.text < b; });
    return at == last || at->text != item.text;
  });
}

void Contraction::extend(std::vector<Item>& items, const Trellis::Way& way) {
  const std::uint32_t from = way.from - trellis_.first_state(frame_);
  const bool begins = begins_word(way);
  for (const Item& item : current_[from]) {
    if (!begins || item.text == OpenVocabulary::no_text) {
      extend(items, way, item);
    }
  }
  if (begins && ends_[from] != none) {
    extend(items, way, {ends_[from], OpenVocabulary::no_text, none});
  }
}

void Contraction::extend(std::vector<Item>& items, const Trellis::Way& way, const Item& item) {
  const double weight = item.weight + score(way);
  if (!is_likely(item, weight, after_[way.to])) {
    return;
  }
  const std::int32_t token = trellis_.token(way.to);
  const auto record = [&] { return way.stays ? item.record : new_record(item.record, token); };
  const std::uint32_t text =
      reads_ && !way.stays ? options_.vocabulary->extended(item.text, token) : item.text;
  const auto made = static_cast<std::uint32_t>(items.size());
  const std::uint32_t at = places_.find_or_enter(item.entry, text, made);
  if (at == made) {
    items.push_back({item.entry, text, record(), weight, weight, item.language + way.language,
                     item.bonus + way.bonus});
    return;
  }
  Item& known = items[at];
  if (weight > known.highest) {
    known.highest = weight;
    known.record = record();
    known.language = item.language + way.language;
    known.bonus = item.bonus + way.bonus;
  }
  known.weight = plus(known.weight, weight);
}

void Contraction::end_word(const Trellis::Way& way) {
  std::vector<Item>& items = next_[way.to - trellis_.first_state(frame_ + 1)];
  for (const Item& item : current_[way.from - trellis_.first_state(frame_)]) {
    if (way.word < 0 && item.text == OpenVocabulary::no_text) {
      extend(items, way, item);
      continue;
    }
    const double full = item.weight + score(way);
    if (is_likely(item, full, after_[way.to])) {
      add_arc(arc_of(item.entry, word_of(way.word, item), full, item.language + way.language,
                     item.bonus + way.bonus),
              [&] { return new_record(item.record, trellis_.token(way.to)); });
    }
  }
}

// The word that these paths have become: the search's number for it, or -1 if it has none.
std::int32_t Contraction::word_of(std::int32_t word, const Item& item) {
  if (!options_.vocabulary) {
    return word;
  }
  OpenVocabulary& vocabulary = *options_.vocabulary;
  if (reads_) {
    return vocabulary.word_of(item.text);
  }
  if (!vocabulary.is_own(word)) {
    return word;
  }
  // Those of one number are spelled the same way.
  const auto [at, is_new] = spelled_.try_emplace(word, -1);
  if (is_new) {
    std::vector<std::int32_t> tokens;
    for (std::uint32_t record = item.record; record != none; record = records_[record].parent) {
      tokens.push_back(records_[record].token);
    }
    std::uint32_t text = OpenVocabulary::no_text;
    for (auto token = tokens.rbegin(); token != tokens.rend(); ++token) {
      text = vocabulary.extended(text, *token);
    }
    at->second = vocabulary.word_of(text);
  }
  return at->second;
}

// An arc into the state at hand, or more of one that there is.
template <typename MakeRecord>
void Contraction::add_arc(const LatticeArc& arc, const MakeRecord& record) {
  const auto score_of = [&](const LatticeArc& one) {
    return one.acoustic + one.bonus + options_.lm_weight * static_cast<double>(one.language);
  };
  const auto known = std::find_if(ended_.begin(), ended_.end(), [&](const Ended& other) {
    return other.arc.from == arc.from && other.arc.word == arc.word;
  });
  if (known == ended_.end()) {
    ended_.push_back({arc, score_of(arc), record()});
    return;
  }
  const double total = plus(score_of(known->arc), score_of(arc));
  if (score_of(arc) > known->highest) {
    known->highest = score_of(arc);
    known->record = record();
    known->arc = arc;
  }
  // What the others add counts as acoustic: they differ in their tokens or times.
  known->arc.acoustic += total - score_of(known->arc);
}

// The node that the ended arcs lead to.
std::uint32_t Contraction::end_arcs(std::uint32_t state, std::int32_t frames) {
  const auto node = static_cast<std::uint32_t>(nodes_.size());
  nodes_.push_back({state, frames});
  for (Ended& ended : ended_) {
    ended.arc.to = node;
    spell(ended.arc, ended.record, frames);
    arcs_.push_back(ended.arc);
  }
  return node;
}

void Contraction::finish() {
  std::vector<Ended> last;
  const std::span<const Trellis::Final> finals = trellis_.finals();
  for (std::size_t first = 0; first < finals.size();) {
    std::size_t next = first;
    while (next < finals.size() && finals[next].place == finals[first].place) {
      ++next;
    }
    finish_place(finals.subspan(first, next - first), last);
    first = next;
  }
  ended_ = std::move(last);
  end_arcs(none, frame_);
}

// What ends in one place: words there, and what follows the last word, which is put by.
void Contraction::finish_place(std::span<const Trellis::Final> finals, std::vector<Ended>& last) {
  ended_.clear();
  for (const Trellis::Final& final : finals) {
    for (const Item& item : current_[final.state - trellis_.first_state(frame_)]) {
      if (final.word < 0 && item.text == OpenVocabulary::no_text) {
        continue;
      }
      const double full = item.weight + final.bonus + options_.lm_weight * final.word_language;
      if (is_likely(item, full, options_.lm_weight * final.language)) {
        add_arc(arc_of(item.entry, word_of(final.word, item), full,
                       item.language + final.word_language, item.bonus + final.bonus),
                [&] { return item.record; });
      }
    }
  }
  const double language = finals.front().language;
  if (!ended_.empty()) {
    const std::uint32_t node = end_arcs(finals.front().state, frame_);
    last.push_back({arc_of(node, -1, options_.lm_weight * language, language, 0.0), 0.0, none});
  }
  ended_.swap(last);
  for (const Trellis::Final& final : finals) {
    for (const Item& item : current_[final.state - trellis_.first_state(frame_)]) {
      if (final.word < 0 && item.text == OpenVocabulary::no_text) {
        add_arc(arc_of(item.entry, -1, item.weight + options_.lm_weight * language,
                       item.language + language, item.bonus),
                [&] { return item.record; });
      }
    }
  }
  ended_.swap(last);
}

// The arc's tokens, and when its word was said: silence and blanks around it left out. So many
// frames have passed when it ends.
void Contraction::spell(LatticeArc& arc, std::uint32_t record, std::int32_t frames) {
  const std::size_t first = stretches_.size();
  for (std::uint32_t at = record; at != none; at = records_[at].parent) {
    stretches_.push_back({records_[at].token, records_[at].frame, -1});
  }
  std::reverse(stretches_.begin() + static_cast<std::ptrdiff_t>(first), stretches_.end());
  arc.first_stretch = static_cast<std::uint32_t>(first);
  arc.last_stretch = static_cast<std::uint32_t>(stretches_.size());
  // A word of nothing but silence was said when that was.
  arc.start = arc.word < 0 ? frames : frames - 1;
  arc.end = frames;
  if (arc.word < 0) {
    return;
  }
  bool spoken = false;
  std::size_t last = first;  // token of the word, as the search ends it
  for (std::size_t k = first; k < stretches_.size(); ++k) {
    const Stretch& stretch = stretches_[k];
    if (stretch.token != options_.blank) {
      last = k;
    }
    if (stretch.token == options_.blank || stretch.token == options_.silence) {
      continue;
    }
    if (!spoken) {
      arc.start = stretch.frame;
      spoken = true;
    }
    arc.end = k + 1 < stretches_.size() ? stretches_[k + 1].frame : frames;
  }
  if (!reads_) {
    const auto unknown = options_.vocabulary ? options_.vocabulary->unknown() : arc.word;
    stretches_[last].word = std::min(arc.word, unknown);
  }
}

}  // namespace

Lattice make_lattice(const Trellis& trellis, const LatticeOptions& options) {
  return Contraction(trellis, options).run();
}

}  // namespace sestina::decoding
