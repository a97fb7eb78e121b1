#include "bind/python_model.hpp"

#include <nanobind/ndarray.h>
#include <nanobind/stl/pair.h>

#include <utility>

namespace nb = nanobind;

namespace sestina::decoding {

namespace {

using Scores = nb::ndarray<nb::numpy, const float, nb::ndim<1>, nb::c_contig, nb::device::cpu>;

thread_local int calls = 0;  // that this thread is within

}  // namespace

bool is_calling_python() noexcept { return calls > 0; }

class PythonSession final : public Session {
 public:
  // In a thread that holds the interpreter.
  explicit PythonSession(const PythonModel& model) : model_(model) {}
  ~PythonSession() override {
    const nb::gil_scoped_acquire held;
    states_.reset();
    numbers_.reset();
  }

  std::int32_t start(bool sentence) override {
    const nb::gil_scoped_acquire held;
    return number(model_.driver_.attr("start")(sentence));
  }
  void score(std::span<const Query> queries, std::span<Step> steps) override {
    PythonModel::Request request{*this, queries, steps, {}, {}};
    model_.answer(request);
  }
  float finish(std::int32_t state) override {
    float score = 0.0F;
    finish_all({&state, 1}, {&score, 1});
    return score;
  }
  void finish_all(std::span<const std::int32_t> states, std::span<float> scores) override {
    PythonModel::Request request{*this, {}, {}, states, scores};
    model_.answer(request);
  }
  void keep(std::span<std::int32_t> states) override {
    const nb::gil_scoped_acquire held;
    const nb::list old = std::exchange(states_, nb::list());
    numbers_ = nb::dict();
    for (std::int32_t& state : states) {
      state = number(nb::object(old[state]));
    }
  }

  // The rest is for the model, in a thread that holds the interpreter.
  nb::object state(std::int32_t number) const { return states_[number]; }
  std::int32_t number(const nb::object& state) {
    // An object that is in the list lives, so that no other one gets its address.
    const nb::object key =
        model_.by_identity_ ? nb::object(nb::int_(reinterpret_cast<std::uintptr_t>(state.ptr())))
                            : state;
    if (numbers_.contains(key)) {
      return nb::cast<std::int32_t>(numbers_[key]);
    }
    const auto made = static_cast<std::int32_t>(nb::len(states_));
    numbers_[key] = made;
    states_.append(state);
    return made;
  }

 private:
  const PythonModel& model_;
  nb::list states_;   // by number
  nb::dict numbers_;  // of states, or of their addresses
};

PythonModel::PythonModel(nb::object driver, bool by_index, bool by_identity, float highest_score)
    : driver_(std::move(driver)),
      by_index_(by_index),
      by_identity_(by_identity),
      highest_score_(highest_score) {
  ids_["<unk>"] = 0;
  texts_.append("<unk>");
}

PythonModel::~PythonModel() {
  const nb::gil_scoped_acquire held;
  driver_.reset();
  ids_.reset();
  texts_.reset();
}

std::unique_ptr<Session> PythonModel::session() const {
  const nb::gil_scoped_acquire held;
  return std::make_unique<PythonSession>(*this);
}

std::int32_t PythonModel::word(std::string_view text) const {
  const nb::gil_scoped_acquire held;
  const nb::object name = nb::steal(PyUnicode_DecodeUTF8(
      text.data(), static_cast<Py_ssize_t>(text.size()), "surrogateescape"));
  if (!name.is_valid()) {
    throw nb::python_error();
  }
  if (!ids_.contains(name)) {
    const bool known = nb::cast<bool>(driver_.attr("knows")(name));
    ids_[name] = known ? static_cast<std::int32_t>(nb::len(texts_)) : 0;
    if (known) {
      texts_.append(name);
    }
  }
  return nb::cast<std::int32_t>(ids_[name]);
}

// The thread that finds nobody calling calls for all that wait. One that finds itself calling, as
// the model's own code searches with the model, can't wait for the end of that.
void PythonModel::answer(Request& request) const {
  std::unique_lock<std::mutex> lock(queueing_);
  if (calling_ && caller_ == std::this_thread::get_id()) {
    lock.unlock();
    Request* const own = &request;
    call_apart({&own, 1});
    request.done = true;
  } else {
    waiting_.push_back(&request);
    changed_.wait(lock, [&] { return request.done || !calling_; });
  }
  if (!request.done) {
    const std::vector<Request*> requests = std::exchange(waiting_, {});
    calling_ = true;
    caller_ = std::this_thread::get_id();
    lock.unlock();
    call_apart(requests);
    lock.lock();
    calling_ = false;
    for (Request* const answered : requests) {
      answered->done = true;
    }
    changed_.notify_all();
  }
  if (request.failure) {
    std::rethrow_exception(request.failure);
  }
}

// A call that fails fails only those whose own it is.
void PythonModel::call_apart(std::span<Request* const> requests) const noexcept {
  const nb::gil_scoped_acquire held;
  ++calls;
  try {
    call(requests);
    --calls;
  } catch (...) {
    --calls;
    if (requests.size() == 1) {
      requests.front()->failure = std::current_exception();
      return;
    }
    for (std::size_t k = 0; k < requests.size(); ++k) {
      call_apart(requests.subspan(k, 1));
    }
  }
}

void PythonModel::call(std::span<Request* const> requests) const {
  score(requests);
  finish(requests);
}

void PythonModel::score(std::span<Request* const> requests) const {
  nb::list states;
  nb::list words;
  for (const Request* const request : requests) {
    for (const Query& query : request->queries) {
      states.append(request->session.state(query.state));
      words.append(by_index_ ? nb::object(nb::int_(query.word)) : nb::object(texts_[query.word]));
    }
  }
  if (nb::len(states) == 0) {
    return;
  }
  const nb::object answer = driver_.attr("score")(states, words);
  const auto scores = nb::cast<Scores>(nb::object(answer[0]));
  const auto next = nb::cast<nb::list>(nb::object(answer[1]));
  std::size_t at = 0;
  for (const Request* const request : requests) {
    for (Step& step : request->steps) {
      step = {scores(at), request->session.number(nb::object(next[at]))};
      ++at;
    }
  }
}

void PythonModel::finish(std::span<Request* const> requests) const {
  nb::list states;
  for (const Request* const request : requests) {
    for (const std::int32_t state : request->states) {
      states.append(request->session.state(state));
    }
  }
  if (nb::len(states) == 0) {
    return;
  }
  const auto scores = nb::cast<Scores>(driver_.attr("finish")(states));
  std::size_t at = 0;
  for (const Request* const request : requests) {
    for (float& end : request->ends) {
      end = scores(at++);
    }
  }
}

}  // namespace sestina::decoding
