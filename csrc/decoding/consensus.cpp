#include "decoding/consensus.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <stdexcept>
#include <string>

namespace sestina::decoding {

namespace {

// Shares of alignments that are too small to follow.
constexpr double negligible = 1e-12;
// Of each of two tables: 1 GiB.
constexpr std::size_t most_cells = std::size_t{1} << 27;
// Errors fall with each step or the steps end, so this only bounds the time.
constexpr int most_steps = 50;

std::vector<std::int32_t> words_of_best_path(const Lattice& lattice) {
  const std::vector<double> ahead = lattice.sums(1.0, false).backward;
  std::vector<std::int32_t> words;
  for (std::uint32_t node = 0; node + 1 < lattice.num_nodes();) {
    const std::span<const LatticeArc> arcs = lattice.arcs_of(node);
    const auto best = std::max_element(
        arcs.begin(), arcs.end(), [&](const LatticeArc& a, const LatticeArc& b) {
          return lattice.score(a) + ahead[a.to] < lattice.score(b) + ahead[b.to];
        });
    if (best->word >= 0) {
      words.push_back(best->word);
    }
    node = best->to;
  }
  return words;
}

class Aligner {
 public:
  Aligner(const Lattice& lattice, double scale)
      : lattice_(lattice), posteriors_(lattice.posteriors(scale)) {
    // How probable each arc is among those into its node.
    std::vector<double> into(lattice.num_nodes(), 0.0);
    for (std::size_t a = 0; a < posteriors_.size(); ++a) {
      into[lattice.arcs()[a].to] += posteriors_[a];
    }
    for (std::size_t a = 0; a < posteriors_.size(); ++a) {
      const double all = into[lattice.arcs()[a].to];
      shares_.push_back(all > 0.0 ? posteriors_[a] / all : 0.0);
    }
  }

  Alignment align(std::span<const std::int32_t> words) {
    places_.assign(2 * words.size() + 1, -1);
    for (std::size_t k = 0; k < words.size(); ++k) {
      places_[2 * k + 1] = words[k];
    }
    width_ = places_.size() + 1;  // a column for the start, then one after each place
    if (lattice_.num_nodes() > most_cells / width_) {
      throw std::length_error("aligning " + std::to_string(words.size()) + " words with " +
                              std::to_string(lattice_.num_nodes()) + " nodes takes over " +
                              std::to_string(most_cells) +
                              " numbers; prune the lattice or cut the recording into utterances");
    }
    find_costs();
    result_ = {std::vector<std::vector<Candidate>>(places_.size()), costs_.back()};
    follow_back();
    for (std::vector<Candidate>& candidates : result_.places) {
      for (Candidate& one : candidates) {
        one.start /= one.posterior;
        one.end /= one.posterior;
      }
      std::stable_sort(candidates.begin(), candidates.end(),
                       [](const Candidate& a, const Candidate& b) {
                         return a.posterior > b.posterior;
                       });
    }
    return std::move(result_);
  }

 private:
  enum class Move : char { pair, insert, remove };

  static double cost(std::int32_t left, std::int32_t right) { return left == right ? 0.0 : 1.0; }
  double* row(std::vector<double>& rows, std::uint32_t node) const {
    return rows.data() + static_cast<std::size_t>(node) * width_;
  }

  // The expected cost of aligning an arc's paths with the first q places, for each q.
  void find_costs_of(const LatticeArc& arc, double* costs, Move* moves) {
    const double* const before = row(costs_, arc.from);
    for (std::size_t q = 0; q < width_; ++q) {
      // The arc's word is one more than the sequence has.
      costs[q] = before[q] + cost(arc.word, -1);
      moves[q] = Move::insert;
      if (q == 0) {
        continue;
      }
      const std::int32_t place = places_[q - 1];
      // Words that the sequence lacks are counted at the empty places, so pairs come first.
      const double pair = before[q - 1] + cost(arc.word, place);
      if (pair <= costs[q]) {
        costs[q] = pair;
        moves[q] = Move::pair;
      }
      const double remove = costs[q - 1] + cost(-1, place);
      if (remove < costs[q]) {
        costs[q] = remove;
        moves[q] = Move::remove;
      }
    }
  }

