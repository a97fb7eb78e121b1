#include "decoding/contexts.hpp"

#include <algorithm>
#include <bit>

#include "decoding/errors.hpp"

namespace sestina::decoding {

namespace {

constexpr std::size_t first_capacity = 4096;
// Words are at least 0; this one stands for "the context of this state" (see context_of).
constexpr std::int32_t no_word = -1;
constexpr std::uint32_t gone = 0xFFFFFFFFU;

}  // namespace

Contexts::Contexts(Session& session, std::span<const std::int32_t> model_words, Merge merge)
    : session_(session), model_words_(model_words), merge_(merge) {}

std::uint32_t Contexts::start() {
  clear();
  return context_of(session_.start(true), 0);
}

void Contexts::clear() {
  session_.keep({});
  reset(first_capacity);
}

void Contexts::reset(std::size_t capacity) {
  states_.clear();
  parents_.clear();
  slots_.assign(capacity, Slot{free_slot, {}});  // the memory stays, for the next utterance
  shift_ = 64 - std::countr_zero(capacity);
  used_ = 0;
  kept_ = 0;
}

std::vector<std::uint32_t> Contexts::needed(std::span<std::uint32_t* const> live) const {
  std::vector<bool> is_needed(states_.size(), false);
  if (merge_ == Merge::context) {
    for (const std::uint32_t* const context : live) {
      is_needed[*context] = true;
    }
  } else {
    // Those between them as well, up to the one that all come from: what leads from these to a
    // context that lives must lead there again. Children have larger numbers than their parents.
    std::uint32_t common = live.empty() ? 0 : *live.front();
    for (const std::uint32_t* const context : live) {
      for (std::uint32_t at = *context; at != common;) {
        std::uint32_t& later = at > common ? at : common;
        later = parents_[later];
      }
    }
    for (const std::uint32_t* const context : live) {
      std::uint32_t at = *context;
      for (; at != common && !is_needed[at]; at = parents_[at]) {
        is_needed[at] = true;
      }
    }
    is_needed[common] = true;
  }
  std::vector<std::uint32_t> contexts;
  for (std::uint32_t context = 0; context < is_needed.size(); ++context) {
    if (is_needed[context]) {
      contexts.push_back(context);
    }
  }
  return contexts;
}

std::vector<std::int32_t> Contexts::keep(std::span<std::uint32_t* const> live) {
  const std::vector<std::uint32_t> kept = needed(live);
  std::vector<std::uint32_t> names(states_.size(), gone);  // for now the places in `kept`
  std::vector<std::int32_t> states;
  std::vector<std::uint32_t> parents;
  for (const std::uint32_t context : kept) {
    names[context] = static_cast<std::uint32_t>(states.size());
    states.push_back(states_[context]);
    parents.push_back(names[parents_[context]]);
  }
  std::vector<Slot> answers;
  std::vector<std::int32_t> words;
  for (const Slot& slot : slots_) {
    const auto word = static_cast<std::int32_t>(slot.key & 0xFFFFFFFFU);
    if (slot.key == free_slot || word == no_word) {
      continue;
    }
    const std::uint32_t from = names[slot.key >> 32];
    const std::uint32_t to = names[slot.transition.context];
    if (from != gone && to != gone) {
      answers.push_back({key_of(from, word), {slot.transition.score, to}});
      words.push_back(word);
    }
  }
  session_.keep(states);
  // Large enough at once: answers come in the order of the table that was, and those would crowd the
  // front of a smaller one until it had grown.
  reset(std::max(first_capacity, std::bit_ceil(2 * (answers.size() + states.size()) + 2)));
  std::vector<std::uint32_t> made;
  for (std::size_t k = 0; k < states.size(); ++k) {
    made.push_back(context_of(states[k], parents[k] < k ? made[parents[k]] : 0));
  }
  for (const Slot& slot : answers) {
    const auto word = static_cast<std::int32_t>(slot.key & 0xFFFFFFFFU);
    insert(key_of(made[slot.key >> 32], word),
           {slot.transition.score, made[slot.transition.context]});
  }
  for (std::uint32_t* const context : live) {
    *context = made[names[*context]];
  }
  kept_ = used_;
  return words;
}

float Contexts::finish(std::uint32_t context) {
  const float score = session_.finish(states_[context]);
  check_score(score);
  return score;
}

void Contexts::finish_all(std::span<const std::uint32_t> contexts, std::span<float> scores) {
  std::vector<std::int32_t> states;
  for (const std::uint32_t context : contexts) {
    states.push_back(states_[context]);
  }
  session_.finish_all(states, scores);
  std::ranges::for_each(scores, check_score);
}

void Contexts::grow() {
  spare_.assign(slots_.size() * 2, Slot{free_slot, {}});
  spare_.swap(slots_);
  shift_ = 64 - std::countr_zero(slots_.size());
  used_ = 0;
  for (const Slot& slot : spare_) {
    if (slot.key != free_slot) {
      insert(slot.key, slot.transition);
    }
  }
}

void Contexts::forget_unanswered() {
  spare_.assign(slots_.size(), Slot{free_slot, {}});
  spare_.swap(slots_);
  used_ = 0;
  for (const Slot& slot : spare_) {
    if (slot.key != free_slot && slot.transition.context != gone) {
      insert(slot.key, slot.transition);
    }
  }
}

void Contexts::insert(std::uint64_t key, Transition transition) {
  if (2 * used_ >= slots_.size()) {
    grow();
  }
  std::size_t slot = slot_of(key);
  while (slots_[slot].key != free_slot) {
    slot = (slot + 1) & (slots_.size() - 1);
  }
  slots_[slot] = {key, transition};
  ++used_;
}

std::uint32_t Contexts::context_of(std::int32_t state, std::uint32_t parent) {
  if (merge_ == Merge::context) {
    if (const Transition* known = find(static_cast<std::uint32_t>(state), no_word)) {
      return known->context;
    }
    insert(key_of(static_cast<std::uint32_t>(state), no_word),
           {0.0F, static_cast<std::uint32_t>(states_.size())});
  }
  states_.push_back(state);
  parents_.push_back(parent);
  return static_cast<std::uint32_t>(states_.size() - 1);
}

void Contexts::resolve(std::span<const Request> requests) {
  unknown_.clear();
  queries_.clear();
  for (const Request& request : requests) {
    if (find(request.context, request.word) == nullptr) {
      // Entered at once, so that a second request for it is not asked again.
      insert(key_of(request.context, request.word), {0.0F, gone});
      unknown_.push_back(request);
      const std::size_t word = std::min(static_cast<std::size_t>(request.word),
                                        model_words_.size() - 1);
      queries_.push_back({states_[request.context], model_words_[word]});
    }
  }
  if (unknown_.empty()) {
    return;
  }
  try {
    answer();
  } catch (...) {
    forget_unanswered();
    throw;
  }
}

void Contexts::answer() {
  steps_.resize(queries_.size());
  session_.score(queries_, steps_);
  for (const Step& step : steps_) {
    check_score(step.score);
  }
  for (std::size_t k = 0; k < unknown_.size(); ++k) {
    const std::uint32_t context = context_of(steps_[k].state, unknown_[k].context);
    // The table may have grown since, so the slot is looked up again.
    auto* const known =
        const_cast<Transition*>(find(unknown_[k].context, unknown_[k].word));
    *known = {steps_[k].score, context};
  }
}

}  // namespace sestina::decoding
