// A language model whose scores a Python object gives.
//
// States are any Python objects; a session numbers them as it meets them. Searches run in threads
// that do not hold the interpreter: what several of them ask while a call is under way is answered
// together by the next call, so that a model that is faster in batches serves them all at once.
#pragma once

#include <nanobind/nanobind.h>

#include <condition_variable>
#include <cstdint>
#include <exception>
#include <memory>
#include <mutex>
#include <span>
#include <string_view>
#include <thread>
#include <vector>

#include "decoding/lm/model.hpp"

namespace sestina::decoding {

class PythonSession;

// Whether this thread is within a call to a model, whose code may search, too. Threads that such a
// search started would wait for the call to end, and the call for them.
bool is_calling_python() noexcept;

class PythonModel final : public LanguageModel {
 public:
  // `driver` has the methods
  //   start(sentence: bool) -> state
  //   score(states: list, words: list) -> (scores: float32 array, states: list)
  //   finish(states: list) -> scores
  //   knows(word: str) -> bool
  // Words are texts, "<unk>" for all that it does not know; or `by_index` the search's numbers.
  // States are equal if Python says so, or `by_identity` if they are the same object.
  PythonModel(nanobind::object driver, bool by_index, bool by_identity, float highest_score);
  ~PythonModel() override;

  std::unique_ptr<Session> session() const override;
  std::int32_t word(std::string_view text) const override;
  bool by_index() const noexcept override { return by_index_; }
  float highest_score() const noexcept override { return highest_score_; }

 private:
  friend class PythonSession;

  // What a session waits for: steps, or scores of the end.
  struct Request {
    PythonSession& session;
    std::span<const Query> queries;
    std::span<Step> steps;
    std::span<const std::int32_t> states;
    std::span<float> ends;
    bool done = false;
    std::exception_ptr failure = nullptr;
  };

  void answer(Request& request) const;
  void call_apart(std::span<Request* const> requests) const noexcept;
  void call(std::span<Request* const> requests) const;
  void score(std::span<Request* const> requests) const;
  void finish(std::span<Request* const> requests) const;

  // Python objects are touched only by a thread that holds the interpreter.
  nanobind::object driver_;
  mutable nanobind::dict ids_;     // of texts
  mutable nanobind::list texts_;  // by id
  bool by_index_;
  bool by_identity_;
  float highest_score_;

  mutable std::mutex queueing_;
  mutable std::condition_variable changed_;
  mutable std::vector<Request*> waiting_;
  mutable bool calling_ = false;
  mutable std::thread::id caller_;  // if so
};

}  // namespace sestina::decoding
