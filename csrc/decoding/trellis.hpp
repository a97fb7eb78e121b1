// What a search has kept, frame by frame: the states of its beam, and the ways from each to those of
// the next frame. All paths of the search, where its hypotheses have only the best one into each
// state. Words are found in it by `make_lattice`.
#pragma once

#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "decoding/lattice.hpp"
#include "decoding/open_vocabulary.hpp"

namespace sestina::decoding {

class Trellis {
 public:
  struct Way {
    std::uint32_t from;
    std::uint32_t to;
    std::int32_t word;  // that ends with it, or -1
    float language;     // log10
    double emission;    // of the frame's token, with all that depends on frames and tokens only
    double bonus;       // whatever else it scores: word_score or unk_score
    bool stays;         // the token goes on; else it begins
  };
  struct Final {
    std::uint32_t state;
    double language;      // log10 of ending there
    std::uint32_t place;  // where what follows is the same; those of one place lie side by side
    std::int32_t word = -1;      // that the end of the input ends, or -1
    float word_language = 0.0F;  // its log10
    double bonus = 0.0;          // and whatever else it scores
  };

  explicit Trellis(std::int32_t first_token = 0) { begin(first_token); }

  // Forgets everything. State 0 is where the search starts: in `token`, before the first frame.
  void begin(std::int32_t token) {
    tokens_.assign(1, token);
    ways_.clear();
    frame_ends_.assign(1, {1, 0});
    finals_.clear();
  }
  // A state of the frame at hand, whose paths end in `token`.
  std::uint32_t add_state(std::int32_t token) {
    tokens_.push_back(token);
    return static_cast<std::uint32_t>(tokens_.size() - 1);
  }
  // From a state of the frame before to one of the frame at hand.
  void add_way(const Way& way) { ways_.push_back(way); }
  void end_frame() { frame_ends_.push_back({num_states(), ways_.size()}); }
  void set_finals(std::vector<Final> finals) { finals_ = std::move(finals); }

  std::int32_t token(std::uint32_t state) const noexcept { return tokens_[state]; }
  std::uint32_t num_states() const noexcept { return static_cast<std::uint32_t>(tokens_.size()); }
  std::int32_t num_frames() const noexcept { return static_cast<std::int32_t>(frame_ends_.size() - 1); }
  std::span<const Way> ways() const noexcept { return ways_; }
  // Of one frame, from 0.
  std::span<const Way> ways(std::int32_t frame) const noexcept {
    const auto t = static_cast<std::size_t>(frame);
    return std::span(ways_).subspan(frame_ends_[t].way,
                                    frame_ends_[t + 1].way - frame_ends_[t].way);
  }
  // The states after so many frames are numbered from here on, up to those of the next.
  std::uint32_t first_state(std::int32_t frames) const noexcept {
    return frames == 0 ? 0 : frame_ends_[static_cast<std::size_t>(frames) - 1].state;
  }
  std::uint32_t last_state(std::int32_t frames) const noexcept {
    return frame_ends_[static_cast<std::size_t>(frames)].state;
  }
  const std::vector<Final>& finals() const noexcept { return finals_; }

 private:
  std::vector<std::int32_t> tokens_;  // by state
  std::vector<Way> ways_;
  struct FrameEnd {
    std::uint32_t state;
    std::size_t way;
  };
  std::vector<FrameEnd> frame_ends_;  // of what comes before the first frame, then of each
  std::vector<Final> finals_;
};

struct LatticeOptions {
  double beam;  // paths further below the best one are left out
  double lm_weight;
  bool sums;  // paths that differ in their tokens' times only add up; else the best one counts
  std::int32_t blank;
  std::int32_t silence;  // -1: there is none
  // Of the words that the search does not number; none if there are none. Filled.
  std::shared_ptr<OpenVocabulary> vocabulary = nullptr;
  // How many of the texts that a word may have had so far are kept in each state, the best ones, if
  // words are read off the tokens. The best path through each state stays.
  std::size_t most_texts = 4;
};

// The words of a trellis. A node is the first frame of a word's last token in some state of the
// search; between two nodes, all paths of tokens become one arc for each word. No node is shared by
// what the search told apart. Words that are read off the tokens end with the first frame of a
// separator, or before that of a token that begins the next one. Where the search tells apart what
// they have been so far, all are found, else `most_texts` in each state.
// Throws std::invalid_argument if no path leads to the end.
Lattice make_lattice(const Trellis& trellis, const LatticeOptions& options);

}  // namespace sestina::decoding
