// Exact n-best of a lattice by A* over histories of words.
//
// A history stands for all paths of its words: the nodes where they end, each with their score. What
// it can become at best (or in sum) is known from the sums from each node to the end, and no
// continuation of a history is better than that; so complete histories leave the queue in the order
// of their scores.
#include <algorithm>
#include <limits>
#include <queue>
#include <stdexcept>
#include <string>

#include "decoding/lattice.hpp"
#include "decoding/log_add.hpp"

namespace sestina::decoding {

namespace {

constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

// Where the paths of a history end.
struct Place {
  std::uint32_t node;
  std::uint32_t previous;  // place of its best path
  std::uint32_t arc;       // that led there
  double score;
  double highest;  // contribution: its best path's
};

struct History {
  double promise;  // the score of the best that it can become, or of all that it can become
  std::uint32_t first;
  std::uint32_t last;  // of its places
  std::uint32_t order;

  // Of equals the one found first goes first.
  bool operator<(const History& other) const noexcept {
    return promise != other.promise ? promise < other.promise : order > other.order;
  }
};

struct Expansion {
  std::int32_t word;
  std::uint32_t arc;
  std::uint32_t previous;
  double score;
};

Hypothesis hypothesis_of(const Lattice& lattice, const std::vector<Place>& places,
                         std::uint32_t place) {
  Hypothesis result{places[place].score, 0.0, 0.0, {}};
  std::vector<const LatticeArc*> arcs;
  for (; places[place].arc != none; place = places[place].previous) {
    arcs.push_back(&lattice.arcs()[places[place].arc]);
  }
  std::reverse(arcs.begin(), arcs.end());
  for (const LatticeArc* arc : arcs) {
    result.acoustic += arc->acoustic;
    result.language += arc->language;
    const std::span<const Stretch> stretches = lattice.stretches(*arc);
    result.path.insert(result.path.end(), stretches.begin(), stretches.end());
    if (stretches.empty() && arc->word >= 0) {
      result.path.push_back({-1, arc->start, arc->word});
    }
  }
  return result;
}

}  // namespace

std::vector<Hypothesis> nbest(const Lattice& lattice, std::size_t count, std::size_t most_places) {
  const bool sums = lattice.sums();
  const auto plus = [&](double left, double right) {
    return sums ? log_add(left, right) : std::max(left, right);
  };
  const std::vector<double> ahead = lattice.sums(1.0, sums).backward;
  const LatticeArc* const arcs = lattice.arcs().data();
  std::vector<Place> places{{0, none, none, 0.0, 0.0}};
  std::priority_queue<History> queue;
  queue.push({ahead[0], 0, 1, 0});
  std::uint32_t order = 1;
  std::vector<Expansion> expansions;
  std::vector<Hypothesis> result;
  while (!queue.empty() && result.size() < count) {
    const History history = queue.top();
    queue.pop();
    if (places[history.first].node == lattice.num_nodes() - 1) {
      result.push_back(hypothesis_of(lattice, places, history.first));
      continue;
    }
    expansions.clear();
    for (std::uint32_t k = history.first; k < history.last; ++k) {
      for (const LatticeArc& arc : lattice.arcs_of(places[k].node)) {
        expansions.push_back({arc.word, static_cast<std::uint32_t>(&arc - arcs), k,
                              places[k].score + lattice.score(arc)});
      }
    }
    std::stable_sort(expansions.begin(), expansions.end(),
                     [&](const Expansion& a, const Expansion& b) {
                       return a.word != b.word ? a.word < b.word : arcs[a.arc].to < arcs[b.arc].to;
                     });
    for (auto at = expansions.begin(); at != expansions.end();) {
      const std::int32_t word = at->word;
      History next{minus_infinity, static_cast<std::uint32_t>(places.size()), 0, order++};
      for (; at != expansions.end() && at->word == word; ++at) {
        const std::uint32_t node = arcs[at->arc].to;
        if (places.size() == next.first || places.back().node != node) {
          places.push_back({node, at->previous, at->arc, at->score, at->score});
        } else {
          Place& place = places.back();
          place.score = plus(place.score, at->score);
          if (at->score > place.highest) {
            place.highest = at->score;
            place.previous = at->previous;
            place.arc = at->arc;
          }
        }
      }
      next.last = static_cast<std::uint32_t>(places.size());
      for (std::uint32_t k = next.first; k < next.last; ++k) {
        next.promise = plus(next.promise, places[k].score + ahead[places[k].node]);
      }
      queue.push(next);
    }
    if (places.size() > std::min<std::size_t>(most_places, none - 1)) {
      throw std::length_error("the best " + std::to_string(count) + " readings take over " +
                              std::to_string(most_places) +
                              " steps to find; ask for fewer, or prune the lattice first");
    }
  }
  // Scores summed in another order may differ in their last digits.
  std::stable_sort(result.begin(), result.end(), [](const Hypothesis& a, const Hypothesis& b) {
    return a.score > b.score;
  });
  return result;
}

}  // namespace sestina::decoding
