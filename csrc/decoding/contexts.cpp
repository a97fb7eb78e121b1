#include "decoding/contexts.hpp"

#include <algorithm>
#include <bit>
#include <unordered_map>

namespace sestina::decoding {

namespace {

constexpr std::size_t first_capacity = 4096;
// Words are at least 0; this one stands for "the context of this state" (see context_of).
constexpr std::int32_t no_word = -1;

}  // namespace

Contexts::Contexts(Session& session, std::span<const std::int32_t> model_words, Merge merge)
    : session_(session), model_words_(model_words), merge_(merge) {}

std::uint32_t Contexts::start() {
  clear();
  return context_of(session_.start(true), 0);
}

void Contexts::clear() {
  session_.keep({});
  reset();
}

void Contexts::reset() {
  states_.clear();
  parents_.clear();
  slots_.assign(first_capacity, Slot{free_slot, {}});  // the memory stays, for the next utterance
  shift_ = 64 - std::countr_zero(first_capacity);
  used_ = 0;
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
  std::vector<std::int32_t> states;
  for (const std::uint32_t context : kept) {
    states.push_back(states_[context]);
  }
  session_.keep(states);
  const std::vector<Slot> old_slots = std::move(slots_);
  const std::vector<std::uint32_t> old_parents = std::move(parents_);
  reset();
  std::unordered_map<std::uint32_t, std::uint32_t> names;
  for (std::size_t k = 0; k < kept.size(); ++k) {
    const auto parent = names.find(old_parents[kept[k]]);
    names[kept[k]] = context_of(states[k], parent == names.end() ? 0 : parent->second);
  }
  std::vector<std::int32_t> words;
  for (const Slot& slot : old_slots) {
    const auto word = static_cast<std::int32_t>(slot.key & 0xFFFFFFFFU);
    if (slot.key == free_slot || word < 0) {
      continue;
    }
    const auto from = names.find(static_cast<std::uint32_t>(slot.key >> 32));
    const auto to = names.find(slot.transition.context);
    if (from != names.end() && to != names.end()) {
      insert(key_of(from->second, word), {slot.transition.score, to->second});
      words.push_back(word);
    }
  }
  for (std::uint32_t* const context : live) {
    *context = names[*context];
  }
  return words;
}

void Contexts::finish_all(std::span<const std::uint32_t> contexts, std::span<float> scores) {
  std::vector<std::int32_t> states;
  for (const std::uint32_t context : contexts) {
    states.push_back(states_[context]);
  }
  session_.finish_all(states, scores);
}

void Contexts::grow() {
  spare_.assign(slots_.size() * 4, Slot{free_slot, {}});
  spare_.swap(slots_);
  shift_ = 64 - std::countr_zero(slots_.size());
  used_ = 0;
  for (const Slot& slot : spare_) {
    if (slot.key != free_slot) {
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
      insert(key_of(request.context, request.word), {});
      unknown_.push_back(request);
      const std::size_t word = std::min(static_cast<std::size_t>(request.word),
                                        model_words_.size() - 1);
      queries_.push_back({states_[request.context], model_words_[word]});
    }
  }
  if (unknown_.empty()) {
    return;
  }
  steps_.resize(queries_.size());
  session_.score(queries_, steps_);
  for (std::size_t k = 0; k < unknown_.size(); ++k) {
    const std::uint32_t context = context_of(steps_[k].state, unknown_[k].context);
    // The table may have grown since, so the slot is looked up again.
    auto* const known =
        const_cast<Transition*>(find(unknown_[k].context, unknown_[k].word));
    *known = {steps_[k].score, context};
  }
}

}  // namespace sestina::decoding
