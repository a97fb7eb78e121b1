// What the search has found, at its end or on the way.
#pragma once

#include "decoding/beam_search.hpp"

namespace sestina::decoding {

template <Policy P>
const Trellis& BeamSearch<P>::trellis() {
  std::vector<Trellis::Final> finals;
  const bool complete = P.kind == Kind::open ||
                        std::any_of(beam_.begin(), beam_.end(),
                                    [&](const Prefix& p) { return is_root(p.node); });
  for (std::size_t k = 0; options_.record && k < beam_.size(); ++k) {
    const Prefix& p = beam_[k];
    if (is_root(p.node) || !complete) {
      const double last = static_cast<double>(contexts_.finish(p.context)) + p.smear;
      const TrellisRecorder::States states = recorder_.states(k);
      for (const std::uint32_t state : {states.blank, states.token}) {
        if (state != TrellisRecorder::none) {
          finals.push_back({state, last, static_cast<std::uint32_t>(k)});
        }
      }
    }
  }
  if constexpr (P.kind == Kind::open) {
    if (options_.record) {
      end_open_words(finals);
    }
  }
  return recorder_.finish(std::move(finals));
}

template <Policy P>
std::vector<Hypothesis> BeamSearch<P>::beam(std::int32_t count) const {
  struct Place {
    double score;
    std::uint32_t record;
    float smear;
  };
  std::vector<Place> places;
  for (const Prefix& p : beam_) {
    places.push_back({p.token, p.token_record, p.smear});
    places.push_back({p.blank, p.blank_record, p.smear});
  }
  std::erase_if(places, [](const Place& place) { return place.score == minus_infinity; });
  std::stable_sort(places.begin(), places.end(),
                   [](const Place& a, const Place& b) { return a.score > b.score; });
  places.resize(std::min(places.size(), static_cast<std::size_t>(std::max(count, 0))));
  std::vector<Hypothesis> result;
  for (const Place& place : places) {
    result.push_back(records_.trace(place.record, place.score));
    result.back().language += place.smear;
  }
  return result;
}

template <Policy P>
std::size_t BeamSearch<P>::settled() const {
  std::vector<std::uint32_t> last;
  bool is_within_word = false;
  for (const Prefix& p : beam_) {
    if (p.blank > minus_infinity) {
      last.push_back(p.blank_record);
    }
    if (p.token > minus_infinity) {
      last.push_back(p.token_record);
    }
    is_within_word = is_within_word || !is_root(p.node);
  }
  const std::size_t length = records_.common(last);
  // If the input ended here, the last token but for blanks might end a word that goes on instead.
  constexpr std::size_t open_end = 2;
  return P.kind == Kind::open && is_within_word ? length - std::min(length, open_end) : length;
}

template <Policy P>
void BeamSearch<P>::forget(std::size_t stretches) {
  if (stretches > settled()) {
    throw std::invalid_argument("not so much of the paths is settled");
  }
  if (stretches > 0) {
    keep_records();
    records_.forget(stretches);
  }
}

template <Policy P>
void BeamSearch<P>::add_final(std::vector<Final>& finals, const Prefix& p, std::uint32_t context,
                              std::uint32_t node, double shift, double language,
                              std::int32_t word) {
  const std::uint64_t key = (std::uint64_t{context} << 32) | node;
  for (const auto& [score, record] :
       {std::pair{p.token, p.token_record}, std::pair{p.blank, p.blank_record}}) {
    if (score > minus_infinity) {
      finals.push_back({score + shift, key, record, language, word});
    }
  }
}

// Adds what the language model says of the end; all contexts are asked at once.
template <Policy P>
void BeamSearch<P>::add_ends(std::vector<Final>& finals) {
  const auto context_of = [](const Final& final) {
    return static_cast<std::uint32_t>(final.key >> 32);
  };
  std::vector<std::uint32_t> contexts;
  for (const Final& final : finals) {
    contexts.push_back(context_of(final));
  }
  std::sort(contexts.begin(), contexts.end());
  contexts.erase(std::unique(contexts.begin(), contexts.end()), contexts.end());
  std::vector<float> ends(contexts.size());
  contexts_.finish_all(contexts, ends);
  for (Final& final : finals) {
    const auto place = std::lower_bound(contexts.begin(), contexts.end(), context_of(final));
    const double end = ends[static_cast<std::size_t>(place - contexts.begin())];
    final.score += options_.lm_weight * end;
    final.language = end + final.language;
  }
  std::erase_if(finals, [](const Final& final) { return !(final.score > minus_infinity); });
}

// The words that the end of the input ends, with their prefixes, bonuses, and symbols.
template <Policy P>
template <typename Visit>
void BeamSearch<P>::each_open_word(const Visit& visit) const {
  for (const Prefix& p : beam_) {
    if (is_root(p.node)) {
      continue;
    }
    const std::uint32_t child = child_of(p, options_.silence);
    if (child != 0 && !graph_->words_at(child).empty()) {
      for (const Word& word : graph_->words_at(child)) {
        visit(p, options_.word_score + word.bonus, word.id);
      }
    } else {
      visit(p, options_.word_score + (spelled_.holds(p.node) ? 0.0 : options_.unk_score),
            spelled_symbol(p.node));
    }
  }
}

template <Policy P>
void BeamSearch<P>::close_words(std::vector<Final>& finals) {
  requests_.clear();
  each_open_word([&](const Prefix& p, double, std::int32_t symbol) {
    requests_.push_back({p.context, symbol});
  });
  contexts_.resolve(requests_);
  each_open_word([&](const Prefix& p, double bonus, std::int32_t symbol) {
    const Contexts::Transition step = *contexts_.find(p.context, symbol);
    add_final(finals, p, step.context, Trie::root,
              bonus + options_.lm_weight * (static_cast<double>(step.score) - p.smear), step.score,
              std::min(symbol, options_.unk_word));
  });
}

// For the trellis: the hypotheses of words that the end of the input ends.
template <Policy P>
void BeamSearch<P>::end_open_words(std::vector<Trellis::Final>& finals) {
  requests_.clear();
  each_open_word([&](const Prefix& p, double, std::int32_t symbol) {
    requests_.push_back({p.context, symbol});
  });
  contexts_.resolve(requests_);
  auto place = static_cast<std::uint32_t>(beam_.size());
  each_open_word([&](const Prefix& p, double bonus, std::int32_t symbol) {
    const Contexts::Transition step = *contexts_.find(p.context, symbol);
    const double end = contexts_.finish(step.context);
    const auto index = static_cast<std::size_t>(&p - beam_.data());
    const TrellisRecorder::States states = recorder_.states(index);
    for (const std::uint32_t state : {states.blank, states.token}) {
      if (state != TrellisRecorder::none) {
        finals.push_back({state, end, place, symbol, step.score, bonus});
      }
    }
    ++place;
  });
}

template <Policy P>
std::vector<Hypothesis> BeamSearch<P>::finish(std::int32_t count) {
  std::vector<Final> finals;
  const bool complete = P.kind == Kind::open ||
                        std::any_of(beam_.begin(), beam_.end(),
                                    [&](const Prefix& p) { return is_root(p.node); });
  for (const Prefix& p : beam_) {
    if (is_root(p.node) || !complete) {
      const bool between = P.kind != Kind::free && is_root(p.node);
      const std::uint32_t place = P.kind == Kind::free || between ? Trie::root : p.node;
      add_final(finals, p, p.context, place, 0.0, p.smear, -1);
    }
  }
  if constexpr (P.kind == Kind::open) {
    close_words(finals);
  }
  add_ends(finals);
  double best = minus_infinity;
  for (const Final& final : finals) {
    best = std::max(best, final.score);
  }
  std::erase_if(finals,
                [&](const Final& final) { return final.score < best - options_.beam_threshold; });
  std::stable_sort(finals.begin(), finals.end(), [](const Final& a, const Final& b) {
    return a.key != b.key ? a.key < b.key : a.score > b.score;
  });
  std::vector<Final> merged;
  for (const Final& final : finals) {
    if (!merged.empty() && merged.back().key == final.key) {
      merged.back().score = plus(merged.back().score, final.score);
    } else {
      merged.push_back(final);
    }
  }
  std::stable_sort(merged.begin(), merged.end(),
                   [](const Final& a, const Final& b) { return a.score > b.score; });
  std::vector<Hypothesis> result;
  for (const Final& final : merged) {
    if (result.size() == static_cast<std::size_t>(std::max(count, 0))) {
      break;
    }
    Hypothesis found = records_.trace(final.record, final.score);
    found.language += final.language;
    if (final.word >= 0) {
      // It ends with the last token there is.
      const auto last = std::find_if(found.path.rbegin(), found.path.rend(), [&](const Stretch& s) {
        return options_.asg || s.token != options_.blank;
      });
      last->word = final.word;
    }
    result.push_back(std::move(found));
  }
  return result;
}

}  // namespace sestina::decoding
