#include "decoding/trellis.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>

#include "decoding/log_add.hpp"

namespace sestina::decoding {

namespace {

constexpr double minus_infinity = -std::numeric_limits<double>::infinity();
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
  std::uint32_t record;  // of the best of them
  double weight;
  double highest;   // contribution to the weight
  double language;  // log10 of the best of them
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
    current_[0].push_back({0, 0, 0.0, 0.0, 0.0});
    for (frame_ = 0; frame_ < trellis_.num_frames(); ++frame_) {
      step();
    }
    finish();
    std::vector<std::int32_t> frames;
    for (const Node& node : nodes_) {
      frames.push_back(node.frames);
    }
    return {std::move(frames), std::move(arcs_), options_.lm_weight, options_.sums,
            std::make_shared<const std::vector<Stretch>>(std::move(stretches_))};
  }

 private:
  struct Node {
    std::uint32_t state;
    std::int32_t frames;
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
  void step_state(std::span<const Trellis::Way> ways);
  void extend(std::vector<Item>& items, const Trellis::Way& way);
  void end_word(const Trellis::Way& way);
  template <typename MakeRecord>
  void add_arc(const LatticeArc& arc, const MakeRecord& record);
  void finish();
  std::uint32_t new_record(std::uint32_t parent, std::int32_t token) {
    records_.push_back({parent, frame_, token});
    return static_cast<std::uint32_t>(records_.size() - 1);
  }
  void spell(LatticeArc& arc, std::uint32_t record);

  const Trellis& trellis_;
  const LatticeOptions options_;
  // The best path from the start to each state, and from each to the end.
  std::vector<double> before_;
  std::vector<double> after_;
  double lowest_ = 0.0;  // what a path must score

  std::int32_t frame_ = 0;
  std::vector<std::vector<Item>> current_;  // by state after the frame before
  std::vector<std::vector<Item>> next_;
  std::vector<Trellis::Way> ways_;
  std::vector<Record> records_;
  struct Ended {
    LatticeArc arc;
    double highest;  // contribution to its score
    std::uint32_t record;
  };
  std::vector<Ended> ended_;  // arcs into one state
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
    const double last = options_.lm_weight * final.language;
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

// All ways into one state.
void Contraction::step_state(std::span<const Trellis::Way> ways) {
  const std::uint32_t state = ways.front().to;
  std::vector<Item>& items = next_[state - trellis_.first_state(frame_ + 1)];
  ended_.clear();
  for (const Trellis::Way& way : ways) {
    if (way.word < 0) {
      extend(items, way);
    } else {
      end_word(way);
    }
  }
  if (ended_.empty()) {
    return;
  }
  const auto node = static_cast<std::uint32_t>(nodes_.size());
  nodes_.push_back({state, frame_ + 1});
  for (Ended& ended : ended_) {
    ended.arc.to = node;
    spell(ended.arc, ended.record);
    arcs_.push_back(ended.arc);
  }
  items.push_back({node, none, 0.0, 0.0, 0.0});
}

void Contraction::extend(std::vector<Item>& items, const Trellis::Way& way) {
  for (const Item& item : current_[way.from - trellis_.first_state(frame_)]) {
    const double weight = item.weight + score(way);
    const double language = item.language + way.language;
    if (before_[nodes_[item.entry].state] + weight + after_[way.to] < lowest_) {
      continue;
    }
    const auto record = [&] {
      return way.stays ? item.record : new_record(item.record, trellis_.token(way.to));
    };
    const auto known = std::find_if(items.begin(), items.end(), [&](const Item& other) {
      return other.entry == item.entry;
    });
    if (known == items.end()) {
      items.push_back({item.entry, record(), weight, weight, language});
      continue;
    }
    if (weight > known->highest) {
      known->highest = weight;
      known->record = record();
      known->language = language;
    }
    known->weight = plus(known->weight, weight);
  }
}

void Contraction::end_word(const Trellis::Way& way) {
  for (const Item& item : current_[way.from - trellis_.first_state(frame_)]) {
    const double full = item.weight + score(way);
    if (before_[nodes_[item.entry].state] + full + after_[way.to] < lowest_) {
      continue;
    }
    const LatticeArc arc =
        arc_of(item.entry, way.word, full, item.language + way.language, way.bonus);
    add_arc(arc, [&] { return new_record(item.record, trellis_.token(way.to)); });
  }
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

void Contraction::finish() {
  ended_.clear();
  const std::uint32_t first = trellis_.first_state(frame_);
  for (const Trellis::Final& final : trellis_.finals()) {
    for (const Item& item : current_[final.state - first]) {
      const LatticeArc arc =
          arc_of(item.entry, -1, item.weight + options_.lm_weight * final.language,
                 item.language + final.language, 0.0);
      add_arc(arc, [&] { return item.record; });
    }
  }
  const auto node = static_cast<std::uint32_t>(nodes_.size());
  nodes_.push_back({none, frame_});
  for (Ended& ended : ended_) {
    ended.arc.to = node;
    spell(ended.arc, ended.record);
    ended.arc.start = ended.arc.end = frame_;
    arcs_.push_back(ended.arc);
  }
}

// The arc's tokens, and when its word was said: silence and blanks around it left out.
void Contraction::spell(LatticeArc& arc, std::uint32_t record) {
  const std::size_t first = stretches_.size();
  for (std::uint32_t at = record; at != none; at = records_[at].parent) {
    stretches_.push_back({records_[at].token, records_[at].frame, -1});
  }
  std::reverse(stretches_.begin() + static_cast<std::ptrdiff_t>(first), stretches_.end());
  arc.first_stretch = static_cast<std::uint32_t>(first);
  arc.last_stretch = static_cast<std::uint32_t>(stretches_.size());
  if (arc.word < 0) {
    return;
  }
  stretches_.back().word = arc.word;
  // A word of nothing but silence was said when that was.
  arc.start = frame_;
  arc.end = frame_ + 1;
  bool spoken = false;
  for (std::size_t k = first; k < stretches_.size(); ++k) {
    const Stretch& stretch = stretches_[k];
    if (stretch.token == options_.blank || stretch.token == options_.silence) {
      continue;
    }
    if (!spoken) {
      arc.start = stretch.frame;
      spoken = true;
    }
    arc.end = k + 1 < stretches_.size() ? stretches_[k + 1].frame : frame_ + 1;
  }
}

}  // namespace

Lattice make_lattice(const Trellis& trellis, const LatticeOptions& options) {
  return Contraction(trellis, options).run();
}

}  // namespace sestina::decoding
