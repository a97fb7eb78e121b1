// Sequence-to-sequence searches over random scores: no read beyond what is given, and what they say
// of themselves holds.
#include <algorithm>
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "checks.hpp"
#include "decoding/lexicon.hpp"
#include "decoding/lm/ngram.hpp"
#include "decoding/lm/none.hpp"
#include "decoding/seq2seq.hpp"

using namespace sestina::decoding;

namespace {

const std::string arpa =
    "\\data\\\nngram 1=6\nngram 2=4\n\n\\1-grams:\n-1.3\t<unk>\n-99\t<s>\t-0.4\n-0.9\t</s>\n"
    "-0.5\tw1\t-0.2\n-0.8\tw2\t-0.6\n-1.1\tt3\n\n\\2-grams:\n-0.2\tw1 w2\n-0.3\t<s> w2\n"
    "-0.7\tw2 </s>\n-0.4\tw1 w1\n\n\\end\\\n";

class Any {
 public:
  explicit Any(unsigned seed) : random_(seed) {}
  std::size_t below(std::size_t bound) { return random_() % bound; }
  bool coin() { return below(2) == 0; }
  double number() { return static_cast<double>(below(2001)) / 1000.0 - 1.0; }

 private:
  std::mt19937 random_;
};

Seq2SeqOptions options_of(Any& any, std::size_t num_tokens) {
  Seq2SeqOptions options;
  options.beam_size = 1 + static_cast<std::int32_t>(any.below(20));
  options.beam_size_token = static_cast<std::int32_t>(any.coin() ? 0 : any.below(num_tokens + 1));
  options.beam_threshold = any.coin() ? 50.0 : 3.0;
  options.lm_weight = any.number();
  options.word_score = any.number();
  options.token_score = any.number();
  options.eos_score = any.number();
  options.length_penalty = any.coin() ? 0.0 : any.number();
  options.log_add = any.coin();
  options.joining = static_cast<Joining>(any.below(3));
  options.token_lm = any.coin();
  options.flashlight = any.coin();
  return options;
}

void search(const Seq2SeqDecoder& decoder, Any& any) {
  const auto width = static_cast<std::size_t>(decoder.num_tokens());
  Seq2SeqSearch search(decoder);
  for (int round = 0; round < 2; ++round) {
    search.begin();
    std::size_t before = 1;
    for (int step = 0; step < 12 && !search.tokens().empty(); ++step) {
      const std::size_t rows = search.tokens().size();
      check(rows <= static_cast<std::size_t>(decoder.options().beam_size), "the beam is kept");
      for (const std::int32_t parent : search.parents()) {
        check(step == 0 ? parent == -1 : parent >= 0 && parent < static_cast<int>(before),
              "parents are rows");
      }
      // On the heap and exact, so that the sanitizer sees a read beyond the end.
      std::vector<float> scores(rows * width);
      for (float& score : scores) {
        score = any.below(12) == 0 ? -INFINITY : -4.0F * static_cast<float>(any.below(1000)) / 1e3F;
      }
      const std::size_t place = any.below(scores.size());
      std::vector<float> bad = scores;
      bad[place] = any.coin() ? NAN : INFINITY;
      check(search.step(bad.data()) == static_cast<std::ptrdiff_t>(place), "the place is named");
      check(search.tokens().size() == rows, "and nothing has happened");
      check(search.step(scores.data()) == Seq2SeqSearch::fine, "a step is fine");
      before = rows;
      search.settled(3, 12);
    }
    const auto found = search.finish(1000);
    check(!found.empty(), "there is always a result");
    check(std::is_sorted(found.begin(), found.end(),
                         [](const auto& a, const auto& b) { return a.score > b.score; }),
          "the best comes first");
    for (const Seq2SeqHypothesis& one : found) {
      check(!one.finished || one.path.back().token == decoder.options().eos, "the end ends");
      check(std::isfinite(one.score) && std::isfinite(one.acoustic), "scores are finite");
    }
  }
}

}  // namespace

int main() {
  for (unsigned seed = 0; seed < 1500; ++seed) {
    Any any(seed);
    const std::size_t width = any.coin() ? 2 + any.below(8) : 60 + any.below(150);
    std::vector<std::string> names;
    std::vector<std::pair<std::string, std::int32_t>> entries;
    for (std::size_t k = 0; k < width; ++k) {
      names.push_back("t" + std::to_string(k));
      entries.emplace_back(names.back(), static_cast<std::int32_t>(k));
    }
    const std::vector<std::string_view> views(names.begin(), names.end());
    const TokenTable tokens(entries, static_cast<std::int32_t>(width));
    std::string text;
    for (std::size_t word = any.below(30); word > 0; --word) {
      text += "w" + std::to_string(any.below(12));
      for (std::size_t length = 1 + any.below(4); length > 0; --length) {
        text += " t" + std::to_string(1 + any.below(width - 1));
      }
      text += "\n";
    }
    const Spellings spellings = Spellings::parse(text, tokens);
    const Trie trie(spellings);
    std::shared_ptr<const LanguageModel> model = std::make_shared<NoModel>();
    if (any.coin()) {
      model = NgramModel::parse_arpa(arpa);
    }
    const Seq2SeqOptions options = options_of(any, width);
    search(Seq2SeqDecoder(spellings, trie, views, model, static_cast<Smearing>(any.below(3)),
                          options),
           any);
    search(Seq2SeqDecoder(views, model, options), any);
  }
  return exit_status();
}
