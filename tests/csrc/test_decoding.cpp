// The readers take hostile text without reading beyond it, and what they accept can be searched.
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "checks.hpp"
#include "decoding/decoder.hpp"
#include "decoding/errors.hpp"
#include "decoding/lexicon.hpp"
#include "decoding/lm/ngram.hpp"
#include "decoding/lm/none.hpp"

using namespace sestina::decoding;

namespace {

std::string mutated(std::string text, std::mt19937& random) {
  const auto any = [&](std::size_t below) { return random() % std::max<std::size_t>(below, 1); };
  for (std::size_t times = 1 + any(3); times > 0; --times) {
    const std::size_t at = any(text.size());
    switch (any(5)) {
      case 0:
        text[at] = static_cast<char>(random());
        break;
      case 1:
        text.resize(at + 1);
        break;
      case 2:
        text.insert(at, text.substr(any(text.size()), any(40)));
        break;
      case 3:
        text.erase(at, any(20));
        break;
      default:
        text.insert(at, std::to_string(random()));
    }
    if (text.empty()) {
      text = "\n";
    }
  }
  return text;
}

TokenTable tokens() {
  return TokenTable({{"-", 0}, {"|", 1}, {"a", 2}, {"b", 3}}, 4);
}

// Exact-sized copies on the heap, so that the sanitizer sees a read beyond the end.
std::shared_ptr<NgramModel> model_of(const std::string& text) {
  const std::vector<char> copy(text.begin(), text.end());
  return NgramModel::parse_arpa({copy.data(), copy.size()});
}

void walk(const NgramModel& model, std::mt19937& random) {
  const std::unique_ptr<Session> session = model.session();
  std::int32_t state = session->start(true);
  for (int k = 0; k < 30; ++k) {
    const Query query{state, static_cast<std::int32_t>(
                                 random() % static_cast<std::size_t>(model.words().size()))};
    Step step{};
    session->score({&query, 1}, {&step, 1});
    state = step.state;
    session->finish(state);
  }
}

std::vector<float> random_scores(std::size_t frames, std::mt19937& random) {
  std::vector<float> scores(4 * frames);
  for (float& score : scores) {
    score = random() % 20 == 0 ? -INFINITY : -static_cast<float>(random() % 1000) / 100.0F;
  }
  return scores;
}

void decode(const Spellings& spellings, std::shared_ptr<const LanguageModel> model,
            std::mt19937& random) {
  const Trie trie(spellings);
  for (int mode = 0; mode < 8; ++mode) {
    SearchOptions options;
    options.beam_size = 1 + static_cast<std::int32_t>(random() % 30);
    options.beam_size_token = static_cast<std::int32_t>(random() % 5);
    options.log_add = (mode & 1) != 0;
    options.flashlight = (mode & 2) != 0;
    options.merge = (mode & 4) != 0 ? Merge::history : Merge::context;
    options.silence = random() % 3 == 0 ? -1 : 1;
    options.unk_word = spellings.words().size();
    if (options.flashlight) {
      options.silence = 1;
    }
    if (random() % 2 == 0) {
      options.unk_score = -2.0;
    }
    const std::vector<std::string_view> names{"-", "|", "a", "b"};
    const Decoder decoder(spellings, trie, model, names, static_cast<Smearing>(random() % 3),
                          options, {}, {}, nullptr);
    const std::vector<float> scores = random_scores(50, random);
    const std::unique_ptr<Search> whole = decoder.search();
    whole->step(scores.data(), 50);
    const std::unique_ptr<Search> pieces = decoder.search();
    for (int t = 0; t < 50; t += 5) {
      pieces->step(scores.data() + 4 * t, 5);
      pieces->finish(3);
      pieces->forget(pieces->settled() / 2);
    }
    const auto one = whole->finish(5);
    const auto other = pieces->finish(5);
    check(one.size() == other.size(), "pieces give as many hypotheses");
    for (std::size_t k = 0; k < std::min(one.size(), other.size()); ++k) {
      check(one[k].score == other[k].score, "pieces give the same scores");
    }
  }
}

}  // namespace

int main() {
  std::mt19937 random(20);
  walk(*model_of(small_arpa), random);
  decode(Spellings::parse(small_lexicon, tokens()), model_of(small_arpa), random);
  decode(Spellings::parse(small_lexicon, tokens()), std::make_shared<NoModel>(), random);
  int accepted = 0;
  int refused = 0;
  for (int k = 0; k < 4000; ++k) {
    try {
      walk(*model_of(mutated(small_arpa, random)), random);
      ++accepted;
    } catch (const FormatError&) {
      ++refused;
    }
  }
  check(accepted > 100 && refused > 1000, "mutations of a model are of both kinds");
  accepted = refused = 0;
  for (int k = 0; k < 1000; ++k) {
    try {
      const std::string text = mutated(small_lexicon, random);
      const std::vector<char> copy(text.begin(), text.end());
      const Spellings spellings = Spellings::parse({copy.data(), copy.size()}, tokens());
      decode(spellings, std::make_shared<NoModel>(), random);
      ++accepted;
    } catch (const FormatError&) {
      ++refused;
    }
  }
  check(accepted > 50 && refused > 300, "mutations of a lexicon are of both kinds");
  return exit_status();
}