  void find_costs() {
    costs_.assign(width_ * lattice_.num_nodes(), 0.0);
    for (std::size_t q = 1; q < width_; ++q) {
      costs_[q] = costs_[q - 1] + cost(-1, places_[q - 1]);
    }
    arc_costs_.resize(width_);
    moves_.resize(width_);
    for (std::size_t a = 0; a < shares_.size(); ++a) {
      const LatticeArc& arc = lattice_.arcs()[a];
      if (shares_[a] > 0.0) {
        find_costs_of(arc, arc_costs_.data(), moves_.data());
        double* const after = row(costs_, arc.to);
        for (std::size_t q = 0; q < width_; ++q) {
          after[q] += shares_[a] * arc_costs_[q];
        }
      }
    }
  }

  // How often each move is part of the alignments, from the end back.
  void follow_back() {
    flows_.assign(width_ * lattice_.num_nodes(), 0.0);
    flows_.back() = 1.0;
    std::vector<double> flow(width_);
    for (std::size_t a = shares_.size(); a-- > 0;) {
      const LatticeArc& arc = lattice_.arcs()[a];
      const double* const after = row(flows_, arc.to);
      double* const before = row(flows_, arc.from);
      double most = 0.0;
      for (std::size_t q = 0; q < width_; ++q) {
        flow[q] = shares_[a] * after[q];
        most = std::max(most, flow[q]);
      }
      if (most < negligible) {
        continue;
      }
      find_costs_of(arc, arc_costs_.data(), moves_.data());
      for (std::size_t q = width_; q-- > 0;) {
        if (flow[q] < negligible) {
          continue;
        }
        switch (moves_[q]) {
          case Move::pair:
            before[q - 1] += flow[q];
            count(q - 1, arc.word, flow[q], arc);
            break;
          case Move::insert:
            before[q] += flow[q];
            break;
          case Move::remove:
            flow[q - 1] += flow[q];
            count(q - 1, -1, flow[q], arc);
            break;
        }
      }
    }
    double flow_at_start = 0.0;
    for (std::size_t q = width_; q-- > 1;) {
      flow_at_start += flows_[q];
      if (flow_at_start >= negligible) {
        count(q - 1, -1, flow_at_start, {});
      }
    }
  }

  void count(std::size_t place, std::int32_t word, double share, const LatticeArc& arc) {
    std::vector<Candidate>& candidates = result_.places[place];
    auto at = std::find_if(candidates.begin(), candidates.end(),
                           [&](const Candidate& one) { return one.word == word; });
    if (at == candidates.end()) {
      candidates.push_back({word, 0.0, 0.0, 0.0});
      at = candidates.end() - 1;
    }
    at->posterior += share;
    if (word >= 0) {
      at->start += share * arc.start;
      at->end += share * arc.end;
    }
  }

  const Lattice& lattice_;
  const std::vector<double> posteriors_;
  std::vector<double> shares_;  // by arc
  std::vector<std::int32_t> places_;
  std::size_t width_ = 0;
  std::vector<double> costs_;  // (node, places aligned so far): expected, of the paths into the node
  std::vector<double> flows_;  // (node, places aligned so far): share of alignments
  std::vector<double> arc_costs_;
  std::vector<Move> moves_;
  Alignment result_;
};

}  // namespace

Alignment align(const Lattice& lattice, std::span<const std::int32_t> words, double scale) {
  return Aligner(lattice, scale).align(words);
}

Candidate candidate_of(const Alignment& alignment, std::size_t k, std::int32_t word) {
  for (const Candidate& one : alignment.places[2 * k + 1]) {
    if (one.word == word) {
      return one;
    }
  }
  return {word, 0.0, 0.0, 0.0};
}

Consensus consensus(const Lattice& lattice, double scale) {
  Aligner aligner(lattice, scale);
  std::vector<std::int32_t> words = words_of_best_path(lattice);
  Alignment now = aligner.align(words);
  for (int step = 0; step < most_steps; ++step) {
    std::vector<std::int32_t> next;
    for (const std::vector<Candidate>& candidates : now.places) {
      if (!candidates.empty() && candidates.front().word >= 0) {
        next.push_back(candidates.front().word);
      }
    }
    if (next == words) {
      break;
    }
    Alignment then = aligner.align(next);
    if (!(then.expected_errors < now.expected_errors - 1e-9)) {
      break;
    }
    words = std::move(next);
    now = std::move(then);
  }
  Consensus result{{}, now.expected_errors};
  for (std::size_t k = 0; k < words.size(); ++k) {
    result.words.push_back(candidate_of(now, k, words[k]));
  }
  return result;
}

}  // namespace sestina::decoding
