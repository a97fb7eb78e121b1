// Of sestina.decoding._native, what sestina.decoding.compat needs beyond the rest.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/shared_ptr.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "bind/decoding.hpp"
#include "decoding/decoder.hpp"
#include "decoding/lm/model.hpp"
#include "decoding/lm/symbols.hpp"
#include "decoding/scored_trie.hpp"
#include "decoding/seq2seq.hpp"

namespace nb = nanobind;
using namespace nb::literals;

namespace sestina::decoding {

namespace {

using Words = nb::ndarray<const std::int32_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
using WordScores = nb::ndarray<const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;
// Token of the arc to it, words, their scores, look-ahead, and the tokens of its children.
using NodeContents = std::tuple<std::int32_t, std::vector<std::int32_t>, std::vector<float>, float,
                                std::vector<std::int32_t>>;

NodeContents contents(const ScoredTrie& trie, std::uint32_t v) {
  const Trie& tree = trie.tree();
  if (v >= tree.num_nodes()) {
    throw nb::index_error("no such node");
  }
  const auto slice = [](const auto& values, std::uint32_t begin, std::uint32_t end) {
    using Value = std::remove_cvref_t<decltype(values[0])>;
    return std::vector<Value>(values.begin() + begin, values.begin() + end);
  };
  return {tree.token[v], slice(tree.words, tree.first_word[v], tree.first_word[v + 1]),
          slice(trie.scores(), tree.first_word[v], tree.first_word[v + 1]), trie.smears()[v],
          slice(tree.token, tree.first_child[v], tree.first_child[v + 1])};
}

void check_tokens(const ScoredTrie& trie, std::int32_t num_tokens) {
  if (num_tokens < trie.num_tokens()) {
    throw std::invalid_argument("num_tokens is " + std::to_string(num_tokens) +
                                ", expected at least the trie's " +
                                std::to_string(trie.num_tokens()));
  }
}

void check_symbols(const std::vector<std::int32_t>& symbols, std::int32_t last) {
  if (std::cmp_less_equal(symbols.size(), last)) {
    throw std::runtime_error("the language model knows " + std::to_string(symbols.size()) +
                             " indices, expected one for each up to " + std::to_string(last) +
                             "; make its dictionary of all labels");
  }
}

// A model of tokens scores each one as it comes; there is nothing to look ahead to.
std::vector<float> smears_of(const ScoredTrie& trie, bool token_lm) {
  if (token_lm) {
    return std::vector<float>(trie.smears().size(), 0.0F);
  }
  return {trie.smears().begin(), trie.smears().end()};
}

}  // namespace

void bind_compat(nb::module_& m) {
  nb::class_<ScoredTrie>(m, "ScoredTrie")
      .def(nb::init<std::int32_t>(), "num_tokens"_a)
      .def_prop_ro("num_tokens", &ScoredTrie::num_tokens)
      .def_prop_ro("num_spellings", &ScoredTrie::num_spellings)
      .def_prop_ro("largest_word", &ScoredTrie::largest_word)
      .def(
          "insert",
          [](ScoredTrie& trie, const std::vector<std::int32_t>& tokens, std::int32_t word,
             float score) { trie.insert(tokens, word, score); },
          "tokens"_a, "word"_a, "score"_a)
      .def(
          "insert_lexicon",
          [](ScoredTrie& trie, const Lexicon& lexicon, const Words& words,
             const WordScores& scores) {
            const Spellings& spellings = lexicon.spellings;
            const auto known = static_cast<std::size_t>(spellings.words().size());
            if (words.shape(0) != known || scores.shape(0) != known) {
              throw std::invalid_argument("expected a number and a score for each word");
            }
            for (std::size_t s = 0; s < spellings.num_spellings(); ++s) {
              const auto word = static_cast<std::size_t>(spellings.word_of(s));
              if (words(word) >= 0) {
                trie.insert(spellings.tokens_of(s), words(word), scores(word));
              }
            }
          },
          "lexicon"_a, "words"_a, "scores"_a,
          "Every spelling, under a number by word; those below 0 are left out.")
      .def("smear", &ScoredTrie::smear, "smearing"_a)
      .def(
          "find",
          [](const ScoredTrie& trie, const std::vector<std::int32_t>& tokens) {
            return trie.find(tokens);
          },
          "tokens"_a)
      .def("node", &contents, "index"_a);

  m.def(
      "first_scores",
      [](const LanguageModel& model, const std::vector<std::int32_t>& words) {
        return first_scores(model, words);
      },
      "model"_a, "words"_a);
  m.def(
      "trie_decoder",
      [](const ScoredTrie* trie, std::shared_ptr<LanguageModel> model,
         std::vector<std::int32_t> symbols, std::int32_t num_tokens, const SearchOptions& options,
         std::vector<float> transitions) {
        const bool by_word = trie != nullptr && !options.token_lm;
        check_symbols(symbols, by_word ? std::max(trie->largest_word(), options.unk_word)
                                       : num_tokens - 1);
        if (trie == nullptr) {
          return std::make_shared<Decoder>(std::move(model), std::move(symbols), num_tokens,
                                           options, std::move(transitions));
        }
        check_tokens(*trie, num_tokens);
        return std::make_shared<Decoder>(trie->tree(), smears_of(*trie, options.token_lm),
                                         std::move(model), std::move(symbols), num_tokens, options,
                                         std::move(transitions));
      },
      "trie"_a.none(), "model"_a, "symbols"_a, "num_tokens"_a, "options"_a, "transitions"_a,
      "Symbols are the model's ids, by word or by token.");
  m.def(
      "trie_seq2seq_decoder",
      [](const ScoredTrie* trie, std::shared_ptr<LanguageModel> model,
         std::vector<std::int32_t> symbols, std::int32_t num_tokens,
         const Seq2SeqOptions& options) {
        const bool by_word = trie != nullptr && !options.token_lm;
        check_symbols(symbols, by_word ? trie->largest_word() : num_tokens - 1);
        if (trie != nullptr) {
          check_tokens(*trie, num_tokens);
        }
        return std::make_shared<Seq2SeqDecoder>(
            trie == nullptr ? nullptr : &trie->tree(),
            trie == nullptr ? std::vector<float>() : smears_of(*trie, options.token_lm),
            std::move(model), std::move(symbols), num_tokens, options);
      },
      "trie"_a.none(), "model"_a, "symbols"_a, "num_tokens"_a, "options"_a);
}

}  // namespace sestina::decoding
