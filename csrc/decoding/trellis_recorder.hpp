// Keeps the trellis of a search: takes note of what contributes to the prefixes of a frame, and when
// it is known which of these stay in the beam, adds their states and the ways to them.
#pragma once

#include <cstdint>
#include <limits>
#include <utility>
#include <vector>

#include "decoding/trellis.hpp"

namespace sestina::decoding {

class TrellisRecorder {
 public:
  static constexpr std::uint32_t none = std::numeric_limits<std::uint32_t>::max();

  // The states of a prefix's two kinds of paths; `none` where there are no such paths.
  struct States {
    std::uint32_t blank = none;
    std::uint32_t token = none;
  };
  // What a way adds, and the word that it ends.
  struct Gain {
    double emission;
    double bonus = 0.0;
    std::int32_t word = -1;
    float language = 0.0F;
  };

  // A search that starts in that token; after it, or in blanks.
  void begin(std::int32_t token, bool in_blank) {
    trellis_.begin(token);
    before_.assign(1, in_blank ? States{0, none} : States{none, 0});
    notes_.clear();
  }

  // `source`: a prefix of the old beam; `target`: one of those that the frame makes, the old ones
  // being the first of them.
  void note(std::uint32_t source, bool from_token, std::uint32_t target, bool to_blank,
            const Gain& gain) {
    notes_.push_back({source, target, from_token, to_blank, false, gain});
  }
  // A prefix's own paths going on as they are, from kind to kind.
  void note_stay(std::uint32_t prefix, bool from_token, bool to_blank, double emission) {
    notes_.push_back({prefix, prefix, from_token, to_blank, from_token != to_blank, {emission}});
  }

  // A prefix of the new beam, in its order: which of those that the frame made it is.
  void keep(std::uint32_t made, std::int32_t blank, bool has_blank, std::int32_t token,
            bool has_token) {
    if (made >= after_.size()) {
      after_.resize(made + 1);
    }
    after_[made] = {has_blank ? trellis_.add_state(blank) : none,
                    has_token ? trellis_.add_state(token) : none};
    kept_.push_back(made);
  }
  void end_frame() {
    for (const Note& note : notes_) {
      const States from = before_[note.source];
      const States to = note.target < after_.size() ? after_[note.target] : States{};
      const std::uint32_t source = note.from_token ? from.token : from.blank;
      const std::uint32_t target = note.to_blank ? to.blank : to.token;
      if (source != none && target != none) {
        trellis_.add_way({source, target, note.gain.word, note.gain.language, note.gain.emission,
                          note.gain.bonus, note.stays});
      }
    }
    trellis_.end_frame();
    before_.clear();
    for (const std::uint32_t made : kept_) {
      before_.push_back(after_[made]);
    }
    after_.clear();
    kept_.clear();
    notes_.clear();
  }

  // Of a prefix of the beam.
  States states(std::size_t prefix) const noexcept { return before_[prefix]; }
  const Trellis& finish(std::vector<Trellis::Final> finals) {
    trellis_.set_finals(std::move(finals));
    return trellis_;
  }

 private:
  struct Note {
    std::uint32_t source;
    std::uint32_t target;
    bool from_token;
    bool to_blank;
    bool stays;
    Gain gain;
  };

  Trellis trellis_;
  std::vector<Note> notes_;
  std::vector<States> before_;  // of the old beam
  std::vector<States> after_;   // of what the frame has made
  std::vector<std::uint32_t> kept_;
};

}  // namespace sestina::decoding
