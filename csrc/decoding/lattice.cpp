#include "decoding/lattice.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <stdexcept>
#include <string>
#include <utility>

#include "decoding/errors.hpp"
#include "decoding/log_add.hpp"
#include "decoding/open_vocabulary.hpp"

namespace sestina::decoding {

namespace {


}  // namespace

Lattice::Lattice(std::vector<std::int32_t> frames, std::vector<LatticeArc> arcs, double lm_weight,
                 bool sums, Stretches stretches, Vocabulary vocabulary)
    : frames_(std::move(frames)),
      arcs_(std::move(arcs)),
      lm_weight_(lm_weight),
      sums_(sums),
      stretches_(std::move(stretches)),
      vocabulary_(std::move(vocabulary)) {
  check();
  drop_dead_ends();
}

void Lattice::check() const {
  const auto fail = [](std::size_t arc, const std::string& what) {
    throw std::invalid_argument("arc " + std::to_string(arc) + " " + what);
  };
  const std::size_t num_stretches = stretches_ ? stretches_->size() : 0;
  for (std::size_t k = 0; k < arcs_.size(); ++k) {
    const LatticeArc& arc = arcs_[k];
    if (arc.from >= arc.to || arc.to >= frames_.size()) {
      fail(k, "leads from node " + std::to_string(arc.from) + " to " + std::to_string(arc.to) +
                  ", expected a higher one of the " + std::to_string(frames_.size()) +
                  " nodes; number nodes in the order of their times");
    }
    if (arc.word < -1 || (arc.word == -1) != (arc.to + 1 == frames_.size())) {
      fail(k, "has word " + std::to_string(arc.word) +
                  ", expected a word, or -1 exactly on arcs into the last node; "
                  "end every path with an arc of its own");
    }
    if (!std::isfinite(score(arc))) {
      fail(k, "scores " + std::to_string(score(arc)) +
                  ", expected a finite number; leave out arcs that cannot be");
    }
    if (arc.first_stretch > arc.last_stretch || arc.last_stretch > num_stretches) {
      fail(k, "has tokens beyond those given; pass the tokens of every arc");
    }
  }
}

void Lattice::drop_dead_ends() {
  const std::size_t last = frames_.empty() ? 0 : frames_.size() - 1;
  std::stable_sort(arcs_.begin(), arcs_.end(), [](const LatticeArc& a, const LatticeArc& b) {
    return a.from != b.from ? a.from < b.from : a.to < b.to;
  });
  std::vector<char> reached(frames_.size(), 0);
  std::vector<char> leads_on(frames_.size(), 0);
  if (last > 0) {
    reached[0] = 1;
    leads_on[last] = 1;
  }
  for (const LatticeArc& arc : arcs_) {
    reached[arc.to] |= reached[arc.from];
  }
  for (auto arc = arcs_.rbegin(); arc != arcs_.rend(); ++arc) {
    leads_on[arc->from] |= leads_on[arc->to];
  }
  if (last == 0 || !leads_on[0]) {
    throw std::invalid_argument(
        "no path leads from the first to the last of the " + std::to_string(frames_.size()) +
        " nodes, expected one at least; look at the arcs between them");
  }
  std::vector<std::uint32_t> number(frames_.size(), 0);
  std::uint32_t kept = 0;
  for (std::size_t node = 0; node < frames_.size(); ++node) {
    if (reached[node] && leads_on[node]) {
      number[node] = kept;
      frames_[kept++] = frames_[node];
    }
  }
  std::erase_if(arcs_, [&](const LatticeArc& arc) {
    return !(reached[arc.from] && leads_on[arc.to]);
  });
  frames_.resize(kept);
  first_arc_.assign(kept + 1, 0);
  for (LatticeArc& arc : arcs_) {
    arc.from = number[arc.from];
    arc.to = number[arc.to];
    ++first_arc_[arc.from + 1];
  }
  for (std::size_t node = 0; node < kept; ++node) {
    first_arc_[node + 1] += first_arc_[node];
  }
}

std::span<const Stretch> Lattice::stretches(const LatticeArc& arc) const noexcept {
  if (!stretches_) {
    return {};
  }
  return {stretches_->data() + arc.first_stretch, arc.last_stretch - arc.first_stretch};
}

std::vector<std::int32_t> Lattice::words() const {
  std::vector<std::int32_t> found;
  for (const LatticeArc& arc : arcs_) {
    if (arc.word >= 0) {
      found.push_back(arc.word);
    }
  }
  std::sort(found.begin(), found.end());
  found.erase(std::unique(found.begin(), found.end()), found.end());
  return found;
}

std::vector<std::int32_t> Lattice::words_of(std::span<const Stretch> path) const {
  if (vocabulary_) {
    return vocabulary_->words_of(path);
  }
  std::vector<std::int32_t> words;
  for (const Stretch& stretch : path) {
    if (stretch.word >= 0) {
      words.push_back(stretch.word);
    }
  }
  return words;
}

LatticeSums Lattice::sums(double scale, bool sums) const {
  LatticeSums result{std::vector<double>(num_nodes(), minus_infinity),
                     std::vector<double>(num_nodes(), minus_infinity), 0.0};
  const auto add = [&](double& to, double score) {
    to = sums ? log_add(to, score) : std::max(to, score);
  };
  result.forward.front() = 0.0;
  result.backward.back() = 0.0;
  for (const LatticeArc& arc : arcs_) {
    add(result.forward[arc.to], result.forward[arc.from] + scale * score(arc));
  }
  for (auto arc = arcs_.rbegin(); arc != arcs_.rend(); ++arc) {
    add(result.backward[arc->from], result.backward[arc->to] + scale * score(*arc));
  }
  result.total = result.forward.back();
  return result;
}

std::vector<double> Lattice::posteriors(double scale) const {
  const LatticeSums all = sums(scale, true);
  std::vector<double> result;
  result.reserve(arcs_.size());
  for (const LatticeArc& arc : arcs_) {
    result.push_back(std::exp(all.forward[arc.from] + scale * score(arc) + all.backward[arc.to] -
                              all.total));
  }
  return result;
}

Lattice Lattice::prune(double beam) const {
  const LatticeSums best = sums(1.0, false);
  // The best path itself must stay, whatever the last digits of its sums.
  const double lowest = best.total - beam - 1e-9 * (1.0 + std::abs(best.total));
  std::vector<LatticeArc> kept;
  for (const LatticeArc& arc : arcs_) {
    if (best.forward[arc.from] + score(arc) + best.backward[arc.to] >= lowest) {
      kept.push_back(arc);
    }
  }
  return {frames_, std::move(kept), lm_weight_, sums_, stretches_, vocabulary_};
}

Lattice Lattice::rescore(const LanguageModel& model, std::span<const std::int32_t> model_words,
                         double lm_weight, std::size_t most_arcs) const {
  struct Place {
    std::int32_t state;
    std::uint32_t number;
  };
  const std::vector<std::int32_t> known = words();
  const std::unique_ptr<Session> session = model.session();
  const std::uint32_t last = num_nodes() - 1;
  std::vector<std::vector<Place>> places(num_nodes());  // a node's states of the model
  std::vector<std::uint32_t> node_of{0, last};          // of each new node
  places[0].push_back({session->start(true), 0});
  places[last].push_back({0, 1});
  const auto place_at = [&](std::uint32_t node, std::int32_t state) {
    for (const Place& place : places[node]) {
      if (place.state == state) {
        return place.number;
      }
    }
    const auto number = static_cast<std::uint32_t>(node_of.size());
    places[node].push_back({state, number});
    node_of.push_back(node);
    return number;
  };
  std::vector<LatticeArc> made;
  std::vector<Query> queries;
  std::vector<Step> steps;
  for (std::uint32_t node = 0; node < last; ++node) {
    const std::span<const LatticeArc> arcs = arcs_of(node);
    queries.clear();
    for (const Place& place : places[node]) {
      for (const LatticeArc& arc : arcs) {
        if (arc.word >= 0) {
          const auto at = std::lower_bound(known.begin(), known.end(), arc.word);
          queries.push_back({place.state, model_words[static_cast<std::size_t>(at - known.begin())]});
        }
      }
    }
    steps.resize(queries.size());
    session->score(queries, steps);
    if (made.size() + places[node].size() * arcs.size() > most_arcs) {
      throw std::length_error("the states of the language model make over " +
                              std::to_string(most_arcs) + " arcs of these " +
                              std::to_string(arcs_.size()) + "; prune the lattice first");
    }
    auto step = steps.begin();
    for (const Place& place : places[node]) {
      for (const LatticeArc& arc : arcs) {
        LatticeArc copy = arc;
        copy.from = place.number;
        if (arc.word >= 0) {
          check_score(step->score);
          copy.language = step->score;
          copy.to = place_at(arc.to, step->state);
          ++step;
        } else {
          copy.language = session->finish(place.state);
          check_score(copy.language);
          copy.to = 1;
        }
        made.push_back(copy);
      }
    }
  }
  // Numbers that rise with the old ones, so that arcs lead to higher ones again.
  std::vector<std::uint32_t> number(node_of.size());
  std::vector<std::int32_t> frames;
  for (std::uint32_t node = 0; node < num_nodes(); ++node) {
    for (const Place& place : places[node]) {
      number[place.number] = static_cast<std::uint32_t>(frames.size());
      frames.push_back(frames_[node]);
    }
  }
  for (LatticeArc& arc : made) {
    arc.from = number[arc.from];
    arc.to = number[arc.to];
  }
  return {std::move(frames), std::move(made), lm_weight, sums_, stretches_, vocabulary_};
}

}  // namespace sestina::decoding
