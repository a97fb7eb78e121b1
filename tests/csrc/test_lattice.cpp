// Lattices of random searches and of random arcs: what may be read of them stays inside them.
#include <cmath>
#include <memory>
#include <optional>
#include <random>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

#include "checks.hpp"
#include "decoding/consensus.hpp"
#include "decoding/decoder.hpp"
#include "decoding/lattice.hpp"
#include "decoding/lexicon.hpp"
#include "decoding/lm/ngram.hpp"
#include "decoding/lm/none.hpp"

using namespace sestina::decoding;

namespace {

void use(const Lattice& lattice, std::mt19937& random) {
  const std::vector<double> posteriors = lattice.posteriors(0.3);
  double first = 0.0;
  for (std::size_t a = 0; a < posteriors.size() && lattice.arcs()[a].from == 0; ++a) {
    first += posteriors[a];
  }
  check(std::abs(first - 1.0) < 1e-6, "posteriors of the arcs from the first node sum to 1");
  const std::vector<Hypothesis> best = nbest(lattice, 20);
  check(!best.empty(), "there is a reading");
  for (std::size_t k = 1; k < best.size(); ++k) {
    check(best[k - 1].score >= best[k].score, "readings come in the order of their scores");
  }
  const double errors = consensus(lattice, 0.3).expected_errors;
  // Of a list, of one word more than there is, and of words that are nowhere.
  std::vector<std::int32_t> words = lattice.words_of(best.front().path);
  check(errors >= -1e-9 && errors < 1e6, "expected errors are a number");
  words.push_back(static_cast<std::int32_t>(random() % 5));
  align(lattice, words, 0.3);
  align(lattice, std::vector<std::int32_t>{1000, 1001}, 1.0);
  align(lattice, {}, 0.0);
  const Lattice pruned = lattice.prune(static_cast<double>(random() % 8));
  check(std::abs(nbest(pruned, 1).front().score - best.front().score) < 1e-6 || lattice.sums(),
        "pruning keeps the best");
}

void search(const Spellings& spellings, const std::shared_ptr<const LanguageModel>& model,
            const NgramModel& other, std::mt19937& random) {
  const Trie trie(spellings);
  for (int mode = 0; mode < 8; ++mode) {
    SearchOptions options;
    options.beam_size = 1 + static_cast<std::int32_t>(random() % 30);
    options.beam_size_token = static_cast<std::int32_t>(random() % 5);
    options.beam_threshold = static_cast<double>(5 + random() % 50);
    options.log_add = (mode & 1) != 0;
    options.flashlight = (mode & 2) != 0;
    options.merge = (mode & 4) != 0 ? Merge::history : Merge::context;
    options.silence = options.flashlight || random() % 3 != 0 ? 1 : -1;
    options.unk_word = spellings.words().size();
    options.unk_score = random() % 2 == 0 ? -2.0 : -INFINITY;
    const std::vector<std::string_view> names{"-", "|", "a", "b"};
    const Decoder decoder(spellings, trie, model, names, static_cast<Smearing>(random() % 3), options,
                          {}, {}, nullptr);
    std::vector<float> scores(4 * (random() % 40));
    for (float& score : scores) {
      score = random() % 20 == 0 ? -INFINITY : -static_cast<float>(random() % 1000) / 100.0F;
    }
    const Utterance utterance{scores.data(), static_cast<std::ptrdiff_t>(scores.size() / 4)};
    const std::optional<Lattice> lattice =
        decoder.lattice(utterance, static_cast<double>(random() % 30), 4);
    if (!lattice) {  // frames of minus infinity may leave no reading
      check(decoder.decode({&utterance, 1}, 1, 1).front().empty(), "a search has no reading either");
      continue;
    }
    use(*lattice, random);
    std::vector<std::int32_t> ids;
    for (const std::int32_t word : lattice->words()) {
      ids.push_back(word < spellings.words().size() ? other.word(spellings.words().text(word)) : 0);
    }
    use(lattice->rescore(other, ids, 1.5, 1'000'000), random);
  }
}

// Random arcs, most of which are none.
void make(std::mt19937& random) {
  std::vector<std::int32_t> frames(random() % 8);
  std::vector<LatticeArc> arcs(random() % 20);
  for (LatticeArc& arc : arcs) {
    arc = {};
    arc.from = static_cast<std::uint32_t>(random() % 7);
    arc.to = arc.from + static_cast<std::uint32_t>(random() % 4);
    arc.word = arc.to + 1 == frames.size() ? -1 : static_cast<std::int32_t>(random() % 3);
    arc.acoustic = -static_cast<double>(random() % 10);
    if (random() % 50 == 0) {
      arc.last_stretch = 1;
    }
  }
  std::erase_if(arcs, [&](const LatticeArc& arc) {
    return random() % 10 != 0 && (arc.from >= arc.to || arc.to >= frames.size());
  });
  const Lattice lattice(frames, arcs, 1.0, random() % 2 == 0);
  use(lattice, random);
}

}  // namespace

int main() {
  std::mt19937 random(20);
  const TokenTable tokens({{"-", 0}, {"|", 1}, {"a", 2}, {"b", 3}}, 4);
  const Spellings spellings = Spellings::parse(small_lexicon, tokens);
  const std::shared_ptr<NgramModel> model = NgramModel::parse_arpa(small_arpa);
  for (int k = 0; k < 20; ++k) {
    search(spellings, model, *model, random);
    search(spellings, std::make_shared<NoModel>(), *model, random);
  }
  int accepted = 0;
  int refused = 0;
  for (int k = 0; k < 2000; ++k) {
    try {
      make(random);
      ++accepted;
    } catch (const std::invalid_argument&) {
      ++refused;
    }
  }
  check(accepted > 60 && refused > 200, "random arcs are of both kinds");
  return exit_status();
}
