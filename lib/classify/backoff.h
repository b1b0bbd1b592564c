// SPDX-License-Identifier: GPL-2.0-or-later
// How often something is put back that somebody takes away: at once the first time, then
// ever more seldom while it does not stay, so that two programs do not fight in a loop.
#pragma once

#include <algorithm>
#include <chrono>

namespace synward {

class Backoff {
  public:
    using Clock = std::chrono::steady_clock;

    // Whether it may be put back now.
    [[nodiscard]] bool allowed(Clock::time_point now) const { return now >= next_; }
    [[nodiscard]] Clock::duration left(Clock::time_point now) const {
        return std::max(next_ - now, Clock::duration::zero());
    }
    // It was put back. Returns how long it has to stay away if it goes again.
    Clock::duration done(Clock::time_point now) {
        // It stayed for longer than we would have waited: a new story.
        const bool stayed =
            last_ == Clock::time_point{} || now - last_ > std::max<Clock::duration>(2 * delay_, quiet);
        delay_ = stayed ? first : std::min<Clock::duration>(delay_ * 4, longest);
        last_ = now;
        next_ = now + delay_;
        return delay_;
    }
    // Somebody fights: it was put back more than once lately.
    [[nodiscard]] bool contested() const { return delay_ > first; }

    static constexpr std::chrono::seconds first{1};
    static constexpr std::chrono::seconds quiet{60};
    static constexpr std::chrono::seconds longest{300};

  private:
    Clock::time_point last_{};
    Clock::time_point next_{};
    Clock::duration delay_{};
};

}  // namespace synward
