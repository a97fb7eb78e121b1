// A language model of words as one of the tokens that spell them: what a word scores is paid when the
// next one begins, or the input ends, and foreseen until then.
//
// A state is one of the model of words (or all words so far) and the text of the word at hand, so that
// spellings of one text are one. Tokens are named by their own numbers.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "decoding/detokenizer.hpp"
#include "decoding/lm/model.hpp"

namespace sestina::decoding {

class SpelledModel final : public LanguageModel {
 public:
  // What a word scores (log10) besides the base's own, and one that is not known on top of that.
  struct Scores {
    float word;
    float unknown;
  };
  struct Word {
    std::int32_t id;  // the base's
    float score;
  };

  // `known` are words by their texts: all that count as known if `closed`, else all that are foreseen,
  // and those that the base knows are known as well. It is asked for all words by their texts. `by_history`: states are equal only if all words so far
  // are. Throws std::invalid_argument for a base by index.
  SpelledModel(std::shared_ptr<const LanguageModel> base, Detokenizer detokenizer,
               std::vector<std::string> known, bool closed, bool by_history, Scores scores);

  std::unique_ptr<Session> session() const override;
  bool by_index() const noexcept override { return true; }
  std::int32_t word(std::string_view) const override { return 0; }
  float highest_score() const noexcept override { return highest_; }

  const Detokenizer& detokenizer() const noexcept { return detokenizer_; }
  bool by_history() const noexcept { return by_history_; }
  // Of a word that is complete.
  Word complete(std::string_view text) const;
  // The most that a word can score which begins so, at the start of a sentence.
  float foreseen(std::string_view beginning) const;

 private:
  std::shared_ptr<const LanguageModel> base_;
  Detokenizer detokenizer_;
  std::vector<std::string> known_;   // sorted
  std::vector<std::int32_t> ids_;    // theirs
  std::vector<float> first_scores_;  // and what they score at the start of a sentence
  bool closed_;
  bool by_history_;
  Scores scores_;
  float first_unknown_ = 0.0F;
  float highest_ = 0.0F;
};

}  // namespace sestina::decoding
