#include "decoding/decoder.hpp"

#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <mutex>
#include <numeric>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include "decoding/consensus.hpp"
#include "decoding/interruption.hpp"
#include "decoding/lm/symbols.hpp"
#include "decoding/trellis.hpp"

namespace sestina::decoding {

namespace {

std::vector<float> checked_transitions(std::vector<float> scores) {
  for (const float score : scores) {
    if (!(score < std::numeric_limits<float>::infinity())) {
      throw std::invalid_argument("a transition scores " + std::to_string(score) +
                                  ", expected a number or minus infinity");
    }
  }
  return scores;
}

void add_confidences(std::span<Hypothesis> hypotheses, const Lattice& lattice, double scale) {
  for (Hypothesis& hypothesis : hypotheses) {
    const std::vector<std::int32_t> words = lattice.words_of(hypothesis.path);
    const Alignment alignment = align(lattice, words, scale);
    for (std::size_t k = 0; k < words.size(); ++k) {
      hypothesis.confidences.push_back(candidate_of(alignment, k, words[k]).posterior);
    }
  }
}

}  // namespace

Decoder::Decoder(const Spellings& spellings, const Trie& trie,
                 std::shared_ptr<const LanguageModel> model,
                 std::span<const std::string_view> token_names, Smearing smearing,
                 const SearchOptions& options, std::vector<float> transitions,
                 std::span<const float> bonuses, std::shared_ptr<const PhraseAutomaton> phrases)
    : num_tokens_(static_cast<std::int32_t>(token_names.size())),
      transitions_(checked_transitions(std::move(transitions))),
      options_(checked(options)) {
  const std::vector<std::string_view> words = spellings.texts();
  const std::span<const std::string_view> names =
      options.token_lm ? token_names : std::span<const std::string_view>(words);
  own_model_symbols_ =
      options.token_lm ? ids_in_model(*model, names) : ids_in_model(*model, spellings);
  set_model(std::move(model), std::move(phrases), names);
  if (options.open) {
    words_ = &spellings.words();
    detokenizer_ = std::make_shared<const Detokenizer>(
        token_names, Detokenizer::Style::letters, options.asg ? -1 : options.blank,
        options.silence);
  }
  if (options.token_lm) {
    const std::vector<float> none(words.size(), 0.0F);
    graph_.emplace(trie, look_ahead(trie, {}, Smearing::none), none, num_tokens_, bonuses);
    return;
  }
  const bool looks_ahead = smearing != Smearing::none;
  const std::vector<float> first =
      looks_ahead ? entry_scores(*model_, trie, own_model_symbols_) : std::vector<float>();
  graph_.emplace(trie, look_ahead(trie, first, smearing),
                 highest_scores(*model_, own_model_symbols_), num_tokens_, bonuses);
  if (options.open && looks_ahead) {
    options_.unknown_smear = first_scores(*model_, model_symbols_.last(1)).front();
  }
}

Decoder::Decoder(std::shared_ptr<const LanguageModel> model,
                 std::span<const std::string_view> token_names, const SearchOptions& options,
                 std::vector<float> transitions, std::shared_ptr<const PhraseAutomaton> phrases)
    : own_model_symbols_(ids_in_model(*model, token_names)),
      num_tokens_(static_cast<std::int32_t>(token_names.size())),
      transitions_(checked_transitions(std::move(transitions))),
      options_(checked(options)) {
  set_model(std::move(model), std::move(phrases), token_names);
  detokenizer_ = std::make_shared<const Detokenizer>(
      token_names, Detokenizer::style_of(token_names), options.asg ? -1 : options.blank,
      options.silence);
}

Decoder::Decoder(std::shared_ptr<const LanguageModel> model,
                 std::vector<std::int32_t> model_symbols, std::int32_t num_tokens,
                 const SearchOptions& options, std::vector<float> transitions)
    : model_(std::move(model)),
      own_model_symbols_(std::move(model_symbols)),
      model_symbols_(own_model_symbols_),
      num_tokens_(num_tokens),
      transitions_(checked_transitions(std::move(transitions))),
      options_(checked(options)) {}

Decoder::Decoder(const Trie& trie, std::span<const float> smears,
                 std::shared_ptr<const LanguageModel> model,
                 std::vector<std::int32_t> model_symbols, std::int32_t num_tokens,
                 const SearchOptions& options, std::vector<float> transitions)
    : model_(std::move(model)),
      own_model_symbols_(std::move(model_symbols)),
      model_symbols_(own_model_symbols_),
      num_tokens_(num_tokens),
      transitions_(checked_transitions(std::move(transitions))),
      options_(checked(options)) {
  std::size_t num_words = own_model_symbols_.size();
  if (options.token_lm) {
    const auto last = std::max_element(trie.words.begin(), trie.words.end());
    num_words = last == trie.words.end() ? 0 : static_cast<std::size_t>(*last) + 1;
  }
  const std::vector<float> highest = options.token_lm
                                         ? std::vector<float>(num_words, 0.0F)
                                         : highest_scores(*model_, model_symbols_);
  graph_.emplace(trie, smears, highest, num_tokens);
}

Decoder::Decoder(const Packed& parts, std::shared_ptr<const LanguageModel> model,
                 const SearchOptions& options, std::shared_ptr<const PhraseAutomaton> phrases)
    : model_(std::move(model)),
      model_symbols_(parts.model_words),
      graph_(parts.graph),
      num_tokens_(static_cast<std::int32_t>(parts.graph.root_children.size())),
      transitions_(checked_transitions({parts.transitions.begin(), parts.transitions.end()})),
      options_(checked(options)) {
  if (parts.phrase_symbols.empty() != (phrases == nullptr)) {
    throw std::invalid_argument(
        "phrases go with the parts of a decoder that had some, and with no other");
  }
  if (phrases) {
    const auto copy = [](std::span<const std::int32_t> ids) {
      return std::vector<std::int32_t>(ids.begin(), ids.end());
    };
    bias(std::make_shared<const BiasedModel>(std::move(model_), std::move(phrases),
                                             copy(parts.model_words), copy(parts.phrase_symbols)));
  }
}

// Of words (or tokens) by their names, whose ids in the model itself are in own_model_symbols_.
void Decoder::set_model(std::shared_ptr<const LanguageModel> model,
                        std::shared_ptr<const PhraseAutomaton> phrases,
                        std::span<const std::string_view> names) {
  if (phrases) {
    bias(std::make_shared<const BiasedModel>(std::move(model), std::move(phrases),
                                             std::move(own_model_symbols_), names));
  } else {
    model_ = std::move(model);
    model_symbols_ = own_model_symbols_;
  }
}

// By its own numbers, for it knows those of the model below it.
void Decoder::bias(std::shared_ptr<const BiasedModel> model) {
  biased_ = std::move(model);
  model_ = biased_;
  own_model_symbols_.resize(biased_->base_ids().size());
  std::iota(own_model_symbols_.begin(), own_model_symbols_.end(), 0);
  model_symbols_ = own_model_symbols_;
}

std::unique_ptr<Search> Decoder::borrow() const {
  {
    const std::lock_guard<std::mutex> lock(idle_lock_);
    if (!idle_.empty()) {
      std::unique_ptr<Search> search = std::move(idle_.back());
      idle_.pop_back();
      return search;
    }
  }
  return search();
}

void Decoder::give_back(std::unique_ptr<Search> search) const {
  constexpr std::size_t most = 64;
  search->rest();
  const std::lock_guard<std::mutex> lock(idle_lock_);
  if (idle_.size() < most) {
    idle_.push_back(std::move(search));
  }
}

std::vector<std::vector<Hypothesis>> Decoder::decode(std::span<const Utterance> utterances,
                                                     std::int32_t count, int threads,
                                                     const Posteriors* confidences) const {
  std::vector<std::vector<Hypothesis>> results(utterances.size());
  std::atomic<std::size_t> next{0};
  std::mutex failing;
  std::exception_ptr failure;
  Together together;
  const auto work = [&] {
    const Interruptible scope(together);
    try {
      const std::unique_ptr<Search> recording = confidences ? recording_search() : nullptr;
      // One search does for both, if it merges as it would have without confidences.
      const bool searches_once = recording && options_.merge == options_.recorded_merge;
      std::unique_ptr<Search> one = searches_once ? nullptr : borrow();
      const auto run = [&](Search& search, const Utterance& utterance) {
        search.begin();
        search.step(utterance.scores, utterance.frames);
      };
      for (std::size_t k = next++; k < utterances.size(); k = next++) {
        Search& searching = searches_once ? *recording : *one;
        run(searching, utterances[k]);
        results[k] = searching.finish(count);
        if (confidences && !results[k].empty()) {
          if (!searches_once) {
            run(*recording, utterances[k]);
          }
          const auto& [beam, scale, most_texts] = *confidences;
          add_confidences(results[k], lattice_of(*recording, beam, most_texts), scale);
        }
      }
      if (one) {
        give_back(std::move(one));
      }
    } catch (const Together::Stopped&) {
      // Another thread has the reason.
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failing);
      failure = std::current_exception();
      next = utterances.size();
      together.stop();
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

std::unique_ptr<Search> Decoder::recording_search() const {
  SearchOptions options = options_;
  options.record = true;
  options.merge = options.recorded_merge;
  return search(options);
}

std::optional<Lattice> Decoder::lattice(const Utterance& utterance, double beam,
                                        std::size_t most_texts) const {
  const std::unique_ptr<Search> one = recording_search();
  one->step(utterance.scores, utterance.frames);
  if (one->trellis().finals().empty()) {
    return std::nullopt;
  }
  return lattice_of(*one, beam, most_texts);
}

Lattice Decoder::lattice_of(Search& search, double beam, std::size_t most_texts) const {
  LatticeOptions options{beam, options_.lm_weight, options_.log_add,
                         options_.asg ? -1 : options_.blank, options_.silence};
  if (detokenizer_) {
    options.vocabulary = std::make_shared<OpenVocabulary>(
        detokenizer_, graph_ ? options_.unk_word : -1, words_);
    options.most_texts = most_texts;
  }
  Lattice made = make_lattice(search.trellis(), options);
  if (options.vocabulary) {
    options.vocabulary->close();
  }
  return made;
}

}  // namespace sestina::decoding
