// SPDX-License-Identifier: GPL-2.0-or-later
// Verdict arrays from user space through the slots' state machine, as the module
// applies them: whatever is written, each packet ends once and nothing else does.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <set>
#include <vector>

#include "tests/unit/user_ring.h"

namespace {

void require(bool promise) {
    if (!promise) std::abort();
}

class Input {
  public:
    Input(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
    [[nodiscard]] bool empty() const { return size_ == 0; }
    template <typename T>
    T take() {
        T value{};
        const std::size_t length = std::min(size_, sizeof value);
        std::memcpy(&value, data_, length);
        data_ += length;
        size_ -= length;
        return value;
    }

  private:
    const std::uint8_t* data_;
    std::size_t size_;
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace synward;
    Input input(data, size);
    const unsigned shift = 1 + input.take<std::uint8_t>() % 4;
    // Anywhere but where 64 bits end: the numbers begin at 0 and never get there.
    const std::uint64_t first = input.take<std::uint64_t>() >> 1;
    std::vector<std::uint64_t> memory(UserRing::bytes(shift, 128) / 8);
    UserRing ring(memory.data(), shift, 128, first);
    std::set<std::uint64_t> held;
    std::uint64_t now = 0;

    const auto decide = [&](std::uint64_t sequence, const sw_verdict& verdict) {
        require(held.erase(sequence) == 1);
        require(verdict.verdict < SW_VERDICT_KINDS);
    };
    while (!input.empty()) {
        const auto what = input.take<std::uint8_t>();
        if (what < 96) {
            const std::uint64_t sequence = ring.slots().head;
            const std::vector<std::uint8_t> packet(input.take<std::uint8_t>());
            if (ring.publish(packet, 0, now + 50)) held.insert(sequence);
        } else if (what < 192) {
            // near the truth, so that some of them hit
            std::vector<sw_verdict> verdicts(1 + what % 4);
            for (sw_verdict& verdict : verdicts) {
                const std::uint64_t sequence = ring.slots().tail + input.take<std::uint8_t>() % 40;
                verdict = {.slot = sw_slots_index(&ring.slots(), sequence),
                           .generation = sw_slots_generation(&ring.slots(), sequence),
                           .verdict = input.take<std::uint8_t>() % 4u,
                           .mark = 0,
                           .mask = 0};
            }
            ring.apply(verdicts, decide);
        } else if (what < 240) {
            const auto verdict = input.take<sw_verdict>();
            ring.apply({&verdict, 1}, decide);
        } else {
            now += what;
            const std::uint64_t tail = ring.slots().tail;
            ring.expire(now);
            for (std::uint64_t n = tail; n != ring.slots().tail; ++n) held.erase(n);
        }
        require(ring.slots().head - ring.slots().tail <= ring.slots().mask + 1ULL);
        require(held.empty() == (ring.slots().head == ring.slots().tail));
        require(held.empty() || *held.begin() == ring.slots().tail);
        require(sw_slots_unseen(&ring.slots()) <= ring.slots().head - ring.slots().tail);
        require(!held.empty() || ring.slots().bytes == 0);
    }
    return 0;
}
