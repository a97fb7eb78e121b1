// One decoder, used by several threads at once in every way there is; to be run under the thread
// sanitizer as well.
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "decoding/decoder.hpp"
#include "decoding/interruption.hpp"
#include "decoding/lexicon.hpp"
#include "decoding/lm/ngram.hpp"
#include "decoding/tokens.hpp"

using namespace sestina::decoding;

namespace {

const std::string arpa =
    "\\data\\\nngram 1=5\nngram 2=3\n\n\\1-grams:\n-1.3\t<unk>\n-99\t<s>\t-0.4\n-0.9\t</s>\n"
    "-0.5\tab\t-0.2\n-0.8\tba\t-0.6\n\n\\2-grams:\n-0.2\tab ba\n-0.3\t<s> ab\n-0.7\tba </s>\n\n"
    "\\end\\\n";

constexpr std::size_t num_frames = 60;
constexpr std::size_t num_utterances = 24;

std::vector<std::vector<float>> random_batch() {
  std::mt19937 random(7);
  std::vector<std::vector<float>> batch(num_utterances, std::vector<float>(4 * num_frames));
  for (std::vector<float>& scores : batch) {
    for (float& score : scores) {
      score = -static_cast<float>(random() % 1000) / 200.0F;
    }
  }
  return batch;
}

std::vector<double> scores_of(const std::vector<Hypothesis>& hypotheses) {
  std::vector<double> scores;
  for (const Hypothesis& hypothesis : hypotheses) {
    scores.push_back(hypothesis.score);
    scores.insert(scores.end(), hypothesis.confidences.begin(), hypothesis.confidences.end());
  }
  return scores;
}

std::vector<std::vector<double>> scores_of(const std::vector<std::vector<Hypothesis>>& results) {
  std::vector<std::vector<double>> all;
  for (const std::vector<Hypothesis>& hypotheses : results) {
    all.push_back(scores_of(hypotheses));
  }
  return all;
}

// An interruption of the thread that asked ends the work of all.
bool stops_all_threads(const Decoder& decoder, std::span<const Utterance> utterances) {
  struct Third : Interruption {
    void look() override {
      if (++frames == 3) {
        throw std::runtime_error("interrupted");
      }
    }
    int frames = 0;
  } third;
  const Interruptible scope(third);
  try {
    decoder.decode(utterances, 3, 4);
    return false;
  } catch (const std::runtime_error&) {
    return third.frames == 3;
  }
}

}  // namespace

int main() {
  const TokenTable tokens({{"-", 0}, {"|", 1}, {"a", 2}, {"b", 3}}, 4);
  const Spellings spellings = Spellings::parse("ab a b |\nba b a |\n", tokens);
  const Trie trie(spellings);
  SearchOptions options;
  options.silence = 1;
  options.unk_word = spellings.words().size();
  options.log_add = true;
  const std::vector<std::string_view> names{"-", "|", "a", "b"};
  const Decoder decoder(spellings, trie, NgramModel::parse_arpa({arpa.data(), arpa.size()}), names,
                        Smearing::max, options, {}, {}, nullptr);

  const std::vector<std::vector<float>> batch = random_batch();
  std::vector<Utterance> utterances;
  for (const std::vector<float>& scores : batch) {
    utterances.push_back({scores.data(), static_cast<std::ptrdiff_t>(num_frames)});
  }
  const Posteriors posteriors{10.0, 1.0, 4};
  const auto expected = scores_of(decoder.decode(utterances, 3, 1));
  const auto expected_sure = scores_of(decoder.decode(utterances, 3, 1, &posteriors));

  std::vector<int> failures(8, 0);
  std::vector<std::thread> threads;
  for (std::size_t thread = 0; thread < failures.size(); ++thread) {
    threads.emplace_back([&, thread] {
      for (int turn = 0; turn < 2; ++turn) {
        failures[thread] += scores_of(decoder.decode(utterances, 3, 2)) != expected;
        const auto sure = decoder.decode(utterances, 3, 2, &posteriors);
        failures[thread] += scores_of(sure) != expected_sure;
        const std::unique_ptr<Search> stream = decoder.search();
        stream->step(batch[thread].data(), 20);
        stream->finish(1);
        stream->step(batch[thread].data() + 4 * 20, num_frames - 20);
        failures[thread] += scores_of(stream->finish(3)) != expected[thread];
        failures[thread] += !decoder.lattice(utterances[thread], 10.0, 4).has_value();
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  int failed = 0;
  for (const int count : failures) {
    failed += count;
  }
  failed += !stops_all_threads(decoder, utterances);
  if (failed != 0) {
    std::printf("FAILED: %d results differ from those of one thread\n", failed);
  }
  return failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
