// Whether long work is to go on: a search asks once a frame.
#pragma once

#include <atomic>
#include <exception>
#include <thread>
#include <utility>

namespace sestina::decoding {

class Interruption {
 public:
  virtual ~Interruption() = default;
  // Throws to end the work.
  virtual void look() = 0;
};

// What this thread's work asks; if nobody is there, it goes on.
inline thread_local Interruption* interruption = nullptr;

// For as long as it lives, this thread's work asks the one given.
class Interruptible {
 public:
  explicit Interruptible(Interruption& asked) : before_(std::exchange(interruption, &asked)) {}
  ~Interruptible() { interruption = before_; }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

 private:
  Interruption* before_;
};

// One for several threads that work on the same: if it has been told to stop, all of them do; the
// thread that made it also asks whom it asked before.
class Together : public Interruption {
 public:
  struct Stopped : std::exception {};

  void stop() noexcept { stopped_ = true; }
  void look() override {
    if (stopped_) {
      throw Stopped();
    }
    if (asked_by_maker_ != nullptr && std::this_thread::get_id() == maker_) {
      asked_by_maker_->look();
    }
  }

 private:
  const std::thread::id maker_ = std::this_thread::get_id();
  Interruption* const asked_by_maker_ = interruption;
  std::atomic<bool> stopped_{false};
};

}  // namespace sestina::decoding
