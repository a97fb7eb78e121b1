#include "decoding/decoder.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>

namespace sestina::decoding {

namespace {

std::vector<std::int32_t> ids_in_model(const Spellings& spellings, const LanguageModel& model) {
  // One more, for the word that stands for all that the lexicon lacks.
  std::vector<std::int32_t> ids(static_cast<std::size_t>(spellings.words().size()) + 1, 0);
  for (std::int32_t word = 0; word < spellings.words().size(); ++word) {
    ids[static_cast<std::size_t>(word)] = model.word(spellings.words().text(word));
  }
  return ids;
}

std::vector<float> highest_scores(const LanguageModel& model, std::span<const std::int32_t> words) {
  std::vector<float> scores(words.size());
  model.highest_scores(words, scores);
  return scores;
}

// By entry of the tree's words, the model's score of each at the start of a sentence.
std::vector<float> entry_scores(const Trie& trie, const LanguageModel& model,
                                std::span<const std::int32_t> model_words) {
  const std::vector<float> by_word = first_scores(model, model_words);
  std::vector<float> scores(trie.words.size());
  for (std::size_t w = 0; w < scores.size(); ++w) {
    scores[w] = by_word[static_cast<std::size_t>(trie.words[w])];
  }
  return scores;
}

}  // namespace

std::vector<float> first_scores(const LanguageModel& model, std::span<const std::int32_t> words) {
  const std::unique_ptr<Session> session = model.session();
  const std::int32_t start = session->start(true);
  std::vector<Query> queries(words.size());
  std::vector<Step> steps(words.size());
  for (std::size_t k = 0; k < words.size(); ++k) {
    queries[k] = {start, words[k]};
  }
  session->score(queries, steps);
  std::vector<float> scores(words.size());
  for (std::size_t k = 0; k < words.size(); ++k) {
    scores[k] = steps[k].score;
  }
  return scores;
}

Decoder::Decoder(const Spellings& spellings, const Trie& trie,
                 std::shared_ptr<const LanguageModel> model, Smearing smearing,
                 std::int32_t num_tokens, const SearchOptions& options)
    : model_(std::move(model)),
      own_model_words_(ids_in_model(spellings, *model_)),
      model_words_(own_model_words_),
      graph_(trie,
             look_ahead(trie,
                        smearing == Smearing::none ? std::vector<float>()
                                                   : entry_scores(trie, *model_, model_words_),
                        smearing),
             highest_scores(*model_, model_words_), num_tokens),
      options_(options) {}

Decoder::Decoder(const Trie& trie, std::span<const float> smears,
                 std::shared_ptr<const LanguageModel> model, std::vector<std::int32_t> model_words,
                 std::int32_t num_tokens, const SearchOptions& options)
    : model_(std::move(model)),
      own_model_words_(std::move(model_words)),
      model_words_(own_model_words_),
      graph_(trie, smears, highest_scores(*model_, model_words_), num_tokens),
      options_(options) {}

Decoder::Decoder(const Packed& parts, std::shared_ptr<const LanguageModel> model,
                 const SearchOptions& options)
    : model_(std::move(model)),
      model_words_(parts.model_words),
      graph_(parts.graph),
      options_(options) {}

std::vector<std::vector<Hypothesis>> Decoder::decode(std::span<const Utterance> utterances,
                                                     std::int32_t count, int threads) const {
  std::vector<std::vector<Hypothesis>> results(utterances.size());
  std::atomic<std::size_t> next{0};
  std::mutex failing;
  std::exception_ptr failure;
  const auto work = [&] {
    try {
      const std::unique_ptr<Search> one = search();
      for (std::size_t k = next++; k < utterances.size(); k = next++) {
        one->begin();
        one->step(utterances[k].scores, utterances[k].frames);
        results[k] = one->finish(count);
      }
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failing);
      failure = std::current_exception();
      next = utterances.size();
    }
  };
  std::vector<std::thread> helpers;
  const auto wanted = std::min<std::size_t>(static_cast<std::size_t>(std::max(threads, 1)),
                                            utterances.size());
  for (std::size_t k = 1; k < wanted; ++k) {
    try {
      helpers.emplace_back(work);
    } catch (const std::system_error&) {
      break;  // the system gives no more threads: those that run do the work
    }
  }
  work();
  for (std::thread& helper : helpers) {
    helper.join();
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
  return results;
}

}  // namespace sestina::decoding
